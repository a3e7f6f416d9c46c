//! The JSON-RPC 2.0 envelopes around A2A (contract sections 9.1, 9.3, 9.4 and 10).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::lenient::or_default;
use crate::message::Message;
use crate::part::rest;
use crate::task::Reply;

/// The version in every envelope that is written.
const VERSION: &str = "2.0";
/// The method of an ordinary message.
pub const MESSAGE_SEND: &str = "message/send";

/// Body of `POST /workspaces/:id/a2a`, and of what the platform sends to a push agent.
///
/// Any method may arrive, or none, and so may a body without an id or without parameters (contract section 10.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RpcRequest {
    /// `2.0`; the platform passes on any other value, and wraps a body without one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub jsonrpc: Option<Value>,
    /// What the answer is matched by: a text, a number or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub id: Option<Value>,
    /// `message/send` and others.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub method: Option<String>,
    /// What the method takes; [`SendParams`] for `message/send`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub params: Option<Value>,
    /// Every other key.
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

    /// The parameters of a message, whatever the method is called; `None` if there is no message in it.
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
    /// Whatever sender and receiver agreed on. The platform puts here who a person is (contract section 9.3).
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "or_default")]
    pub metadata: Map<String, Value>,
    /// Seconds that a copy of the message may wait in the platform's queue.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub expires_in_seconds: Option<u64>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl SendParams {
    /// A message and nothing else.
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
        // Its keys are texts, and so nothing in it can fail to be written.
        serde_json::to_value(params).unwrap_or_default()
    }
}

/// An agent's answer: a result or an error.
///
/// Everything may be missing: agents of older SDKs answer `{"status":"ok","result":…}`. The id is the agent's and the
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
    /// What came of it; [`Reply`] for `message/send`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub result: Option<Value>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub error: Option<RpcError>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl RpcAnswer {
    /// A good answer to the request of this id.
    pub fn result(id: impl Into<Value>, result: impl Into<Reply>) -> Self {
        let result = Some(Value::from(result.into()));
        Self { jsonrpc: Some(VERSION.into()), id: Some(id.into()), result, ..Self::default() }
    }

    /// An error. Send it with HTTP 200, or the platform reduces it to a text (contract section 10.3).
    pub fn error(id: impl Into<Value>, error: RpcError) -> Self {
        Self { jsonrpc: Some(VERSION.into()), id: Some(id.into()), error: Some(error), ..Self::default() }
    }

    /// The result as a reply; `None` for an error.
    pub fn reply(&self) -> Option<Reply> {
        self.result.clone().map(Reply::from)
    }

    /// The same, of which nothing is copied.
    pub fn into_reply(self) -> Option<Reply> {
        self.result.map(Reply::from)
    }

    /// Reads an answer as its `Deserialize` does, and moves what it holds.
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
    /// What went wrong, for programs: -32603 is the agent's own failure. 0 where none was sent.
    #[serde(default, deserialize_with = "or_default")]
    pub code: i64,
    /// What went wrong, for people.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub data: Option<Value>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl RpcError {
    /// The request's method is not served.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The request's parameters make no sense.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The agent failed.
    pub const INTERNAL: i64 = -32603;

    /// An error with its text.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, extra: Map::new() }
    }
}

/// Tells a key that is absent from one that is `null`.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
