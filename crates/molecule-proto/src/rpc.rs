//! The JSON-RPC 2.0 envelopes around A2A (contract sections 9.1, 9.3, 9.4 and 10).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::lenient::or_default;
use crate::message::Message;
use crate::part::rest;
use crate::task::Reply;

/// The JSON-RPC version, written into every envelope.
const VERSION: &str = "2.0";
/// The method of an ordinary message.
pub const MESSAGE_SEND: &str = "message/send";
/// The method that asks for a task.
pub const TASKS_GET: &str = "tasks/get";
/// The method that cancels a task.
pub const TASKS_CANCEL: &str = "tasks/cancel";

/// Body of `POST /workspaces/:id/a2a`, and of the platform's calls to a push agent.
///
/// A call may arrive with any method or none, without an id, or without parameters (contract section 10.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RpcRequest {
    /// `2.0`. The platform passes on any other value, and wraps a body without this key.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub jsonrpc: Option<Value>,
    /// The id that the answer repeats: a string, a number or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub id: Option<Value>,
    /// The method: `message/send` or another one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub method: Option<String>,
    /// The method's parameters; [`SendParams`] for `message/send`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub params: Option<Value>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl RpcRequest {
    /// A request of any method.
    pub fn new(id: impl Into<Value>, method: impl Into<String>, params: impl Into<Value>) -> Self {
        Self {
            jsonrpc: Some(VERSION.into()),
            id: Some(id.into()),
            method: Some(method.into()),
            params: Some(params.into()),
            extra: Map::new(),
        }
    }

    /// A `message/send`.
    pub fn send(id: impl Into<Value>, params: impl Into<SendParams>) -> Self {
        Self::new(id, MESSAGE_SEND, Value::from(params.into()))
    }

    /// The parameters as those of a message, for any method; `None` if they contain no message.
    pub fn send_params(&self) -> Option<SendParams> {
        SendParams::deserialize(self.params.as_ref()?).ok()
    }
}

/// Parameters of `message/send`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SendParams {
    /// The message.
    pub message: Message,
    /// Keys on which sender and receiver agreed. The platform writes here who sent the message, if it was a person
    /// (contract section 9.3).
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "or_default")]
    pub metadata: Map<String, Value>,
    /// Seconds that a copy of the message may wait in the platform's queue.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub expires_in_seconds: Option<u64>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl SendParams {
    /// Parameters with a message only.
    pub fn new(message: Message) -> Self {
        Self { message, metadata: Map::new(), expires_in_seconds: None, extra: Map::new() }
    }
}

impl From<Message> for SendParams {
    fn from(message: Message) -> Self {
        Self::new(message)
    }
}

impl From<SendParams> for Value {
    fn from(params: SendParams) -> Self {
        // Writing cannot fail: all keys are strings.
        serde_json::to_value(params).unwrap_or_default()
    }
}

/// An agent's answer: a result or an error.
///
/// Every key may be missing: agents of older SDKs answer `{"status":"ok","result":…}`. The agent writes the id, and the
/// platform does not check it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RpcAnswer {
    /// `2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub jsonrpc: Option<Value>,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub id: Option<Value>,
    /// The result; [`Reply`] for `message/send`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub result: Option<Value>,
    /// The error.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub error: Option<RpcError>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl RpcAnswer {
    /// An answer with a result, for the request with this id.
    pub fn result(id: impl Into<Value>, result: impl Into<Reply>) -> Self {
        let result = Some(Value::from(result.into()));
        Self { jsonrpc: Some(VERSION.into()), id: Some(id.into()), result, ..Self::default() }
    }

    /// An answer with an error. Send it with HTTP 200: at other statuses the platform passes on its text only (contract
    /// section 10.3).
    pub fn error(id: impl Into<Value>, error: RpcError) -> Self {
        Self { jsonrpc: Some(VERSION.into()), id: Some(id.into()), error: Some(error), ..Self::default() }
    }

    /// The result as a reply, copied; `None` for an error.
    pub fn reply(&self) -> Option<Reply> {
        self.result.clone().map(Reply::from)
    }

    /// The result as a reply, moved; `None` for an error.
    pub fn into_reply(self) -> Option<Reply> {
        self.result.map(Reply::from)
    }

    /// Reads an answer as its `Deserialize` does, but moves the values instead of copying them.
    pub(crate) fn take(mut fields: Map<String, Value>) -> Self {
        Self {
            jsonrpc: fields.remove("jsonrpc"),
            id: fields.remove("id"),
            result: fields.remove("result"),
            error: fields.remove("error").and_then(|error| serde_json::from_value(error).ok()).flatten(),
            extra: rest(fields),
        }
    }
}

/// The error of a JSON-RPC answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RpcError {
    /// The error code: -32603 is the agent's own failure. 0 if the answer has none.
    #[serde(default, deserialize_with = "or_default")]
    pub code: i64,
    /// The error, for people.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// Details of the error.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub data: Option<Value>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl RpcError {
    /// The body is not JSON.
    pub const PARSE: i64 = -32700;
    /// The body is no JSON-RPC request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The agent does not serve the request's method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The request's parameters are invalid.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The agent failed.
    pub const INTERNAL: i64 = -32603;
    /// The agent is busy. `data.retry_after` says how many seconds to wait.
    pub const BUSY: i64 = -32000;
    /// There is no task of the caller's with this id (A2A).
    pub const TASK_NOT_FOUND: i64 = -32001;
    /// The task has ended, or cannot be cancelled for another reason (A2A).
    pub const TASK_NOT_CANCELABLE: i64 = -32002;
    /// The agent sends no push notifications (A2A).
    pub const PUSH_NOTIFICATIONS_NOT_SUPPORTED: i64 = -32003;
    /// The agent does not offer the operation (A2A).
    pub const UNSUPPORTED_OPERATION: i64 = -32004;
    /// A kind of part, or none of the output modes, is supported (A2A).
    pub const CONTENT_TYPE_NOT_SUPPORTED: i64 = -32005;
    /// The agent has no extended card (A2A).
    pub const NO_EXTENDED_CARD: i64 = -32007;
    /// The agent does not speak this version of A2A (A2A 1.0).
    pub const VERSION_NOT_SUPPORTED: i64 = -32009;

    /// An error with its text.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, extra: Map::new() }
    }

    /// Adds details.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }
}

/// Reads a key that is `null` as `Some(Value::Null)`, so that only an absent key is `None`.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
