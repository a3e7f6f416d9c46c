//! Tasks, and what an agent replies with (A2A 0.3; contract section 10.3).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::lenient::{list, or_default};
use crate::message::{Message, take_parts};
use crate::part::{Part, take_object, take_text};
use crate::words::words;

words! {
    /// Where a [`Task`] stands.
    TaskState {
        /// Taken, not begun.
        Submitted = "submitted" | "TASK_STATE_SUBMITTED",
        /// Under way.
        Working = "working" | "TASK_STATE_WORKING",
        /// The agent waits for another message.
        InputRequired = "input-required" | "TASK_STATE_INPUT_REQUIRED",
        /// Done.
        Completed = "completed" | "TASK_STATE_COMPLETED",
        /// Called off.
        Canceled = "canceled" | "cancelled" | "TASK_STATE_CANCELED" | "TASK_STATE_CANCELLED",
        /// Ended with an error.
        Failed = "failed" | "TASK_STATE_FAILED",
        /// Not taken.
        Rejected = "rejected" | "TASK_STATE_REJECTED",
        /// The agent waits for credentials.
        AuthRequired = "auth-required" | "TASK_STATE_AUTH_REQUIRED",
        /// The agent does not know.
        Unknown = "unknown" | "TASK_STATE_UNSPECIFIED",
    }
}

/// A task: what an agent answers with when it works for longer, or gives more than a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// `task`.
    #[serde(default = "kind")]
    kind: TaskKind,
    /// What it is known by.
    pub id: String,
    /// The conversation.
    #[serde(default, rename = "contextId", skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub context_id: Option<String>,
    /// Where it stands; a mere word is read as its state.
    #[serde(default, deserialize_with = "status")]
    pub status: TaskStatus,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub artifacts: Vec<Artifact>,
    /// What was said about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub history: Vec<Message>,
    /// Whatever sender and receiver agreed on.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "or_default")]
    pub metadata: Map<String, Value>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The word `task`, or whatever stood in its place; it is always written as `task`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "&'static str")]
struct TaskKind;

fn kind() -> TaskKind {
    TaskKind
}

impl From<Value> for TaskKind {
    fn from(_: Value) -> Self {
        Self
    }
}

impl From<TaskKind> for &'static str {
    fn from(_: TaskKind) -> Self {
        "task"
    }
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskStatus {
    /// The state.
    #[serde(default = "unknown")]
    pub state: TaskState,
    /// What the agent says about it. The platform does not look here for a delegation's result.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub message: Option<Message>,
    /// Since when, as the agent wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub timestamp: Option<String>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskStatus, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(word) => TaskStatus::new(word.into()),
        other => serde_json::from_value(other).unwrap_or_default(),
    })
}

fn unknown() -> TaskState {
    TaskState::Unknown
}

impl Default for TaskStatus {
    fn default() -> Self {
        Self::new(TaskState::Unknown)
    }
}

impl TaskStatus {
    /// A state alone.
    pub fn new(state: TaskState) -> Self {
        Self { state, message: None, timestamp: None, extra: Map::new() }
    }
}

/// Something that came of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
#[non_exhaustive]
pub struct Artifact {
    /// What it is known by within its task.
    pub artifact_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What it is, for people.
    pub description: Option<String>,
    /// The thing itself.
    pub parts: Vec<Part>,
    /// Whatever sender and receiver agreed on.
    pub metadata: Map<String, Value>,
    /// Every other key.
    pub extra: Map<String, Value>,
}

impl Artifact {
    /// An artifact of these parts.
    pub fn new(artifact_id: impl Into<String>, parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            artifact_id: Some(artifact_id.into()),
            name: None,
            description: None,
            parts: parts.into_iter().collect(),
            metadata: Map::new(),
            extra: Map::new(),
        }
    }
}

impl From<Value> for Artifact {
    fn from(value: Value) -> Self {
        let mut fields = match value {
            Value::Object(fields) => fields,
            part => Map::from_iter([("content".to_owned(), part)]),
        };
        Self {
            artifact_id: take_text(&mut fields, &["artifactId", "artifact_id"]),
            name: take_text(&mut fields, &["name"]),
            description: take_text(&mut fields, &["description"]),
            parts: take_parts(&mut fields),
            metadata: take_object(&mut fields, "metadata").unwrap_or_default(),
            extra: fields,
        }
    }
}

impl From<Artifact> for Value {
    fn from(artifact: Artifact) -> Self {
        let mut fields = artifact.extra;
        let texts =
            [("artifactId", artifact.artifact_id), ("name", artifact.name), ("description", artifact.description)];
        fields.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
        fields.insert("parts".to_owned(), artifact.parts.into_iter().map(Self::from).collect());
        if !artifact.metadata.is_empty() {
            fields.insert("metadata".to_owned(), artifact.metadata.into());
        }
        fields.into()
    }
}

impl Task {
    /// A task of this id in this state.
    pub fn new(id: impl Into<String>, state: TaskState) -> Self {
        Self {
            kind: TaskKind,
            id: id.into(),
            context_id: None,
            status: TaskStatus::new(state),
            artifacts: Vec::new(),
            history: Vec::new(),
            metadata: Map::new(),
            extra: Map::new(),
        }
    }

    /// The texts of its artifacts, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.artifacts.iter().flat_map(|artifact| artifact.parts.iter()).filter_map(Part::as_text)
    }
}

/// What an agent replies with: the `result` of a JSON-RPC answer.
///
/// `kind` tells a message from a task, where it is missing the keys do; `{"message":…}` and `{"task":…}`, as A2A 1.0
/// wraps them, are unwrapped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
#[non_exhaustive]
pub enum Reply {
    /// A message.
    Message(Message),
    /// A task.
    Task(Task),
    /// Plain text: of an agent that answered no JSON at all, or whose `result` is a text.
    Text(String),
    /// Anything else, such as the answer of another method than `message/send`.
    Other(Value),
}

impl Reply {
    /// The texts of the message or of the task's artifacts, in order, where the platform itself looks for a reply's text. Of
    /// a task without any, such as one that waits for another message, those of its status.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Message(message) => message.texts().collect(),
            Self::Task(task) => match task.texts().collect::<Vec<_>>() {
                texts if texts.is_empty() => task.status.message.iter().flat_map(Message::texts).collect(),
                texts => texts,
            },
            Self::Text(text) => vec![text],
            Self::Other(_) => Vec::new(),
        }
    }
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<Task> for Reply {
    fn from(task: Task) -> Self {
        Self::Task(task)
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        if let Value::String(text) = value {
            return Self::Text(text);
        }
        let has = |key: &str| value.get(key).is_some();
        let wrapped = |key: &str| value.get(key).filter(|inner| inner.is_object());
        let read = match value.get("kind").and_then(Value::as_str) {
            Some("message") => message(&value),
            Some("task") => task(&value),
            Some(_) => None,
            None if has("parts") || (has("content") && has("role")) => message(&value),
            None if has("id") && value.get("status").is_some_and(Value::is_object) => task(&value),
            None => wrapped("message").and_then(message).or_else(|| wrapped("task").and_then(task)),
        };
        read.unwrap_or(Self::Other(value))
    }
}

fn message(value: &Value) -> Option<Reply> {
    Message::try_from(value.clone()).ok().map(Reply::Message)
}

fn task(value: &Value) -> Option<Reply> {
    Task::deserialize(value).ok().map(Reply::Task)
}

impl From<Reply> for Value {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Message(message) => message.into(),
            // Its keys are texts, and so nothing in it can fail to be written.
            Reply::Task(task) => serde_json::to_value(task).unwrap_or_default(),
            Reply::Text(text) => Value::String(text),
            Reply::Other(value) => value,
        }
    }
}
