//! The part of judging an answer that does not need the session.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use molecule_proto::{ErrorBody, Token, WorkspaceId};

use crate::endpoint::Endpoint;
use crate::endpoint::refusal;
use crate::error::{Error, Result};

/// A judged answer.
pub(crate) struct Judged<A> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The server's error body, if the answer has one.
    pub(crate) body: Option<ErrorBody>,
    /// Whether the status may come from a peer.
    pub(crate) is_relayed: bool,
    /// Whether the server may give this answer only because its database is down.
    pub(crate) is_doubtful: bool,
    pub(crate) verdict: Verdict<A>,
}

pub(crate) enum Verdict<A> {
    /// The endpoint accepts the answer, and this is its decoded value.
    Accepted(Result<A>),
    /// Any other answer. The error does not state yet how long to wait.
    Refused(Error),
}

/// Judges the answer to a request of this workspace's agent that carried this credential.
pub(crate) fn judge<E: Endpoint>(
    endpoint: &E,
    workspace: &WorkspaceId,
    credential: Option<&Token>,
    answer: Response<Bytes>,
) -> Judged<E::Answer> {
    let answer = if E::RELAYED { without_credential(credential, answer) } else { answer };
    let body = if answer.status().is_success() { None } else { error_body(credential, &answer) };
    let is_relayed = endpoint.is_relayed(&answer);
    let is_doubtful = endpoint.is_doubtful(&answer);
    let verdict = if endpoint.accepts(&answer) {
        Verdict::Accepted(decode(endpoint, workspace, &answer))
    } else {
        Verdict::Refused(refusal::refused(E::OPERATION, &answer, body.as_ref(), None))
    };
    let (head, _) = answer.into_parts();
    Judged { status: head.status, headers: head.headers, body, is_relayed, is_doubtful, verdict }
}

fn decode<E: Endpoint>(endpoint: &E, workspace: &WorkspaceId, answer: &Response<Bytes>) -> Result<E::Answer> {
    if !endpoint.is_about(workspace, answer) {
        return Err(refusal::of_another(E::OPERATION, answer.status()));
    }
    endpoint.decode(answer).or_else(|why| {
        let known = if why.is_too_large { endpoint.too_large(&head(answer)) } else { None };
        known.ok_or_else(|| refusal::mismatch(E::OPERATION, answer, E::SHAPE, why))
    })
}

fn head(answer: &Response<Bytes>) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = answer.status();
    *head.headers_mut() = answer.headers().clone();
    head
}

/// Removes the request's credential from a relayed answer. A gateway before the platform might quote it, and a peer's
/// words are shown as they come.
fn without_credential(credential: Option<&Token>, answer: Response<Bytes>) -> Response<Bytes> {
    let Some(credential) = credential.map(Token::expose) else { return answer };
    if std::str::from_utf8(answer.body()).is_ok_and(|text| !text.contains(credential)) {
        return answer;
    }
    let credential = credential.as_bytes();
    let mut clean = Vec::new();
    let mut rest = &answer.body()[..];
    while let Some(at) = rest.windows(credential.len()).position(|bytes| bytes == credential) {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(b"[redacted]");
        rest = &rest[at + credential.len()..];
    }
    if rest.len() == answer.body().len() {
        return answer;
    }
    clean.extend_from_slice(rest);
    answer.map(|_| clean.into())
}

/// Returns the server's error body. Some servers and proxies echo the request, so its credential is redacted.
fn error_body(credential: Option<&Token>, answer: &Response<Bytes>) -> Option<ErrorBody> {
    let mut body = refusal::error_body(answer)?;
    if let Some(credential) = credential {
        let redact = |text: &str| text.replace(credential.expose(), "[redacted]");
        body.error = redact(&body.error);
        body.code = body.code.map(|code| redact(&code));
    }
    Some(body)
}
