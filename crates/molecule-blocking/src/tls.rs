//! TLS under ureq.
//!
//! ureq's own TLS is not used: it is set up anew for every connection whose request has limits of its own, and it trusts either
//! Mozilla's roots or given ones, not both.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Instant;

use molecule_core::Result;
use molecule_core::effect::connection::Reach;
use molecule_host::tls::{Roots, server_name};
pub(crate) use molecule_host::tls::{Tls, failure, is_alert};
use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter};

#[cfg(feature = "platform-verifier")]
const ROOTS: Roots = Roots::System;
#[cfg(not(feature = "platform-verifier"))]
const ROOTS: Roots = Roots::Mozilla;

/// Trusts the built-in authorities and these, each in PEM.
///
/// # Errors
/// `Config` if one of them is no certificate.
pub(crate) fn set_up(extra_ca: &[Vec<u8>]) -> Result<Tls> {
    Tls::new(ROOTS, extra_ca)
}

/// Secures a stream to the request's host, within what is left of the connect limit that began at `started`.
pub(crate) fn handshake(
    tls: &Tls,
    details: &ConnectionDetails<'_>,
    stream: Box<dyn Transport>,
    reach: Reach,
    started: Instant,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let name = server_name(details.uri.host().unwrap_or_default())?;
    let mut connection = ClientConnection::new(tls.config(reach), name).map_err(io::Error::other)?;
    let mut socket = TransportAdapter::new(stream, details.current_time.clone());
    let left = details.timeout.after.saturating_sub(started.elapsed());
    socket.set_timeout(NextTimeout { after: Duration::Exact(left), ..details.timeout });
    connection.complete_io(&mut socket)?;
    let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
    Ok(Box::new(Secured { buffers, stream: StreamOwned::new(connection, socket) }))
}

/// A secured stream as a transport of ureq's.
struct Secured {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Secured {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        // A write keeps the socket's error for later; the flush returns it now.
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secured").field(self.stream.sock.get_ref()).finish()
    }
}
