//! One request and its answer on a connection, as ureq sees it.

use std::fmt;
use std::io;
use std::sync::Arc;

use molecule_host::is_cut;
use ureq::Timeout;
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use crate::connector::Network;
use crate::dial::Deadline;
use crate::pool::Origin;

/// A connection for the time of one request.
///
/// Its read limit holds between two pieces of a body alone. ureq's own holds for every read, and would cut off a server that takes
/// longer than the read limit for its head.
///
/// When ureq drops it, it goes back to the pool if its answer was read to the end, and is closed otherwise. If a connection of the pool
/// brings nothing, it is dead, as after a sleep or behind a router that forgot it; then its idle neighbours are closed too.
///
/// The connection of a stream belongs to no pool. ureq has one limit for the whole of a request, and a stream must have none, so the
/// limit until its head is kept here.
pub(crate) struct Exchange {
    /// `None` once it was given back.
    stream: Option<Box<dyn Transport>>,
    network: Arc<Network>,
    /// Where it is kept; `None` for the connection of a stream.
    origin: Option<Origin>,
    /// The end of an answer that is asked for as a stream and is none.
    until: Option<Deadline>,
    /// Whether it served a request before.
    is_kept: bool,
    /// Whether a request was written and its answer's head is not complete.
    in_head: bool,
    /// Whether a limit passed.
    is_late: bool,
    /// Whether the answer was read to its end, and the connection is open.
    is_over: bool,
}

impl Exchange {
    pub(crate) fn new(network: Arc<Network>, origin: Origin, stream: Box<dyn Transport>, is_kept: bool) -> Self {
        let (stream, origin) = (Some(stream), Some(origin));
        Self { stream, network, origin, until: None, is_kept, in_head: false, is_late: false, is_over: false }
    }

    /// The connection of a stream, whose head must be there before `until`.
    pub(crate) fn of_stream(network: Arc<Network>, stream: Box<dyn Transport>, until: Deadline) -> Self {
        let (stream, until) = (Some(stream), Some(until));
        Self { stream, network, origin: None, until, is_kept: false, in_head: false, is_late: false, is_over: false }
    }

    fn stream(&mut self) -> &mut dyn Transport {
        self.stream.as_deref_mut().expect("it is given back when this is dropped, and not before")
    }

    /// Remembers whether a limit passed.
    fn see<T>(&mut self, done: Result<T, ureq::Error>) -> Result<T, ureq::Error> {
        self.is_late |= matches!(done, Err(ureq::Error::Timeout(_)));
        done
    }
}

impl Transport for Exchange {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.stream().buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.in_head = true;
        self.is_over = false;
        let sent = self.stream().transmit_output(amount, timeout);
        self.see(sent)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let mut timeout = if self.in_head { timeout } else { timeout.for_read() };
        if let Some(left) = self.until.map(|until| Duration::Exact(until.left()))
            && left < timeout.after
        {
            (timeout.after, timeout.reason) = (left, Timeout::Global);
        }
        // The read limit counts here alone, since a piece may take several reads of the socket.
        let read = self.stream().await_input(NextTimeout { per_read: None, ..timeout });
        let progress = self.see(read).map_err(cut)?;
        if self.in_head {
            let status = final_status(self.stream().buffers().input()).map(|status| status == *b"200");
            self.in_head = status.is_none();
            if status == Some(true) {
                self.until = None;
            }
        }
        Ok(progress)
    }

    /// ureq asks this only of a connection that it would keep.
    fn is_open(&mut self) -> bool {
        self.is_over = !self.in_head && self.stream().buffers().input().is_empty() && self.stream().is_open();
        self.is_over
    }

    fn is_tls(&self) -> bool {
        self.stream.as_deref().is_some_and(Transport::is_tls)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        let Some(origin) = &self.origin else { return };
        if self.is_over {
            self.network.pool.give(origin, stream, self.network.clock.now());
        } else if self.is_kept && (self.in_head || self.is_late) {
            self.network.pool.close(origin);
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// The status of the final answer, once its head is complete; heads of hints (1xx) may come before it. Where it has no such place, it
/// is empty.
fn final_status(mut input: &[u8]) -> Option<&[u8]> {
    // Some servers end their lines without a carriage return.
    let end = |input: &[u8]| {
        let lines = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        lines.map(|(at, _)| at + 1).find(|at| matches!(&input[*at..], [b'\n', ..] | [b'\r', b'\n', ..]))
    };
    while let Some(at) = end(input) {
        let status = input.trim_ascii_start().get(9..12).unwrap_or_default();
        let is_hint = status.starts_with(b"1") && status != b"101";
        if !is_hint {
            return Some(status);
        }
        input = input[at..].trim_ascii_start();
    }
    None
}

/// The error with which a connection ended. Unmarked, ureq takes some of these for the end of a body without a length, and a part for
/// the whole.
#[derive(Debug)]
pub(crate) struct Cut(io::Error);

fn cut(error: ureq::Error) -> ureq::Error {
    match error {
        ureq::Error::Io(error) if is_cut(&error) => ureq::Error::Other(Box::new(Cut(error))),
        error => error,
    }
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
        for (complete, status) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "200"),
            ("HTTP/1.1 200 OK\ncontent-length: 0\n\n", "200"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\nbody", "200"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"),
            ("\r\nHTTP/1.1 404 Not Found\r\n\r\n", "404"),
            ("junk\r\n\r\n", ""),
        ] {
            assert_eq!(final_status(complete.as_bytes()), Some(status.as_bytes()), "{complete:?}");
        }
        for open in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n\r",
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n",
        ] {
            assert_eq!(final_status(open.as_bytes()), None, "{open:?}");
        }
    }
}
