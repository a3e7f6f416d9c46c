//! Answers: envelopes of JSON-RPC, fixed texts, and what the driver says for itself.

use std::fmt;
use std::io::Write as _;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use molecule_proto::RpcError;
use serde_json::{Value, json};

use super::ticket::Ticket;

/// The answer to a call.
pub enum Answer {
    /// It is there.
    Ready(Response<Bytes>),
    /// It follows as [`Turn::Answer`](super::Turn::Answer) under the same ticket.
    Later(Ticket),
    /// None: the connection is closed without a byte, upon which the platform puts the message into its queue.
    Cut,
}

impl fmt::Debug for Answer {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => write!(f, "Ready({}, {} bytes)", answer.status(), answer.body().len()),
            Self::Later(Ticket(number)) => write!(f, "Later({number})"),
            Self::Cut => f.write_str("Cut"),
        }
    }
}

/// Why a request is refused: the status and the text of its answer. The connection is closed behind it, since nobody reads the
/// request to its end, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// Its text, a sentence.
    pub why: &'static str,
    keeps_connection: bool,
}

impl Refusal {
    /// The head can be read in two ways.
    pub(super) const MALFORMED: Self = Self::new(StatusCode::BAD_REQUEST, "the request is malformed");
    /// The body is longer than its limit.
    pub const BODY_TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body of the request is too large for this agent");
    /// The path is not served, or a call of the platform is not offered (contract section 10.4).
    pub const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "not found").keeping_the_connection();

    /// Makes a refusal behind which the connection is closed.
    pub const fn new(status: StatusCode, why: &'static str) -> Self {
        Self { status, why, keeps_connection: false }
    }

    /// Leaves the connection open: the request was read to its end, or has no body.
    pub const fn keeping_the_connection(mut self) -> Self {
        self.keeps_connection = true;
        self
    }

    /// Returns the answer.
    pub fn answer(self) -> Response<Bytes> {
        let mut answer = error_answer(self.status, self.why);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if !self.keeps_connection {
            close(&mut answer);
        }
        answer
    }
}

/// An answer of JSON.
pub(super) fn json_answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// `{"error": …}`, whose text the platform passes on.
pub(super) fn error_answer(status: StatusCode, error: &str) -> Response<Bytes> {
    json_answer(status, json!({"error": error}).to_string())
}

/// The one answer to a wrong credential, whatever is wrong with it.
pub(super) fn unauthorized() -> Response<Bytes> {
    let mut answer = json_answer(StatusCode::UNAUTHORIZED, Bytes::from_static(br#"{"error":"unauthorized"}"#));
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn wrong_method(allowed: &'static str) -> Response<Bytes> {
    let mut answer = error_answer(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Has the connection closed behind the answer.
pub(super) fn close(answer: &mut Response<Bytes>) {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// The wait that a caller is asked for who is told that the agent is busy, in seconds.
const RETRY_AFTER_SECS: u32 = 5;

/// What a direct peer is told by an agent that is busy.
pub(super) fn busy_error() -> RpcError {
    RpcError::new(RpcError::BUSY, "the agent is busy").with_data(json!({"retry_after": RETRY_AFTER_SECS}))
}

/// What the platform is told by an agent that is busy, for a message that was cut before. It tries again, five times.
pub(super) fn busy_answer() -> Response<Bytes> {
    let mut answer = error_answer(StatusCode::SERVICE_UNAVAILABLE, "the agent is busy");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECS));
    answer
}

/// The error of a handler that failed. What has failed is told to the application alone.
pub(super) fn failed_error() -> RpcError {
    RpcError::new(RpcError::INTERNAL, FAILED)
}

pub(super) const FAILED: &str = "the agent failed to handle the message";

/// What came of a message, without the id of a request: it is given to whoever sends the message again.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) status: StatusCode,
    /// Whether the body is a member of JSON-RPC's envelope; else it is the whole body.
    pub(super) is_rpc: bool,
    pub(super) body: Bytes,
}

impl Settled {
    /// A result, as JSON.
    pub(super) fn result(result: &str) -> Self {
        Self { status: StatusCode::OK, is_rpc: true, body: ["\"result\":", result].concat().into() }
    }

    /// With HTTP 200: at other statuses the platform passes on a text alone (contract section 10.3).
    pub(super) fn error(error: &RpcError) -> Self {
        let error = serde_json::to_string(error).expect("all keys of an error are strings");
        Self { status: StatusCode::OK, is_rpc: true, body: format!("\"error\":{error}").into() }
    }

    pub(super) fn whole(status: StatusCode, body: &Value) -> Self {
        Self { status, is_rpc: false, body: body.to_string().into() }
    }

    /// The answer to the request with this id.
    pub(super) fn answer(&self, id: &Value) -> Response<Bytes> {
        if !self.is_rpc {
            return json_answer(self.status, self.body.clone());
        }
        let mut body = Vec::with_capacity(self.body.len() + 80);
        body.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        write!(body, "{id}").expect("a vector takes everything");
        body.push(b',');
        body.extend_from_slice(&self.body);
        body.push(b'}');
        json_answer(self.status, body)
    }
}

impl fmt::Debug for Settled {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settled({}, {} bytes)", self.status, self.body.len())
    }
}
