//! A TCP socket as a transport of ureq's. ureq's own comes only with its own way to connect.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

/// A connected socket.
pub(crate) struct Socket {
    /// Shared with whoever may shut it down.
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl Socket {
    pub(crate) fn new(stream: Arc<TcpStream>, buffers: LazyBuffers) -> Self {
        Self { stream, buffers }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let limit = Limit::new(timeout.for_write());
        let mut output = &self.buffers.output()[..amount];
        while !output.is_empty() {
            tolerate(self.stream.set_write_timeout(Some(limit.left()?)))?;
            match (&*self.stream).write(output) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => output = &output[written..],
                Err(error) => limit.judge(error)?,
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let limit = Limit::new(timeout.for_read());
        loop {
            tolerate(self.stream.set_read_timeout(Some(limit.left()?)))?;
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) => limit.judge(error)?,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        is_quiet(&self.stream).unwrap_or(false)
    }
}

/// The limit of one read or write.
struct Limit {
    until: Instant,
    timeout: NextTimeout,
}

impl Limit {
    fn new(timeout: NextTimeout) -> Self {
        let now = Instant::now();
        // The sum exists, since no limit is longer than an hour.
        Self { until: now.checked_add(*timeout.after).unwrap_or(now), timeout }
    }

    fn left(&self) -> Result<Duration, ureq::Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.passed()) } else { Ok(left) }
    }

    fn passed(&self) -> ureq::Error {
        ureq::Error::Timeout(self.timeout.reason)
    }

    /// Reads an error of the socket: nothing to do, a limit that passed, or an error.
    fn judge(&self, error: io::Error) -> Result<(), ureq::Error> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => Err(self.passed()),
            // On other systems this is the error of a connection whose other end is gone.
            io::ErrorKind::TimedOut if cfg!(windows) => Err(self.passed()),
            _ => Err(error.into()),
        }
    }
}

/// Ignores that macOS takes no limit for a socket whose other end has closed. What has arrived can still be read.
fn tolerate(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if cfg!(target_os = "macos") && error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        set => set,
    }
}

/// Whether the connection is open and nothing has arrived on it, since nothing was asked for.
fn is_quiet(mut stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let quiet = matches!(stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false)?;
    Ok(quiet)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.stream.peer_addr().ok()).finish()
    }
}
