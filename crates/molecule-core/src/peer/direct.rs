//! The direct route to a peer: the meaning of its answer, or of no answer.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use molecule_proto::{A2aAnswer, Reply, UnixTime, json};
use serde_json::Value;

use super::outcome::CallOutcome;
use super::proxy::{A2a, is_reply};
use crate::call::retry::retry_after;
use crate::effect::{Fault, FaultKind, Sent};
use crate::endpoint::Endpoint;
use crate::endpoint::refusal::{begins_as_html, is_web_page, too_large};
use crate::error::{Error, ErrorKind};

/// The result of a direct call.
#[derive(Debug)]
pub(super) enum Direct {
    /// The peer has certainly not handled the message and will not handle it at this URL: another route may be tried.
    Refused(CallOutcome),
    /// The peer answered. If the answer is not one of an A2A agent, the next message should take another route.
    Outcome(CallOutcome, Fit),
    /// It is unknown whether the peer has handled the message.
    Unclear(Error),
}

/// Whether an A2A agent that may be called answers at a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
}

/// Returns the result of a call that the peer answered.
pub(super) fn answered(answer: &Response<Bytes>, now: UnixTime) -> Direct {
    let status = answer.status();
    match by_status(status) {
        Some(end) => end,
        None if status.is_success() => accepted(answer),
        None => failed_with(status, answer.headers(), now, || error_of(answer)),
    }
}

/// Returns the result of a call whose answer is too long to be read.
pub(super) fn answered_at_length(head: &Response<()>, now: UnixTime) -> Direct {
    let status = head.status();
    match by_status(status) {
        Some(end) => end,
        None if is_reply(head) => Direct::Outcome(CallOutcome::DeliveredReplyLost, Fit::Yes),
        None if status.is_success() && is_web_page(head.headers()) => page(),
        None if status.is_success() => {
            let error = too_large(A2a::OPERATION, head, A2a::MAX_BODY);
            Direct::Unclear(error.with_may_have_acted(true))
        }
        None => failed_with(status, head.headers(), now, || of_status(status)),
    }
}

/// Returns the result if the status alone decides it.
fn by_status(status: StatusCode) -> Option<Direct> {
    let failed = |message: &str| CallOutcome::failed(Some(status), message);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Some(Direct::Refused(failed("the peer takes no direct call")))
        }
        _ if status.is_redirection() => {
            Some(Direct::Outcome(failed("the answer is a redirect, which is never followed"), Fit::No))
        }
        _ => None,
    }
}

/// Returns the result of an error's status. A busy peer says when to try again.
fn failed_with(status: StatusCode, headers: &HeaderMap, now: UnixTime, error: impl FnOnce() -> CallOutcome) -> Direct {
    let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let wait = if is_busy { retry_after(headers, None, now) } else { None };
    let outcome = wait.map_or_else(error, |wait| CallOutcome::busy(Some(wait)));
    Direct::Outcome(outcome, Fit::Yes)
}

/// Returns the result of a call that a website answered.
fn page() -> Direct {
    Direct::Outcome(CallOutcome::web_page(), Fit::No)
}

/// Returns the result of a 2xx answer. If it uses the words of a platform's notice, they are the peer's own here.
fn accepted(answer: &Response<Bytes>) -> Direct {
    let (status, body) = (answer.status(), answer.body());
    let has_type = answer.headers().contains_key(CONTENT_TYPE);
    match A2aAnswer::read(body) {
        A2aAnswer::Replied(reply) => Direct::Outcome(CallOutcome::answered(reply, status), Fit::Yes),
        A2aAnswer::Refused(refusal) => Direct::Outcome(CallOutcome::failed(None, refusal.error), Fit::Yes),
        A2aAnswer::NotJson if is_web_page(answer.headers()) => page(),
        A2aAnswer::NotJson if !has_type && body.trim_ascii_start().starts_with(b"<") => page(),
        A2aAnswer::NotJson if begins_as_html(body) => page(),
        A2aAnswer::NotJson => Direct::Outcome(CallOutcome::plain_text(answer), Fit::Yes),
        A2aAnswer::Empty | A2aAnswer::TooManyValues => Direct::Outcome(CallOutcome::DeliveredReplyLost, Fit::Yes),
        A2aAnswer::Other(value) => Direct::Outcome(CallOutcome::Replied(Reply::from(value)), Fit::Yes),
        _ => {
            let value: Value = json::read(body).unwrap_or_default();
            Direct::Outcome(CallOutcome::Replied(Reply::from(value)), Fit::Yes)
        }
    }
}

/// Returns the outcome of an error's status.
fn error_of(answer: &Response<Bytes>) -> CallOutcome {
    let status = answer.status();
    match A2aAnswer::read(answer.body()) {
        A2aAnswer::Replied(reply) => CallOutcome::answered(reply, status),
        A2aAnswer::Refused(refusal) => CallOutcome::failed(Some(status), refusal.error),
        _ => of_status(status),
    }
}

fn of_status(status: StatusCode) -> CallOutcome {
    CallOutcome::failed(Some(status), status.canonical_reason().unwrap_or("an error"))
}

pub(super) fn failed(fault: Fault) -> Direct {
    let Fault { sent, kind, source, .. } = fault;
    let (error_kind, cause) = match kind {
        FaultKind::Cancelled => return Direct::Unclear(Error::cancelled(A2a::OPERATION)),
        FaultKind::OutOfReach => return Direct::Refused(CallOutcome::NoUrl { status: None }),
        _ if sent == Sent::No => return Direct::Refused(CallOutcome::Unreachable),
        FaultKind::TooLarge => (ErrorKind::TooLarge, "the peer's answer is longer than anybody reads"),
        FaultKind::Timeout(_) => (ErrorKind::Timeout, "the peer did not answer within the limit"),
        FaultKind::Protocol => (ErrorKind::Protocol, "what the peer answered is no HTTP"),
        FaultKind::Tls | FaultKind::CertificateTime | FaultKind::NotTls => {
            (ErrorKind::Tls, "the TLS connection to the peer was refused")
        }
        FaultKind::Resolve
        | FaultKind::Connect
        | FaultKind::Proxy
        | FaultKind::ProxyAuth
        | FaultKind::Interrupted
        | FaultKind::Archive
        | FaultKind::Host(_)
        | FaultKind::File
        | FaultKind::Handler
        | FaultKind::HandlerPanicked
        | FaultKind::TryAgain
        | FaultKind::Locked => {
            (ErrorKind::Interrupted, "the connection to the peer broke before its answer was complete")
        }
    };
    let detail = source.as_deref().map(|source| format!(": {source}")).unwrap_or_default();
    let error = Error::new(error_kind, A2a::OPERATION, format!("{cause}{detail}")).with_source(source);
    Direct::Unclear(error.with_may_have_acted(true))
}
