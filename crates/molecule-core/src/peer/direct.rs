//! The way straight to the peer: what its own answer, or the lack of one, amounts to.

use bytes::Bytes;
use http::{Response, StatusCode};
use molecule_proto::{A2aAnswer, Reply, UnixTime};
use serde_json::Value;

use super::outcome::CallOutcome;
use super::proxy::A2a;
use crate::effect::{Fault, FaultKind, Sent};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::retry::retry_after;

/// What a direct call came to.
#[derive(Debug)]
pub(super) enum Direct {
    /// The peer has certainly not handled the message, and will not under this URL: another way is open.
    Refused(CallOutcome),
    /// The peer answered; where the answer is none of an A2A agent, the next message had better go another way.
    Outcome(CallOutcome, Fit),
    /// The peer may have handled the message, and nobody knows.
    Unclear(Error),
}

/// Whether what answers at a URL is an A2A agent that may be called there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
}

pub(super) fn answered(answer: &Response<Bytes>, now: UnixTime) -> Direct {
    let status = answer.status();
    let failed = |message: &str| CallOutcome::failed(Some(status), message);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Direct::Refused(failed("the peer takes no direct call"))
        }
        _ if status.is_success() => told(answer),
        _ if status.is_redirection() => {
            Direct::Outcome(failed("the answer is a redirect, which is never followed"), Fit::No)
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            match retry_after(answer.headers(), None, now) {
                Some(wait) => Direct::Outcome(CallOutcome::busy(Some(wait)), Fit::Yes),
                None => Direct::Outcome(error_of(answer), Fit::Yes),
            }
        }
        _ => Direct::Outcome(error_of(answer), Fit::Yes),
    }
}

/// An answer of a peer's own: none of the platform's notices is one, whatever its words.
fn told(answer: &Response<Bytes>) -> Direct {
    let status = answer.status();
    if answer.body().iter().all(u8::is_ascii_whitespace) {
        return Direct::Outcome(CallOutcome::DeliveredReplyLost, Fit::Yes);
    }
    match A2aAnswer::read(answer.body()) {
        A2aAnswer::Replied(reply) => Direct::Outcome(CallOutcome::answered(reply, status), Fit::Yes),
        A2aAnswer::Refused(refusal) => Direct::Outcome(CallOutcome::failed(None, refusal.error), Fit::Yes),
        A2aAnswer::NotJson => Direct::Outcome(CallOutcome::failed(None, "the reply is no JSON"), Fit::No),
        _ => {
            let value: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            Direct::Outcome(CallOutcome::Replied(Reply::from(value)), Fit::Yes)
        }
    }
}

/// The error of a status that is one.
fn error_of(answer: &Response<Bytes>) -> CallOutcome {
    let status = answer.status();
    match A2aAnswer::read(answer.body()) {
        A2aAnswer::Replied(reply) => CallOutcome::answered(reply, status),
        A2aAnswer::Refused(refusal) => CallOutcome::failed(Some(status), refusal.error),
        _ => CallOutcome::failed(Some(status), status.canonical_reason().unwrap_or("an error")),
    }
}

pub(super) fn failed(fault: Fault) -> Direct {
    let Fault { sent, kind, source } = fault;
    let (error_kind, cause) = match kind {
        FaultKind::Cancelled => return Direct::Unclear(Error::cancelled(A2a::OPERATION)),
        FaultKind::OutOfReach => return Direct::Refused(CallOutcome::NoUrl { status: None }),
        _ if sent == Sent::No => return Direct::Refused(CallOutcome::Unreachable),
        FaultKind::TooLarge => return Direct::Outcome(CallOutcome::DeliveredReplyLost, Fit::Yes),
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
        | FaultKind::Locked => {
            (ErrorKind::Interrupted, "the connection to the peer broke before its answer was complete")
        }
    };
    let detail = source.as_deref().map(|source| format!(": {source}")).unwrap_or_default();
    let error = Error::new(error_kind, A2a::OPERATION, format!("{cause}{detail}")).with_source(source);
    Direct::Unclear(error.with_may_have_acted(true))
}
