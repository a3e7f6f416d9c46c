//! What a row's request holds, by reference: nothing is copied to find out whose message it is.

use molecule_proto::ActivityRow;
use serde_json::{Map, Value};

/// `params` of the row's request.
pub(super) fn params(row: &ActivityRow) -> Option<&Map<String, Value>> {
    row.request_body.as_ref()?.get("params")?.as_object()
}

/// `params.message` of the row's request.
pub(super) fn message(row: &ActivityRow) -> Option<&Map<String, Value>> {
    params(row)?.get("message")?.as_object()
}

/// `params.metadata` of the row's request.
pub(super) fn request_metadata(row: &ActivityRow) -> Option<&Map<String, Value>> {
    params(row)?.get("metadata")?.as_object()
}

/// `params.message.metadata` of the row's request.
pub(super) fn message_metadata(row: &ActivityRow) -> Option<&Map<String, Value>> {
    message(row)?.get("metadata")?.as_object()
}

/// `params.message.messageId` of the row's request.
pub(super) fn message_id(row: &ActivityRow) -> Option<&str> {
    text_of(message(row)?, MESSAGE_ID)
}

/// The keys of a message's id.
pub(super) const MESSAGE_ID: &[&str] = &["messageId", "message_id"];

/// The first of these keys that has a text which is not empty.
pub(super) fn text_of<'a>(fields: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| fields.get(*key)?.as_str().filter(|text| !text.is_empty()))
}
