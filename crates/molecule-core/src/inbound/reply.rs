//! What is answered for a reply of the handler.

use molecule_proto::{FileContent, Message, Part, Role};
use serde_json::{Map, Value, json};

use crate::inbox::attachment::{OutgoingFile, Place};

/// The message of the agent to a message of the conversation `context`, as JSON.
pub(super) fn message(
    id: String,
    context: Option<&str>,
    parts: Vec<Part>,
    metadata: Map<String, Value>,
) -> Map<String, Value> {
    let mut message = Message::new(parts).with_id(id);
    message.role = Role::Agent;
    message.context_id = context.map(str::to_owned);
    message.metadata = metadata;
    match Value::from(message) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The part of a file with a URI, which whoever gets it fetches by itself; `None` for a file of this machine.
pub(super) fn file_part(file: &OutgoingFile) -> Option<Part> {
    match &file.place {
        Place::Uri(uri) => Some(Part::file(described(FileContent::at(uri.clone()), file))),
        Place::Path(_) => None,
    }
}

/// The part of a file of this machine with this content.
pub(super) fn inline_part(file: &OutgoingFile, content: &[u8]) -> Part {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(content);
    Part::file(described(FileContent::base64(content), file))
}

fn described(mut content: FileContent, file: &OutgoingFile) -> FileContent {
    content = content.name(file.shown_name());
    content.mime_type = file.stated_mime_type();
    content
}

/// What a body of the Python SDK is answered with: the text of the reply, or all of it.
pub(super) fn legacy(message: Map<String, Value>) -> Value {
    let parts = message.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Option<Vec<&str>> = parts.iter().map(|part| part.get("text")?.as_str()).collect();
    let result = match texts {
        Some(texts) => texts.join("\n").into(),
        None => Value::Object(message),
    };
    json!({"status": "ok", "result": result})
}
