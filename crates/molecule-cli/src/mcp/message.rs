//! A message, as the tools show it.

use molecule_async::{Attachment, InboundMessage, PlatformKind, Sender};
use serde_json::{Map, Value, json};

use super::member::Member;
use super::untrusted::{name, quote};

/// The kind of a message: `canvas_user`, `peer_agent`, `channel`, `delegation_result`, `platform` or `unknown`.
pub(super) fn kind(sender: &Sender) -> &'static str {
    match sender {
        Sender::User => "canvas_user",
        Sender::Peer { .. } => "peer_agent",
        Sender::Channel(_) => "channel",
        Sender::Platform(PlatformKind::DelegationResult) => "delegation_result",
        Sender::Platform(_) => "platform",
        _ => "unknown",
    }
}

/// Who wrote a message, for the line above its text.
pub(super) fn writer(sender: &Sender) -> String {
    match sender {
        Sender::User => "a person".to_owned(),
        Sender::Peer { id, name: Some(chosen), .. } => format!("peer {id} ({})", name(chosen)),
        Sender::Peer { id, .. } => format!("peer {id}"),
        Sender::Channel(kind) => format!("channel {}", name(kind)),
        Sender::Platform(kind) => format!("the platform ({})", name(kind.as_str())),
        _ => "an unknown sender".to_owned(),
    }
}

/// The facts of a message beside its text and its files. Names are cleaned.
pub(super) fn facts(member: &Member, message: &InboundMessage) -> Map<String, Value> {
    let sender = message.sender();
    let mut facts = Map::new();
    let mut add = |key: &str, value: Value| drop(facts.insert(key.to_owned(), value));
    add("activity_id", json!(message.id()));
    let peer = if let Sender::Peer { id, .. } = sender { id.as_str() } else { "" };
    add("peer_id", json!(peer));
    add("kind", json!(kind(sender)));
    add("method", json!(message.raw().method.as_deref().map(name).unwrap_or_default()));
    add("created_at", json!(message.received_at()));
    add("arrival_workspace_id", json!(member.id()));
    match sender {
        Sender::Peer { name: chosen, role, .. } => {
            for (key, word) in [("peer_name", chosen), ("peer_role", role)] {
                if let Some(word) = word.as_deref().map(name).filter(|word| !word.is_empty()) {
                    add(key, json!(word));
                }
            }
        }
        Sender::Channel(kind) => add("channel", json!(name(kind))),
        Sender::Platform(kind) => add("platform", json!(name(kind.as_str()))),
        _ => {}
    }
    facts
}

/// A message as JSON, with its text marked as somebody else's, and its files as paths of this machine.
pub(super) async fn shape(member: &Member, message: &InboundMessage) -> Value {
    let mut shape = facts(member, message);
    shape.insert("text".to_owned(), json!(quote(&writer(message.sender()), &message.text())));
    if !message.attachments().is_empty() {
        shape.insert("attachments".to_owned(), files(member, message).await);
    }
    Value::Object(shape)
}

/// A message as JSON that another program has, whose files are left to that one.
pub(super) fn shape_without_files(member: &Member, message: &InboundMessage) -> Value {
    let mut shape = facts(member, message);
    shape.insert("text".to_owned(), json!(quote(&writer(message.sender()), &message.text())));
    if !message.attachments().is_empty() {
        let files: Vec<_> = message.attachments().iter().map(about).collect();
        shape.insert("attachments".to_owned(), json!(files));
    }
    Value::Object(shape)
}

async fn files(member: &Member, message: &InboundMessage) -> Value {
    let mut files: Vec<_> = message.attachments().iter().map(about).collect();
    for (number, (file, attachment)) in files.iter_mut().zip(message.attachments()).enumerate() {
        match member.incoming.fetch_one(member.agent(), message, number, attachment).await {
            Ok(Some(path)) => drop(file.insert("path".to_owned(), json!(path))),
            Ok(None) => {}
            Err(why) => drop(file.insert("error".to_owned(), json!(why.to_string()))),
        }
    }
    json!(files)
}

fn about(attachment: &Attachment) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert("name".to_owned(), json!(attachment.file_name()));
    if let Some(mime_type) = attachment.mime_type() {
        about.insert("mime_type".to_owned(), json!(name(mime_type)));
    }
    if let Some(size) = attachment.size() {
        about.insert("size".to_owned(), json!(size));
    }
    about
}
