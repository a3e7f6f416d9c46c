//! A message for a peer, and the options of its call.

use std::time::Duration;

use bytes::Bytes;
use molecule_proto::{Message, Part, RpcRequest, SendParams, TraceParent, refuse_nul_in_json};

use crate::config::options::check_limit;
use crate::config::route::Route;
use crate::error::{Error, Result};
use crate::session::{Dialect, Session};

/// A message for a peer, and the options of its call. A [`Message`] or a text can be given instead; the call then has
/// the agent's own options.
///
/// ```
/// use std::time::Duration;
/// use molecule_core::{PeerCall, Route};
/// use molecule_core::proto::{Message, Part};
///
/// let question = Message::text("which of these is yours?").with_part(Part::data(vec![1, 2, 3]));
/// let call = PeerCall::new(question).route(Route::Proxy).timeout(Duration::from_secs(20));
/// # let _ = call;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a message is not sent until it is handed to the agent"]
pub struct PeerCall {
    pub(super) message: Message,
    pub(super) route: Option<Route>,
    pub(super) timeout: Option<Duration>,
    expires_in: Option<Duration>,
}

impl PeerCall {
    /// Makes a call with the agent's own options. A message without an id gets a random one. A message with an id keeps
    /// it: give one only to a message that was sent before ([`Error::message_id`]), since the platform drops a second
    /// message of the same id.
    pub fn new(message: impl Into<Message>) -> Self {
        Self { message: message.into(), route: None, timeout: None, expires_in: None }
    }

    /// Sets the route of this call, in place of the agent's option.
    pub fn route(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    /// Sets how long the call may take, discovery and resends included; at most an hour. It bounds only the wait: the
    /// peer goes on working.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets the latest delivery of the message if the platform queues it; whole seconds from now.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }

    /// Sets the message's position in a trace, which the receiver reads in
    /// [`InboundMessage::trace_parent`](crate::InboundMessage::trace_parent). It travels in the message's metadata, since the
    /// platform's proxy passes no headers on.
    pub fn trace_parent(mut self, parent: TraceParent) -> Self {
        self.message = self.message.with_trace_parent(parent);
        self
    }

    /// Returns the time limit of the call.
    pub(super) fn limit(&self, session: &Session) -> Result<Duration> {
        let limit = self.timeout.unwrap_or(session.config().timeouts.peer);
        check_limit("call's", limit)?;
        Ok(limit)
    }

    /// Serializes the request's body, which is the same for every request of the call.
    pub(super) fn write(&self, session: &mut Session) -> Result<Written> {
        let mut message = self.message.clone();
        let id = message.message_id.take().filter(|id| !id.is_empty()).unwrap_or_else(|| session.uuid());
        let mut params = SendParams::new(message.with_id(id.clone()));
        params.expires_in_seconds = self.expires_in.map(|time| time.as_secs().max(1));
        let request = RpcRequest::send(session.uuid(), params);
        let text = serde_json::to_string(&request)
            .map_err(|_| Error::config("the message is not JSON", "use text keys and finite numbers"))?;
        refuse_nul_in_json("the message", &text)?;
        let (server, most) = match session.dialect {
            Some(Dialect::April) => ("April's platform", 1024 * 1024),
            Some(Dialect::Current) | None => ("the platform", 16 * 1024 * 1024),
        };
        if text.len() > most {
            return Err(Error::config(
                format!("the message takes {} bytes, and {server} takes {most}", text.len()),
                "send the files some other way, and say where they are",
            ));
        }
        Ok(Written { id, body: text.into() })
    }
}

/// A serialized message, which every request of the call repeats.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) id: String,
    pub(super) body: Bytes,
}

impl From<Message> for PeerCall {
    fn from(message: Message) -> Self {
        Self::new(message)
    }
}

impl From<Part> for PeerCall {
    fn from(part: Part) -> Self {
        Self::new(part)
    }
}

impl From<&str> for PeerCall {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for PeerCall {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
