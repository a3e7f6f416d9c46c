//! The bodies that the older Python SDK sends to a peer: `{"message", "task_id", "sender", "idempotency_key"}`, answered
//! with `{"status":"ok","result":…}`.

use molecule_proto::RpcError;
use serde_json::{Map, Value, json};

use super::call::{Kind, SendCall};
use crate::inbox::form::PushedRequest;
use crate::session::key::Key;

/// The keys of such a body; it needs none of them but the message.
const KEYS: [&str; 4] = ["message", "task_id", "sender", "idempotency_key"];

/// Returns whether a body is of this form, and no JSON-RPC request.
pub(super) fn is_legacy(body: &Map<String, Value>) -> bool {
    ["jsonrpc", "method", "params", "id"].iter().all(|key| !body.contains_key(*key)) && body.contains_key(KEYS[0])
}

/// Reads such a body as the request of A2A that says the same.
pub(super) fn read(mut body: Map<String, Value>, bytes: usize) -> Kind {
    let mut text = |key: &str| match body.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (task, sender, key) = (text("task_id"), text("sender"), text("idempotency_key"));
    let mut message = match body.remove("message") {
        Some(Value::Object(message)) if message.contains_key("parts") || message.contains_key("content") => message,
        Some(Value::String(text)) => parts(json!([{"kind": "text", "text": text}])),
        Some(Value::Object(fields)) if fields.get("text").is_some_and(Value::is_string) => {
            parts(json!([{"kind": "text", "text": fields["text"]}]))
        }
        Some(Value::Null) | None => return Kind::fault(RpcError::INVALID_PARAMS, "message is empty"),
        Some(data) => parts(json!([{"kind": "data", "data": data}])),
    };
    message.insert("kind".to_owned(), "message".into());
    message.entry("role").or_insert_with(|| "user".into());
    if let Some(key) = &key {
        message.insert("messageId".to_owned(), key.as_str().into());
    }
    if let Some(task) = task {
        message.insert("taskId".to_owned(), task.into());
    }
    if let Some(sender) = sender {
        // A claim, like everything in a body.
        let metadata = message.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(metadata) = metadata {
            metadata.insert("sender".to_owned(), sender.into());
        }
    }
    Kind::Send(Box::new(SendCall {
        key: key.map(|key| Key::of_text(&format!("legacy/{key}"))),
        request: PushedRequest::Values(
            json!({"jsonrpc": "2.0", "method": "message/send", "params": {"message": message}}),
        ),
        history_length: None,
        bytes,
        is_blocking: None,
        fault_of_strangers: None,
        is_legacy: true,
        accepted: Vec::new(),
    }))
}

fn parts(parts: Value) -> Map<String, Value> {
    Map::from_iter([("parts".to_owned(), parts)])
}
