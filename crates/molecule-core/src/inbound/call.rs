//! A call as its body says it: JSON-RPC 2.0 around A2A 0.3, read without any lock.

use std::fmt;

use bytes::Bytes;
use http::request::Parts;
use molecule_proto::json::{self, Unreadable};
use molecule_proto::{MESSAGE_SEND, Message, RpcError, TASKS_CANCEL, TASKS_GET, header};
use serde_json::{Map, Value, json};

use super::legacy;
use super::shape::{part_fault, role_fault};
use crate::inbox::form::PushedRequest;
use crate::inbox::message::{delivery_key, key_of_delivery};
use crate::inbox::plain::{Envelope, PlainRequest};
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
    pub(super) request: PushedRequest,
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
        let text = match json::repair(&body) {
            Ok(text) => text,
            Err(Unreadable::TooManyValues) => {
                return Self::refused(RpcError::INVALID_REQUEST, "the body has too many values");
            }
            Err(_) => return Self::refused(RpcError::PARSE, "the body is not JSON"),
        };
        if let Some((request, envelope)) = PlainRequest::read(&text) {
            return Self::of_plain(head, request, envelope, body.len());
        }
        Self::of_values(head, &text, body.len())
    }

    /// Reads a request of any form by its values.
    fn of_values(head: &Parts, text: &str, bytes: usize) -> Self {
        let request = match json::read_repaired::<Value>(text) {
            Ok(Value::Object(request)) => request,
            Ok(Value::Array(_)) => return Self::refused(RpcError::INVALID_REQUEST, "A2A takes no batches"),
            Ok(_) => return Self::refused(RpcError::INVALID_REQUEST, "the body is no request object"),
            Err(_) => return Self::refused(RpcError::PARSE, "the body is not JSON"),
        };
        if legacy::is_legacy(&request) {
            return Self { id: Value::Null, kind: legacy::read(request, bytes) };
        }
        let id = request.get("id").cloned().unwrap_or_default();
        Self::of(head, id, || Kind::read(request, bytes))
    }

    fn of_plain(head: &Parts, request: PlainRequest, envelope: Envelope, bytes: usize) -> Self {
        let Envelope { id, configuration } = envelope;
        Self::of(head, id, || {
            let key = key_of_delivery(Some(&request.message_id), Some(&request.metadata));
            let call = Asked::read(configuration.as_ref()).map(|asked| SendCall {
                key,
                history_length: asked.history_length,
                is_blocking: asked.is_blocking,
                accepted: asked.accepted,
                bytes,
                fault_of_strangers: None,
                is_legacy: false,
                request: PushedRequest::Plain(Box::new(request)),
            });
            call.map_or_else(Kind::Fault, |call| Kind::Send(Box::new(call)))
        })
    }

    /// The call with this id, which is of this kind if the caller's version is served.
    fn of(head: &Parts, id: Value, kind: impl FnOnce() -> Kind) -> Self {
        match &id {
            Value::String(text) if text.len() > LONGEST_ID => {
                return Self::refused(RpcError::INVALID_REQUEST, "the id is too long");
            }
            Value::Null | Value::String(_) | Value::Number(_) => {}
            _ => return Self::refused(RpcError::INVALID_REQUEST, "the id is neither a string nor a number"),
        }
        let kind = match wrong_version(head) {
            Some(version) => Kind::Fault(
                RpcError::new(RpcError::VERSION_NOT_SUPPORTED, format!("A2A {version} is not served"))
                    .with_data(json!(VERSIONS)),
            ),
            None => kind(),
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
        let asked = Asked::read(configuration)?;
        Ok(Self {
            key: delivery_key(params),
            history_length: asked.history_length,
            is_blocking: asked.is_blocking,
            accepted: asked.accepted,
            bytes,
            fault_of_strangers,
            is_legacy: false,
            request: PushedRequest::Values(Value::Object(request)),
        })
    }

    /// The id of the conversation, if the sender named one.
    pub(super) fn context_id(&self) -> Option<&str> {
        match &self.request {
            PushedRequest::Plain(request) => request.context_id.as_deref(),
            PushedRequest::Values(request) => {
                request.get("params")?.get("message")?.get("contextId")?.as_str().filter(|text| !text.is_empty())
            }
        }
    }

    /// The metadata of the message.
    fn metadata(&self) -> Option<&Map<String, Value>> {
        match &self.request {
            PushedRequest::Plain(request) => Some(&request.message_metadata),
            PushedRequest::Values(request) => request.get("params")?.get("message")?.get("metadata")?.as_object(),
        }
    }

    /// The request as values, to be changed.
    pub(super) fn values(&mut self) -> &mut Value {
        if let PushedRequest::Plain(request) = &self.request {
            self.request = PushedRequest::Values(request.values());
        }
        let PushedRequest::Values(request) = &mut self.request else { unreachable!("it was made of values") };
        request
    }

    /// The nonce, if the message only asks whether it arrives.
    pub(super) fn nonce(&self) -> Option<&str> {
        self.metadata()?.get(REACHABILITY)?.as_str().filter(|nonce| nonce.chars().count() <= LONGEST_NONCE)
    }

    pub(super) fn is_delegation(&self) -> bool {
        self.metadata().and_then(|metadata| metadata.get("delegation_id")).is_some_and(Value::is_string)
    }
}

/// What a caller asks for in `params.configuration`.
struct Asked {
    history_length: Option<usize>,
    is_blocking: Option<bool>,
    accepted: Vec<String>,
}

impl Asked {
    fn read(configuration: Option<&Map<String, Value>>) -> Result<Self, RpcError> {
        let asked = |key: &str| configuration.and_then(|configuration| configuration.get(key));
        if asked("pushNotificationConfig").is_some_and(|config| !config.is_null()) {
            return Err(no_push());
        }
        let accepted = asked("acceptedOutputModes").and_then(Value::as_array);
        let accepted = accepted.into_iter().flatten().filter_map(Value::as_str).take(MOST_MODES).map(str::to_owned);
        Ok(Self {
            history_length: configuration.map(history_length).transpose()?.flatten(),
            is_blocking: asked("blocking").and_then(Value::as_bool),
            accepted: accepted.collect(),
        })
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_proto::{ActivityRow, ActivityType, UnixTime, WorkspaceId};

    use super::*;
    use crate::inbox::Sender;
    use crate::inbox::form::{self, Origin};

    /// Everything that is asked of a call, as text.
    fn told(call: InboundCall) -> String {
        let send = match call.kind {
            Kind::Send(send) => send,
            Kind::Fault(fault) => return format!("{} {fault:?}", call.id),
            Kind::GetTask { .. } | Kind::CancelTask { .. } => return "a task".to_owned(),
        };
        let own: WorkspaceId = "9f39ce87-2726-40d6-bb91-05eb57b17ef2".parse().unwrap();
        let asked = (send.history_length, send.is_blocking, &send.accepted, send.bytes, send.is_legacy);
        let said = (send.key, send.context_id(), send.metadata().cloned().unwrap_or_default());
        let said = format!("{} {asked:?} {said:?} {:?} {:?}", call.id, send.nonce(), send.fault_of_strangers);
        let id = Key::of_text("id").id();
        let message = form::pushed(send.request, Origin::Nowhere, &own, id, UnixTime::from_secs(7)).unwrap();
        let ids = (message.message_id(), message.context_id(), message.task_id(), message.delegation_id());
        let metadata = (message.metadata(), message.message_metadata(), message.trace_parent(), message.hops());
        let content = (message.parts(), message.text(), message.attachments(), message.sender());
        let row = (serde_json::to_string(message.raw()).unwrap(), message.json().to_owned());
        assert_eq!(row.0, row.1);
        let keys = (message.read_duplicate_key(), message.conversation());
        format!("{said} {ids:?} {metadata:?} {content:?} {} {keys:?} {:?}", row.0, message.received_at())
    }

    /// Reads a body in both ways, and returns whether it is plain.
    fn is_plain(head: &Parts, body: &str) -> bool {
        let text = json::repair(body.as_bytes()).unwrap();
        let is_plain = PlainRequest::read(&text).is_some();
        let quick = told(InboundCall::read(head, Bytes::copy_from_slice(body.as_bytes())));
        assert_eq!(quick, told(InboundCall::of_values(head, &text, body.len())), "{body}");
        is_plain
    }

    #[test]
    fn a_request_of_texts_alone_is_read_as_any_other() {
        let head = http::Request::new(()).into_parts().0;
        let of = |message: &str, rest: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":"1","method":"message/send","params":{{"message":{message}{rest}}}}}"#)
        };
        let text = r#""parts":[{"kind":"text","text":"hello"}]"#;
        for (message, rest) in [
            (r#"{"messageId":"m","role":"user",T}"#, ""),
            (r#"{"kind":"message","messageId":"m\n\u00e9","role":"agent","x":{"y":[1]},T}"#, r#","z":1"#),
            (r#"{"messageId":"m","role":"user","parts":[]}"#, ""),
            (
                r#"{"messageId":"m","role":"user","parts":[{"type":"text","text":"a\"b"},{"text":"","kind":"text"}]}"#,
                "",
            ),
            (r#"{"messageId":"m","role":"user","contextId":"c","taskId":"t",T}"#, ""),
            (r#"{"messageId":"m","role":"user","contextId":"","taskId":null,"content":null,T}"#, ""),
            (r#"{"messageId":"m","role":"user","metadata":{"delegation_id":"d","molecule.hops":3},T}"#, ""),
            (r#"{"messageId":"m","role":"user","metadata":null,T}"#, r#","metadata":null"#),
            (r#"{"messageId":"channel-x-1","role":"user",T}"#, r#","metadata":{"source":"telegram","chat_id":"7"}"#),
            (r#"{"messageId":"m","role":"user",T}"#, r#","metadata":{"source":"github","delivery_id":"d"}"#),
            (r#"{"messageId":"cron-12345678-abcdef01","role":"user",T}"#, ""),
            (r#"{"messageId":"m","role":"user","metadata":{"source":"platform","kind":"stall_probe"},T}"#, ""),
            (r#"{"messageId":"m","role":"user","metadata":{"molecule.reachability":"nonce"},T}"#, ""),
            (r#"{"messageId":"m","role":"user",T}"#, r#","configuration":{"blocking":false,"historyLength":2}"#),
            (r#"{"messageId":"m","role":"user",T}"#, r#","configuration":{"acceptedOutputModes":["text/plain",7]}"#),
            (r#"{"messageId":"m","role":"user",T}"#, r#","configuration":{"historyLength":-1}"#),
            (r#"{"messageId":"m","role":"user",T}"#, r#","configuration":{"pushNotificationConfig":{}}"#),
            (r#"{"messageId":"m","role":"user",T}"#, r#","configuration":null"#),
        ] {
            assert!(is_plain(&head, &of(&message.replace('T', text), rest)), "{message} {rest}");
        }
        for id in ["7", "null", "-1.5", "\"\"", "[1]", "{}", "true", &format!("\"{}\"", "x".repeat(LONGEST_ID + 1))] {
            let body = of(&format!(r#"{{"messageId":"m","role":"user",{text}}}"#), "").replace("\"1\"", id);
            assert!(is_plain(&head, &body), "{id}");
        }
    }

    #[test]
    fn a_request_of_another_form_is_read_by_its_values() {
        let head = http::Request::new(()).into_parts().0;
        let good = r#"{"jsonrpc":"2.0","id":"1","method":"message/send","params":{"message":{"messageId":"m","role":"user","parts":[{"kind":"text","text":"hello"}]}}}"#;
        assert!(is_plain(&head, good));
        for (from, to) in [
            (r#""2.0""#, r#""1.0""#),
            (r#""jsonrpc":"2.0","#, ""),
            ("message/send", "message/stream"),
            ("message/send", "tasks/get"),
            (r#""messageId":"m""#, r#""messageId":"""#),
            (r#""messageId":"m""#, r#""messageId":7"#),
            (r#""messageId":"m""#, r#""message_id":"m""#),
            (r#""messageId":"m""#, r#""messageId":"m","messageId":"n""#),
            (r#""messageId":"m""#, r#""messageId":"m","message_id":"n""#),
            (r#""messageId":"m""#, r#""messageId":"m","context_id":"n""#),
            (r#""messageId":"m""#, r#""messageId":"m","content":"n""#),
            (r#""messageId":"m""#, r#""messageId":"m","contextId":7"#),
            (r#""messageId":"m""#, r#""messageId":"m","metadata":[]"#),
            (r#""role":"user","#, ""),
            (r#""user""#, r#""nobody""#),
            (r#""user""#, "null"),
            (r#""kind":"text""#, r#""kind":"data""#),
            (r#""kind":"text","#, ""),
            (r#""kind":"text""#, r#""kind":"text","type":"text""#),
            (r#""kind":"text""#, r#""kind":"text","metadata":{"a":1}"#),
            (r#"{"kind":"text","text":"hello"}"#, r#"["text","hello"]"#),
            (r#"{"kind":"text","text":"hello"}"#, r#""hello""#),
            (r#"{"kind":"text","text":"hello"}"#, r#"{"kind":"file","file":{"uri":"https://h/f"}}"#),
            (r#"[{"kind":"text","text":"hello"}]"#, "{}"),
            (r#"{"message":"#, r#"{"metadata":7,"message":"#),
            (r#"{"message":"#, r#"{"configuration":7,"message":"#),
        ] {
            let body = good.replacen(from, to, 1);
            assert_ne!(body, good);
            assert!(!is_plain(&head, &body), "{body}");
        }
        let said = r#"{"messageId":"m","role":"user","parts":[]}"#;
        for body in [
            format!(r#"["2.0","1","message/send",{{"message":{said}}}]"#),
            format!(r#"{{"jsonrpc":"2.0","method":"message/send","params":[{said}]}}"#),
            r#"{"jsonrpc":"2.0","method":"message/send","params":{"message":["m","user"]}}"#.to_owned(),
            r#"{"message":"legacy"}"#.to_owned(),
            "7".to_owned(),
        ] {
            assert!(!is_plain(&head, &body), "{body}");
        }
        let many = vec![r#"{"kind":"text","text":""}"#; Message::MAX_PARTS + 1].join(",");
        assert!(!is_plain(&head, &good.replace(r#"{"kind":"text","text":"hello"}"#, &many)));
    }

    #[test]
    fn a_message_that_was_read_quickly_is_made_of_the_same_row() {
        let head = http::Request::new(()).into_parts().0;
        let body = r#"{"jsonrpc":"2.0","method":"message/send","params":{"message":{"messageId":"m","role":"user","parts":[{"kind":"text","text":"hi"}]}}}"#;
        let own: WorkspaceId = "9f39ce87-2726-40d6-bb91-05eb57b17ef2".parse().unwrap();
        let peer: WorkspaceId = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        let id = || Key::of_text("id").id();
        let mut row = ActivityRow::new(id(), own.clone(), ActivityType::A2aReceive, UnixTime::from_secs(9));
        (row.source_id, row.peer_name, row.seq) = (Some(peer.clone()), Some("Ada".to_owned()), Some(4));
        let of = |call: InboundCall, origin| {
            let Kind::Send(send) = call.kind else { panic!("no message") };
            form::pushed(send.request, origin, &own, id(), UnixTime::from_secs(7))
        };
        let quick = || InboundCall::read(&head, Bytes::from_static(body.as_bytes()));
        let long = || InboundCall::of_values(&head, body, body.len());
        let origins = || [Origin::Row(Box::new(row.clone())), Origin::Peer(peer.clone())];
        for (one, same) in origins().into_iter().zip(origins()) {
            let (quick, long) = (of(quick(), one).unwrap(), of(long(), same).unwrap());
            assert_eq!(quick.json(), long.json());
            assert_eq!((quick.sender(), quick.received_at()), (long.sender(), long.received_at()));
            assert!(matches!(quick.sender(), Sender::Peer { id, .. } if *id == peer));
        }
        assert!(of(quick(), Origin::Peer(own.clone())).is_none(), "the agent's own");
    }
}
