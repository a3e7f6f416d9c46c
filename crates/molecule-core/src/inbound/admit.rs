//! The judgement of a head, before a byte of the body is read: framing, path, method, credential, length.

use core::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Version};
use molecule_proto::{Time, Token, WorkspaceId};

use super::answer::{Refusal, close, error_answer, json_answer, unauthorized, wrong_method};
use crate::config::http_url::HttpUrl;
use crate::machine::Cx;
use crate::session::Dialect;

/// What becomes of a request by its head.
#[derive(Debug)]
pub enum Admission {
    /// It is answered without its body. If the answer says `Connection: close`, the connection is closed behind it.
    Answer(Response<Bytes>),
    /// It is a call: read its body, then [`InboundCall::read`](super::InboundCall::read) and
    /// [`Inbound::handle`](super::Inbound::handle).
    Read(Caller),
    /// The platform hands files over, as `multipart/form-data` (contract section 10.4): read them with
    /// [`Ingest`](super::Ingest).
    Ingest(Caller),
    /// Another call of the platform to a path below the registered one (contract section 10.4). A hook of the application
    /// takes it, or it is [`Refusal::NOT_FOUND`].
    Other(Caller),
    /// Nobody knows yet whether its credential is good: the answer to a register that is under way may bring the secret. Judge
    /// the same head again after this time.
    Later(Duration),
    /// The connection is closed without an answer.
    Close,
}

/// Who calls, by the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub(super) Who);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// The platform, by its inbound secret.
    Platform,
    /// A direct peer, by its own token.
    Peer(WorkspaceId),
    /// Somebody, at a server that needs no credential: April's platform, or a program on the same machine.
    Anyone,
}

/// The paths that are served.
#[derive(Debug)]
pub(super) struct Paths {
    /// The path of the registered URL.
    calls: String,
    /// The same, without a slash at its end.
    base: String,
}

/// Where files are handed over, behind the registered path.
const INGEST: &str = "/internal/chat/uploads/ingest";
/// What all other calls of the platform begin with.
const INTERNAL: &str = "/internal/";
/// Where the card is, at the origin and behind the registered path. The second name is that of A2A 0.2.
const CARDS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];
const HEALTH: &str = "/healthz";

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Calls,
    Card,
    Health,
    Ingest,
    Internal,
    Nothing,
}

impl Paths {
    pub(super) fn of(url: &str) -> Self {
        let path = HttpUrl::read(url).map_or_else(|_| String::new(), |url| url.uri.path().to_owned());
        let calls = if path.is_empty() { "/".to_owned() } else { path };
        let base = calls.strip_suffix('/').unwrap_or(&calls).to_owned();
        Self { calls, base }
    }

    fn place(&self, path: &str, is_get: bool) -> Place {
        if path == self.calls && !is_get {
            return Place::Calls;
        }
        let below = path.strip_prefix(self.base.as_str()).filter(|rest| rest.starts_with('/'));
        match below {
            _ if CARDS.contains(&path) || below.is_some_and(|rest| CARDS.contains(&rest)) => Place::Card,
            _ if path == HEALTH => Place::Health,
            Some(INGEST) => Place::Ingest,
            Some(rest) if rest.starts_with(INTERNAL) => Place::Internal,
            _ if path == self.calls => Place::Calls,
            _ => Place::Nothing,
        }
    }
}

/// What a server judges heads by.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) paths: Paths,
    pub(super) peers: Vec<(WorkspaceId, Token)>,
    pub(super) allow_unauthenticated: bool,
    pub(super) body_bytes: usize,
    /// Until when heads wait for the answer of the register that is under way.
    pub(super) waits_until: Option<Time>,
}

/// How long the platform's calls wait for the answer to the register by which it learned the URL. That answer brings the secret
/// that the calls carry.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The interval at which it is looked whether the answer has come.
const LOOK: Duration = Duration::from_millis(20);

impl Gate {
    /// Judges a head. `card` makes the answer with the agent's card.
    pub(super) fn admit(
        &mut self,
        cx: &mut Cx<'_>,
        head: &Parts,
        _from: IpAddr,
        card: impl FnOnce(&mut Cx<'_>, &HeaderMap) -> Response<Bytes>,
    ) -> Admission {
        if !is_framed_once(head) {
            return Admission::Answer(Refusal::MALFORMED.answer());
        }
        let is_get = matches!(head.method, Method::GET | Method::HEAD);
        let place = self.paths.place(head.uri.path(), is_get);
        let early = |answer| Admission::Answer(without_body(head, answer));
        match place {
            Place::Card if is_get => return early(card(cx, &head.headers)),
            Place::Health if is_get => return early(json_answer(StatusCode::OK, &br#"{"status":"ok"}"#[..])),
            Place::Card | Place::Health => return early(wrong_method("GET, HEAD")),
            Place::Nothing => return early(Refusal::NOT_FOUND.answer()),
            Place::Calls | Place::Ingest if head.method != Method::POST => return early(wrong_method("POST")),
            Place::Calls | Place::Ingest | Place::Internal => {}
        }
        let Some(who) = self.caller(cx, &head.headers) else {
            let wait = self.wait_for_register(cx).filter(|_| bearer(&head.headers).is_some());
            return wait.map_or_else(|| early(unauthorized()), Admission::Later);
        };
        if who == Who::Platform {
            cx.session.pushed(cx.now);
        }
        match place {
            Place::Calls if length(&head.headers).is_some_and(|length| length > self.body_bytes as u64) => {
                Admission::Answer(Refusal::BODY_TOO_LARGE.answer())
            }
            Place::Calls => Admission::Read(Caller(who)),
            // Direct peers have no business there.
            _ if matches!(who, Who::Peer(_)) => early(error_answer(StatusCode::NOT_FOUND, "not found")),
            Place::Ingest => Admission::Ingest(Caller(who)),
            _ => Admission::Other(Caller(who)),
        }
    }

    /// Returns whether this is a call as April's platform makes it, refused since it has no credential.
    pub(super) fn refuses_april(&self, cx: &Cx<'_>, head: &Parts, admission: &Admission) -> bool {
        matches!(admission, Admission::Answer(answer) if answer.status() == StatusCode::UNAUTHORIZED)
            && cx.session.dialect == Some(Dialect::April)
            && !self.allow_unauthenticated
            && !head.headers.contains_key(AUTHORIZATION)
    }

    /// Returns after which time a head with an unknown credential is judged again; `None` if it is to be refused now.
    fn wait_for_register(&mut self, cx: &Cx<'_>) -> Option<Duration> {
        if !cx.session.is_server_being_registered() {
            self.waits_until = None;
            return None;
        }
        let until = *self.waits_until.get_or_insert(cx.now.mono + LONGEST_WAIT);
        let left = until.since(cx.now.mono);
        (!left.is_zero()).then(|| left.min(LOOK))
    }

    /// Returns who calls; `None` for whoever must not. Once a secret is known nobody is served without a credential.
    fn caller(&self, cx: &Cx<'_>, headers: &HeaderMap) -> Option<Who> {
        let given = bearer(headers).unwrap_or_default();
        // All are compared, so that the time tells nothing of which one is alike.
        let mut who = None;
        let secrets = cx.session.inbound_secrets(cx.now);
        for secret in secrets.iter() {
            if is_equal(given, secret.expose().as_bytes()) {
                who = Some(Who::Platform);
            }
        }
        for (peer, token) in &self.peers {
            if is_equal(given, token.expose().as_bytes()) {
                who.get_or_insert_with(|| Who::Peer(peer.clone()));
            }
        }
        let is_open = self.allow_unauthenticated && secrets.is_none_known();
        who.or(is_open.then_some(Who::Anyone))
    }
}

/// Returns whether a head says once and plainly where the request ends, and whom it is for.
fn is_framed_once(head: &Parts) -> bool {
    let count = |name| head.headers.get_all(name).iter().count();
    let lengths = count(CONTENT_LENGTH);
    let encodings = count(TRANSFER_ENCODING);
    let is_chunked =
        || head.headers.get(TRANSFER_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let is_number = || {
        head.headers.get(CONTENT_LENGTH).is_some_and(|value| {
            !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit) && value.len() <= 19
        })
    };
    match (lengths, encodings) {
        (0, 0) => {}
        (1, 0) if is_number() => {}
        (0, 1) if is_chunked() && head.version >= Version::HTTP_11 => {}
        _ => return false,
    }
    match count(HOST) {
        0 => head.version < Version::HTTP_11,
        1 => true,
        _ => false,
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Closes the connection behind an answer to a request that has a body: nobody reads it, and what is left of it must not
/// be taken for the next request.
fn without_body(head: &Parts, mut answer: Response<Bytes>) -> Response<Bytes> {
    let has_body =
        head.headers.contains_key(TRANSFER_ENCODING) || length(&head.headers).is_some_and(|length| length > 0);
    if has_body {
        close(&mut answer);
    }
    answer
}

/// The credential of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, rest) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

/// Compares what was given with a secret, in a time that depends on the former alone.
fn is_equal(given: &[u8], secret: &[u8]) -> bool {
    let mut difference = given.len() ^ secret.len();
    for (at, byte) in given.iter().enumerate() {
        let other = secret.get(at % secret.len().max(1)).copied().unwrap_or_default();
        difference |= usize::from(std::hint::black_box(byte ^ other));
    }
    std::hint::black_box(difference) == 0 && !secret.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_equal_text_is_equal() {
        for (given, secret, expected) in [
            ("abc", "abc", true),
            ("abd", "abc", false),
            ("ab", "abc", false),
            ("abcabc", "abc", false),
            ("", "abc", false),
            ("", "", false),
            ("abc", "", false),
        ] {
            assert_eq!(is_equal(given.as_bytes(), secret.as_bytes()), expected, "{given} {secret}");
        }
    }

    #[test]
    fn the_paths_are_those_of_the_registered_url() {
        for (url, path, is_get, expected) in [
            ("http://h", "/", false, Place::Calls),
            ("http://h/", "/", false, Place::Calls),
            ("http://h/", "", false, Place::Nothing),
            ("http://h/a2a/inbound?k=v", "/a2a/inbound", false, Place::Calls),
            ("http://h/a2a/inbound", "/a2a/inbound/", false, Place::Nothing),
            ("http://h/a2a/", "/a2a", false, Place::Nothing),
            ("http://h/a2a/", "/a2a/internal/chat/uploads/ingest", false, Place::Ingest),
            ("http://h/a2a", "/a2a/internal/file/read", true, Place::Internal),
            ("http://h/a2a", "/internal/file/read", true, Place::Nothing),
            ("http://h/", "/internal/daemons/reload", false, Place::Internal),
            ("http://h/a2a", "/a2ab/internal/file/read", true, Place::Nothing),
            ("http://h/a2a", "/.well-known/agent-card.json", true, Place::Card),
            ("http://h/a2a", "/a2a/.well-known/agent-card.json", true, Place::Card),
            ("http://h/a2a", "/a2a/.well-known/agent.json", true, Place::Card),
            ("http://h/a2a", "/healthz", true, Place::Health),
            ("http://h/healthz", "/healthz", false, Place::Calls),
            ("http://h/healthz", "/healthz", true, Place::Health),
            ("http://h/a2a", "/a2a", true, Place::Calls),
            ("http://h/a2a", "/", true, Place::Nothing),
        ] {
            assert_eq!(Paths::of(url).place(path, is_get), expected, "{url} {path}");
        }
    }
}
