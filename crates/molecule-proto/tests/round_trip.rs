//! A message that was read is written so that it reads as the same value again, for any body of an agent.

#![allow(clippy::unwrap_used)]

use std::fmt::Debug;

use molecule_proto::{
    A2aRefusal, ActivityRow, Artifact, DelegationRow, Message, Part, Peer, QueueItem, QueuedAnswer, Reply, RpcAnswer,
    RpcRequest, SendParams, Task,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const KEYS: &[&str] = &[
    "kind",
    "type",
    "text",
    "file",
    "data",
    "url",
    "uri",
    "raw",
    "metadata",
    "role",
    "messageId",
    "message_id",
    "parts",
    "content",
    "contextId",
    "id",
    "status",
    "message",
    "task",
    "artifacts",
    "artifactId",
    "name",
];

fn odd_values() -> Vec<Value> {
    let part = json!({"kind": "text", "text": "t"});
    vec![
        json!(null),
        json!(5),
        json!("text"),
        json!("file"),
        json!("data"),
        json!("message"),
        json!("task"),
        json!(["x", part]),
        json!({"text": 5, "uri": 5, "url": "u", "file": 7}),
        json!({"state": "odd", "message": {"role": 5, "parts": null}}),
    ]
}

fn same_again<T: DeserializeOwned + Serialize + PartialEq + Debug>(value: &Value) {
    if let Ok(read) = serde_json::from_value::<T>(value.clone()) {
        let written = serde_json::to_value(&read).unwrap();
        let again: T = serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(read, again, "{value} is written as {written}");
    }
}

fn messages(value: &Value) {
    same_again::<Part>(value);
    same_again::<Message>(value);
    same_again::<Artifact>(value);
    same_again::<Reply>(value);
}

fn all(value: &Value) {
    messages(value);
    same_again::<Task>(value);
    same_again::<SendParams>(value);
    same_again::<RpcRequest>(value);
    same_again::<RpcAnswer>(value);
    same_again::<A2aRefusal>(value);
    same_again::<QueuedAnswer>(value);
    same_again::<Peer>(value);
    same_again::<QueueItem>(value);
    same_again::<DelegationRow>(value);
    same_again::<ActivityRow>(value);
}

#[test]
fn any_two_odd_keys_read_as_they_are_written() {
    let values = odd_values();
    let pairs: Vec<(&str, &Value)> = KEYS.iter().flat_map(|key| values.iter().map(|value| (*key, value))).collect();
    for (index, (key, value)) in pairs.iter().enumerate() {
        for (other_key, other) in &pairs[index..] {
            let fields = [((*key).to_owned(), (*value).clone()), ((*other_key).to_owned(), (*other).clone())];
            messages(&Value::Object(Map::from_iter(fields)));
        }
    }
}

#[test]
fn odd_values_of_rows_read_as_they_are_written() {
    let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
    let at = "2026-11-22T21:39:47Z";
    let row = json!({"id": id, "workspace_id": id, "queue_id": id, "activity_type": "odd", "source_id": null,
                     "status": "odd", "created_at": at, "error": "odd", "queued": true});
    let keys = [
        "name",
        "role",
        "tier",
        "agent_card",
        "url",
        "parent_id",
        "active_tasks",
        "target_id",
        "method",
        "summary",
        "seq",
        "duration_ms",
        "error_detail",
        "request_body",
        "response_body",
        "attachments",
        "priority",
        "attempts",
        "enqueued_at",
        "expires_at",
        "last_error",
        "delegation_id",
        "direction",
        "_ledger",
        "deadline",
        "queue_depth",
        "busy",
        "retry_after",
        "status",
        "error",
        "type",
        "new",
    ];
    all(&row);
    for key in keys {
        for value in
            odd_values().into_iter().chain([json!(true), json!(at), json!(id), json!("2026-11-22 21:23:27.3+00")])
        {
            let mut odd = row.clone();
            odd[key] = value;
            all(&odd);
        }
    }
}
