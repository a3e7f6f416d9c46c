//! The answers of `POST /workspaces/:id/a2a` (contract section 9.4; April 7.2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::a2a_refusal::A2aRefusal;
use crate::id::QueueId;
use crate::json::{self, Unreadable};
use crate::lenient::or_default;
use crate::rpc::RpcAnswer;
use crate::words::words;

/// An answer of `POST /workspaces/:id/a2a`, classified by its body. The status does not suffice: a 202 may be an empty
/// reply, a 200 may say that the message waits, and any status of 300 and more may be the agent's own.
///
/// ```
/// use molecule_proto::A2aAnswer;
/// let waits = br#"{"queued":true,"queue_id":"16fbce34-b9f3-4274-9310-2d6cf9256ac5","queue_depth":2,"message":"busy"}"#;
/// assert!(matches!(A2aAnswer::read(waits), A2aAnswer::Queued(queued) if queued.queue_depth == Some(2)));
/// assert!(matches!(A2aAnswer::read(b"plain words"), A2aAnswer::NotJson));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum A2aAnswer {
    /// The agent replied with a result or a JSON-RPC error. The agent wrote the id, and nobody checked it.
    Replied(RpcAnswer),
    /// The agent is busy or not started yet: the message waits in the platform's queue and will be delivered. Do not
    /// send it again.
    Queued(QueuedAnswer),
    /// The platform accepted the message, and this answer has no reply: a poll agent reads the message in its feed, or
    /// a slow agent's reply comes another way.
    Accepted(AcceptedAnswer),
    /// An error whose `error` is a string: the platform's, or the text of the agent's. It may come with a status of
    /// success.
    Refused(A2aRefusal),
    /// JSON of a form that neither A2A nor the platform uses: the agent's fault.
    Other(Value),
    /// A body that is not JSON, even after repair: the agent's fault, or a gateway's.
    /// [`json::excerpt`](crate::json::excerpt) makes a text of it.
    NotJson,
    /// JSON with more values than the limit ([`json::MAX_MEMORY`](crate::json::MAX_MEMORY)): the agent's fault.
    TooManyValues,
    /// No body: an agent that answered 204, or on April's server any agent that answered nothing.
    Empty,
}

impl A2aAnswer {
    /// Classifies a body. A JSON-RPC answer is always a reply, also with other keys, since the platform's own answers
    /// are never JSON-RPC.
    pub fn read(body: &[u8]) -> Self {
        let text = body.strip_prefix(json::BOM).unwrap_or(body);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Self::Empty;
        }
        match json::read::<Value>(body) {
            Ok(body) => Self::from(body),
            Err(Unreadable::TooManyValues) => Self::TooManyValues,
            Err(Unreadable::Mismatch { .. }) => Self::NotJson,
        }
    }
}

impl From<Value> for A2aAnswer {
    /// Classifies a body that was parsed already, and moves its values.
    fn from(body: Value) -> Self {
        let queued = body.get("status").and_then(Value::as_str) == Some("queued");
        let waits = body.get("queued").and_then(Value::as_bool) == Some(true);
        let refused = body.get("error").is_some_and(Value::is_string);
        let replied = body.get("result").is_some()
            || body.get("error").is_some_and(Value::is_object)
            || (body.get("jsonrpc").is_some() && !refused);
        let read = match body {
            Value::Object(fields) if replied => return Self::Replied(RpcAnswer::take(fields)),
            body if waits => serde_json::from_value(body).map(Self::Queued),
            body if queued => serde_json::from_value(body).map(Self::Accepted),
            body if refused => serde_json::from_value(body).map(Self::Refused),
            body => return Self::Other(body),
        };
        // The keys that the three types require were checked above; all other keys have defaults.
        read.unwrap_or(Self::NotJson)
    }
}

/// The message waits in the platform's queue (contract section 9.4): 202, and 200 while a managed agent boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueuedAnswer {
    /// `true`.
    pub queued: bool,
    /// The id of the queued call, whose status the current server shows (section 11). A resend of the same message has
    /// the same id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub queue_id: Option<QueueId>,
    /// How many calls wait for this agent, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub queue_depth: Option<u64>,
    /// The notice for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub message: Option<String>,
    /// `queued`, while a managed agent boots.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub status: Option<String>,
    /// The request's method, while a managed agent boots.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub method: Option<String>,
}

impl QueuedAnswer {
    /// The notice of both servers.
    pub fn new(queue_id: QueueId, queue_depth: u64) -> Self {
        let message = "workspace agent busy — request queued, will dispatch when capacity available".to_owned();
        let queue_depth = Some(queue_depth);
        Self { queued: true, queue_id: Some(queue_id), queue_depth, message: Some(message), status: None, method: None }
    }
}

words! {
    /// How an accepted message reaches the agent.
    AcceptedMode {
        /// The agent reads it in its feed, at a time of its choice.
        Poll = "poll",
        /// The agent has it, and the platform no longer waits for the reply, which comes as an event and in the agent's
        /// feed.
        PushAsync = "push-async",
    }
}

/// The platform accepted the message: `{"status":"queued","delivery_mode":…,"method":…}` at 200. There is no queue id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AcceptedAnswer {
    /// `queued`.
    pub status: String,
    /// How the message reaches the agent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub delivery_mode: Option<AcceptedMode>,
    /// The request's method.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub method: Option<String>,
}

impl AcceptedAnswer {
    /// The notice for a request of this method.
    pub fn new(delivery_mode: AcceptedMode, method: impl Into<String>) -> Self {
        Self { status: "queued".to_owned(), delivery_mode: Some(delivery_mode), method: Some(method.into()) }
    }
}
