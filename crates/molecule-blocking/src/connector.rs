//! Opens connections for ureq: the proxy's tunnel, TCP, TLS.
//!
//! Nothing of a request is sent here, so every fault is [`Sent::No`]. It travels through ureq inside its error: ureq alone
//! would hand on a bare `io::Error`, which could as well come from the middle of an answer.

use std::fmt;
use std::io;
use std::time::Instant;

use molecule_core::effect::{Fault, FaultKind, Sent};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, NextTimeout, TcpConnector, Transport,
};

use crate::http::fault;
use crate::tls::{self, Tls};

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
            self.tls.handshake(details, stream, started).map_err(|error| unsent(step_of_handshake(&error), error))?
        } else {
            stream
        };
        Ok(Some(Paced { stream, in_head: false }))
    }
}

/// What a handshake came to that failed: refused, or only cut, as by a balancer that restarts. Then there is no connection, and
/// the next one may be good.
fn step_of_handshake(error: &ureq::Error) -> FaultKind {
    match error {
        ureq::Error::Io(error) if is_cut(error.kind()) => FaultKind::Connect,
        ureq::Error::Io(error) => tls::kind(error),
        _ => FaultKind::Tls,
    }
}

/// What failed before anything of the request left this process.
#[derive(Debug)]
pub(crate) struct Unsent(pub(crate) Fault);

/// Marks an error of a step towards a connection. A limit that passed stays one, whichever step it stopped.
pub(crate) fn unsent(step: FaultKind, error: ureq::Error) -> ureq::Error {
    let fault = fault(error);
    let kind = if let FaultKind::Timeout(_) = fault.kind { fault.kind } else { step };
    ureq::Error::Other(Box::new(Unsent(Fault { sent: Sent::No, kind, ..fault })))
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
        let progress = self.stream.await_input(NextTimeout { per_read: None, ..timeout }).map_err(cut)?;
        if self.in_head {
            self.in_head = !has_final_head(self.stream.buffers().input());
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

/// Whether the head of the answer itself is complete; heads of hints (1xx) may come before it.
fn has_final_head(mut input: &[u8]) -> bool {
    // Some servers end their lines without a carriage return.
    let end = |input: &[u8]| {
        let lines = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        lines.map(|(at, _)| at + 1).find(|at| matches!(&input[*at..], [b'\n', ..] | [b'\r', b'\n', ..]))
    };
    while let Some(at) = end(input) {
        if !is_hint(input) {
            return true;
        }
        input = input[at..].trim_ascii_start();
    }
    false
}

fn is_hint(head: &[u8]) -> bool {
    let status = head.trim_ascii_start().get(9..12);
    status.is_some_and(|status| status.starts_with(b"1") && status != b"101")
}

/// A connection that ended with an error. ureq takes some of these for the end of a body that has no length, and so a part
/// for the whole.
#[derive(Debug)]
pub(crate) struct Cut(io::Error);

fn cut(error: ureq::Error) -> ureq::Error {
    match error {
        ureq::Error::Io(error) if is_cut(error.kind()) => ureq::Error::Other(Box::new(Cut(error))),
        error => error,
    }
}

fn is_cut(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Cut {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_head_is_the_first_that_is_no_hint() {
        for complete in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\nbody",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "\r\nHTTP/1.1 404 Not Found\r\n\r\n",
        ] {
            assert!(has_final_head(complete.as_bytes()), "{complete:?}");
        }
        for open in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n\r",
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n",
        ] {
            assert!(!has_final_head(open.as_bytes()), "{open:?}");
        }
    }
}
