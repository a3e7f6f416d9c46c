//! What a message must look like.

use molecule_proto::{Role, RpcError};
use serde_json::{Map, Value};

fn invalid(message: &str) -> RpcError {
    RpcError::new(RpcError::INVALID_PARAMS, message)
}

/// Judges the role. A message without one is the platform's privilege: April's servers pass such on.
///
/// # Errors
/// A role that does not exist.
pub(super) fn role_fault(message: &Map<String, Value>) -> Result<Option<RpcError>, RpcError> {
    match message.get("role") {
        None | Some(Value::Null) => Ok(Some(invalid("params.message.role is missing"))),
        Some(Value::String(role)) => match Role::from(role.as_str()) {
            Role::User | Role::Agent => Ok(None),
            _ => Err(invalid("params.message.role is neither user nor agent")),
        },
        Some(_) => Err(invalid("params.message.role is no string")),
    }
}

/// What is wrong with a part; `None` if it can be read: a part of A2A 0.3, one with `type`, one of A2A 1.0 without either,
/// or a bare text.
pub(super) fn part_fault(part: &Value) -> Option<RpcError> {
    let fields = match part {
        Value::Object(fields) => fields,
        Value::String(_) => return None,
        _ => return Some(invalid("a part is no object")),
    };
    let is_text = |key: &str| fields.get(key).is_some_and(Value::is_string);
    let has_file = || {
        ["file", "url", "uri", "raw", "bytes"].iter().any(|key| is_text(key))
            || fields.get("file").is_some_and(Value::is_object)
    };
    let kind = match fields.get("kind").or_else(|| fields.get("type")) {
        None | Some(Value::Null) => None,
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(_) => return Some(invalid("the kind of a part is no string")),
    };
    let has_content = match kind {
        None => is_text("text") || has_file() || fields.contains_key("data"),
        Some("text") => is_text("text"),
        Some("file" | "image" | "audio" | "video") => has_file(),
        Some("data") => fields.contains_key("data"),
        Some(_) => {
            let message = "a part has a kind other than text, file and data";
            return Some(RpcError::new(RpcError::CONTENT_TYPE_NOT_SUPPORTED, message));
        }
    };
    (!has_content).then(|| invalid("a part has no content of its kind"))
}
