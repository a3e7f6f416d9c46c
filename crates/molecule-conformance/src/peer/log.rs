//! The log of a scripted peer, and bounded waits for its entries.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustls::HandshakeKind;

use super::PATIENCE;

/// The log of a peer.
#[derive(Debug, Default, Clone)]
pub struct Log {
    /// Connections that were opened.
    pub opened: usize,
    /// Connections that have ended: the peer closed them, or saw that the client did.
    pub closed: usize,
    /// Bytes of requests, complete or not.
    pub bytes: usize,
    /// Bytes of a flood that clients accepted.
    pub written: u64,
    /// Complete requests.
    pub requests: Vec<Received>,
    /// Requests to a proxy, before TLS began.
    pub tunnels: Vec<Received>,
    /// TLS handshakes that succeeded.
    pub handshakes: Vec<HandshakeKind>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The number of its connection; the first is 1.
    pub connection: usize,
    /// The request line and the header lines, without the empty line.
    pub head: String,
    /// The body: as many bytes as `content-length` says.
    pub body: Vec<u8>,
}

impl Received {
    /// Returns whether its method and path are these, as in `GET /path`.
    pub fn is(&self, line: &str) -> bool {
        self.head.strip_prefix(line).is_some_and(|rest| rest.starts_with(' '))
    }

    /// Its path and query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Its headers in their order, each name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (String, &str)> {
        let lines = self.head.split("\r\n").skip(1).map(|line| line.split_once(':').unwrap_or((line, "")));
        lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
    }

    /// The value of the header with this name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// The log of a peer, for a thread or a task that cannot hold the peer itself.
#[derive(Debug, Clone)]
pub struct Watch(pub(super) Arc<Shared>);

impl Watch {
    /// Reads the log.
    pub fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        self.0.look(look)
    }

    /// Waits for at most 10 s until the condition holds; returns whether it does.
    pub fn wait(&self, until: impl Fn(&Log) -> bool) -> bool {
        self.0.wait(until)
    }
}

/// The state that all threads of a peer share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<PeerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PeerState {
    log: Log,
    /// Open connections by number.
    open: BTreeMap<usize, TcpStream>,
    /// Whether the peer was told to stop.
    over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, PeerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the log.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.state().log)
    }

    /// Changes the log, and wakes all threads that wait for it.
    pub(super) fn note(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.state().log);
        self.changed.notify_all();
    }

    /// Waits for at most [`PATIENCE`] until the condition holds or the peer is stopped; returns whether the condition
    /// holds.
    pub(super) fn wait(&self, until: impl Fn(&Log) -> bool) -> bool {
        let waiting = |state: &mut PeerState| !state.over && !until(&state.log);
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until(&state.log)
    }

    /// Registers a new connection and returns its number; `None` if the peer was told to stop.
    pub(super) fn open(&self, stream: &TcpStream) -> Option<usize> {
        let mut state = self.state();
        if state.over {
            return None;
        }
        state.log.opened += 1;
        let number = state.log.opened;
        state.open.extend(stream.try_clone().ok().map(|stream| (number, stream)));
        drop(state);
        self.changed.notify_all();
        Some(number)
    }

    /// Forgets a connection, so that dropping the thread's handle closes it.
    pub(super) fn release(&self, number: usize) {
        self.state().open.remove(&number);
    }

    /// Returns whether the peer was told to stop.
    pub(super) fn is_over(&self) -> bool {
        self.state().over
    }

    /// Tells the peer to stop.
    pub(super) fn finish(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }

    /// Closes every connection both ways.
    pub(super) fn cut_all(&self) {
        for stream in std::mem::take(&mut self.state().open).into_values() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
