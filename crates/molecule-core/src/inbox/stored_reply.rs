//! A reply as the journal keeps it: what is said, and to whom.

use std::fmt;

use molecule_proto::{Message, Part, TraceParent, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attachment::OutgoingFile;
use super::message::{HOPS, IN_REPLY_TO, InboundMessage};
use super::reply::Reply;
use super::sender::Sender;

/// The most replies in a row: a message with more hops than these is not answered.
pub(crate) const MOST_HOPS: u32 = 8;

/// A reply as the journal keeps it, which is enough to send it without its message.
///
/// As JSON it is an object. A key that is missing reads as its default, and an unknown key is ignored, so that other
/// versions' journals are read.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredReply {
    /// Who wrote the message, without the peer's display name.
    pub(crate) to: Sender,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task_id: Option<String>,
    /// The id of the message that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) in_reply_to: Option<String>,
    /// How many replies led to that message.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) hops: u32,
    /// Whether that message was a reply itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) is_to_reply: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_parent: Option<TraceParent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<OutgoingFile>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, Value>,
    /// Whether the application wants it sent although the message was a reply itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) is_continued: bool,
    /// When the platform received the message, by its clock.
    #[serde(default)]
    pub(crate) received_at: UnixTime,
    /// When the reply was given, by this machine's clock.
    #[serde(default)]
    pub(crate) replied_at: UnixTime,
}

impl StoredReply {
    pub(crate) fn new(now: UnixTime, message: &InboundMessage, reply: Reply) -> Self {
        let to = match message.sender() {
            Sender::Peer { id, .. } => Sender::Peer { id: id.clone(), name: None, role: None },
            other => other.clone(),
        };
        Self {
            to,
            context_id: message.context_id().map(str::to_owned),
            task_id: message.task_id().map(str::to_owned),
            in_reply_to: message.message_id().map(str::to_owned),
            hops: message.hops(),
            is_to_reply: message.in_reply_to().is_some(),
            trace_parent: message.trace_parent(),
            parts: Vec::new(),
            files: Vec::new(),
            metadata: Map::new(),
            is_continued: false,
            received_at: message.received_at(),
            replied_at: now,
        }
        .with(now, reply)
    }

    /// The same address with another content.
    pub(crate) fn with(self, now: UnixTime, reply: Reply) -> Self {
        let (parts, files, metadata, is_continued) = reply.take();
        Self { parts, files, metadata, is_continued, replied_at: now, ..self }
    }

    /// Why the reply must not be sent, whatever the platform would say; `None` if it may be.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        if !self.to.may_be_answered() {
            return Some("nobody reads an answer to this message");
        }
        if self.hops > MOST_HOPS {
            return Some("more than 8 replies in a row led to this message");
        }
        (self.is_to_reply && !self.is_continued)
            .then_some("the message is a reply itself, and the answer was given without and_continue()")
    }

    /// The texts of its parts, joined by line feeds.
    pub(crate) fn text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect::<Vec<_>>().join("\n")
    }

    /// The message to a peer, under this id, without the files.
    pub(crate) fn message(&self, id: &str) -> Message {
        let mut message = Message::new(self.parts.clone()).with_id(id);
        message.context_id = self.context_id.clone();
        message.task_id = self.task_id.clone();
        message.metadata = self.metadata.clone();
        if let Some(trace_parent) = self.trace_parent {
            message.metadata.entry(TraceParent::KEY).or_insert_with(|| trace_parent.to_string().into());
        }
        if let Some(in_reply_to) = &self.in_reply_to {
            message.metadata.insert(IN_REPLY_TO.to_owned(), in_reply_to.as_str().into());
        }
        message.with_metadata(HOPS, self.hops.saturating_add(1))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl fmt::Debug for StoredReply {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredReply").field("to", &self.to).field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use molecule_proto::{ActivityRow, ActivityType, UnixTime};
    use serde_json::json;

    use super::*;
    use crate::inbox::OutgoingFile;
    use crate::inbox::sender::PlatformKind;

    const PEER: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn peer() -> Sender {
        Sender::Peer { id: PEER.parse().unwrap(), name: Some("beta".to_owned()), role: None }
    }

    fn stored(sender: Sender, metadata: Value, reply: Reply) -> StoredReply {
        let mut row = ActivityRow::new(
            PEER.parse().unwrap(),
            PEER.parse().unwrap(),
            ActivityType::A2aReceive,
            UnixTime::from_secs(1_795_383_587),
        );
        let message =
            json!({"messageId": "m-1", "contextId": "c-1", "taskId": "t-1", "parts": [], "metadata": metadata});
        row.request_body = Some(json!({"params": {"message": message}}));
        let message = InboundMessage::from_row(row, sender, Vec::new());
        StoredReply::new(UnixTime::from_secs(1_795_383_590), &message, reply)
    }

    #[test]
    fn a_reply_is_read_from_the_journal_as_it_was_written() {
        let reply = Reply::text("done")
            .with_part(Part::data(json!({"a": [1.5, null]})))
            .attach("/tmp/a")
            .attach(OutgoingFile::uri("https://h/f").name("f").mime_type("text/plain"))
            .with_metadata("k", "v")
            .and_continue();
        let full =
            stored(peer(), json!({"molecule.hops": 3, "molecule.in_reply_to": "m-0", "traceparent": TRACE}), reply);
        let mut others = vec![full.clone(), stored(Sender::User, json!({}), Reply::text("hello"))];
        others.extend(
            [
                Sender::Channel("slack".to_owned()),
                Sender::Platform(PlatformKind::StallProbe),
                Sender::Own,
                Sender::Unknown,
            ]
            .map(|sender| stored(sender, json!({}), Reply::none())),
        );
        for reply in others {
            let text = serde_json::to_string(&reply).unwrap();
            assert_eq!(serde_json::from_str::<StoredReply>(&text).unwrap(), reply, "{text}");
        }
        let expected = json!({
            "to": {"from": "peer", "detail": {"id": PEER, "name": null, "role": null}},
            "context_id": "c-1", "task_id": "t-1", "in_reply_to": "m-1", "hops": 3, "is_to_reply": true,
            "trace_parent": TRACE, "is_continued": true, "metadata": {"k": "v"},
            "parts": [{"kind": "text", "text": "done"}, {"kind": "data", "data": {"a": [1.5, null]}}],
            "files": [{"path": "/tmp/a"}, {"uri": "https://h/f", "name": "f", "mime_type": "text/plain"}],
            "received_at": "2026-11-22T21:39:47Z", "replied_at": "2026-11-22T21:39:50Z",
        });
        assert_eq!(serde_json::to_value(&full).unwrap(), expected);
        // What another version leaves out or adds.
        let other: StoredReply = serde_json::from_value(json!({"to": {"from": "user"}, "colour": "blue"})).unwrap();
        assert_eq!(
            other,
            StoredReply {
                context_id: None,
                task_id: None,
                in_reply_to: None,
                received_at: UnixTime::default(),
                replied_at: UnixTime::default(),
                ..stored(Sender::User, json!({}), Reply::none())
            }
        );
    }

    #[test]
    fn the_message_to_a_peer_belongs_to_the_conversation_that_it_came_from() {
        let reply = Reply::text("done").with_metadata("k", 1).with_metadata("molecule.hops", 0);
        let message = stored(peer(), json!({"molecule.hops": 3, "traceparent": TRACE}), reply).message("r-1");
        let expected = json!({
            "kind": "message", "role": "user", "messageId": "r-1", "contextId": "c-1", "taskId": "t-1",
            "parts": [{"kind": "text", "text": "done"}],
            "metadata": {"k": 1, "molecule.in_reply_to": "m-1", "molecule.hops": 4, "traceparent": TRACE},
        });
        assert_eq!(serde_json::to_value(message).unwrap(), expected);
        let own_span = TRACE.replace("00f067aa", "11f067aa");
        let reply = Reply::text("done").with_trace_parent(own_span.parse().unwrap());
        let message = stored(peer(), json!({"traceparent": TRACE}), reply).message("r-1");
        assert_eq!(message.metadata[TraceParent::KEY], own_span, "a span of the application's own comes first");
    }

    #[test]
    fn what_must_not_be_answered_is_refused_with_its_reason() {
        let refusal = |sender, metadata, reply| stored(sender, metadata, reply).refusal();
        let text = || Reply::text("x");
        let hops = |hops: u32| json!({ "molecule.hops": hops });
        let reply_to = json!({"molecule.in_reply_to": "m-0"});
        for (sender, metadata, reply, word) in [
            (Sender::User, json!({}), text(), None),
            (peer(), hops(8), text(), None),
            (peer(), hops(9), text(), Some("more than 8 replies")),
            (peer(), hops(9), text().and_continue(), Some("more than 8 replies")),
            (peer(), reply_to.clone(), text(), Some("and_continue()")),
            (peer(), reply_to, text().and_continue(), None),
            (Sender::Channel("slack".to_owned()), json!({}), text(), None),
            (Sender::Channel("github".to_owned()), json!({}), text(), Some("nobody reads")),
            (Sender::Platform(PlatformKind::InboxNudge), json!({}), text().and_continue(), Some("nobody reads")),
            (Sender::Own, json!({}), text(), Some("nobody reads")),
            (Sender::Unknown, json!({}), text(), Some("nobody reads")),
        ] {
            let refused = refusal(sender.clone(), metadata.clone(), reply);
            assert!(
                match word {
                    Some(word) => refused.is_some_and(|refused| refused.contains(word)),
                    None => refused.is_none(),
                },
                "{sender} {metadata}: {refused:?}"
            );
        }
    }
}
