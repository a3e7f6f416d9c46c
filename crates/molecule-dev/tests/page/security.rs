//! What strangers try: rebinding, another origin, a form of another site, paths that climb, long bodies.

use std::time::Instant;

use molecule_proto::WorkspaceId;

use crate::client::{PATIENCE, bearer, create, get, head, post, send, start};

fn line_count(dev: &molecule_dev::Dev) -> u64 {
    dev.world().line()
}

#[test]
fn a_name_that_points_here_is_refused_on_every_path() {
    let dev = start();
    let port = dev.url().rsplit(':').next().unwrap().to_owned();
    let token = bearer(&dev);
    for path in ["/", "/dev/workspaces", "/dev/events", "/dev/assets/page.css", "/workspaces", "/health", "/nothing"] {
        for host in [format!("evil.example:{port}"), "evil.example".to_owned(), "127.0.0.1:1".to_owned()] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{token}Connection: close\r\n\r\n");
            let answer = send(&dev, request.as_bytes()).unwrap();
            assert_eq!(answer.status, 403, "{path} for {host}");
            assert!(!answer.body.contains("<html"), "{path} for {host}");
        }
        let two = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_eq!(send(&dev, two.as_bytes()).unwrap().status, 400, "{path}");
        let absolute =
            format!("GET http://evil.example{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        assert_eq!(send(&dev, absolute.as_bytes()).unwrap().status, 403, "{path}");
    }
    for host in
        [format!("localhost:{port}"), format!("LOCALHOST.:{port}"), format!("[::1]:{port}"), "127.0.0.1".to_owned()]
    {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(send(&dev, request.as_bytes()).unwrap().status, 200, "{host}");
    }
}

#[test]
fn without_the_token_nothing_is_shown_and_nothing_is_done() {
    let dev = start();
    let (id, _token) = create(&dev, "secretive");
    let before = line_count(&dev);
    for path in
        ["/dev/workspaces", "/dev/events", "/dev/about", &format!("/dev/chat/{id}"), "/dev/inspector", "/dev/nothing"]
    {
        for wrong in ["", "Authorization: Bearer wrong\r\n", "Cookie: token=x\r\n"] {
            let request = format!("{}{wrong}\r\n", head(&dev, "GET", path));
            let answer = send(&dev, request.as_bytes()).unwrap();
            assert_eq!(answer.status, 401, "{path} {wrong}");
            assert!(!answer.body.contains("secretive"));
        }
    }
    let form = format!("workspace={id}");
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let request =
        format!("{}{kind}\r\nContent-Length: {}\r\n\r\n{form}", head(&dev, "POST", "/dev/act/pause"), form.len());
    assert_eq!(send(&dev, request.as_bytes()).unwrap().status, 401);
    assert_eq!(line_count(&dev), before);
    // The frame is the same for everybody and holds nothing.
    let request = format!("{}\r\n", head(&dev, "GET", "/"));
    let frame = send(&dev, request.as_bytes()).unwrap();
    assert_eq!(frame.status, 200);
    assert!(!frame.body.contains("secretive") && !frame.body.contains(&dev.admin_token()));
}

#[test]
fn a_form_of_another_site_does_nothing_although_it_has_the_token() {
    let dev = start();
    let (id, _token) = create(&dev, "a");
    let before = line_count(&dev);
    let form = format!("workspace={id}");
    let (head, token) = (head(&dev, "POST", "/dev/act/delete"), bearer(&dev));
    for about in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://127.0.0.1:1",
    ] {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let request = format!("{head}{token}{about}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{form}", form.len());
        assert_eq!(send(&dev, request.as_bytes()).unwrap().status, 403, "{about}");
    }
    assert_eq!(line_count(&dev), before);
    assert_eq!(post(&dev, "/dev/act/delete", &form).status, 200, "the page's own form");
    assert!(line_count(&dev) > before);
}

#[test]
fn a_path_that_climbs_finds_no_file() {
    let dev = start();
    for path in [
        "/dev/assets/../page.rs",
        "/dev/assets/..%2f..%2fCargo.toml",
        "/dev/assets/%2e%2e/%2e%2e/etc/passwd",
        "/dev/assets//etc/passwd",
        "/dev/assets/page.css",
        "/dev/file/../../../etc/passwd",
        "/dev/file/..%2f..%2fetc%2fpasswd",
        "/dev/../etc/passwd",
    ] {
        let answer = get(&dev, path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.body.contains("root:") && !answer.body.contains("[package]"), "{path}");
    }
}

#[test]
fn no_get_changes_anything() {
    let dev = start();
    let (id, _token) = create(&dev, "a");
    let before = line_count(&dev);
    for act in [
        "create",
        "pause",
        "resume",
        "rotate",
        "delete",
        "set-secret",
        "remove-secret",
        "message",
        "request",
        "database",
    ] {
        let answer = get(
            &dev,
            &format!(
                "/dev/act/{act}?workspace={id}&name=x&key=K&value=V&text=t&kind=task&title=t&down=true&cascade=true"
            ),
        );
        assert_eq!(answer.status, 404, "{act}");
    }
    for view in ["workspaces", "chat", "inspector", "graph", "plugins", "chaos", "clock", "moment", "about"] {
        get(&dev, &format!("/dev/{view}"));
        get(&dev, &format!("/dev/{view}/{id}"));
    }
    assert_eq!(line_count(&dev), before);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!("{}{}\r\n", head(&dev, method, "/dev/act/delete"), bearer(&dev));
        assert_eq!(send(&dev, request.as_bytes()).unwrap().status, 405, "{method}");
    }
    assert_eq!(line_count(&dev), before);
}

#[test]
fn a_body_of_16_mebibytes_is_refused_and_the_server_goes_on() {
    let dev = start();
    let (id, _token) = create(&dev, "a");
    let before = line_count(&dev);
    let mut form = format!("workspace={id}&text=").into_bytes();
    form.resize(16 << 20, b'a');
    let kind = "Content-Type: application/x-www-form-urlencoded";
    for (path, token, expected) in [
        ("/dev/act/pause", bearer(&dev), 413),
        ("/dev/act/message", String::new(), 401),
        ("/dev/act/message", bearer(&dev), 413),
    ] {
        let mut request =
            format!("{}{token}{kind}\r\nContent-Length: {}\r\n\r\n", head(&dev, "POST", path), form.len()).into_bytes();
        request.extend_from_slice(&form);
        // The answer to a body that is not read may be lost with the connection.
        if let Some(answer) = send(&dev, &request) {
            assert_eq!(answer.status, expected, "{path}: {}", answer.body);
        }
        assert_eq!(get(&dev, "/dev/about").status, 200);
    }
    assert_eq!(line_count(&dev), before, "a message that is too long is not cut, but refused");
}

#[test]
fn every_answer_has_the_headers_that_keep_the_page_to_itself() {
    let dev = start();
    let missing = format!("{}\r\n", head(&dev, "GET", "/dev/workspaces"));
    let answers = [
        get(&dev, "/"),
        get(&dev, "/dev/workspaces"),
        get(&dev, "/dev/nothing"),
        send(&dev, missing.as_bytes()).unwrap(),
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn the_files_of_the_frame_are_there_and_may_be_kept() {
    let dev = start();
    let frame = get(&dev, "/").body;
    let paths: Vec<&str> = frame.split('"').filter(|part| part.starts_with("/dev/assets/")).collect();
    assert_eq!(paths.len(), 5, "{paths:?}");
    for path in paths {
        let request = format!("{}\r\n", head(&dev, "GET", path));
        let file = send(&dev, request.as_bytes()).unwrap();
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("cache-control").unwrap().contains("immutable"));
        assert!(!file.body.is_empty());
    }
}

#[test]
fn a_view_of_the_present_is_quick_with_two_hundred_workspaces() {
    let dev = start();
    for number in 0..200 {
        create(&dev, &format!("agent-{number:03}"));
    }
    let begun = Instant::now();
    let answer = get(&dev, "/dev/workspaces");
    assert_eq!(answer.body.matches("<li id=\"ws-").count(), 200);
    assert!(begun.elapsed() < PATIENCE);
    let unknown: WorkspaceId = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
    assert!(get(&dev, &format!("/dev/workspace/{unknown}")).body.contains("no such workspace"));
}
