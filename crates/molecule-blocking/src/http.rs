//! Performs one request: a connection, the answer's head, its body, each under its limit, and the table from ureq's errors
//! to faults.
//!
//! It sends nothing twice and follows no redirect; both are decisions of the machines.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use molecule_core::effect::watch::MAX_PART;
use molecule_core::effect::{Fault, FaultKind, Limits, Phase, Sent};
use molecule_core::{BaseUrl, Result, Transport};
use molecule_host::{Clock, Names};
use ureq::config::{Config, ConfigBuilder};
use ureq::typestate::HttpCrateScope;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, AsSendBody, Body, SendBody, Timeout};

use crate::connector::{Connector, Network, Unsent};
use crate::exchange::Cut;
use crate::pool::Pool;
use crate::resolver::Resolver;
use crate::tls;
use crate::watch::{Abort, watch};

/// The size of a connection's input buffer and of its output buffer. An answer's head must fit.
const BUFFER: usize = 64 * 1024;

/// The same for a stream. An agent keeps one open all the time, and its head is small.
const STREAM_BUFFER: usize = 16 * 1024;

/// A pool of connections, and how they are opened. Clones share it, so that many agents can use one.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    config: Config,
    network: Arc<Network>,
}

impl Client {
    /// A client that connects in this way.
    ///
    /// # Errors
    /// `Config` if a certificate or the proxy's URL makes no sense.
    pub fn new(transport: &Transport) -> Result<Self> {
        Self::with(transport, Names::default())
    }

    /// A client that takes addresses from this function and not from the operating system. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn with_names(
        transport: &Transport,
        names: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::with(transport, Names::given(names))
    }

    fn with(transport: &Transport, names: Names) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            // ureq adds no headers of its own, whichever of its features the application turns on.
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .allow_non_standard_methods(true)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            // One less than the buffer: a full one would look like a connection that brings nothing more.
            .max_response_header_size(BUFFER - 1)
            // ureq's own pool is not used.
            .max_idle_connections(0)
            .build();
        let network = Network {
            tls: tls::set_up(&transport.extra_ca)?,
            proxies: molecule_host::proxy_rule(&transport.proxy)?,
            resolver: Resolver::new(names),
            pool: Pool::default(),
            clock: Clock::start(),
        };
        Ok(Self(Arc::new(Inner { config, network: Arc::new(network) })))
    }

    /// # Errors
    /// `Config` if this build cannot speak to the platform, or its proxy cannot be used.
    pub(crate) fn check_base_url(&self, base_url: &BaseUrl) -> Result<()> {
        self.0.network.tls.check(base_url)?;
        self.0.network.proxies.check(base_url)
    }

    /// Sends a request and reads the whole answer, whatever its status. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault> {
        self.open(request, limits)?.whole(limits)
    }

    /// Watches a stream until it ends, or `each` wants no more of it. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn watch(
        &self,
        request: Request<Bytes>,
        limits: Limits,
        each: impl FnMut(Bytes) -> bool,
    ) -> Result<Response<Bytes>, Fault> {
        watch(self, (request, limits), &Abort::default(), each)
    }

    /// Sends a request and reads the answer's head.
    pub(crate) fn open(&self, request: Request<Bytes>, limits: Limits) -> Result<Answer, Fault> {
        let (head, body) = request.into_parts();
        let needs_length = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
        let answer = if body.is_empty() && !needs_length {
            self.run(Request::from_parts(head, ()), limits)
        } else {
            self.run(Request::from_parts(head, &*body), limits)
        };
        answer.map(Answer).map_err(fault)
    }

    /// The same with a body that is read while it is sent. The request has its length.
    pub(crate) fn open_with_body(&self, request: Request<&mut dyn Read>, limits: Limits) -> Result<Answer, Fault> {
        self.run(request.map(SendBody::from_reader), limits).map(Answer).map_err(fault)
    }

    /// The same on a connection that no other request has. ureq sets the answer's body no limit of the whole.
    pub(crate) fn open_stream(&self, request: Request<Bytes>, limits: Limits, abort: &Abort) -> Result<Answer, Fault> {
        let agent = self.agent(Connector::of_stream(self.0.network.clone(), limits, abort));
        let request = limited(agent.configure_request(request.map(|_| ())), limits)
            .input_buffer_size(STREAM_BUFFER)
            .output_buffer_size(STREAM_BUFFER)
            .max_response_header_size(STREAM_BUFFER - 1);
        agent.run(request.build()).map(Answer).map_err(fault)
    }

    fn run(&self, request: Request<impl AsSendBody>, limits: Limits) -> Result<Response<Body>, ureq::Error> {
        let agent = self.agent(Connector::new(self.0.network.clone(), limits));
        let request = limited(agent.configure_request(request), limits).timeout_global(Some(limits.total));
        agent.run(request.build())
    }

    /// Each request has an agent of ureq's of its own, since ureq keeps cookies in it where the application turns them on.
    fn agent(&self, connector: Connector) -> Agent {
        Agent::with_parts(self.0.config.clone(), connector, NoNames)
    }
}

/// Sets the limit of each phase.
fn limited<S: AsSendBody>(request: Configured<S>, limits: Limits) -> Configured<S> {
    request
        .timeout_connect(Some(limits.connect))
        .timeout_send_request(Some(limits.head))
        .timeout_send_body(Some(limits.head))
        .timeout_recv_response(Some(limits.head))
        .timeout_per_read(Some(limits.read))
}

type Configured<S> = ConfigBuilder<HttpCrateScope<S>>;

/// The resolver that ureq asks before every request: it says nothing. The connector resolves names itself, for new connections alone.
#[derive(Debug)]
struct NoNames;

impl UreqResolver for NoNames {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// An answer whose body is still to be read. ureq keeps the limits.
pub(crate) struct Answer(Response<Body>);

impl Answer {
    pub(crate) fn head(&self) -> &Response<Body> {
        &self.0
    }

    /// Reads the body to its end, at most [`Limits::max_body`] bytes.
    pub(crate) fn whole(self, limits: Limits) -> Result<Response<Bytes>, Fault> {
        let (head, body) = self.0.into_parts();
        // A body whose declared length is too long is refused unread.
        let mut fits = body.content_length().is_none_or(|length| length <= limits.max_body);
        let mut bytes = Vec::new();
        if fits {
            pieces(body, 16 * 1024, |piece| {
                bytes.extend_from_slice(piece);
                fits = bytes.len() as u64 <= limits.max_body;
                Ok(fits)
            })?;
        }
        if fits {
            Ok(Response::from_parts(head, bytes.into()))
        } else {
            Err(Fault::too_large(Response::from_parts(head, ())))
        }
    }

    /// Reads the body to its end and hands out each piece as it arrives.
    pub(crate) fn flow(self, mut each: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        pieces(self.0.into_body(), 64 * 1024, |piece| each(piece).map(|()| true))
    }

    /// The same with the pieces of a stream, at most [`MAX_PART`] bytes each.
    pub(crate) fn stream(self, mut each: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        pieces(self.0.into_body(), MAX_PART, |piece| each(piece).map(|()| true))
    }
}

/// Hands out each piece of a body until `each` wants no more.
fn pieces(mut body: Body, most: usize, mut each: impl FnMut(&[u8]) -> Result<bool, Fault>) -> Result<(), Fault> {
    let mut piece = vec![0; most];
    let mut reader = body.as_reader();
    loop {
        let amount = reader.read(&mut piece).map_err(|error| fault(error.into()))?;
        if amount == 0 || !each(&piece[..amount])? {
            return Ok(());
        }
    }
}

/// The table from ureq's errors to faults. Faults of the connector come marked; of every other error it is not certain that nothing
/// was sent.
pub(crate) fn fault(error: ureq::Error) -> Fault {
    use ureq::Error as E;
    match error {
        E::Other(cause) => match cause.downcast::<Unsent>() {
            Ok(unsent) => unsent.0,
            Err(cause) if cause.is::<Cut>() => Fault::with_source(Sent::Maybe, FaultKind::Interrupted, cause),
            Err(cause) => Fault::with_source(Sent::Maybe, FaultKind::Protocol, cause),
        },
        E::Timeout(limit) => Fault::new(Sent::Maybe, FaultKind::Timeout(phase(limit))),
        // An alert after the handshake.
        E::Io(error) if tls::is_alert(&error) => Fault::with_source(Sent::Maybe, FaultKind::Tls, error),
        // The connection was closed or reset, in the middle of an answer or instead of one.
        E::Io(error) => Fault::with_source(Sent::Maybe, FaultKind::Interrupted, error),
        // The connection was closed between two chunks of a body.
        error @ E::BodyStalled => Fault::with_source(Sent::Maybe, FaultKind::Interrupted, error),
        E::BodyExceedsLimit(_) => Fault::new(Sent::Maybe, FaultKind::TooLarge),
        // The answer is no HTTP, or its body is not framed as its head says.
        error @ E::Protocol(_) => Fault::with_source(Sent::Maybe, FaultKind::Protocol, error),
        // The answer's head is too long.
        error @ E::LargeResponseHeader(..) => Fault::with_source(Sent::Maybe, FaultKind::Protocol, error),
        // Steps of connecting; the connector's own come marked.
        error @ E::HostNotFound => Fault::with_source(Sent::No, FaultKind::Resolve, error),
        error @ E::ConnectionFailed => Fault::with_source(Sent::No, FaultKind::Connect, error),
        error @ E::ConnectProxyFailed(_) => Fault::with_source(Sent::No, FaultKind::Proxy, error),
        error @ E::TlsRequired => Fault::with_source(Sent::No, FaultKind::Tls, error),
        error @ E::InvalidProxyUrl => Fault::with_source(Sent::No, FaultKind::Proxy, error),
        // HTTP/1 cannot carry the request, or the settings above rule it out.
        error => Fault::with_source(Sent::Maybe, FaultKind::Protocol, error),
    }
}

fn phase(limit: Timeout) -> Phase {
    match limit {
        Timeout::Resolve | Timeout::Connect => Phase::Connect,
        // A request is a few hundred bytes, so the time to write it counts towards the head limit.
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite | Timeout::RecvResponse => Phase::Head,
        Timeout::PerRead | Timeout::RecvBody => Phase::Read,
        // The limit of the whole, and limits that ureq may add.
        _ => Phase::Total,
    }
}
