//! A call as its body says it: JSON-RPC 2.0 around A2A 0.3, read without any lock.

use std::fmt;

use bytes::Bytes;
use http::request::Parts;
use molecule_proto::json::{self, Unreadable};
use molecule_proto::{MESSAGE_SEND, Message, RpcError, TASKS_CANCEL, TASKS_GET, header};
use serde_json::{Map, Value, json};

use super::legacy;
use super::shape::{part_fault, role_fault};
use crate::inbox::message::delivery_key;
use crate::peer::REACHABILITY;
use crate::session::key::Key;

/// The longest nonce, in characters.
const LONGEST_NONCE: usize = 64;

/// The longest id of a request, in bytes. It is kept for each caller that waits.
const LONGEST_ID: usize = 1024;

/// The versions of A2A that are served.
const VERSIONS: [&str; 1] = ["0.3"];

/// A call that came in, read from its body.
///
/// `Debug` shows no content.
pub struct InboundCall {
    /// What the answer repeats.
    pub(super) id: Value,
    pub(super) kind: Kind,
}

/// What a call asks for.
pub(super) enum Kind {
    /// It cannot be served.
    Fault(RpcError),
    Send(Box<SendCall>),
    GetTask {
        id: String,
        history_length: Option<usize>,
    },
    CancelTask {
        id: String,
    },
}

/// A `message/send`.
pub(super) struct SendCall {
    /// The whole request.
    pub(super) request: Value,
    /// The key of the message; `None` for a legacy body without one, which is never a duplicate.
    pub(super) key: Option<Key>,
    pub(super) history_length: Option<usize>,
    /// `configuration.blocking`.
    pub(super) is_blocking: Option<bool>,
    /// The bytes of its body.
    pub(super) bytes: usize,
    /// What is wrong with it unless the platform sends it.
    pub(super) fault_of_strangers: Option<RpcError>,
    /// Whether it is in the form of the Python SDK, and is answered in it.
    pub(super) is_legacy: bool,
    /// `configuration.acceptedOutputModes`, if they are text.
    pub(super) accepted: Vec<String>,
}

impl InboundCall {
    /// Reads the body of a request: bounded in memory and depth, whatever it is. It needs no lock and takes as long as the
    /// body is large.
    pub fn read(head: &Parts, body: Bytes) -> Self {
        let request = match json::read::<Value>(&body) {
            Ok(Value::Object(request)) => request,
            Ok(Value::Array(_)) => return Self::refused(RpcError::INVALID_REQUEST, "A2A takes no batches"),
            Ok(_) => return Self::refused(RpcError::INVALID_REQUEST, "the body is no request object"),
            Err(Unreadable::TooManyValues) => {
                return Self::refused(RpcError::INVALID_REQUEST, "the body has too many values");
            }
            Err(_) => return Self::refused(RpcError::PARSE, "the body is not JSON"),
        };
        let bytes = body.len();
        drop(body);
        if legacy::is_legacy(&request) {
            return Self { id: Value::Null, kind: legacy::read(request, bytes) };
        }
        let id = match request.get("id") {
            None | Some(Value::Null) => Value::Null,
            Some(Value::String(id)) if id.len() > LONGEST_ID => {
                return Self::refused(RpcError::INVALID_REQUEST, "the id is too long");
            }
            Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
            Some(_) => return Self::refused(RpcError::INVALID_REQUEST, "the id is neither a string nor a number"),
        };
        let kind = match wrong_version(head) {
            Some(version) => Kind::Fault(
                RpcError::new(RpcError::VERSION_NOT_SUPPORTED, format!("A2A {version} is not served"))
                    .with_data(json!(VERSIONS)),
            ),
            None => Kind::read(request, bytes),
        };
        Self { id, kind }
    }

    fn refused(code: i64, message: &str) -> Self {
        Self { id: Value::Null, kind: Kind::Fault(RpcError::new(code, message)) }
    }
}

/// The version that the caller speaks, shortened, if it is not served. A card is given whatever the version: official
/// clients ask for it with `1.0` and then speak 0.3.
fn wrong_version(head: &Parts) -> Option<String> {
    let is_served = |version: &str| {
        version.is_empty()
            || VERSIONS
                .iter()
                .any(|served| version.strip_prefix(served).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let shown = |version: &str| crate::printable::line(&version.chars().take(16).collect::<String>());
    for value in head.headers.get_all(&header::A2A_VERSION) {
        match value.to_str().map(str::trim) {
            Ok(version) if is_served(version) => {}
            Ok(version) => return Some(shown(version)),
            Err(_) => return Some("?".to_owned()),
        }
    }
    let mut parameters = head.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    parameters
        .find(|(name, version)| name.eq_ignore_ascii_case(header::A2A_VERSION.as_str()) && !is_served(version))
        .map(|(_, version)| shown(version))
}

impl Kind {
    fn read(mut request: Map<String, Value>, bytes: usize) -> Self {
        if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Self::fault(RpcError::INVALID_REQUEST, "jsonrpc is not \"2.0\"");
        }
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return Self::fault(RpcError::INVALID_REQUEST, "the request has no method");
        };
        let read = match method {
            MESSAGE_SEND => {
                return SendCall::read(request, bytes).map_or_else(Self::Fault, |call| Self::Send(Box::new(call)));
            }
            TASKS_GET => task_id(&mut request)
                .and_then(|(id, params)| Ok(Self::GetTask { id, history_length: history_length(&params)? })),
            TASKS_CANCEL => task_id(&mut request).map(|(id, _)| Self::CancelTask { id }),
            "message/stream" | "tasks/resubscribe" => {
                Err(RpcError::new(RpcError::UNSUPPORTED_OPERATION, "this agent does not stream"))
            }
            "agent/getAuthenticatedExtendedCard" => {
                Err(RpcError::new(RpcError::NO_EXTENDED_CARD, "this agent has no extended card"))
            }
            method if method.starts_with("tasks/pushNotificationConfig/") => Err(no_push()),
            _ => Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "this agent does not serve the method")),
        };
        read.unwrap_or_else(Self::Fault)
    }

    pub(super) fn fault(code: i64, message: &str) -> Self {
        Self::Fault(RpcError::new(code, message))
    }
}

fn no_push() -> RpcError {
    RpcError::new(RpcError::PUSH_NOTIFICATIONS_NOT_SUPPORTED, "this agent sends no push notifications")
}

fn invalid(message: &str) -> RpcError {
    RpcError::new(RpcError::INVALID_PARAMS, message)
}

/// Takes the parameters and the id in them.
fn task_id(request: &mut Map<String, Value>) -> Result<(String, Map<String, Value>), RpcError> {
    let Some(Value::Object(params)) = request.remove("params") else { return Err(invalid("params is no object")) };
    match params.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok((id.to_owned(), params)),
        _ => Err(invalid("params.id is no task id")),
    }
}

/// Reads `historyLength`: a number that is not negative.
fn history_length(fields: &Map<String, Value>) -> Result<Option<usize>, RpcError> {
    match fields.get("historyLength") {
        None | Some(Value::Null) => Ok(None),
        Some(length) => match length.as_u64() {
            Some(length) => Ok(Some(usize::try_from(length).unwrap_or(usize::MAX))),
            None => Err(invalid("historyLength is no number of messages")),
        },
    }
}

impl SendCall {
    fn read(request: Map<String, Value>, bytes: usize) -> Result<Self, RpcError> {
        let Some(params) = request.get("params").and_then(Value::as_object) else {
            return Err(invalid("params is no object"));
        };
        let Some(message) = params.get("message").and_then(Value::as_object) else {
            return Err(invalid("params.message is no object"));
        };
        let text = |key: &str| message.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("messageId").is_none() {
            return Err(invalid("params.message.messageId is missing"));
        }
        let mut fault_of_strangers = role_fault(message)?;
        match (message.get("parts"), message.get("content")) {
            (Some(Value::Array(parts)), _) => {
                if parts.len() > Message::MAX_PARTS {
                    return Err(invalid("params.message.parts is too long"));
                }
                if let Some(fault) = parts.iter().find_map(part_fault) {
                    return Err(fault);
                }
            }
            // April's platform passes on what older agents write.
            (None, Some(Value::String(_) | Value::Array(_))) => {
                fault_of_strangers.get_or_insert_with(|| invalid("params.message.parts is missing"));
            }
            (None, _) => return Err(invalid("params.message.parts is missing")),
            (Some(_), _) => return Err(invalid("params.message.parts is no list")),
        }
        for key in ["taskId", "contextId"] {
            if message.get(key).is_some_and(|id| !id.is_null() && !id.is_string()) {
                return Err(invalid("an id of params.message is no string"));
            }
        }
        let configuration = match params.get("configuration") {
            None | Some(Value::Null) => None,
            Some(Value::Object(configuration)) => Some(configuration),
            Some(_) => return Err(invalid("params.configuration is no object")),
        };
        let asked = |key: &str| configuration.and_then(|configuration| configuration.get(key));
        if asked("pushNotificationConfig").is_some_and(|config| !config.is_null()) {
            return Err(no_push());
        }
        let accepted = asked("acceptedOutputModes").and_then(Value::as_array);
        let accepted = accepted.into_iter().flatten().filter_map(Value::as_str).take(MOST_MODES).map(str::to_owned);
        Ok(Self {
            key: delivery_key(params),
            history_length: configuration.map(history_length).transpose()?.flatten(),
            is_blocking: asked("blocking").and_then(Value::as_bool),
            accepted: accepted.collect(),
            bytes,
            fault_of_strangers,
            is_legacy: false,
            request: Value::Object(request),
        })
    }

    pub(super) fn message(&self) -> Option<&Map<String, Value>> {
        self.request.get("params")?.get("message")?.as_object()
    }

    /// A text of the message that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.message()?.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn metadata(&self) -> Option<&Map<String, Value>> {
        self.message()?.get("metadata")?.as_object()
    }

    /// The nonce, if the message only asks whether it arrives.
    pub(super) fn nonce(&self) -> Option<&str> {
        self.metadata()?.get(REACHABILITY)?.as_str().filter(|nonce| nonce.chars().count() <= LONGEST_NONCE)
    }

    pub(super) fn is_delegation(&self) -> bool {
        self.metadata().and_then(|metadata| metadata.get("delegation_id")).is_some_and(Value::is_string)
    }
}

/// The most accepted output modes that are looked at.
const MOST_MODES: usize = 32;

impl fmt::Debug for InboundCall {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Fault(fault) => write!(f, "InboundCall(refused with {})", fault.code),
            Kind::Send(call) if call.is_legacy => f.write_str("InboundCall(a legacy body)"),
            Kind::Send(_) => f.write_str("InboundCall(message/send)"),
            Kind::GetTask { .. } => f.write_str("InboundCall(tasks/get)"),
            Kind::CancelTask { .. } => f.write_str("InboundCall(tasks/cancel)"),
        }
    }
}

impl fmt::Debug for SendCall {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendCall").field("key", &self.key).finish_non_exhaustive()
    }
}
