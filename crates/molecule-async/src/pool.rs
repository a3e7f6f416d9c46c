//! Open connections that wait for their next request.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use tokio::runtime::{Handle, Id};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::connection::Connection;

/// How long a connection waits: longer than any two heartbeats are apart, shorter than most servers' patience.
const KEEP: Duration = Duration::from_secs(90);

/// A connection whose requests follow each other so soon is in steady use: no server closes it for being idle.
const BRISK: Duration = Duration::from_secs(1);

/// How often those that nobody will take are looked for, while others come back.
const SWEEP: Duration = Duration::from_secs(10);

/// To how many origins connections wait: peers that are called directly may be as many as an organisation has, and each
/// connection is a file of the process. The one that was used longest ago makes room.
const MOST_ORIGINS: usize = 64;

/// Idle connections by origin, each origin's in the order in which they were given back.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    waiting: HashMap<Origin, VecDeque<Waiting>, BuildHasherDefault<Short>>,
    swept: Option<Instant>,
}

struct Waiting {
    connection: Connection,
    since: Instant,
}

/// Where a connection leads, and the runtime that it belongs to: another one's might not be turning.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    https: bool,
    authority: Option<Authority>,
    runtime: Option<Id>,
    /// Of all that, made once.
    hash: u64,
}

impl Origin {
    /// The origin of a URL, on no runtime yet.
    pub(crate) fn of(uri: Uri) -> Self {
        let Parts { scheme, authority, .. } = uri.into_parts();
        Self { https: scheme == Some(Scheme::HTTPS), authority, runtime: None, hash: 0 }
    }

    /// The same on the runtime that runs here.
    pub(crate) fn set_here(&mut self) {
        self.runtime = Some(Handle::current().id());
        let mut hasher = Short::default();
        self.key().hash(&mut hasher);
        self.hash = hasher.finish();
    }

    /// A URL of the origin.
    pub(crate) fn uri(&self) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(if self.https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = self.authority.clone();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// As text, since `Authority` goes byte by byte about its case. Another case is another origin here, which does no harm.
    fn key(&self) -> (Option<Id>, bool, &str) {
        (self.runtime, self.https, self.authority.as_ref().map_or("", Authority::as_str))
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A hash of eight bytes at a time: origins are short and few. A stranger's that is made to collide is one of [`MOST_ORIGINS`].
#[derive(Default)]
struct Short(u64);

impl Hasher for Short {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The golden ratio's digits, as Fibonacci hashing has them; its best bits are the upper ones.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}

impl Pool {
    /// The connection to this origin that was used last and is still open.
    pub(crate) async fn take(&self, origin: &Origin, now: Instant) -> Option<Connection> {
        loop {
            let mut waiting = self.pop(origin)?;
            if !waiting.is_brisk(now) {
                // A turn of the runtime, in which it learns of a close that has arrived by now.
                yield_now().await;
            }
            if waiting.is_brisk(now) && waiting.connection.is_ready() || waiting.is_good(now) {
                waiting.connection.is_proven = true;
                return Some(waiting.connection);
            }
        }
    }

    /// Keeps a connection whose answer was read to its end, since the moment of its request.
    pub(crate) fn give(&self, origin: &Origin, connection: Connection, since: Instant) {
        let mut idle = self.idle();
        let gone = idle.sweep(since);
        let waiting = Waiting { connection, since };
        let replaced = match idle.waiting.get_mut(origin) {
            Some(all) => {
                all.push_back(waiting);
                None
            }
            None => {
                let replaced = idle.make_room();
                idle.waiting.insert(origin.clone(), [waiting].into());
                replaced
            }
        };
        drop(idle);
        // Closed here, with the pool free for others.
        drop((gone, replaced));
    }

    fn pop(&self, origin: &Origin) -> Option<Waiting> {
        self.idle().waiting.get_mut(origin)?.pop_back()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// Takes out those that waited too long, or were closed meanwhile, or whose runtime is gone. Only now and then, so that
    /// the work for one request does not grow with the number that waits.
    fn sweep(&mut self, now: Instant) -> Vec<Waiting> {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return Vec::new();
        }
        self.swept = Some(now);
        let mut gone = Vec::new();
        self.waiting.retain(|_, all| {
            for mut waiting in std::mem::take(all) {
                if waiting.is_good(now) { all.push_back(waiting) } else { gone.push(waiting) }
            }
            !all.is_empty()
        });
        gone
    }

    /// Makes room for one more origin, if there is none; gives what waited for the one that was used longest ago.
    fn make_room(&mut self) -> Option<VecDeque<Waiting>> {
        if self.waiting.len() < MOST_ORIGINS {
            return None;
        }
        let used = |all: &VecDeque<Waiting>| all.back().map(|waiting| waiting.since);
        let oldest = self.waiting.iter().min_by_key(|(_, all)| used(all)).map(|(origin, _)| origin.clone())?;
        self.waiting.remove(&oldest)
    }
}

impl Waiting {
    /// Whether no close is to be expected now.
    fn is_brisk(&self, now: Instant) -> bool {
        self.connection.is_proven && now.saturating_duration_since(self.since) < BRISK
    }

    fn is_good(&mut self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < KEEP && self.connection.is_open()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use http::Request;
    use molecule_core::effect::{Phase, Sent};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::clock::Wait;

    fn origin(url: &str) -> Origin {
        let mut origin = Origin::of(url.parse().unwrap());
        origin.set_here();
        origin
    }

    fn here() -> Origin {
        origin("http://127.0.0.1")
    }

    /// A connection that had its first answer, and its other end.
    async fn used() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut connection = Connection::speak(&Uri::from_static("http://127.0.0.1"), stream).await.unwrap();
        let other_end = listener.accept().await.unwrap().0;
        assert!(other_end.try_write(b"").is_ok());
        let answering = tokio::spawn(async move {
            other_end.readable().await.unwrap();
            while other_end.try_read(&mut [0; 512]).is_err() {
                other_end.readable().await.unwrap();
            }
            other_end.try_write(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            other_end
        });
        let answer = pin!(connection.send(Request::default()));
        let wait = Wait::new(Phase::Head, KEEP, Instant::now() + KEEP, Sent::Maybe);
        connection.wait(wait, answer).await.unwrap().unwrap();
        (connection, answering.await.unwrap())
    }

    fn waiting(connection: Connection, since: Instant) -> VecDeque<Waiting> {
        [Waiting { connection, since }].into()
    }

    #[tokio::test]
    async fn a_connection_is_taken_once_and_for_its_own_origin() {
        let pool = Pool::default();
        let (connection, _other_end) = used().await;
        pool.give(&here(), connection, Instant::now());
        assert!(pool.take(&origin("https://127.0.0.1"), Instant::now()).await.is_none());
        assert!(pool.take(&origin("http://127.0.0.2"), Instant::now()).await.is_none());
        assert!(pool.take(&here(), Instant::now()).await.is_some());
        assert!(pool.take(&here(), Instant::now()).await.is_none());
    }

    #[tokio::test]
    async fn a_connection_whose_close_has_arrived_is_not_taken() {
        let pool = Pool::default();
        let (connection, other_end) = used().await;
        pool.give(&here(), connection, Instant::now());
        drop(other_end);
        assert!(pool.take(&here(), Instant::now()).await.is_none());
    }

    #[tokio::test]
    async fn only_a_connection_in_steady_use_is_not_asked_for_a_close() {
        let pool = Pool::default();
        for (is_proven, waited) in [(true, BRISK), (false, Duration::ZERO)] {
            let (mut connection, other_end) = used().await;
            connection.is_proven = is_proven;
            let now = Instant::now();
            pool.idle().waiting.insert(here(), waiting(connection, now - waited));
            drop(other_end);
            assert!(pool.take(&here(), now).await.is_none(), "{is_proven} {waited:?}");
        }
        let (connection, _other_end) = used().await;
        pool.give(&here(), connection, Instant::now());
        for _ in 0..2 {
            let Some(connection) = pool.take(&here(), Instant::now()).await else { panic!("it is open") };
            assert!(connection.is_proven);
            pool.give(&here(), connection, Instant::now());
        }
    }

    #[tokio::test]
    async fn a_connection_that_waited_too_long_is_not_taken() {
        let pool = Pool::default();
        let (connection, _other_end) = used().await;
        pool.idle().waiting.insert(here(), waiting(connection, Instant::now() - KEEP));
        assert!(pool.take(&here(), Instant::now()).await.is_none());
    }

    #[tokio::test]
    async fn a_connection_of_another_runtime_is_not_taken_and_let_go_of_when_that_is_gone() {
        let pool = Arc::new(Pool::default());
        let other = {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let other_end = runtime.block_on(async {
                    let (connection, other_end) = used().await;
                    pool.give(&here(), connection, Instant::now());
                    other_end
                });
                (runtime, other_end)
            })
        };
        let (runtime, _other_end) = other.join().unwrap();
        assert!(pool.take(&here(), Instant::now()).await.is_none());
        let later = Instant::now() + SWEEP;
        assert!(pool.idle().sweep(later).is_empty());
        runtime.shutdown_background();
        assert_eq!(pool.idle().sweep(later + SWEEP).len(), 1);
    }

    #[tokio::test]
    async fn many_origins_keep_no_more_connections_than_there_is_room_for() {
        let pool = Pool::default();
        let begun = Instant::now();
        let mut other_ends = Vec::new();
        for number in 0..MOST_ORIGINS + 20 {
            let now = begun + Duration::from_millis(number as u64);
            let (connection, other_end) = used().await;
            other_ends.push(other_end);
            pool.give(&origin(&format!("https://peer-{number}.example")), connection, now);
            // The platform is called all the while.
            let platform = match pool.take(&here(), now).await {
                Some(connection) => connection,
                None => {
                    assert_eq!(number, 0, "the platform made room for a peer");
                    let (connection, other_end) = used().await;
                    other_ends.push(other_end);
                    connection
                }
            };
            pool.give(&here(), platform, now);
            assert!(pool.idle().waiting.len() <= MOST_ORIGINS);
        }
        let latest = origin(&format!("https://peer-{}.example", MOST_ORIGINS + 19));
        assert!(pool.take(&latest, begun).await.is_some());
        assert!(pool.take(&origin("https://peer-0.example"), begun).await.is_none(), "used longest ago");
    }

    #[tokio::test]
    async fn a_sweep_lets_go_of_what_is_closed_or_old() {
        let pool = Pool::default();
        let (open, _open_end) = used().await;
        let (closed, closed_end) = used().await;
        let (old, _old_end) = used().await;
        let now = Instant::now();
        let mut all = waiting(old, now - KEEP);
        all.extend(waiting(closed, now));
        all.extend(waiting(open, now));
        pool.idle().waiting.insert(here(), all);
        drop(closed_end);
        yield_now().await;
        assert_eq!(pool.idle().sweep(now).len(), 2);
        assert!(pool.idle().sweep(now).is_empty(), "swept again at once");
        assert!(pool.take(&here(), Instant::now()).await.is_some());
    }
}
