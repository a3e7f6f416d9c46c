//! Reads an event stream and hands out its pieces as they arrive. Its thread ends soon after the watch is cancelled.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_core::effect::watch::{check_stream, ended};
use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Limits, Sent};

use crate::http::Client;

/// Opens a stream and hands out its pieces, until `each` wants no more. Returns an answer that is no stream, and otherwise the fault
/// with which the stream ended.
pub(crate) fn watch(
    client: &Client,
    (request, limits): (Request<Bytes>, Limits),
    abort: &Abort,
    mut each: impl FnMut(Bytes) -> bool,
) -> Result<Response<Bytes>, Fault> {
    let given_up = || Fault::new(Sent::Maybe, FaultKind::Cancelled);
    let read = || {
        let answer = client.open_stream(request, limits, abort)?;
        if answer.head().status() != StatusCode::OK {
            return answer.whole(limits);
        }
        check_stream(answer.head().headers())?;
        answer.stream(|piece| if each(Bytes::copy_from_slice(piece)) { Ok(()) } else { Err(given_up()) })?;
        Err(ended())
    };
    let outcome = read();
    // The fault of an aborted watch says only that its socket was shut down.
    if abort.is_aborted() { Err(given_up()) } else { outcome }
}

/// Ends a watch from another thread. Once it is aborted, the watch's socket is shut down: at once, or as soon as it is connected.
#[derive(Clone, Default)]
pub(crate) struct Abort(Arc<Mutex<Socket>>);

#[derive(Default)]
enum Socket {
    #[default]
    Unconnected,
    /// The socket is closed by its thread alone.
    Connected(Weak<TcpStream>),
    Aborted,
}

impl Abort {
    /// Ends the watch.
    pub(crate) fn abort(&self) {
        if let Socket::Connected(stream) = mem::replace(&mut *self.socket(), Socket::Aborted)
            && let Some(stream) = stream.upgrade()
        {
            shut_down(&stream);
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        matches!(*self.socket(), Socket::Aborted)
    }

    /// Takes the socket of the watch.
    pub(crate) fn connected(&self, stream: &Arc<TcpStream>) {
        let mut socket = self.socket();
        match *socket {
            Socket::Aborted => shut_down(stream),
            Socket::Unconnected | Socket::Connected(_) => *socket = Socket::Connected(Arc::downgrade(stream)),
        }
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a read of the socket that is under way, and all later ones.
fn shut_down(stream: &TcpStream) {
    // A socket that is not connected any more has nothing to shut down.
    let _ = stream.shutdown(Shutdown::Both);
}

impl fmt::Debug for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Abort").field(&self.is_aborted()).finish()
    }
}

/// The watches that one machine has in flight. They end with it.
#[derive(Default)]
pub(crate) struct Watches(BTreeMap<EffectId, Abort>);

impl Watches {
    /// Adds an effect, if it is a watch.
    pub(crate) fn add(&mut self, id: EffectId, effect: &Effect) -> Abort {
        let abort = Abort::default();
        if let Effect::Watch(..) = effect {
            self.0.insert(id, abort.clone());
        }
        abort
    }

    /// Ends an effect early, if it is a watch.
    pub(crate) fn abort(&mut self, id: EffectId) {
        if let Some(abort) = self.0.remove(&id) {
            abort.abort();
        }
    }

    /// Removes an effect whose final outcome has come.
    pub(crate) fn ended(&mut self, id: EffectId) {
        self.0.remove(&id);
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.0.values().for_each(Abort::abort);
    }
}

/// A piece of a stream on its way to the machine.
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    /// Dropped with the piece, which the stream's thread waits for.
    _untaken: Sender<Infallible>,
}

/// Holds back the thread of a stream whose pieces are not taken, so that at most two of them are in memory. The thread then reads no
/// further, and the connection holds back the server.
#[derive(Default)]
pub(crate) struct Pace {
    last: Option<Receiver<Infallible>>,
}

impl Pace {
    /// Waits until the last piece is taken, and makes the next one.
    pub(crate) fn next(&mut self, bytes: Bytes) -> Part {
        let (untaken, taken) = channel();
        if let Some(last) = self.last.replace(taken) {
            // Nothing is ever sent: this is the end of the last piece.
            let _ = last.recv();
        }
        Part { bytes, _untaken: untaken }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::TryRecvError;
    use std::thread;
    use std::time::Duration;

    use http::Uri;
    use molecule_conformance::{ID, PeerAction, ScriptedPeer, Watcher};
    use molecule_core::proto::WorkspaceId;
    use molecule_core::{Options, Transport};
    use molecule_host::{Host, SharedSession, Storage};

    use super::*;
    use crate::driver::Driver;

    const PATIENCE: Duration = Duration::from_secs(10);
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

    fn request(peer: &ScriptedPeer) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = peer.url().parse::<Uri>().unwrap();
        request
    }

    /// Watches the peer on a thread of its own.
    fn watching(peer: &ScriptedPeer, abort: &Abort, each: impl FnMut(Bytes) -> bool + Send + 'static) -> Ended {
        let client = Client::new(&Transport::new()).unwrap();
        let (request, abort) = (request(peer), abort.clone());
        let (end, ended) = channel();
        thread::spawn(move || {
            let limits = Limits::of(PATIENCE, 1000).read(100 * PATIENCE);
            end.send(watch(&client, (request, limits), &abort, each)).unwrap();
        });
        ended
    }

    type Ended = Receiver<Result<Response<Bytes>, Fault>>;

    fn cancelled(ended: &Ended) -> bool {
        matches!(ended.recv_timeout(PATIENCE).unwrap(), Err(Fault { kind: FaultKind::Cancelled, .. }))
    }

    #[test]
    fn a_watch_that_is_aborted_in_silence_ends_and_frees_its_connection() {
        let peer = ScriptedPeer::start(|connection| {
            connection.request();
            connection.send(format!("{HEAD}: ping\n\n"));
            assert!(connection.is_left());
        });
        let (abort, (seen, arrived)) = (Abort::default(), channel());
        let ended = watching(&peer, &abort, move |piece| seen.send(piece).is_ok());
        assert_eq!(arrived.recv_timeout(PATIENCE).unwrap(), ": ping\n\n");
        assert!(ended.try_recv().is_err());
        abort.abort();
        assert!(cancelled(&ended));
        assert!(peer.watch().wait(|log| log.closed == 1));
    }

    #[test]
    fn a_watch_that_is_aborted_before_its_head_or_its_connection_ends_too() {
        let peer = ScriptedPeer::answering(|_| vec![PeerAction::Listen]);
        let abort = Abort::default();
        let ended = watching(&peer, &abort, |_| true);
        assert!(peer.watch().wait(|log| log.requests.len() == 1));
        abort.abort();
        assert!(cancelled(&ended));
        let late = Abort::default();
        late.abort();
        assert!(cancelled(&watching(&peer, &late, |_| true)));
    }

    #[test]
    fn a_stream_whose_pieces_nobody_takes_is_not_read() {
        const FLOOD: u64 = 200 << 20;
        let peer = ScriptedPeer::answering(|_| vec![PeerAction::send(HEAD), PeerAction::Flood(FLOOD)]);
        let (abort, mut pace, (parts, taken)) = (Abort::default(), Pace::default(), channel());
        let ended = watching(&peer, &abort, move |piece| parts.send(pace.next(piece)).is_ok());
        let first = taken.recv_timeout(PATIENCE).unwrap();
        assert!(!first.bytes.is_empty() && first.bytes.len() <= molecule_core::effect::watch::MAX_PART);
        // The second piece waits for the first to be taken.
        assert!(matches!(taken.try_recv(), Err(TryRecvError::Empty)));
        drop(first);
        assert!(taken.recv_timeout(PATIENCE).is_ok());
        // Where nobody is left to take them, the watch ends.
        drop(taken);
        assert!(cancelled(&ended));
        assert!(peer.watch().look(|log| log.written) < FLOOD / 4);
    }

    #[test]
    fn a_watch_ends_and_frees_its_connection_when_its_machine_cancels_it_or_is_done() {
        for machine in [Watcher::cancelling, Watcher::leaving] {
            let peer = ScriptedPeer::start(|connection| {
                connection.request();
                connection.send(format!("{HEAD}: ping\n\n"));
                assert!(connection.is_left());
            });
            let id: WorkspaceId = ID.parse().unwrap();
            let session = SharedSession::new(Options::new(peer.url(), &id).build().unwrap(), None);
            let host = Host::new(Storage::Memory.open(&id).unwrap());
            let driver = Driver::new(session, host, Client::new(&Transport::new()).unwrap());
            let limits = Limits::of(PATIENCE, 1000).read(100 * PATIENCE);
            let (read, fault) = driver.call(machine(request(&peer), limits)).unwrap();
            assert_eq!(read, b": ping\n\n");
            assert!(fault.is_none_or(|fault| fault.kind == FaultKind::Cancelled));
            assert!(peer.watch().wait(|log| log.closed == 1));
        }
    }
}
