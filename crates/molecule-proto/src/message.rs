//! Messages between agents (A2A 0.3; contract sections 9.1, 9.3 and 10).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::part::{Part, rest, take_object, take_text};
use crate::trace_parent::TraceParent;
use crate::words::words;

words! {
    /// The role of a [`Message`]'s sender.
    Role {
        /// The sender asks. The platform writes this role if the sender names none.
        User = "user" | "ROLE_USER",
        /// The sender answers.
        Agent = "agent" | "ROLE_AGENT",
    }
}

/// A message between agents: `params.message` of a `message/send`, the `result` of its answer, an entry of a task's history.
///
/// It is written in the form of A2A 0.3, with `kind`, `role`, `messageId` and `parts`. It is read in all forms that
/// agents write: with `content` (a string or a list) instead of `parts`, parts of any kind, roles and parts of A2A 1.0.
/// All other keys are kept.
///
/// ```
/// use molecule_proto::{Message, Part};
/// let message = Message::text("hello").with_part(Part::data(7)).with_id("m-1");
/// let text = r#"{"kind":"message","messageId":"m-1","parts":[{"kind":"text","text":"hello"},{"data":7,"kind":"data"}],"role":"user"}"#;
/// assert_eq!(serde_json::to_string(&message)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
#[non_exhaustive]
pub struct Message {
    /// The sender's role; `user` if the message names none.
    pub role: Role,
    /// The message's id: any text, new for each message and the same for each resend of it. The platform keeps the
    /// first message with an id and loses any other message with the same id (contract section 9.3). `None` if it is
    /// not set yet, or was not sent.
    pub message_id: Option<String>,
    /// The content.
    pub parts: Vec<Part>,
    /// The id of the conversation. Messages of people to one agent all have the same fixed text here.
    pub context_id: Option<String>,
    /// The id of the task that it belongs to.
    pub task_id: Option<String>,
    /// Keys on which sender and receiver agreed; `delegation_id` in delegations.
    pub metadata: Map<String, Value>,
    /// All keys without a field of their own.
    pub extra: Map<String, Value>,
}

impl Message {
    /// The most parts that are read. A longer list is read as one part of kind `data`.
    pub const MAX_PARTS: usize = MOST_PARTS;

    /// A message of these parts.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            role: Role::User,
            message_id: None,
            parts: parts.into_iter().collect(),
            context_id: None,
            task_id: None,
            metadata: Map::new(),
            extra: Map::new(),
        }
    }

    /// A message of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new([Part::text(text)])
    }

    /// A reply of one text: its role is `agent`.
    pub fn reply(text: impl Into<String>) -> Self {
        Self { role: Role::Agent, ..Self::text(text) }
    }

    /// Adds a part.
    #[must_use]
    pub fn with_part(mut self, part: impl Into<Part>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Sets its id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Sets the id of its conversation.
    #[must_use]
    pub fn with_context(mut self, context_id: impl Into<String>) -> Self {
        self.context_id = Some(context_id.into());
        self
    }

    /// Sets the id of the task that it belongs to.
    #[must_use]
    pub fn with_task(mut self, task_id: impl Into<String>) -> Self {
        self.task_id = Some(task_id.into());
        self
    }

    /// Adds a key to its metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets its position in a trace (`metadata.traceparent`).
    #[must_use]
    pub fn with_trace_parent(self, parent: TraceParent) -> Self {
        self.with_metadata(TraceParent::KEY, parent.to_string())
    }

    /// Its position in a trace; `None` if it has none, or one that is not of the W3C's format.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.metadata.get(TraceParent::KEY)?.as_str()?.parse().ok()
    }

    /// The texts of its parts, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(Part::as_text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Part> for Message {
    fn from(part: Part) -> Self {
        Self::new([part])
    }
}

/// The error for a value that is no message, because it is no JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a message: a JSON object with parts")]
pub struct NotAMessage;

impl Message {
    /// Reads the parts of a message alone, in all forms in which [`Message`] reads them. Its fields stay as they are.
    pub fn parts_in(fields: &Map<String, Value>) -> Vec<Part> {
        let parts = match fields.get("parts") {
            None | Some(Value::Null) => fields.get("content"),
            parts => parts,
        };
        match parts {
            Some(Value::Array(parts)) if parts.len() <= MOST_PARTS => parts.iter().map(Part::read).collect(),
            Some(Value::Null) | None => Vec::new(),
            Some(part) => vec![Part::read(part)],
        }
    }
}

impl TryFrom<Value> for Message {
    type Error = NotAMessage;

    fn try_from(value: Value) -> Result<Self, NotAMessage> {
        let Value::Object(mut fields) = value else { return Err(NotAMessage) };
        let role = take_text(&mut fields, &["role"]).map_or(Role::User, Role::from);
        ["kind", "role"].iter().for_each(|key| drop(fields.remove(*key)));
        Ok(Self {
            role,
            message_id: take_text(&mut fields, &["messageId", "message_id"]),
            parts: take_parts(&mut fields),
            context_id: take_text(&mut fields, &["contextId", "context_id"]),
            task_id: take_text(&mut fields, &["taskId", "task_id"]),
            metadata: take_object(&mut fields, "metadata").unwrap_or_default(),
            extra: rest(fields),
        })
    }
}

/// The most parts of a message, and the most artifacts or messages of a task. Each needs more memory than its JSON, so
/// that their number must be bounded.
pub(crate) const MOST_PARTS: usize = 10_000;

/// Removes and reads the list under `parts`, or else the value under `content`: a list or one part. A list that is too
/// long is kept as one part of kind `data`.
pub(crate) fn take_parts(fields: &mut Map<String, Value>) -> Vec<Part> {
    let parts = match fields.remove("parts") {
        None | Some(Value::Null) => fields.remove("content"),
        parts => parts,
    };
    match parts {
        Some(Value::Array(parts)) if parts.len() <= MOST_PARTS => parts.into_iter().map(Part::from).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(part) => vec![Part::from(part)],
    }
}

impl From<Message> for Value {
    fn from(message: Message) -> Self {
        let mut fields = message.extra;
        fields.insert("kind".to_owned(), "message".into());
        fields.insert("role".to_owned(), String::from(message.role).into());
        fields.insert("parts".to_owned(), message.parts.into_iter().map(Self::from).collect());
        let ids = [("messageId", message.message_id), ("contextId", message.context_id), ("taskId", message.task_id)];
        fields.extend(ids.into_iter().filter_map(|(key, id)| Some((key.to_owned(), id?.into()))));
        if !message.metadata.is_empty() {
            fields.insert("metadata".to_owned(), message.metadata.into());
        }
        fields.into()
    }
}
