//! A case: peer, requests, limits, and what may come of them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Limits, Sent};
use rustls::HandshakeKind;

use super::act::PeerAction;

/// The name that stands for a platform on another machine: such a one goes through a proxy.
pub(super) const ELSEWHERE: &str = "platform.example";

/// The bearer of every request.
pub(super) const BEARER: &str = "Bearer conformance-token";

/// A limit that no case reaches unless it is about that limit.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a peer does, what is asked of it, and what may come of that.
#[derive(Debug)]
pub struct Case {
    /// What it shows, unique within the suite.
    pub name: &'static str,
    /// Why more than one thing may come of it.
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

/// Where the client finds the addresses of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The operating system knows.
    System,
    /// A given lookup finds the peer.
    Peer,
    /// A given lookup finds a closed port first, then the peer.
    ClosedThenPeer,
    /// A given lookup finds twenty closed ports first, then the peer.
    ManyClosedThenPeer,
    /// A given lookup finds an address of a private network first, then the peer.
    PrivateThenPeer,
    /// A given lookup finds two closed ports.
    Closed,
    /// A given lookup finds the name without any address.
    Nothing,
    /// A given lookup fails.
    Fails,
}

/// The proxy that the client is told to use.
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
    /// How many connections the peer must have closed before this is asked.
    pub(super) once_closed: usize,
    pub(super) allowed: Vec<CaseOutcome>,
    pub(super) body_back: Option<Vec<u8>>,
    pub(super) headers_back: Vec<(&'static str, &'static str)>,
    pub(super) cause: Option<&'static str>,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseOutcome {
    /// An answer with this status.
    Answer(u16),
    /// An answer with this status, whose body passes the cap.
    TooLarge(u16),
    /// A fault.
    Fault(FaultKind, Sent),
}

impl CaseOutcome {
    /// The fault, if it is one.
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
    /// A case about plain HTTP to this machine, where nobody listens yet and nothing is asked yet.
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

    /// The peer does this with the next connection.
    pub(super) fn peer(mut self, acts: impl Into<Vec<PeerAction>>) -> Self {
        self.connections.push(acts.into());
        self
    }

    /// This is asked next.
    pub(super) fn ask(mut self, ask: CaseRequest) -> Self {
        self.asks.push(ask);
        self
    }

    /// A `GET` is asked next, of which nothing but this may come.
    pub(super) fn gives(self, seen: CaseOutcome) -> Self {
        self.ask(CaseRequest::get().gives(&[seen]))
    }

    /// A `GET` is asked next, and this is its answer.
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

    /// The platform has a name, whose addresses come from there.
    pub(super) fn named(mut self, host: &'static str, names: Names) -> Self {
        (self.host, self.names) = (Some(host), names);
        self
    }

    /// `https` to another machine, through a proxy.
    pub(super) fn through(mut self, proxy: Proxy) -> Self {
        (self.https, self.host, self.proxy) = (true, Some(ELSEWHERE), Some(proxy));
        self
    }

    /// Plain HTTP to this machine, with a proxy for others.
    pub(super) fn beside(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// These are its TLS handshakes.
    pub(super) fn shakes_hands(mut self, kinds: impl Into<Vec<HandshakeKind>>) -> Self {
        self.handshakes = Some(kinds.into());
        self
    }

    /// The client must have stopped reading before the peer could send more than this.
    pub(super) fn writes_at_most(mut self, bytes: u64) -> Self {
        self.most_written = Some(bytes);
        self
    }

    /// What may come of each of its requests.
    pub fn allowed(&self) -> impl Iterator<Item = &[CaseOutcome]> {
        self.asks.iter().map(|ask| ask.allowed.as_slice())
    }

    /// The platform's URL, without a path.
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
    /// A `GET` with limits that nothing reaches, and at most 64 KiB back.
    pub(super) fn get() -> Self {
        Self::new(Method::GET, Bytes::new())
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

    /// Onto a kept connection only if that was heard within this time.
    pub(super) fn max_idle(mut self, limit: Duration) -> Self {
        self.limits.max_idle = limit;
        self
    }

    /// To these addresses alone.
    pub(super) fn reach(mut self, reach: Reach) -> Self {
        self.limits.reach = reach;
        self
    }

    /// Only after the peer closed this many connections.
    pub(super) fn once_closed(mut self, connections: usize) -> Self {
        self.once_closed = connections;
        self
    }

    /// Only these may come of it.
    pub(super) fn gives(mut self, seen: &[CaseOutcome]) -> Self {
        self.allowed = seen.to_vec();
        self
    }

    /// Only this answer may come of it.
    pub(super) fn answers(self, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.gives(&[CaseOutcome::Answer(status)]).body(body)
    }

    /// If there is an answer, this is its body.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body_back = Some(body.into());
        self
    }

    /// If there is an answer, or the head of one, it has this header.
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers_back.push((name, value));
        self
    }

    /// If there is a fault, its cause names this.
    pub(super) fn naming(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The request, as a machine would make it.
    ///
    /// `number`: which one of its case, for the peer to tell.
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
        add("accept", "application/json");
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
