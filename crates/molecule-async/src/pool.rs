//! Idle connections, kept for the next request to their origin.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molecule_core::effect::connection::KEPT;
use molecule_core::machine::Now;
use tokio::task::yield_now;

use crate::connection::Connection;
use crate::origin::Origin;
use crate::runtimes::Runtimes;

/// The longest pause between two requests of a connection in steady use, which no server closes as idle.
const BRISK: Duration = Duration::from_secs(1);

/// How often connections that will not be taken are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// The most origins with idle connections: peers that are called directly may be as many as an organisation has, and each connection
/// is a file of the process. The origin that was used longest ago makes room.
const MOST_ORIGINS: usize = 64;

/// Idle connections by origin, each origin's in the order in which they were given back.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    runtimes: Runtimes,
}

#[derive(Default)]
struct Idle {
    waiting: HashMap<Origin, VecDeque<Waiting>>,
    swept: Option<Now>,
}

struct Waiting {
    connection: Connection,
    /// When its last answer was read to the end.
    heard: Now,
}

impl Pool {
    /// Takes the connection to an origin whose last answer is the newest, if that is younger than `max_idle` and the connection is open.
    pub(crate) async fn take(&self, origin: &Origin, now: Now, max_idle: Duration) -> Option<Connection> {
        loop {
            let mut waiting = self.pop(origin, now, max_idle.min(KEPT))?;
            if !waiting.is_brisk(now) {
                // Gives the runtime a turn, in which it reads a close that has arrived.
                yield_now().await;
            }
            if waiting.is_brisk(now) && waiting.connection.is_ready() || waiting.is_good(now) {
                waiting.connection.is_proven = true;
                return Some(waiting.connection);
            }
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn give(&self, origin: &Origin, connection: Connection, now: Now) {
        let mut idle = self.idle();
        let gone = idle.sweep(now);
        let waiting = Waiting { connection, heard: now };
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
        // Closed here, where the pool is not locked.
        drop((gone, replaced));
    }

    /// Closes the idle connections to an origin.
    pub(crate) fn forget(&self, origin: &Origin) {
        let gone = self.idle().waiting.remove(origin);
        // Closed here, where the pool is not locked.
        drop(gone);
    }

    /// Closes the idle connections of this runtime when it ends. It is called wherever a connection is opened.
    pub(crate) fn watch_runtime(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        self.runtimes.watch(move |ended| {
            let Some(pool) = pool.upgrade() else { return };
            let gone: Vec<_> = pool.idle().waiting.extract_if(|origin, _| origin.runtime == Some(ended)).collect();
            drop(gone);
        });
    }

    fn pop(&self, origin: &Origin, now: Now, max_idle: Duration) -> Option<Waiting> {
        let mut idle = self.idle();
        let all = idle.waiting.get_mut(origin)?;
        // The last one has the newest answer.
        if now.since(all.back()?.heard) < max_idle { all.pop_back() } else { None }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// Takes out the connections that are too old, were closed, or have lost their runtime. It does so only now and then, so that the
    /// work for one request does not grow with the number of connections.
    fn sweep(&mut self, now: Now) -> Vec<Waiting> {
        if self.swept.is_some_and(|swept| now.since(swept) < SWEEP) {
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

    /// Makes room for one more origin if there is none, and returns the connections of the origin that was used longest ago.
    fn make_room(&mut self) -> Option<VecDeque<Waiting>> {
        if self.waiting.len() < MOST_ORIGINS {
            return None;
        }
        let used = |all: &VecDeque<Waiting>| all.back().map(|waiting| waiting.heard.mono);
        let oldest = self.waiting.iter().min_by_key(|(_, all)| used(all)).map(|(origin, _)| origin.clone())?;
        self.waiting.remove(&oldest)
    }
}

impl Waiting {
    /// Whether the connection is in steady use, so that no close is to be expected.
    fn is_brisk(&self, now: Now) -> bool {
        self.connection.is_proven && now.since(self.heard) < BRISK
    }

    fn is_good(&mut self, now: Now) -> bool {
        now.since(self.heard) < KEPT && self.connection.is_open()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use http::{Request, Uri};
    use molecule_core::effect::connection::{HEARD, Reach};
    use molecule_core::effect::{Phase, Sent};
    use tokio::net::{TcpListener, TcpStream};

    use molecule_host::Clock;
    use tokio::runtime::Handle;
    use tokio::time::Instant;

    use super::*;
    use crate::clock::Wait;

    fn now() -> Now {
        Clock::start().now()
    }

    fn later(now: Now, by: Duration) -> Now {
        Now { mono: now.mono + by, unix: now.unix + by }
    }

    fn origin(url: &str) -> Origin {
        let mut origin = Origin::of(url.parse().unwrap(), Reach::Anywhere);
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
        let wait = Wait::new(Phase::Head, KEPT, Instant::now() + KEPT, Sent::Maybe);
        connection.wait(wait, answer).await.unwrap().unwrap();
        (connection, answering.await.unwrap())
    }

    fn waiting(connection: Connection, heard: Now) -> VecDeque<Waiting> {
        [Waiting { connection, heard }].into()
    }

    #[tokio::test]
    async fn a_connection_is_taken_once_and_for_its_own_origin() {
        let pool = Pool::default();
        let (connection, _other_end) = used().await;
        pool.give(&here(), connection, now());
        assert!(pool.take(&origin("https://127.0.0.1"), now(), KEPT).await.is_none());
        assert!(pool.take(&origin("http://127.0.0.2"), now(), KEPT).await.is_none());
        assert!(pool.take(&here(), now(), KEPT).await.is_some());
        assert!(pool.take(&here(), now(), KEPT).await.is_none());
    }

    #[tokio::test]
    async fn a_connection_whose_close_has_arrived_is_not_taken() {
        let pool = Pool::default();
        let (connection, other_end) = used().await;
        pool.give(&here(), connection, now());
        drop(other_end);
        assert!(pool.take(&here(), now(), KEPT).await.is_none());
    }

    #[tokio::test]
    async fn only_a_connection_in_steady_use_is_not_asked_for_a_close() {
        let pool = Pool::default();
        for (is_proven, waited) in [(true, BRISK), (false, Duration::ZERO)] {
            let (mut connection, other_end) = used().await;
            connection.is_proven = is_proven;
            let heard = now();
            pool.idle().waiting.insert(here(), waiting(connection, heard));
            drop(other_end);
            assert!(pool.take(&here(), later(heard, waited), KEPT).await.is_none(), "{is_proven} {waited:?}");
        }
        let (connection, _other_end) = used().await;
        pool.give(&here(), connection, now());
        for _ in 0..2 {
            let Some(connection) = pool.take(&here(), now(), KEPT).await else { panic!("it is open") };
            assert!(connection.is_proven);
            pool.give(&here(), connection, now());
        }
    }

    #[tokio::test]
    async fn a_connection_that_waited_too_long_is_not_taken() {
        let pool = Pool::default();
        let (connection, _other_end) = used().await;
        let heard = now();
        pool.give(&here(), connection, heard);
        assert!(pool.take(&here(), later(heard, KEPT), KEPT).await.is_none());
        assert!(pool.take(&here(), later(heard, KEPT), Duration::MAX).await.is_none());
    }

    #[tokio::test]
    async fn a_request_that_needs_a_live_connection_leaves_older_ones_to_others() {
        let pool = Pool::default();
        let (connection, _other_end) = used().await;
        let heard = now();
        pool.give(&here(), connection, heard);
        let now = later(heard, HEARD);
        assert!(pool.take(&here(), now, HEARD).await.is_none());
        let Some(connection) = pool.take(&here(), now, KEPT).await else { panic!("it was let go of") };
        // It was heard again.
        pool.give(&here(), connection, now);
        assert!(pool.take(&here(), now, HEARD).await.is_some());
    }

    #[tokio::test]
    async fn a_connection_ages_while_the_machine_sleeps() {
        let pool = Pool::default();
        let heard = now();
        let (connection, _other_end) = used().await;
        pool.give(&here(), connection, heard);
        // The clock that only grows stood still.
        let awake = Now { mono: heard.mono, unix: heard.unix + KEPT };
        assert!(pool.take(&here(), awake, KEPT).await.is_none());
        assert_eq!(pool.idle().sweep(awake).len(), 1);
    }

    #[tokio::test]
    async fn what_waits_for_an_origin_is_forgotten_and_for_others_is_not() {
        let pool = Pool::default();
        let other = origin("http://127.0.0.2");
        let mut other_ends = Vec::new();
        for origin in [here(), here(), other.clone()] {
            let (connection, other_end) = used().await;
            other_ends.push(other_end);
            pool.give(&origin, connection, now());
        }
        pool.forget(&here());
        assert!(pool.take(&here(), now(), KEPT).await.is_none());
        assert!(pool.take(&other, now(), KEPT).await.is_some());
        other_ends[0].readable().await.unwrap();
        assert_eq!(other_ends[0].try_read(&mut [0]).unwrap(), 0, "it was closed");
    }

    #[tokio::test]
    async fn what_was_opened_without_bounds_is_not_for_a_request_with_bounds() {
        let pool = Pool::default();
        let (connection, _other_end) = used().await;
        pool.give(&here(), connection, now());
        let mut bounded = Origin::of(Uri::from_static("http://127.0.0.1"), Reach::Public);
        bounded.set_here();
        assert!(pool.take(&bounded, now(), KEPT).await.is_none());
        assert!(pool.take(&here(), now(), KEPT).await.is_some());
    }

    #[tokio::test]
    async fn a_connection_of_another_runtime_is_not_taken_and_let_go_of_when_that_ends() {
        let pool = Arc::new(Pool::default());
        let (own, _own_end) = used().await;
        pool.watch_runtime();
        pool.give(&here(), own, now());
        let other = {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let other_end = runtime.block_on(async {
                    pool.watch_runtime();
                    pool.watch_runtime();
                    let (connection, other_end) = used().await;
                    pool.give(&here(), connection, now());
                    other_end
                });
                (runtime, other_end)
            })
        };
        let (runtime, _other_end) = other.join().unwrap();
        let (connection, nothing) = (pool.take(&here(), now(), KEPT).await, pool.take(&here(), now(), KEPT).await);
        assert!(nothing.is_none());
        pool.give(&here(), connection.unwrap(), now());
        assert_eq!(pool.idle().waiting.len(), 2);
        runtime.shutdown_background();
        assert_eq!(pool.idle().waiting.len(), 1);
        assert!(pool.take(&here(), now(), KEPT).await.is_some());
    }

    #[tokio::test]
    async fn a_pool_that_goes_ends_its_watch() {
        let pool = Arc::new(Pool::default());
        pool.watch_runtime();
        let tasks = Handle::current().metrics().num_alive_tasks();
        drop(pool);
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks - 1);
    }

    #[tokio::test]
    async fn many_origins_keep_no_more_connections_than_there_is_room_for() {
        let pool = Pool::default();
        let begun = now();
        let mut other_ends = Vec::new();
        for number in 0..MOST_ORIGINS + 20 {
            let now = later(begun, Duration::from_millis(number as u64));
            let (connection, other_end) = used().await;
            other_ends.push(other_end);
            pool.give(&origin(&format!("https://peer-{number}.example")), connection, now);
            // The platform is called all the while.
            let platform = match pool.take(&here(), now, KEPT).await {
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
        assert!(pool.take(&latest, begun, KEPT).await.is_some());
        assert!(pool.take(&origin("https://peer-0.example"), begun, KEPT).await.is_none(), "used longest ago");
    }

    #[tokio::test]
    async fn a_sweep_lets_go_of_what_is_closed_or_old() {
        let pool = Pool::default();
        let (open, _open_end) = used().await;
        let (closed, closed_end) = used().await;
        let (old, _old_end) = used().await;
        let heard = now();
        let now = later(heard, KEPT);
        let mut all = waiting(old, heard);
        all.extend(waiting(closed, now));
        all.extend(waiting(open, now));
        pool.idle().waiting.insert(here(), all);
        drop(closed_end);
        yield_now().await;
        assert_eq!(pool.idle().sweep(now).len(), 2);
        assert!(pool.idle().sweep(now).is_empty(), "swept again at once");
        assert!(pool.take(&here(), now, KEPT).await.is_some());
    }
}
