//! Opens connections for ureq: the proxy's tunnel, TCP, TLS.
//!
//! Nothing of a request is sent here, so every fault is [`Sent::No`]. It travels through ureq inside its error: ureq alone
//! would hand on a bare `io::Error`, which could as well come from the middle of an answer.

use std::fmt;
use std::time::Instant;

use molecule_core::effect::{Fault, FaultKind, Sent};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, NextTimeout, TcpConnector, Transport,
};

use crate::http::fault;
use crate::tls::Tls;

/// The way to the platform.
#[derive(Debug)]
pub(crate) struct Connector {
    tls: Tls,
    proxy: ConnectProxyConnector,
    tcp: TcpConnector,
}

impl Connector {
    pub(crate) fn new(tls: Tls) -> Self {
        Self { tls, proxy: ConnectProxyConnector::default(), tcp: TcpConnector::default() }
    }
}

impl ureq::unversioned::transport::Connector for Connector {
    type Out = Paced;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Paced>, ureq::Error> {
        let started = Instant::now();
        let tunnel = self.proxy.connect(details, None::<()>).map_err(|error| unsent(FaultKind::Proxy, error))?;
        let stream = self.tcp.connect(details, tunnel).map_err(|error| unsent(FaultKind::Connect, error))?;
        let Some(stream) = stream else { return Ok(None) };
        let stream: Box<dyn Transport> = Box::new(stream);
        let stream = if details.needs_tls() {
            self.tls.handshake(details, stream, started).map_err(|error| unsent(FaultKind::Tls, error))?
        } else {
            stream
        };
        Ok(Some(Paced { stream, in_head: false }))
    }
}

/// What failed before anything of the request left this process.
#[derive(Debug)]
pub(crate) struct Unsent(pub(crate) Fault);

/// Marks an error of a step towards a connection. A limit that passed stays one, whichever step it stopped.
pub(crate) fn unsent(step: FaultKind, error: ureq::Error) -> ureq::Error {
    let Fault { kind, source, .. } = fault(error);
    let kind = if let FaultKind::Timeout(_) = kind { kind } else { step };
    ureq::Error::Other(Box::new(Unsent(Fault { sent: Sent::No, kind, source })))
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} before anything was sent", self.0.kind)
    }
}

impl std::error::Error for Unsent {}

/// A connection whose read limit holds between two pieces of a body alone.
///
/// ureq's own holds for every read, so that a server which thinks for longer than the read limit, and less than the head
/// limit, would be cut off.
#[derive(Debug)]
pub(crate) struct Paced {
    stream: Box<dyn Transport>,
    /// Whether a request was written and its answer's head is not complete.
    in_head: bool,
}

impl Transport for Paced {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.stream.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.in_head = true;
        self.stream.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = if self.in_head { timeout } else { timeout.for_read() };
        // Counted once, here: a piece may take several reads of the socket below.
        let progress = self.stream.await_input(NextTimeout { per_read: None, ..timeout })?;
        if self.in_head {
            self.in_head = !self.stream.buffers().input().windows(4).any(|bytes| bytes == b"\r\n\r\n");
        }
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.stream.is_open()
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }
}
