//! Messages, parts and tasks are written in the form of A2A 0.3, and read in all forms that agents write.

#![allow(clippy::unwrap_used)]

use molecule_proto::{
    Artifact, FileContent, Message, Part, PartContent, Reply, Role, RpcAnswer, RpcRequest, Task, TaskState, TraceParent,
};
use serde_json::{Value, json};

fn written(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn message(value: &Value) -> Message {
    serde_json::from_value(value.clone()).unwrap()
}

fn parts(parts: Value) -> Vec<Part> {
    message(&json!({"parts": parts})).parts
}

#[test]
fn a_message_is_written_strictly() {
    let file = FileContent::at("https://h/f.txt").name("f.txt").mime_type("text/plain");
    let message = Message::text("hello")
        .with_part(file)
        .with_part(Part::data(json!({"a": 1})).with_metadata("why", "because"))
        .with_id("m-1")
        .with_context("c-1")
        .with_task("t-1")
        .with_metadata("k", json!([1, null]));
    let expected = json!({
        "kind": "message", "role": "user", "messageId": "m-1", "contextId": "c-1", "taskId": "t-1",
        "metadata": {"k": [1, null]},
        "parts": [
            {"kind": "text", "text": "hello"},
            {"kind": "file", "file": {"uri": "https://h/f.txt", "name": "f.txt", "mimeType": "text/plain"}},
            {"kind": "data", "data": {"a": 1}, "metadata": {"why": "because"}},
        ],
    });
    assert_eq!(written(&message), expected);
    assert_eq!(serde_json::from_value::<Message>(expected).unwrap(), message);
}

/// A file that came as a part of another kind.
fn media(kind: &str, mime_type: &str) -> Part {
    let mut file = FileContent::at("u").mime_type(mime_type);
    file.extra.insert("kind".to_owned(), kind.into());
    Part::file(file)
}

#[test]
fn parts_are_read_in_every_spelling() {
    let file = |file: FileContent| vec![Part::file(file)];
    let cases = [
        (json!([{"kind": "text", "text": "x"}]), vec![Part::text("x")]),
        (json!([{"type": "text", "text": "x"}]), vec![Part::text("x")]),
        (json!([{"text": "x"}]), vec![Part::text("x")]),
        (json!(["x"]), vec![Part::text("x")]),
        (json!([{"type": "file", "file": {"bytes": "aGk="}}]), file(FileContent::base64("aGk="))),
        (json!([{"file": {"fileWithUri": "u", "mimeType": "t"}}]), file(FileContent::at("u").mime_type("t"))),
        (json!([{"file": "u"}]), file(FileContent::at("u"))),
        (json!([{"url": "u", "filename": "n", "mediaType": "t"}]), file(FileContent::at("u").name("n").mime_type("t"))),
        (json!([{"raw": "aGk="}]), file(FileContent::base64("aGk="))),
        (json!([{"kind": "image", "file": {"uri": "u", "mime_type": "image/png"}}]), vec![media("image", "image/png")]),
        (json!([{"kind": "audio", "uri": "u", "mimeType": "audio/ogg"}]), vec![media("audio", "audio/ogg")]),
        (json!([{"type": "video", "url": "u", "mediaType": "video/mp4"}]), vec![media("video", "video/mp4")]),
        (json!([{"kind": "file", "uri": "u", "mime_type": "t"}]), file(FileContent::at("u").mime_type("t"))),
        (json!([{"data": null}]), vec![Part::data(Value::Null)]),
        (json!([7]), vec![Part::data(7)]),
        (json!([]), vec![]),
        (json!(null), vec![]),
    ];
    for (sent, expected) in cases {
        assert_eq!(parts(sent.clone()), expected, "{sent}");
    }
}

#[test]
fn a_trace_context_travels_in_the_metadata() {
    let parent: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let sent = written(Message::text("x").with_trace_parent(parent));
    assert_eq!(sent["metadata"], json!({"traceparent": parent.to_string()}));
    assert_eq!(message(&sent).trace_parent(), Some(parent));
    for odd in [json!({}), json!({"traceparent": 7}), json!({"traceparent": "00-0-0-01"}), json!(null)] {
        assert_eq!(message(&json!({"metadata": odd})).trace_parent(), None, "{odd}");
    }
}

#[test]
fn content_stands_in_for_parts() {
    for content in [json!("x"), json!(["x"]), json!([{"type": "text", "text": "x"}]), json!({"text": "x"})] {
        assert_eq!(message(&json!({"content": content})).parts, [Part::text("x")], "{content}");
    }
    assert_eq!(message(&json!({"parts": ["p"], "content": "c"})).parts, [Part::text("p")]);
}

#[test]
fn what_is_not_known_is_kept() {
    let sent = json!({
        "kind": "message", "role": "narrator", "messageId": "m", "contextId": 7, "metadata": "odd", "extra": {"x": 1},
        "parts": [
            {"kind": "hologram", "light": "blue"},
            {"kind": "text", "text": "t", "lang": "pl"},
            {"kind": "text", "text": 5},
            {"kind": "file", "file": {"uri": "u", "size": 3}},
            {},
        ],
    });
    let message = message(&sent);
    assert_eq!(message.role, Role::Other("narrator".to_owned()));
    assert_eq!(message.context_id, None);
    assert_eq!(message.parts[0].content, PartContent::Other("hologram".to_owned()));
    assert_eq!(message.parts[2].content, PartContent::Other("text".to_owned()));
    assert_eq!(message.texts().collect::<Vec<_>>(), ["t"]);
    assert_eq!(written(&message), sent);
}

#[test]
fn numbers_are_kept_to_the_last_digit() {
    for number in [1e-82, 1e-42, 5e-324, 0.1 + 0.2, 1.797_693_134_862_315_7e308] {
        let text = format!(r#"{{"role":"agent","parts":[{{"kind":"data","data":{{"number":{number:e}}}}}]}}"#);
        let message: Message = serde_json::from_str(&text).unwrap();
        assert_eq!(written(&message)["parts"][0]["data"]["number"].as_f64(), Some(number), "{text}");
    }
}

#[test]
fn only_an_object_is_a_message() {
    for value in [json!(null), json!("x"), json!([]), json!(7)] {
        let error = serde_json::from_value::<Message>(value).unwrap_err().to_string();
        assert_eq!(error, "expected a message: a JSON object with parts");
    }
    let bare = message(&json!({}));
    assert_eq!((bare.role, bare.message_id, bare.parts), (Role::User, None, vec![]));
}

#[test]
fn a_task_is_written_strictly_and_one_odd_entry_hides_no_other() {
    let mut task = Task::new("t-1", TaskState::Completed);
    task.context_id = Some("c-1".to_owned());
    task.artifacts.push(Artifact::new("a", [Part::text("done")]));
    task.history.push(Message::reply("working on it").with_id("h"));
    let mut sent = json!({
        "kind": "task", "id": "t-1", "contextId": "c-1", "status": {"state": "completed"},
        "artifacts": [{"artifactId": "a", "parts": [{"kind": "text", "text": "done"}]}],
        "history": [{"kind": "message", "role": "agent", "messageId": "h",
                     "parts": [{"kind": "text", "text": "working on it"}]}],
    });
    assert_eq!(written(&task), sent);
    sent["history"].as_array_mut().unwrap().push(json!("odd"));
    sent["status"] = json!({"state": "TASK_STATE_COMPLETED"});
    assert_eq!(serde_json::from_value::<Task>(sent).unwrap(), task);
}

#[test]
fn a_reply_is_told_by_its_kind_else_by_its_keys() {
    let is_message = |value: Value| matches!(Reply::from(value), Reply::Message(_));
    let is_task = |value: Value| matches!(Reply::from(value), Reply::Task(_));
    assert!(is_message(json!({"kind": "message", "parts": []})));
    assert!(is_message(json!({"role": "agent", "parts": [{"text": "x"}]})));
    assert!(is_message(json!({"message": {"role": "ROLE_AGENT", "parts": [{"text": "x"}]}})));
    assert!(is_task(json!({"kind": "task", "id": "t"})));
    assert!(is_task(json!({"id": "t", "status": {"state": "working"}})));
    assert!(is_task(json!({"task": {"id": "t", "status": {"state": "TASK_STATE_WORKING"}}})));
    assert_eq!(Reply::from(json!("plain")), Reply::Text("plain".to_owned()));
    // An answer in an agent's own format is kept whole.
    let own = json!({"id": "7", "status": "done", "answer": 42});
    for other in [json!(null), json!({"kind": "task"}), json!({"kind": "note"}), json!({"ok": true}), own] {
        assert_eq!(Reply::from(other.clone()), Reply::Other(other.clone()), "{other}");
    }
    assert_eq!(Reply::from(Message::reply("hi")).texts(), ["hi"]);
}

#[test]
fn a_tasks_status_may_be_a_mere_word() {
    let task =
        |status: Value| serde_json::from_value::<Task>(json!({"kind": "task", "id": "t", "status": status})).unwrap();
    assert_eq!(task(json!("completed")).status.state, TaskState::Completed);
    assert_eq!(task(json!("thinking")).status.state, TaskState::Other("thinking".to_owned()));
    assert_eq!(task(json!(7)).status.state, TaskState::Unknown);
    assert_eq!(written(task(json!("completed")))["status"], json!({"state": "completed"}), "written strictly");
}

#[test]
fn the_texts_of_a_reply_are_where_its_agent_put_them() {
    let asks = json!({
        "kind": "task", "id": "t",
        "status": {"state": "input-required", "message": {"role": "agent", "parts": [{"text": "which one?"}]}},
    });
    assert_eq!(Reply::from(asks.clone()).texts(), ["which one?"]);
    let mut done = asks;
    done["artifacts"] = json!([{"artifactId": "a", "parts": [{"kind": "text", "text": "both"}]}]);
    assert_eq!(Reply::from(done).texts(), ["both"]);
    assert!(Reply::from(json!({"kind": "task", "id": "t"})).texts().is_empty());
}

#[test]
fn envelopes_keep_ids_as_they_are() {
    for id in [json!("a"), json!(7), json!(null)] {
        let request = RpcRequest::send(id.clone(), Message::text("x").with_id("m"));
        let sent = written(&request);
        assert_eq!(sent["id"], id);
        assert_eq!(sent.pointer("/params/message/messageId"), Some(&json!("m")));
        assert_eq!(serde_json::from_value::<RpcRequest>(sent).unwrap(), request);
    }
    let absent = json!({"jsonrpc": "2.0", "method": "message/send"});
    assert_eq!(written(serde_json::from_value::<RpcRequest>(absent.clone()).unwrap()), absent);
    let legacy: RpcAnswer = serde_json::from_value(json!({"status": "ok", "result": {"parts": ["x"]}})).unwrap();
    assert_eq!(legacy.reply().unwrap().texts(), ["x"]);
}

#[test]
fn the_parts_of_a_message_are_read_alone_as_with_it() {
    for fields in [
        json!({}),
        json!({"parts": null}),
        json!({"parts": null, "content": "a"}),
        json!({"parts": [], "content": "a"}),
        json!({"content": [{"type": "text", "text": "a"}]}),
        json!({"parts": {"text": "a"}}),
        json!({"parts": [
            {"kind": "text", "text": "a"}, {"type": "text", "text": ""}, {"text": "b"}, "c", 7, null, [],
            {"kind": "text", "text": 7}, {"kind": "text", "type": "text", "text": "d"}, {"kind": "text", "type": "data"},
            {"kind": "text", "text": "e", "metadata": {"k": 1}}, {"kind": 7, "text": "f"}, {"kind": "data", "data": 1},
            {"kind": "data", "text": "g"}, {"kind": "file", "file": {"uri": "https://h/f"}}, {"url": "https://h/f"},
        ]}),
    ] {
        let fields = fields.as_object().unwrap();
        let whole = Message::try_from(Value::Object(fields.clone())).unwrap();
        assert_eq!(Message::parts_in(fields), whole.parts, "{fields:?}");
    }
}
