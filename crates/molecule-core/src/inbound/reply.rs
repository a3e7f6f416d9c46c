//! What is answered for a reply of the handler.

use molecule_proto::{FileContent, Part};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::inbox::attachment::{OutgoingFile, Place};

/// The message of the agent to a message of the conversation `context`, as JSON.
///
/// It is written at once, and not built as values first: most answers are one text, and this is what each call waits for.
pub(super) fn message(id: &str, context: Option<&str>, parts: Vec<Part>, metadata: &Map<String, Value>) -> String {
    let texts = parts.iter().filter_map(Part::as_text).map(str::len).sum::<usize>();
    let mut json = Vec::with_capacity(192 + texts + texts / 8);
    json.push(b'{');
    if let Some(context) = context {
        push(&mut json, "\"contextId\":", context);
        json.push(b',');
    }
    push(&mut json, "\"kind\":\"message\",\"messageId\":", id);
    if !metadata.is_empty() {
        push(&mut json, ",\"metadata\":", metadata);
    }
    json.extend_from_slice(b",\"parts\":[");
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        match part.as_text() {
            Some(said) if part.metadata.is_empty() && part.extra.is_empty() => {
                push(&mut json, "{\"kind\":\"text\",\"text\":", said);
                json.push(b'}');
            }
            _ => push(&mut json, "", &Value::from(part)),
        }
    }
    json.extend_from_slice(b"],\"role\":\"agent\"}");
    String::from_utf8(json).expect("JSON is written in UTF-8")
}

/// Writes a value behind what stands before it.
fn push(json: &mut Vec<u8>, before: &str, value: &(impl Serialize + ?Sized)) {
    json.extend_from_slice(before.as_bytes());
    serde_json::to_writer(json, value).expect("all keys are strings, and a vector takes everything");
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
pub(super) fn legacy(message: &str) -> Value {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let parts = message.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Option<Vec<&str>> = parts.iter().map(|part| part.get("text")?.as_str()).collect();
    let result = texts.map_or_else(|| message.clone(), |texts| texts.join("\n").into());
    json!({"status": "ok", "result": result})
}

#[cfg(test)]
mod tests {
    use molecule_proto::{Message, Role};

    use super::*;

    #[test]
    fn a_message_is_written_as_its_type_writes_it() {
        let metadata = Map::from_iter([("a\"b".to_owned(), json!([1.5, null]))]);
        let parts = || {
            vec![
                Part::text("one\n\u{1f600}\"\u{7}"),
                Part::text("two").with_metadata("k", "v"),
                Part::data(json!({"a": 1})),
                Part::file(FileContent::at("https://h/f").name("f")),
            ]
        };
        for (parts, context, metadata) in
            [(parts(), Some("c-\"1\""), metadata), (parts(), None, Map::new()), (Vec::new(), None, Map::new())]
        {
            let mut message = Message::new(parts.clone()).with_id("m-1");
            (message.role, message.context_id) = (Role::Agent, context.map(str::to_owned));
            message.metadata = metadata.clone();
            let written = self::message("m-1", context, parts, &metadata);
            assert_eq!(written, serde_json::to_string(&message).unwrap());
        }
    }
}
