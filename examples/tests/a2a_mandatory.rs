//! What protocol 0.3 demands of every server: the example `a2a-server` in task mode is called as a kit of conformance
//! would call it, without a credential.

#![allow(clippy::unwrap_used)]

mod served;

use serde_json::{Value, json};
use served::Served;

fn start() -> Served {
    Served::start(&["--task-mode"], None)
}

/// A call of a method.
fn call(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

/// A message of a user, with an id of its own.
fn message(text: &str) -> Value {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = format!("message-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    json!({"kind": "message", "messageId": id, "role": "user", "parts": [{"kind": "text", "text": text}]})
}

/// Calls a method, and returns its result.
fn result(server: &Served, method: &str, params: Value) -> Value {
    let answer = server.rpc(&call("1", method, params).to_string());
    assert_eq!(answer["id"], "1");
    answer.get("result").unwrap_or_else(|| panic!("{method}: {answer}")).clone()
}

/// Calls a method that must fail, and returns the code.
fn code(server: &Served, method: &str, params: Value) -> i64 {
    let answer = server.rpc(&call("1", method, params).to_string());
    assert_eq!(answer["id"], "1");
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}"))
}

fn send(server: &Served, message: &Value) -> Value {
    result(server, "message/send", json!({ "message": message }))
}

/// The texts of a history, each with its role.
fn said(task: &Value) -> Vec<(String, String)> {
    let history = task["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |message: &Value| message["parts"][0]["text"].as_str().unwrap_or_default().to_owned();
    history.iter().map(|message| (message["role"].as_str().unwrap().to_owned(), text(message))).collect()
}

fn of_user(task: &Value) -> Vec<String> {
    said(task).into_iter().filter(|(role, _)| role == "user").map(|(_, text)| text).collect()
}

#[test]
fn the_card_has_every_required_field() {
    let server = start();
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        let (status, content, card) = server.get(path);
        assert_eq!((status, content.as_str()), (200, "application/json"), "{path}: {card}");
        for text in ["name", "description", "version"] {
            assert!(card[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {card}");
        }
        assert_eq!(card["protocolVersion"], "0.3.0");
        assert_eq!(card["url"], server.url());
        assert!(card["capabilities"].is_object(), "{card}");
        for modes in ["defaultInputModes", "defaultOutputModes"] {
            let modes = card[modes].as_array().unwrap_or_else(|| panic!("{modes}: {card}"));
            assert!(!modes.is_empty() && modes.iter().all(Value::is_string), "{card}");
        }
        for skill in card["skills"].as_array().unwrap_or_else(|| panic!("skills: {card}")) {
            assert!(["id", "name", "description"].iter().all(|text| skill[text].is_string()), "{skill}");
            assert!(skill["tags"].is_array(), "{skill}");
        }
        for interface in card["additionalInterfaces"].as_array().map(Vec::as_slice).unwrap_or_default() {
            assert!(interface["url"].is_string() && interface["transport"].is_string(), "{interface}");
        }
        if let Some(transport) = card.get("preferredTransport") {
            assert_eq!(transport, "JSONRPC");
        }
    }
}

#[test]
fn the_errors_of_json_rpc_come_with_200_and_the_id() {
    let server = start();
    let good = message("hello");
    let without = |key: &str| {
        let mut message = message("hello");
        message.as_object_mut().unwrap().remove(key);
        call("1", "message/send", json!({ "message": message })).to_string()
    };
    let with = |key: &str, value: Value| {
        let mut message = message("hello");
        message[key] = value;
        call("1", "message/send", json!({ "message": message })).to_string()
    };
    let raw = |value: Value| value.to_string();
    let params = json!({ "message": good });
    let rows: Vec<(&str, String, i64, Value)> = vec![
        ("no JSON", "{\"jsonrpc\": \"2.0\", \"method\": ".to_owned(), -32700, Value::Null),
        ("nothing", String::new(), -32700, Value::Null),
        ("an array", raw(json!([call("1", "message/send", params.clone())])), -32600, Value::Null),
        ("a text", raw(json!("hello")), -32600, Value::Null),
        ("a number", raw(json!(7)), -32600, Value::Null),
        ("null", raw(Value::Null), -32600, Value::Null),
        ("no version", raw(json!({"id": "1", "method": "message/send", "params": params})), -32600, json!("1")),
        (
            "version 1.0",
            raw(json!({"jsonrpc": "1.0", "id": "1", "method": "message/send", "params": params})),
            -32600,
            json!("1"),
        ),
        (
            "a version that is a number",
            raw(json!({"jsonrpc": 2.0, "id": "1", "method": "message/send"})),
            -32600,
            json!("1"),
        ),
        ("no method", raw(json!({"jsonrpc": "2.0", "id": "1", "params": params})), -32600, json!("1")),
        ("a method that is a number", raw(json!({"jsonrpc": "2.0", "id": "1", "method": 7})), -32600, json!("1")),
        ("an id that is an object", raw(call(json!({"a": 1}), "message/send", params.clone())), -32600, Value::Null),
        ("an id that is an array", raw(call(json!([1]), "message/send", params.clone())), -32600, Value::Null),
        ("an id that is true", raw(call(true, "message/send", params.clone())), -32600, Value::Null),
        ("an unknown method", raw(call("1", "no/such/method", json!({}))), -32601, json!("1")),
        ("an unknown method without an id", raw(json!({"jsonrpc": "2.0", "method": "no/such"})), -32601, Value::Null),
        (
            "an unknown method without params",
            raw(json!({"jsonrpc": "2.0", "id": 7, "method": "no/such"})),
            -32601,
            json!(7),
        ),
        ("a method in capitals", raw(call("1", "Message/Send", params.clone())), -32601, json!("1")),
        ("no params", raw(json!({"jsonrpc": "2.0", "id": "1", "method": "message/send"})), -32602, json!("1")),
        ("params that are a text", raw(call("1", "message/send", json!("text"))), -32602, json!("1")),
        ("params that are a list", raw(call("1", "message/send", json!([1]))), -32602, json!("1")),
        ("params without a message", raw(call("1", "message/send", json!({}))), -32602, json!("1")),
        ("a message that is a text", raw(call("1", "message/send", json!({"message": "hi"}))), -32602, json!("1")),
        ("no messageId", without("messageId"), -32602, json!("1")),
        ("no role", without("role"), -32602, json!("1")),
        ("no parts", without("parts"), -32602, json!("1")),
        ("parts that are an object", with("parts", json!({"kind": "text"})), -32602, json!("1")),
        ("a messageId that is a number", with("messageId", json!(7)), -32602, json!("1")),
        ("tasks/get without an id", raw(call("1", "tasks/get", json!({}))), -32602, json!("1")),
        ("tasks/get of a number", raw(call("1", "tasks/get", json!({"id": 7}))), -32602, json!("1")),
        (
            "a history below zero",
            raw(call("1", "tasks/get", json!({"id": "x", "historyLength": -1}))),
            -32602,
            json!("1"),
        ),
        ("tasks/cancel without an id", raw(call("1", "tasks/cancel", json!({}))), -32602, json!("1")),
        ("a task that is unknown", raw(call("1", "tasks/get", json!({"id": "no-such-task"}))), -32001, json!("1")),
        ("its cancel", raw(call("1", "tasks/cancel", json!({"id": "no-such-task"}))), -32001, json!("1")),
        ("a message to it", with("taskId", json!("no-such-task")), -32001, json!("1")),
    ];
    for (name, body, code, id) in rows {
        let answer = server.rpc(&body);
        assert_eq!((answer["error"]["code"].as_i64(), &answer["id"]), (Some(code), &id), "{name}: {answer}");
    }
}

#[test]
fn every_id_of_json_rpc_is_echoed() {
    let server = start();
    for id in [json!("text"), json!(""), json!(0), json!(-7), json!(9_007_199_254_740_993_u64), json!("\u{1f980}")] {
        let answer = server.rpc(&call(id.clone(), "message/send", json!({"message": message("hi")})).to_string());
        assert_eq!(answer["id"], id);
        assert_eq!(answer["result"]["kind"], "task");
    }
    // Two requests of one id are two requests, as their messages say.
    let twice = [message("one"), message("two")].map(|message| send(&server, &message));
    assert_ne!(twice[0]["id"], twice[1]["id"]);
}

#[test]
fn a_message_makes_a_task_that_is_open() {
    let server = start();
    let asked = message("hello");
    let task = send(&server, &asked);
    assert_eq!(task["kind"], "task");
    assert!(task["id"].as_str().is_some_and(|id| !id.is_empty()), "{task}");
    assert!(task["contextId"].as_str().is_some_and(|id| !id.is_empty()), "{task}");
    assert_eq!(task["status"]["state"], "input-required");
    assert_eq!(task["history"][0]["messageId"], asked["messageId"]);
    assert_eq!(task["history"][0]["kind"], "message");
    let artifact = &task["artifacts"][0];
    assert!(artifact["artifactId"].is_string(), "{task}");
    assert_eq!(artifact["parts"][0], json!({"kind": "text", "text": "you wrote: hello"}));
    let seen = result(&server, "tasks/get", json!({"id": task["id"]}));
    assert_eq!(seen, task);
}

#[test]
fn the_context_of_a_client_is_kept_and_a_task_id_is_the_servers() {
    let server = start();
    let mut asked = message("hello");
    asked["contextId"] = json!("my-conversation");
    let task = send(&server, &asked);
    assert_eq!(task["contextId"], "my-conversation");
    let others = send(&server, &message("another"));
    assert_ne!(others["contextId"], task["contextId"]);
    assert_ne!(others["id"], task["id"]);
}

#[test]
fn a_second_message_continues_the_task() {
    let server = start();
    let task = send(&server, &message("first"));
    let mut more = message("second");
    more["taskId"] = task["id"].clone();
    more["contextId"] = task["contextId"].clone();
    let task = send(&server, &more);
    assert_eq!(of_user(&task), ["first", "second"]);
    assert_eq!(task["status"]["state"], "input-required");
    // The context may be left out: the task has one.
    let mut more = message("third");
    more["taskId"] = task["id"].clone();
    let again = send(&server, &more);
    assert_eq!((&again["id"], &again["contextId"]), (&task["id"], &task["contextId"]));
    let seen = result(&server, "tasks/get", json!({"id": task["id"]}));
    assert_eq!(of_user(&seen), ["first", "second", "third"]);
    let roles: Vec<String> = said(&seen).into_iter().map(|(role, _)| role).collect();
    assert_eq!(roles, ["user", "agent", "user", "agent", "user", "agent"]);
}

#[test]
fn history_length_keeps_the_newest() {
    let server = start();
    let task = send(&server, &message("first"));
    let whole = said(&task);
    let get = |length: Value| result(&server, "tasks/get", json!({"id": task["id"], "historyLength": length}));
    for length in 1..=whole.len() + 2 {
        let newest = &whole[whole.len().saturating_sub(length)..];
        assert_eq!(said(&get(json!(length))), newest, "{length}");
    }
    assert!(said(&get(json!(0))).is_empty());
    let params = |length: i32| json!({"message": message("more"), "configuration": {"historyLength": length}});
    assert_eq!(said(&result(&server, "message/send", params(1))).len(), 1);
    assert!(said(&result(&server, "message/send", params(0))).is_empty());
    assert_eq!(code(&server, "message/send", params(-1)), -32602);
    for wrong in [json!(-1), json!("1"), json!(1.5), json!(true)] {
        assert_eq!(code(&server, "tasks/get", json!({"id": task["id"], "historyLength": wrong})), -32602, "{wrong}");
    }
}

#[test]
fn a_task_is_canceled_once_and_then_over() {
    let server = start();
    let task = send(&server, &message("hello"));
    let id = json!({"id": task["id"]});
    let canceled = result(&server, "tasks/cancel", id.clone());
    assert_eq!((&canceled["id"], &canceled["status"]["state"]), (&task["id"], &json!("canceled")));
    assert_eq!(result(&server, "tasks/get", id.clone())["status"]["state"], "canceled");
    assert_eq!(code(&server, "tasks/cancel", id), -32002);
    let mut late = message("too late");
    late["taskId"] = task["id"].clone();
    assert_eq!(code(&server, "message/send", json!({ "message": late })), -32602);
}

#[test]
fn a_completed_task_takes_no_message_and_no_cancel() {
    let server = start();
    let task = send(&server, &message("done"));
    assert_eq!(task["status"]["state"], "completed");
    let mut late = message("too late");
    late["taskId"] = task["id"].clone();
    assert_eq!(code(&server, "message/send", json!({ "message": late })), -32602);
    assert_eq!(code(&server, "tasks/cancel", json!({"id": task["id"]})), -32002);
    assert_eq!(result(&server, "tasks/get", json!({"id": task["id"]}))["status"]["state"], "completed");
}

#[test]
fn every_kind_of_part_is_taken() {
    let server = start();
    for part in [
        json!({"kind": "text", "text": "hi", "metadata": {"a": 1}}),
        json!({"kind": "file", "file": {"uri": "https://files.example/a.txt", "name": "a.txt", "mimeType": "text/plain"}}),
        json!({"kind": "file", "file": {"bytes": "aGVsbG8=", "name": "a.txt", "mimeType": "text/plain"}}),
        json!({"kind": "data", "data": {"number": 1, "list": [null]}}),
    ] {
        let mut asked = message("");
        asked["parts"] = json!([part]);
        assert_eq!(send(&server, &asked)["kind"], "task", "{part}");
    }
    let mut asked = message("");
    asked["parts"] = json!([{"kind": "hologram", "hologram": {}}]);
    assert!([-32602, -32005].contains(&code(&server, "message/send", json!({ "message": asked }))));
}

#[test]
fn unknown_fields_are_ignored() {
    let server = start();
    let mut asked = call("1", "message/send", json!({"message": message("hi"), "future": {"a": 1}}));
    asked["future"] = json!([1]);
    asked["params"]["message"]["future"] = json!("x");
    asked["params"]["configuration"] = json!({"blocking": true, "acceptedOutputModes": ["text/plain"], "future": 1});
    assert_eq!(server.rpc(&asked.to_string())["result"]["kind"], "task");
}

#[test]
fn what_the_card_does_not_declare_is_refused() {
    let server = start();
    let card = server.get("/.well-known/agent-card.json").2;
    for capability in ["streaming", "pushNotifications"] {
        assert_ne!(card["capabilities"][capability], true);
    }
    assert_ne!(card["supportsAuthenticatedExtendedCard"], true);
    let task = send(&server, &message("hello"));
    let push = json!({"taskId": task["id"], "pushNotificationConfig": {"url": "https://hook.example/"}});
    for (method, params, expected) in [
        ("message/stream", json!({"message": message("hi")}), -32004),
        ("tasks/resubscribe", json!({"id": task["id"]}), -32004),
        ("tasks/pushNotificationConfig/set", push, -32003),
        ("tasks/pushNotificationConfig/get", json!({"id": task["id"]}), -32003),
        ("tasks/pushNotificationConfig/list", json!({"id": task["id"]}), -32003),
        ("tasks/pushNotificationConfig/delete", json!({"id": task["id"], "pushNotificationConfigId": "x"}), -32003),
        ("agent/getAuthenticatedExtendedCard", json!({}), -32007),
    ] {
        assert_eq!(code(&server, method, params), expected, "{method}");
    }
}

#[test]
fn the_version_is_judged_on_calls_alone() {
    let server = start();
    let body = || call("1", "message/send", json!({"message": message("hi")})).to_string();
    for good in ["", "A2A-Version: 0.3\r\n", "a2a-version: 0.3.0\r\n", "A2A-Version:\r\n"] {
        assert_eq!(server.rpc_with(good, &body())["result"]["kind"], "task", "{good:?}");
    }
    for bad in ["1.0", "0.2", "7", "nonsense"] {
        let answer = server.rpc_with(&format!("A2A-Version: {bad}\r\n"), &body());
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32009), &json!("1")), "{bad}: {answer}");
    }
}

#[test]
fn a_bearer_that_is_asked_for_is_needed_for_calls_and_not_for_the_card() {
    let server = Served::start(&["--task-mode"], Some("the-peers-own-token-of-some-length"));
    assert_eq!(server.get("/.well-known/agent-card.json").0, 200);
    let body = call("1", "message/send", json!({"message": message("hi")})).to_string();
    for wrong in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic dGhl\r\n", "Authorization: Bearer \r\n"]
    {
        let (status, _, told) = server.post(wrong, &body);
        assert_eq!(status, 401, "{wrong:?}: {told}");
    }
    let good = "Authorization: Bearer the-peers-own-token-of-some-length\r\n";
    assert_eq!(server.rpc_with(good, &body)["result"]["kind"], "task");
}
