//! Idle connections, kept for the next request to their origin.
//!
//! ureq's own pool gives out the connection that was idle for longest, counts its age by a clock that stands still while the machine
//! sleeps, and keeps the idle neighbours of a dead connection.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use molecule_core::effect::connection::{KEPT, Reach};
use molecule_core::machine::Now;
use ureq::unversioned::transport::Transport;

/// The most idle connections of one client, which many agents may share.
const MOST: usize = 64;

/// The origin that a connection leads to, and the addresses that it may have been opened to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    is_https: bool,
    authority: String,
    reach: Reach,
}

impl Origin {
    pub(crate) fn of(uri: &Uri, reach: Reach) -> Self {
        let authority = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()).unwrap_or_default();
        Self { is_https: uri.scheme_str() == Some("https"), authority, reach }
    }
}

/// The idle connections of one client.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<Origin, Vec<Idle>>>);

#[derive(Debug)]
struct Idle {
    stream: Box<dyn Transport>,
    /// When the end of its last answer was read.
    heard: Now,
}

impl Pool {
    /// Takes the connection to an origin whose last answer is the newest, if that is younger than `most` and the connection is open.
    pub(crate) fn take(&self, origin: &Origin, most: Duration, now: Now) -> Option<Box<dyn Transport>> {
        loop {
            let mut idle = self.take_last(origin, most.min(KEPT), now)?;
            if idle.is_open() {
                return Some(idle);
            }
        }
    }

    fn take_last(&self, origin: &Origin, most: Duration, now: Now) -> Option<Box<dyn Transport>> {
        let mut all = self.all();
        let idle = all.get_mut(origin)?;
        let last = idle.pop_if(|last| now.since(last.heard) < most);
        if idle.is_empty() {
            all.remove(origin);
        }
        last.map(|idle| idle.stream)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn give(&self, origin: &Origin, stream: Box<dyn Transport>, now: Now) {
        let mut all = self.all();
        all.retain(|_, idle| {
            idle.retain(|idle| now.since(idle.heard) < KEPT);
            !idle.is_empty()
        });
        if all.values().map(Vec::len).sum::<usize>() >= MOST {
            drop_oldest(&mut all, now);
        }
        all.entry(origin.clone()).or_default().push(Idle { stream, heard: now });
    }

    /// Closes the idle connections to an origin.
    pub(crate) fn close(&self, origin: &Origin) {
        self.all().remove(origin);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the oldest connection; the first of each origin is the oldest there.
fn drop_oldest(all: &mut HashMap<Origin, Vec<Idle>>, now: Now) {
    let age = |idle: &Vec<Idle>| idle.first().map(|oldest| now.since(oldest.heard));
    if let Some(idle) = all.values_mut().max_by_key(|idle| age(idle))
        && !idle.is_empty()
    {
        idle.remove(0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fmt;

    use molecule_core::proto::{Time, UnixTime};
    use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout};

    use super::*;

    /// Both clocks, in seconds.
    fn at(mono: u64, unix: i64) -> Now {
        Now { mono: Time::ZERO + Duration::from_secs(mono), unix: UnixTime::from_secs(unix) }
    }

    /// A connection with a number, which may have been closed.
    struct Numbered(u32, LazyBuffers, bool);

    impl fmt::Debug for Numbered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl Transport for Numbered {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.1
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
            Ok(false)
        }

        fn is_open(&mut self) -> bool {
            self.2
        }
    }

    fn numbered(number: u32, is_open: bool) -> Box<dyn Transport> {
        Box::new(Numbered(number, LazyBuffers::new(1, 1), is_open))
    }

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap(), Reach::Anywhere)
    }

    /// The number of the connection that is given out.
    fn take(pool: &Pool, url: &str, most: u64, now: Now) -> Option<String> {
        Some(format!("{:?}", pool.take(&origin(url), Duration::from_secs(most), now)?))
    }

    const HERE: &str = "https://host.example/a";

    #[test]
    fn the_connection_that_was_heard_last_is_taken_and_a_closed_one_is_not() {
        let pool = Pool::default();
        for (number, is_open) in [(1, true), (2, true), (3, false)] {
            pool.give(&origin(HERE), numbered(number, is_open), at(100 + u64::from(number), 1000));
        }
        assert_eq!(take(&pool, "https://HOST.example/b", 90, at(105, 1005)).as_deref(), Some("2"));
        assert_eq!(take(&pool, "https://host.example", 90, at(105, 1005)).as_deref(), Some("1"));
        assert_eq!(take(&pool, HERE, 90, at(105, 1005)), None);
    }

    #[test]
    fn a_connection_is_too_old_by_whichever_clock_says_so() {
        for (now, most, is_taken) in [
            (at(189, 1089), 90, true),
            (at(190, 1090), 90, false),
            // The machine slept.
            (at(101, 1090), 90, false),
            // The calendar was set back.
            (at(101, 500), 90, true),
            (at(190, 500), 90, false),
            // What must not meet a dead one.
            (at(104, 1004), 5, true),
            (at(105, 1005), 5, false),
            (at(101, 1060), 5, false),
            (at(100, 1000), 0, false),
            // No limit is longer than the pool's own.
            (at(190, 1090), 3600, false),
        ] {
            let pool = Pool::default();
            pool.give(&origin(HERE), numbered(1, true), at(100, 1000));
            assert_eq!(take(&pool, HERE, most, now).is_some(), is_taken, "{now:?}, {most}");
        }
    }

    #[test]
    fn an_idle_connection_that_is_too_old_for_one_request_serves_another() {
        let pool = Pool::default();
        pool.give(&origin(HERE), numbered(1, true), at(100, 1000));
        assert_eq!(take(&pool, HERE, 5, at(130, 1030)), None);
        assert_eq!(take(&pool, HERE, 90, at(130, 1030)).as_deref(), Some("1"));
    }

    #[test]
    fn origins_and_reaches_share_nothing_and_are_closed_apart() {
        let pool = Pool::default();
        pool.give(&origin(HERE), numbered(1, true), at(100, 1000));
        pool.give(&origin(HERE), numbered(2, true), at(100, 1000));
        for other in ["http://host.example", "https://host.example:8443", "https://other.example"] {
            assert_eq!(take(&pool, other, 90, at(100, 1000)), None, "{other}");
            pool.give(&origin(other), numbered(3, true), at(100, 1000));
        }
        let public = Origin::of(&HERE.parse().unwrap(), Reach::Public);
        assert!(pool.take(&public, KEPT, at(100, 1000)).is_none());
        pool.close(&origin(HERE));
        assert_eq!(take(&pool, HERE, 90, at(100, 1000)), None);
        assert_eq!(take(&pool, "https://other.example", 90, at(100, 1000)).as_deref(), Some("3"));
    }

    #[test]
    fn idle_connections_are_bounded_and_the_oldest_goes_first() {
        let pool = Pool::default();
        pool.give(&origin("https://first.example"), numbered(0, true), at(99, 999));
        for number in 0..=MOST {
            pool.give(&origin(&format!("https://{number}.example")), numbered(1, true), at(100, 1000));
        }
        assert_eq!(pool.all().values().map(Vec::len).sum::<usize>(), MOST);
        assert_eq!(take(&pool, "https://first.example", 90, at(100, 1000)), None);
        // What is too old by then is closed when another one comes.
        pool.give(&origin(HERE), numbered(2, true), at(100, 5000));
        assert_eq!(pool.all().len(), 1);
    }
}
