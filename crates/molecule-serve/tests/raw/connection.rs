//! One connection of a client that need not keep to HTTP.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for what must happen. It bounds a test that fails, and judges no speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the server.
pub(crate) struct Raw {
    stream: TcpStream,
    /// What was read and belongs to no answer yet.
    rest: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, rest: Vec::new() }
    }

    /// Writes, and returns whether the server's end still takes it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_end(error.kind()) => false,
            Err(error) => panic!("a write failed: {error}"),
        }
    }

    /// Writes one byte after the other with a pause between them, until the server closes; returns whether all went out.
    pub(crate) fn drip(&mut self, bytes: &[u8], pause: Duration) -> bool {
        bytes.iter().all(|byte| {
            std::thread::sleep(pause);
            !self.has_ended() && self.send(std::slice::from_ref(byte))
        })
    }

    /// Whether the server has closed or answered by now.
    pub(crate) fn has_ended(&mut self) -> bool {
        let mut piece = [0; 4096];
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.read(&mut piece);
        self.stream.set_nonblocking(false).unwrap();
        match read {
            Ok(0) => true,
            Ok(length) => {
                self.rest.extend_from_slice(&piece[..length]);
                true
            }
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads the next answer; `None` if the server closes before its head is there.
    pub(crate) fn answer(&mut self) -> Option<Reply> {
        let end = loop {
            if let Some(at) = find(&self.rest, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read() {
                assert!(self.rest.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.rest));
                return None;
            }
        };
        let head = String::from_utf8(self.rest.drain(..end).collect()).unwrap();
        let mut reply = Reply::of_head(&head);
        let length: usize = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        assert_eq!(reply.header("transfer-encoding"), None, "{head}");
        while self.rest.len() < length {
            assert!(self.read(), "half a body, {} of {length} bytes: {head}", self.rest.len());
        }
        reply.body = self.rest.drain(..length).collect();
        Some(reply)
    }

    /// Waits until the server closes, and returns what it wrote before.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        while self.read() {}
        std::mem::take(&mut self.rest)
    }

    /// Reads more; returns whether there was more before the end.
    fn read(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(length) => {
                self.rest.extend_from_slice(&piece[..length]);
                true
            }
            Err(error) if is_end(error.kind()) => false,
            Err(error) => panic!("the server neither answered nor closed: {error}"),
        }
    }

    /// Closes so that the server sees a reset instead of an end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn of_head(head: &str) -> Self {
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().unwrap();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let status = status.unwrap_or_else(|| panic!("no status: {first:?}"));
        Self { status, headers: headers.collect(), body: Vec::new() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    /// Whether the server says that it closes the connection.
    pub(crate) fn says_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of the answer to a message.
    pub(crate) fn text(&self) -> String {
        let answer = self.json();
        let text = answer["result"]["parts"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text in {answer}")).to_owned()
    }
}

/// Waits until a condition holds, without a judgement of the time it takes.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
