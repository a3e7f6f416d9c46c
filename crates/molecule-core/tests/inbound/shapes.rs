//! Every shape of request, and what it is answered with.

use http::Request;
use serde_json::{Value, json};

use crate::support::inbound::{SECRET, Server, message, post, rpc, text};

/// What a call without a credential is told: the code of its error, or `0` if it reaches the handler.
fn code(body: &str) -> i64 {
    let mut server = Server::unauthenticated();
    told(&mut server, post(None), body)
}

fn told(server: &mut Server, head: Request<()>, body: &str) -> i64 {
    let told = server.send(head, body.to_owned());
    if server.handlers.is_empty() {
        return told.code();
    }
    let (id, _) = server.handler();
    server.reply(id, "done");
    let answer = server.answer_to(told.later()).json();
    assert!(answer["result"]["kind"] == "message", "{answer}");
    0
}

fn parts(parts: Value) -> Value {
    message("m", json!({"parts": parts}))
}

/// The same message without one of its keys.
fn without(key: &str) -> Value {
    let mut body = text("m", "hello");
    body["params"]["message"].as_object_mut().unwrap().remove(key);
    body
}

fn with(key: &str, value: Value) -> Value {
    message("m", Value::Object([(key.to_owned(), value)].into_iter().collect()))
}

fn configured(configuration: Value) -> Value {
    let mut body = text("m", "hello");
    body["params"]["configuration"] = configuration;
    body
}

#[test]
fn every_body_has_its_code() {
    let envelope = |key: &str, value: Value| {
        let mut body = text("m", "hello");
        body[key] = value;
        body
    };
    let lacks = |key: &str| {
        let mut body = text("m", "hello");
        body.as_object_mut().unwrap().remove(key);
        body
    };
    let table: Vec<(&str, i64, String)> = vec![
        ("no JSON", -32700, "{".to_owned()),
        ("nothing", -32700, String::new()),
        ("a batch", -32600, format!("[{}]", text("m", "hello"))),
        ("a number", -32600, "7".to_owned()),
        ("a text", -32600, "\"hello\"".to_owned()),
        ("too many values", -32600, format!("[{}]", "{},".repeat(200_000) + "{}")),
        ("an empty object", -32600, "{}".to_owned()),
        ("no version of JSON-RPC", -32600, lacks("jsonrpc").to_string()),
        ("another version of JSON-RPC", -32600, envelope("jsonrpc", json!("1.0")).to_string()),
        ("a number as version", -32600, envelope("jsonrpc", json!(2.0)).to_string()),
        ("no method", -32600, lacks("method").to_string()),
        ("a number as method", -32600, envelope("method", json!(7)).to_string()),
        ("an object as id", -32600, envelope("id", json!({})).to_string()),
        ("a list as id", -32600, envelope("id", json!([1])).to_string()),
        ("true as id", -32600, envelope("id", json!(true)).to_string()),
        ("a very long id", -32600, envelope("id", json!("x".repeat(1_025))).to_string()),
        ("a long id", 0, envelope("id", json!("x".repeat(1_024))).to_string()),
        ("null as id", 0, envelope("id", json!(null)).to_string()),
        ("no id", 0, lacks("id").to_string()),
        ("a number as id", 0, envelope("id", json!(7)).to_string()),
        ("an unknown method", -32601, rpc("1", "no/such/method", json!({})).to_string()),
        ("an empty method", -32601, rpc("1", "", json!({})).to_string()),
        ("an unknown method without an id", -32601, json!({"jsonrpc": "2.0", "method": "no/such"}).to_string()),
        ("a method of A2A 1.0", -32601, rpc("1", "SendMessage", json!({})).to_string()),
        ("a stream", -32004, rpc("1", "message/stream", json!({})).to_string()),
        ("a stream again", -32004, rpc("1", "tasks/resubscribe", json!({"id": "t"})).to_string()),
        ("a push configuration", -32003, rpc("1", "tasks/pushNotificationConfig/set", json!({})).to_string()),
        ("the extended card", -32007, rpc("1", "agent/getAuthenticatedExtendedCard", json!({})).to_string()),
        ("no params", -32602, lacks("params").to_string()),
        ("a text as params", -32602, envelope("params", json!("hello")).to_string()),
        ("a list as params", -32602, envelope("params", json!([])).to_string()),
        ("no message", -32602, envelope("params", json!({})).to_string()),
        ("a text as message", -32602, envelope("params", json!({"message": "hello"})).to_string()),
        ("no message id", -32602, without("messageId").to_string()),
        ("an empty message id", -32602, with("messageId", json!("")).to_string()),
        ("a number as message id", -32602, with("messageId", json!(7)).to_string()),
        ("no role", -32602, without("role").to_string()),
        ("an unknown role", -32602, with("role", json!("system")).to_string()),
        ("a number as role", -32602, with("role", json!(7)).to_string()),
        ("a role of A2A 1.0", 0, with("role", json!("ROLE_USER")).to_string()),
        ("no parts", -32602, without("parts").to_string()),
        ("a text as parts", -32602, with("parts", json!("hello")).to_string()),
        ("null as parts", -32602, with("parts", json!(null)).to_string()),
        ("a number as task id", -32602, with("taskId", json!(7)).to_string()),
        ("a list as context id", -32602, with("contextId", json!([])).to_string()),
        ("empty parts", 0, parts(json!([])).to_string()),
        ("a text part", 0, parts(json!([{"kind": "text", "text": "a"}])).to_string()),
        ("a part with a type", 0, parts(json!([{"type": "text", "text": "a"}])).to_string()),
        ("a part of A2A 1.0", 0, parts(json!([{"text": "a"}])).to_string()),
        ("a file of A2A 1.0", 0, parts(json!([{"url": "https://h/f", "mediaType": "image/png"}])).to_string()),
        ("raw bytes of A2A 1.0", 0, parts(json!([{"raw": "YQ=="}])).to_string()),
        ("data of A2A 1.0", 0, parts(json!([{"data": {"a": 1}}])).to_string()),
        ("a file", 0, parts(json!([{"kind": "file", "file": {"uri": "https://h/f"}}])).to_string()),
        ("an image of a sibling", 0, parts(json!([{"kind": "image", "uri": "https://h/f"}])).to_string()),
        ("data", 0, parts(json!([{"kind": "data", "data": {"a": 1}}])).to_string()),
        ("a bare text as part", 0, parts(json!(["hello"])).to_string()),
        ("a number as part", -32602, parts(json!([7])).to_string()),
        ("an empty part", -32602, parts(json!([{}])).to_string()),
        ("a text part without text", -32602, parts(json!([{"kind": "text"}])).to_string()),
        ("a text part with a number", -32602, parts(json!([{"kind": "text", "text": 7}])).to_string()),
        ("a file part without a file", -32602, parts(json!([{"kind": "file", "name": "f"}])).to_string()),
        ("a data part without data", -32602, parts(json!([{"kind": "data"}])).to_string()),
        ("a number as kind", -32602, parts(json!([{"kind": 7, "text": "a"}])).to_string()),
        ("an unknown kind", -32005, parts(json!([{"kind": "hologram", "text": "a"}])).to_string()),
        ("one bad part of two", -32602, parts(json!([{"kind": "text", "text": "a"}, null])).to_string()),
        ("too many parts", -32602, parts(json!(vec!["a"; 10_001])).to_string()),
        (
            "what the client 0.3.26 sends",
            0,
            configured(json!({"acceptedOutputModes": [], "blocking": true})).to_string(),
        ),
        ("what the client 1.3.0 sends", 0, configured(json!({"blocking": true})).to_string()),
        ("null as configuration", 0, configured(json!(null)).to_string()),
        ("a text as configuration", -32602, configured(json!("x")).to_string()),
        ("a negative history", -32602, configured(json!({"historyLength": -1})).to_string()),
        ("a text as history", -32602, configured(json!({"historyLength": "1"})).to_string()),
        ("half a message of history", -32602, configured(json!({"historyLength": 0.5})).to_string()),
        ("no history", 0, configured(json!({"historyLength": 0})).to_string()),
        ("a call back", -32003, configured(json!({"pushNotificationConfig": {"url": "https://h"}})).to_string()),
        ("text is accepted", 0, configured(json!({"acceptedOutputModes": ["text/plain"]})).to_string()),
        ("text in short", 0, configured(json!({"acceptedOutputModes": ["text"]})).to_string()),
        ("anything is accepted", 0, configured(json!({"acceptedOutputModes": ["image/png", "*/*"]})).to_string()),
        ("pictures alone", -32005, configured(json!({"acceptedOutputModes": ["image/png"]})).to_string()),
        ("a task", -32001, rpc("1", "tasks/get", json!({"id": "t"})).to_string()),
        ("a task without an id", -32602, rpc("1", "tasks/get", json!({})).to_string()),
        ("a number as the task's id", -32602, rpc("1", "tasks/get", json!({"id": 7})).to_string()),
        ("a task without params", -32602, json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get"}).to_string()),
        (
            "a negative history of a task",
            -32602,
            rpc("1", "tasks/get", json!({"id": "t", "historyLength": -1})).to_string(),
        ),
        ("the end of a task", -32001, rpc("1", "tasks/cancel", json!({"id": "t"})).to_string()),
        ("the end of a task without an id", -32602, rpc("1", "tasks/cancel", json!({})).to_string()),
    ];
    for (what, expected, body) in table {
        assert_eq!(code(&body), expected, "{what}");
    }
}

#[test]
fn the_platform_may_leave_out_what_its_callers_left_out() {
    for body in [without("role"), with("role", json!(null))] {
        let mut server = Server::secured();
        assert_eq!(told(&mut server, post(Some(SECRET)), &body.to_string()), 0, "{body}");
    }
    // April's server passes on what older agents write.
    let mut older = without("parts");
    older["params"]["message"]["content"] = json!("hello");
    let mut server = Server::secured();
    assert_eq!(told(&mut server, post(Some(SECRET)), &older.to_string()), 0);
    assert_eq!(code(&older.to_string()), -32602, "anybody else must send what A2A requires");
    // All else is judged alike.
    for (key, expected) in [("messageId", -32602), ("parts", -32602)] {
        let mut server = Server::secured();
        assert_eq!(told(&mut server, post(Some(SECRET)), &without(key).to_string()), expected, "{key}");
    }
}

#[test]
fn the_id_is_repeated_wherever_it_was_read() {
    let mut server = Server::unauthenticated();
    for id in [json!("a"), json!(7), json!(-1), json!(1.5), json!(null), json!("\u{1f600}\"")] {
        for body in [
            json!({"jsonrpc": "2.0", "id": id, "method": "no/such"}),
            json!({"jsonrpc": "1.0", "id": id, "method": "message/send"}),
            json!({"jsonrpc": "2.0", "id": id}),
            json!({"jsonrpc": "2.0", "id": id, "method": "message/send", "params": {}}),
        ] {
            assert_eq!(server.call(&body).json()["id"], id, "{body}");
        }
    }
    for body in ["{", "[]", "7"] {
        assert_eq!(server.send(post(None), body).json()["id"], Value::Null);
    }
}

#[test]
fn a_version_that_is_not_served_is_named() {
    let head = |name: &str, version: &str| {
        let mut head = post(None);
        head.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), version.parse().unwrap());
        head
    };
    for version in ["", " ", "0.3", "0.3.0", "0.3.7"] {
        let mut server = Server::unauthenticated();
        assert_eq!(told(&mut server, head("A2A-Version", version), &text("m", "a").to_string()), 0, "{version:?}");
    }
    for version in ["1.0", "0.2", "0.30", "three", "0.3x"] {
        let mut server = Server::unauthenticated();
        let told = server.send(head("a2a-version", version), text("m", "a").to_string()).json();
        assert_eq!(told["error"]["code"], -32009, "{version}");
        assert_eq!((&told["error"]["data"], &told["id"]), (&json!(["0.3"]), &json!("r-m")));
        assert!(told["error"]["message"].as_str().unwrap().contains(version));
    }
    let mut server = Server::unauthenticated();
    let mut asked = post(None);
    *asked.uri_mut() = "/?A2A-Version=1.0".parse().unwrap();
    assert_eq!(told(&mut server, asked, &text("m", "a").to_string()), -32009);
}

#[test]
fn a_body_of_the_older_sdk_is_answered_in_its_own_form() {
    let mut server = Server::unauthenticated();
    let body = json!({"message": "hello", "task_id": "t-1", "sender": "alpha", "idempotency_key": "k-1"});
    let ticket = server.call(&body).later();
    let (id, message) = server.handler();
    assert_eq!((message.text().as_ref(), message.task_id(), message.message_id()), ("hello", Some("t-1"), Some("k-1")));
    assert_eq!(message.message_metadata()["sender"], "alpha");
    server.reply(id, "done");
    let answer = json!({"status": "ok", "result": "done"});
    assert_eq!(server.answer_to(ticket).whole(), (200, answer.clone()));
    assert_eq!(server.call(&body).whole(), (200, answer), "the same key again");
    assert!(server.handlers.is_empty());
    // Without a key each is a message of its own.
    for _ in 0..2 {
        let ticket = server.call(&json!({"message": {"text": "hello"}})).later();
        let (id, message) = server.handler();
        assert_eq!(message.text(), "hello");
        server.returns(id, Err("no"));
        let (status, body) = server.answer_to(ticket).whole();
        assert_eq!((status, &body["error"]), (500, &json!("the agent failed to handle the message")));
    }
    assert!(
        !String::from_utf8_lossy(server.agent.store.answers.as_ref().unwrap()).contains("failed"),
        "nothing is kept"
    );
    assert_eq!(server.call(&json!({"message": null})).code(), -32602);
    let ticket = server.call(&json!({"message": {"x": 1}})).later();
    let (id, _) = server.handler();
    server.returns(id, Ok(None));
    assert_eq!(server.answer_to(ticket).json(), json!({"status": "ok", "result": ""}));
}

#[test]
fn a_call_that_only_asks_whether_it_arrives_reaches_no_handler() {
    let mut server = Server::secured();
    let probe = |nonce: &str| message("p", json!({"metadata": {"molecule.reachability": nonce}}));
    let answer = server.push(&probe("n-1")).json();
    assert_eq!(answer["result"]["metadata"]["molecule.reachability"], "n-1");
    assert_eq!(answer["result"]["parts"], json!([]));
    let other = server.push(&probe("n-2")).json();
    assert_eq!(other["result"]["metadata"]["molecule.reachability"], "n-2", "a probe is never a duplicate");
    assert!(server.handlers.is_empty());
    server.push(&probe(&"n".repeat(65))).later();
    assert_eq!(server.handlers.len(), 1, "what is too long for a nonce is an ordinary message");
}
