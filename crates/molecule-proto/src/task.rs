//! Tasks, and the replies of agents (A2A 0.3; contract section 10.3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient::or_default;
use crate::message::{MOST_PARTS, Message, take_parts};
use crate::part::{Part, rest, take_object, take_text};
use crate::words::words;

words! {
    /// The state of a [`Task`].
    TaskState {
        /// Accepted, not started.
        Submitted = "submitted" | "TASK_STATE_SUBMITTED",
        /// In progress.
        Working = "working" | "TASK_STATE_WORKING",
        /// The agent waits for another message.
        InputRequired = "input-required" | "TASK_STATE_INPUT_REQUIRED",
        /// Ended with a result.
        Completed = "completed" | "TASK_STATE_COMPLETED",
        /// Ended because it was cancelled.
        Canceled = "canceled" | "cancelled" | "TASK_STATE_CANCELED" | "TASK_STATE_CANCELLED",
        /// Ended with an error.
        Failed = "failed" | "TASK_STATE_FAILED",
        /// Not accepted.
        Rejected = "rejected" | "TASK_STATE_REJECTED",
        /// The agent waits for credentials.
        AuthRequired = "auth-required" | "TASK_STATE_AUTH_REQUIRED",
        /// The agent does not know the state.
        Unknown = "unknown" | "TASK_STATE_UNSPECIFIED",
    }
}

/// A task: the answer of an agent that works for longer, or returns more than a message.
///
/// Only `id` must be valid: an invalid value in another field reads as the default. All other keys are kept in `extra`,
/// and so is a list of more than 10 000 artifacts or messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
#[non_exhaustive]
pub struct Task {
    /// `task`.
    kind: TaskKind,
    /// Its id.
    pub id: String,
    /// The id of its conversation.
    #[serde(rename = "contextId", skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// Its status; a bare string is read as the state.
    pub status: TaskStatus,
    /// Its results.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Its messages so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Message>,
    /// Keys on which sender and receiver agreed.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The word `task`, which is always written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "&'static str")]
struct TaskKind;

impl From<TaskKind> for &'static str {
    fn from(_: TaskKind) -> Self {
        "task"
    }
}

/// The error for a value that is no task, because it is no JSON object with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a task: a JSON object with an id")]
pub struct NotATask;

impl TryFrom<Value> for Task {
    type Error = NotATask;

    fn try_from(value: Value) -> Result<Self, NotATask> {
        let Value::Object(mut fields) = value else { return Err(NotATask) };
        let id = take_text(&mut fields, &["id"]).ok_or(NotATask)?;
        fields.remove("kind");
        let mut take = |key| fields.remove(key);
        Ok(Self {
            kind: TaskKind,
            id,
            context_id: take("contextId").and_then(text),
            status: take("status").map(status).unwrap_or_default(),
            metadata: take("metadata").and_then(object).unwrap_or_default(),
            artifacts: take_list(&mut fields, "artifacts"),
            history: take_list(&mut fields, "history"),
            extra: rest(fields),
        })
    }
}

/// Removes a list from the fields, reads it entry by entry, and leaves out invalid entries. A list that is too long
/// stays in the fields.
fn take_list<T: TryFrom<Value>>(fields: &mut Map<String, Value>, key: &str) -> Vec<T> {
    if fields.get(key).and_then(Value::as_array).is_some_and(|list| list.len() > MOST_PARTS) {
        return Vec::new();
    }
    let Some(Value::Array(entries)) = fields.remove(key) else { return Vec::new() };
    entries.into_iter().filter_map(|entry| T::try_from(entry).ok()).collect()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn status(value: Value) -> TaskStatus {
    match value {
        Value::String(word) => TaskStatus::new(word.into()),
        other => serde_json::from_value(other).unwrap_or_default(),
    }
}

/// The status of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskStatus {
    /// The state.
    #[serde(default = "unknown")]
    pub state: TaskState,
    /// The agent's message about it. The platform does not look here for a delegation's result.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub message: Option<Message>,
    /// The time of the last change, as the agent wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub timestamp: Option<String>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
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
    /// A status with nothing but a state.
    pub fn new(state: TaskState) -> Self {
        Self { state, message: None, timestamp: None, extra: Map::new() }
    }
}

/// A result of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
#[non_exhaustive]
pub struct Artifact {
    /// Its id within the task.
    pub artifact_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its description for people.
    pub description: Option<String>,
    /// Its content.
    pub parts: Vec<Part>,
    /// Keys on which sender and receiver agreed.
    pub metadata: Map<String, Value>,
    /// All keys without a field of their own.
    pub extra: Map<String, Value>,
}

impl Artifact {
    /// An artifact with this id and these parts.
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
            extra: rest(fields),
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
    /// A task with this id in this state.
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

/// An agent's reply: the `result` of a JSON-RPC answer.
///
/// The key `kind` distinguishes a message from a task; if it is missing, the other keys do. `{"message":…}` and
/// `{"task":…}`, the wrappers of A2A 1.0, are unwrapped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
#[non_exhaustive]
pub enum Reply {
    /// A message.
    Message(Message),
    /// A task.
    Task(Task),
    /// Plain text: the agent's answer was not JSON, or its `result` is a string.
    Text(String),
    /// Anything else, such as the answer of another method than `message/send`.
    Other(Value),
}

impl Reply {
    /// The texts of the message or of the task's artifacts, in order; the platform looks for a reply's text in the same
    /// places. For a task without such texts (one that waits for another message, for example), the texts of its
    /// status.
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
    /// Moves the value's content; nothing is copied.
    fn from(mut value: Value) -> Self {
        if let Value::String(text) = value {
            return Self::Text(text);
        }
        let read = match Form::of(&value) {
            Form::Message => Message::try_from(value).map(Self::Message).ok(),
            Form::WrappedMessage => Message::try_from(value["message"].take()).map(Self::Message).ok(),
            Form::Task => Task::try_from(value).map(Self::Task).ok(),
            Form::WrappedTask => Task::try_from(value["task"].take()).map(Self::Task).ok(),
            Form::Other => return Self::Other(value),
        };
        // The form was checked above, so that reading cannot fail.
        read.unwrap_or(Self::Other(Value::Null))
    }
}

/// The variant that a value will be read as, decided before the value is moved.
enum Form {
    Message,
    WrappedMessage,
    Task,
    WrappedTask,
    Other,
}

impl Form {
    fn of(value: &Value) -> Self {
        let has = |key: &str| value.get(key).is_some();
        let holds = |key: &str| value.get(key).is_some_and(Value::is_object);
        let is_task = |value: &Value| value.get("id").is_some_and(Value::is_string);
        match value.get("kind").and_then(Value::as_str) {
            Some("message") => Self::Message,
            Some("task") if is_task(value) => Self::Task,
            Some(_) => Self::Other,
            None if has("parts") || (has("content") && has("role")) => Self::Message,
            None if holds("status") && is_task(value) => Self::Task,
            None if holds("status") && has("id") => Self::Other,
            None if holds("message") => Self::WrappedMessage,
            None if value.get("task").is_some_and(is_task) => Self::WrappedTask,
            None => Self::Other,
        }
    }
}

impl From<Reply> for Value {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Message(message) => message.into(),
            // Writing cannot fail: all keys are strings.
            Reply::Task(task) => serde_json::to_value(task).unwrap_or_default(),
            Reply::Text(text) => Value::String(text),
            Reply::Other(value) => value,
        }
    }
}
