//! The JSON API for the program's commands.

use crate::common::{Folder, create, exchange, get, post, register, send};
use molecule_dev::{Dev, Options};
use serde_json::json;

#[test]
fn acts_are_json_in_and_json_out() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let admin = dev.admin_token();
    let act = json!({"act": "create_workspace", "name": "mine"});
    let (status, created) = post(&dev, "/dev/api/act", &admin, &act);
    assert_eq!((status, created["acted"].as_str()), (200, Some("created")), "{created}");
    let id = created["id"].as_str().unwrap();
    let (_, list) = get(&dev, "/dev/api/workspaces", &admin);
    assert!(list.as_array().unwrap().iter().any(|view| view["id"] == id && view["name"] == "mine"), "{list}");
    let message = json!({"act": "send_user_message", "to": id, "message": {"parts": [{"kind": "text", "text": "hi"}]}});
    assert_eq!(post(&dev, "/dev/api/act", &admin, &message).1["acted"], "sent");
    let refused = post(&dev, "/dev/api/act", &admin, &json!({"act": "resume", "id": id})).1;
    assert_eq!(refused["acted"], "refused");
    assert!(refused["why"].as_str().unwrap().contains("not paused"), "{refused}");
    for bad in [json!({"act": "explode"}), json!({"act": "pause", "id": "x"}), json!([])] {
        let (status, body) = post(&dev, "/dev/api/act", &admin, &bad);
        assert_eq!(status, 400, "{body}");
        assert!(body["error"].is_string(), "{body}");
    }
}

#[test]
fn the_rest_of_the_api() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let admin = dev.admin_token();
    let (id, token) = create(dev.world(), "mine");
    register(&dev, &id, &token);
    let registered = dev.world().line();
    let (status, body) = get(&dev, "/dev/api/status", &admin);
    assert_eq!((status, body["url"].as_str(), body["dialect"].as_str()), (200, Some(dev.url()), Some("current")));
    assert_eq!(body["line"], registered);
    let (_, curl) = get(&dev, &format!("/dev/api/curl?line={registered}"), &admin);
    assert!(curl.as_str().unwrap().contains("$TOKEN") && !curl.as_str().unwrap().contains(token.expose()), "{curl}");
    assert_eq!(get(&dev, "/dev/api/curl", &admin).0, 400);
    assert_eq!(get(&dev, "/dev/api/curl?line=9999", &admin).0, 404);
    let (status, exported) = send(&dev, "GET", "/dev/api/export", Some(&admin), "");
    assert_eq!((status, exported), (200, std::fs::read_to_string(folder.log()).unwrap()));
    let (_, blanked) = send(&dev, "GET", "/dev/api/export?blank=1", Some(&admin), "");
    assert!(!blanked.contains(token.expose()) && !blanked.contains(&admin));
    let (_, test) = send(&dev, "GET", &format!("/dev/api/test?to={registered}"), Some(&admin), "");
    assert!(test.contains("fn what_was_recorded_happens_again"));
    let chaos = json!({"rules": [{"path": "/state", "fault": {"fault": "rate_limited", "retry_after_s": 3}}]});
    assert_eq!(post(&dev, "/dev/api/chaos", &admin, &chaos).0, 200);
    assert_eq!(get(&dev, "/dev/api/chaos", &admin).1, chaos);
    assert_eq!(get(&dev, &molecule_proto::path::state(&id), token.expose()).0, 429);
    assert_eq!(post(&dev, "/dev/api/forward", &admin, &json!({"ms": 200_000})).0, 200);
    let path = folder.path().join("fork.jsonl");
    let (status, forked) = post(&dev, "/dev/api/fork", &admin, &json!({"line": registered, "path": path}));
    assert_eq!((status, forked["line"].as_u64()), (200, Some(registered)), "{forked}");
    assert_eq!(post(&dev, "/dev/api/fork", &admin, &json!({"path": path})).0, 409);
    let (status, again) = post(&dev, "/dev/api/again", &admin, &json!({"line": registered}));
    assert!(status == 200 && again["line"].as_u64().unwrap() > registered, "{again}");
    assert_eq!(get(&dev, "/dev/api/graph", &admin).1, json!([]));
    assert_eq!(get(&dev, "/dev/api/nothing", &admin).0, 404);
}

#[test]
fn nobody_uses_it_without_the_admin_token_or_from_another_origin() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let (_, token) = create(dev.world(), "mine");
    let line = dev.world().line();
    for bearer in [None, Some(""), Some("x"), Some(token.expose())] {
        for (method, path) in [("GET", "/dev/api/export"), ("POST", "/dev/api/act"), ("GET", "/dev/api/status")] {
            let (status, body) = send(&dev, method, path, bearer, r#"{"act":"create_workspace","name":"x"}"#);
            assert_eq!(status, 401, "{method} {path}: {body}");
        }
    }
    let address = dev.url().strip_prefix("http://").unwrap();
    let body = r#"{"act":"create_workspace","name":"x"}"#;
    for header in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"] {
        let request = format!(
            "POST /dev/api/act HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}",
            dev.admin_token(),
            body.len()
        );
        assert_eq!(exchange(address, &request).0, 403, "{header}");
    }
    assert_eq!(dev.world().line(), line);
}
