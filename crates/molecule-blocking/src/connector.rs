//! Connects to an origin: by an idle connection of the pool, or by a new one (TCP, the proxy's tunnel, TLS).
//!
//! A connector sends nothing of a request, so every fault is [`Sent::No`]. The fault travels inside ureq's error, because ureq's own
//! error here is a bare `io::Error`, as it is in the middle of an answer.

use std::fmt;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use http::Uri;
use molecule_core::ProxyRule;
use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Limits, Phase, Sent};
use molecule_host::Clock;
use ureq::unversioned::transport::{ConnectionDetails, LazyBuffers, Transport};

use crate::dial::{Deadline, dial};
use crate::exchange::Exchange;
use crate::http::fault;
use crate::pool::{Origin, Pool};
use crate::resolver::{HostPort, Resolver};
use crate::tcp::Socket;
use crate::tls::{self, Tls};
use crate::tunnel;
use crate::watch::Abort;

/// What all requests of a client share.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) tls: Tls,
    pub(crate) proxies: ProxyRule,
    pub(crate) resolver: Resolver,
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
}

/// The connector of one request.
#[derive(Debug)]
pub(crate) struct Connector {
    network: Arc<Network>,
    limits: Limits,
    started: Instant,
    /// Ends the request's watch, if it is one.
    abort: Option<Abort>,
}

impl Connector {
    pub(crate) fn new(network: Arc<Network>, limits: Limits) -> Self {
        Self { network, limits, started: Instant::now(), abort: None }
    }

    /// The connector of a stream, which gets a connection of its own.
    pub(crate) fn of_stream(network: Arc<Network>, limits: Limits, abort: &Abort) -> Self {
        Self { abort: Some(abort.clone()), ..Self::new(network, limits) }
    }

    /// Opens a new connection to the origin of a URL.
    fn open(&self, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, ureq::Error> {
        let (network, deadline) = (&self.network, self.deadline());
        let default = if details.needs_tls() { 443 } else { 80 };
        let remote = HostPort::new(details.uri.host().unwrap_or_default(), details.uri.port_u16().unwrap_or(default));
        let proxy = network.proxies.proxy_for(details.uri).map_err(unsent)?;
        let (stream, remote) = match proxy {
            Some(proxy) => {
                let remote = HostPort::new(proxy.host(), proxy.port());
                (self.tunnel(details.uri, proxy, &remote).map_err(unsent)?, remote)
            }
            None => {
                let stream = dial(&network.resolver, &remote, self.limits.reach, network.clock.now(), deadline);
                (stream.map_err(unsent)?, remote)
            }
        };
        let stream = Arc::new(stream);
        if let Some(abort) = &self.abort {
            abort.connected(&stream);
        }
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let stream: Box<dyn Transport> = Box::new(Socket::new(stream, buffers));
        if !details.needs_tls() {
            return Ok(stream);
        }
        tls::handshake(&network.tls, details, stream, self.limits.reach, self.started).map_err(|error| {
            network.resolver.forget(&remote);
            step_failed(step_of_handshake(&error), error)
        })
    }

    /// Opens a tunnel through a proxy. The proxy may have any address, since the agent's owner chose it; the target's address is the
    /// proxy's business.
    fn tunnel(&self, uri: &Uri, proxy: &molecule_core::HttpProxy, remote: &HostPort) -> Result<TcpStream, Fault> {
        let (network, deadline) = (&self.network, self.deadline());
        let stream =
            dial(&network.resolver, remote, Reach::Anywhere, network.clock.now(), deadline).map_err(of_proxy)?;
        tunnel::open(&stream, proxy, uri, deadline)?;
        Ok(stream)
    }

    fn deadline(&self) -> Deadline {
        let Limits { connect, total, .. } = self.limits;
        let (limit, phase) = if total < connect { (total, Phase::Total) } else { (connect, Phase::Connect) };
        Deadline::new(self.started, limit, phase)
    }
}

impl ureq::unversioned::transport::Connector for Connector {
    type Out = Exchange;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Exchange>, ureq::Error> {
        if self.abort.is_some() {
            let until = Deadline::new(self.started, self.limits.total, Phase::Total);
            return Ok(Some(Exchange::of_stream(self.network.clone(), self.open(details)?, until)));
        }
        let origin = Origin::of(details.uri, self.limits.reach);
        let kept = self.network.pool.take(&origin, self.limits.max_idle, self.network.clock.now());
        let is_kept = kept.is_some();
        let stream = match kept {
            Some(kept) => kept,
            None => self.open(details)?,
        };
        Ok(Some(Exchange::new(self.network.clone(), origin, stream, is_kept)))
    }
}

/// The fault of a connection to a proxy: `Proxy`, or the limit that passed.
fn of_proxy(fault: Fault) -> Fault {
    let kind = if let FaultKind::Timeout(_) = fault.kind { fault.kind } else { FaultKind::Proxy };
    Fault { kind, ..fault }
}

fn step_of_handshake(error: &ureq::Error) -> FaultKind {
    match error {
        ureq::Error::Io(error) => tls::failure(error),
        _ => FaultKind::Tls,
    }
}

/// A fault that came before anything of the request was sent.
#[derive(Debug)]
pub(crate) struct Unsent(pub(crate) Fault);

fn unsent(fault: Fault) -> ureq::Error {
    ureq::Error::Other(Box::new(Unsent(fault)))
}

/// Marks an error of a step of connecting: with that step's kind of fault, or the limit that passed.
fn step_failed(step: FaultKind, error: ureq::Error) -> ureq::Error {
    let fault = fault(error);
    let kind = if let FaultKind::Timeout(_) = fault.kind { fault.kind } else { step };
    unsent(Fault { sent: Sent::No, kind, ..fault })
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} before anything was sent", self.0.kind)
    }
}

impl std::error::Error for Unsent {}
