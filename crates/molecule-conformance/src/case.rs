//! A conformance case: the peer's script, the requests, their limits, and the allowed outcomes.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Limits, Sent};
use rustls::HandshakeKind;

use super::act::PeerAction;

/// The host name of a platform on another machine, which is reached through a proxy.
pub(super) const ELSEWHERE: &str = "platform.example";

/// The bearer of every request.
pub(super) const BEARER: &str = "Bearer conformance-token";

/// A timeout that no case reaches unless it is about that timeout.
const PATIENCE: Duration = Duration::from_secs(8);

/// The peer's script, the requests to it, and their allowed outcomes.
#[derive(Debug)]
pub struct Case {
    /// What the case shows; unique within the suite.
    pub name: &'static str,
    /// Why more than one outcome is allowed.
    pub because: Option<&'static str>,
    pub(super) connections: Vec<Vec<PeerAction>>,
    pub(super) asks: Vec<CaseRequest>,
    pub(super) https: bool,
    pub(super) host: Option<&'static str>,
    pub(super) names: Names,
    pub(super) proxy: Option<Proxy>,
    pub(super) most_written: Option<u64>,
    pub(super) handshakes: Option<Vec<HandshakeKind>>,
}

/// How the client resolves host names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// By the operating system.
    System,
    /// A given lookup returns the peer.
    Peer,
    /// A given lookup returns a closed port first, then the peer.
    ClosedThenPeer,
    /// A given lookup returns 20 closed ports first, then the peer.
    ManyClosedThenPeer,
    /// A given lookup returns an address of a private network first, then the peer.
    PrivateThenPeer,
    /// A given lookup returns two closed ports.
    Closed,
    /// A given lookup returns no address.
    Nothing,
    /// A given lookup fails.
    Fails,
}

/// The proxy that the client is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// The peer.
    Peer,
    /// The peer, with credentials in the URL.
    PeerWithCredentials,
    /// A closed port.
    Closed,
    /// The name of [`Case`]'s lookup.
    Named,
}

/// One request of a case.
#[derive(Debug, Clone)]
pub struct CaseRequest {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    pub(super) limits: Limits,
    /// The number of connections that the peer must have closed before this request is sent.
    pub(super) once_closed: usize,
    /// Whether the request opens a stream.
    pub(super) is_stream: bool,
    /// The bytes of the stream, put together.
    pub(super) streamed: Option<Vec<u8>>,
    pub(super) allowed: Vec<CaseOutcome>,
    pub(super) body_back: Option<Vec<u8>>,
    pub(super) headers_back: Vec<(&'static str, &'static str)>,
    pub(super) cause: Option<&'static str>,
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseOutcome {
    /// An answer with this status.
    Answer(u16),
    /// An answer with this status, whose body is above the size limit.
    TooLarge(u16),
    /// A fault.
    Fault(FaultKind, Sent),
}

impl CaseOutcome {
    /// The fault, if the outcome is one.
    pub fn fault(self) -> Option<(FaultKind, Sent)> {
        match self {
            Self::Answer(_) => None,
            Self::TooLarge(_) => Some((FaultKind::TooLarge, Sent::Maybe)),
            Self::Fault(kind, sent) => Some((kind, sent)),
        }
    }
}

/// A fault of a request that was never sent.
pub(super) const fn unsent(kind: FaultKind) -> CaseOutcome {
    CaseOutcome::Fault(kind, Sent::No)
}

/// A fault of a request that may have arrived.
pub(super) const fn maybe(kind: FaultKind) -> CaseOutcome {
    CaseOutcome::Fault(kind, Sent::Maybe)
}

impl Case {
    /// A case over plain HTTP on this machine, as yet without connections and requests.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            because: None,
            connections: Vec::new(),
            asks: Vec::new(),
            https: false,
            host: None,
            names: Names::System,
            proxy: None,
            most_written: None,
            handshakes: None,
        }
    }

    /// Adds the script of the next connection.
    pub(super) fn peer(mut self, acts: impl Into<Vec<PeerAction>>) -> Self {
        self.connections.push(acts.into());
        self
    }

    /// Adds the next request.
    pub(super) fn ask(mut self, ask: CaseRequest) -> Self {
        self.asks.push(ask);
        self
    }

    /// Adds a `GET` with this as the only allowed outcome.
    pub(super) fn gives(self, seen: CaseOutcome) -> Self {
        self.ask(CaseRequest::get().gives(&[seen]))
    }

    /// Adds a `GET` with this as the only allowed answer.
    pub(super) fn answers(self, status: u16, body: &str) -> Self {
        self.ask(CaseRequest::get().answers(status, body))
    }

    pub(super) fn because(mut self, reason: &'static str) -> Self {
        self.because = Some(reason);
        self
    }

    pub(super) fn https(mut self) -> Self {
        self.https = true;
        self
    }

    /// Sets the platform's host name, and how it is resolved.
    pub(super) fn named(mut self, host: &'static str, names: Names) -> Self {
        (self.host, self.names) = (Some(host), names);
        self
    }

    /// Uses `https` to another machine, through a proxy.
    pub(super) fn through(mut self, proxy: Proxy) -> Self {
        (self.https, self.host, self.proxy) = (true, Some(ELSEWHERE), Some(proxy));
        self
    }

    /// Uses plain HTTP on this machine, with a proxy for other hosts.
    pub(super) fn beside(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sets the expected TLS handshakes.
    pub(super) fn shakes_hands(mut self, kinds: impl Into<Vec<HandshakeKind>>) -> Self {
        self.handshakes = Some(kinds.into());
        self
    }

    /// Sets how many bytes the peer may send before the client must have stopped reading.
    pub(super) fn writes_at_most(mut self, bytes: u64) -> Self {
        self.most_written = Some(bytes);
        self
    }

    /// The allowed outcomes of each request.
    pub fn allowed(&self) -> impl Iterator<Item = &[CaseOutcome]> {
        self.asks.iter().map(|ask| ask.allowed.as_slice())
    }

    /// The platform's URL without a path.
    pub(super) fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.https { "https" } else { "http" };
        match (self.host, self.proxy) {
            (Some(host), Some(_)) => format!("{scheme}://{host}"),
            (Some(host), None) => format!("{scheme}://{host}:{}", address.port()),
            (None, _) => format!("{scheme}://{address}"),
        }
    }
}

impl CaseRequest {
    /// A `GET` with timeouts that nothing reaches, and a size limit of 64 KiB for the answer's body.
    pub(super) fn get() -> Self {
        Self::new(Method::GET, Bytes::new())
    }

    /// A `GET` of an event stream, with the same limits.
    pub(super) fn stream() -> Self {
        Self { is_stream: true, ..Self::get() }
    }

    /// A `POST` with this body.
    pub(super) fn post(body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, body.into())
    }

    pub(super) fn new(method: Method, body: Bytes) -> Self {
        Self {
            method,
            path: "/workspaces/7fda77bf/state",
            body,
            limits: Limits::of(PATIENCE, 64 * 1024),
            once_closed: 0,
            is_stream: false,
            streamed: None,
            allowed: Vec::new(),
            body_back: None,
            headers_back: Vec::new(),
            cause: None,
        }
    }

    pub(super) fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub(super) fn connect(mut self, limit: Duration) -> Self {
        self.limits.connect = limit;
        self
    }

    pub(super) fn head(mut self, limit: Duration) -> Self {
        self.limits.head = limit;
        self
    }

    pub(super) fn read(mut self, limit: Duration) -> Self {
        self.limits.read = limit;
        self
    }

    pub(super) fn total(mut self, limit: Duration) -> Self {
        self.limits.total = limit;
        self
    }

    pub(super) fn max_body(mut self, bytes: u64) -> Self {
        self.limits.max_body = bytes;
        self
    }

    /// Allows a pooled connection only if it was idle for less than this.
    pub(super) fn max_idle(mut self, limit: Duration) -> Self {
        self.limits.max_idle = limit;
        self
    }

    /// Restricts the addresses that may be called.
    pub(super) fn reach(mut self, reach: Reach) -> Self {
        self.limits.reach = reach;
        self
    }

    /// Sends it only after the peer closed this many connections.
    pub(super) fn once_closed(mut self, connections: usize) -> Self {
        self.once_closed = connections;
        self
    }

    /// Sets the bytes of the stream, in however many pieces they come.
    pub(super) fn streams(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.streamed = Some(bytes.into());
        self
    }

    /// Sets the allowed outcomes.
    pub(super) fn gives(mut self, seen: &[CaseOutcome]) -> Self {
        self.allowed = seen.to_vec();
        self
    }

    /// Sets this answer as the only allowed outcome.
    pub(super) fn answers(self, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.gives(&[CaseOutcome::Answer(status)]).body(body)
    }

    /// Sets the expected body of an answer.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body_back = Some(body.into());
        self
    }

    /// Adds an expected header of an answer, or of the head in a fault.
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers_back.push((name, value));
        self
    }

    /// Sets a text that the cause of a fault must contain.
    pub(super) fn naming(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The request as a machine would build it.
    ///
    /// `number`: its number in the case, by which the peer recognises it.
    pub(super) fn request(&self, url: &str, number: usize) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = format!("{url}{}", self.path).parse().expect("cases have valid URLs");
        *request.headers_mut() = self.headers();
        request.headers_mut().insert("x-ask", number.into());
        request
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name, value| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        };
        add("authorization", BEARER);
        add("user-agent", "conformance/1");
        if self.is_stream {
            add("accept", "text/event-stream");
            add("accept-encoding", "identity");
        } else {
            add("accept", "application/json");
        }
        add("x-molecule-org-id", "org-1");
        if !self.body.is_empty() {
            add("content-type", "application/json");
        }
        headers
    }
}

impl From<&Result<Response<Bytes>, Fault>> for CaseOutcome {
    fn from(outcome: &Result<Response<Bytes>, Fault>) -> Self {
        match outcome {
            Ok(answer) => Self::Answer(answer.status().as_u16()),
            Err(Fault { kind: FaultKind::TooLarge, sent: Sent::Maybe, head: Some(head), .. }) => {
                Self::TooLarge(head.status().as_u16())
            }
            Err(fault) => Self::Fault(fault.kind, fault.sent),
        }
    }
}

impl fmt::Display for CaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(status) => write!(f, "{status}"),
            Self::TooLarge(status) => write!(f, "{status}, too large"),
            Self::Fault(kind, Sent::No) => write!(f, "{kind:?}, not sent"),
            Self::Fault(kind, Sent::Maybe) => write!(f, "{kind:?}, maybe sent"),
        }
    }
}
