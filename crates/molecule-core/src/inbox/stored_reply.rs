//! A reply as the journal keeps it: what is said, and to whom.

use std::fmt;

use molecule_proto::{Message, Part, TraceParent};
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
}

impl StoredReply {
    pub(crate) fn new(message: &InboundMessage, reply: Reply) -> Self {
        let (parts, files, metadata, is_continued) = reply.take();
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
            parts,
            files,
            metadata,
            is_continued,
        }
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
