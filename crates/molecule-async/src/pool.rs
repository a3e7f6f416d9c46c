//! Open connections that wait for their next request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

/// One open connection, as a place to send requests to. Dropping it closes the connection.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// How long a connection waits: longer than any two heartbeats are apart, shorter than most servers' patience.
const KEEP: Duration = Duration::from_secs(90);

/// How long a connection whose last answer was just read may take to be ready again; hyper's task needs one turn, perhaps
/// on another thread.
const SETTLE: Duration = Duration::from_millis(100);

/// Idle connections by origin, each origin's in the order in which they were given back.
#[derive(Default)]
pub(crate) struct Pool(Mutex<BTreeMap<String, VecDeque<Idle>>>);

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    /// The connection to this origin that was used last and is still open.
    pub(crate) async fn take(&self, origin: &str) -> Option<Sender> {
        while let Some(Idle { mut sender, since }) = self.pop(origin) {
            // A turn of the runtime, in which hyper's task sees a close that has arrived by now, or ends its last answer.
            yield_now().await;
            if since.elapsed() < KEEP && matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end. Those that waited too long or were closed are let go of as they
    /// come to be the oldest, so that the work does not grow with the number that waits.
    pub(crate) fn give(&self, origin: String, sender: Sender) {
        let since = Instant::now();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.entry(origin).or_default();
        while waiting.front().is_some_and(|oldest| oldest.sender.is_closed() || since - oldest.since >= KEEP) {
            waiting.pop_front();
        }
        if !sender.is_closed() {
            waiting.push_back(Idle { sender, since });
        }
    }

    fn pop(&self, origin: &str) -> Option<Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(origin)?.pop_back()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hyper::client::conn::http1::handshake;
    use hyper_util::rt::TokioIo;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const ORIGIN: &str = "http 127.0.0.1";

    /// A connection and its other end.
    async fn open() -> (Sender, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        (sender, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_is_taken_once_and_for_its_own_origin() {
        let pool = Pool::default();
        let (sender, _other_end) = open().await;
        pool.give(ORIGIN.to_owned(), sender);
        assert!(pool.take("https elsewhere").await.is_none());
        assert!(pool.take(ORIGIN).await.is_some());
        assert!(pool.take(ORIGIN).await.is_none());
    }

    #[tokio::test]
    async fn a_connection_whose_close_has_arrived_is_not_taken() {
        // In a task, as the driver's requests are: the runtime looks for what arrived before it goes on with one.
        let taking = tokio::spawn(async {
            let pool = Pool::default();
            let (sender, other_end) = open().await;
            pool.give(ORIGIN.to_owned(), sender);
            drop(other_end);
            pool.take(ORIGIN).await.is_none()
        });
        assert!(taking.await.unwrap());
    }

    #[tokio::test]
    async fn a_connection_that_waited_too_long_is_not_taken() {
        let pool = Pool::default();
        let (sender, _other_end) = open().await;
        let since = Instant::now() - KEEP;
        pool.0.lock().unwrap().insert(ORIGIN.to_owned(), [Idle { sender, since }].into());
        assert!(pool.take(ORIGIN).await.is_none());
    }

    #[tokio::test]
    async fn the_oldest_go_first_and_the_newest_is_taken() {
        let pool = Pool::default();
        let (old, old_end) = open().await;
        let (new, _new_end) = open().await;
        let since = Instant::now() - KEEP;
        pool.0.lock().unwrap().insert(ORIGIN.to_owned(), [Idle { sender: old, since }].into());
        pool.give(ORIGIN.to_owned(), new);
        assert_eq!(pool.0.lock().unwrap()[ORIGIN].len(), 1);
        // Its other end sees that it was let go of.
        while old_end.try_read(&mut [0]).is_err() {
            old_end.readable().await.unwrap();
        }
        assert!(pool.take(ORIGIN).await.is_some());
    }
}
