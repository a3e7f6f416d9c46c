//! The clock of the platform: the machine's, moved forward by those who ask for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use molecule_platform::{Now, Recorded};
use molecule_proto::{Time, UnixTime};

/// A clock that goes on from the last time of a log, and can be moved forward.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// The monotonic time at the start, of which the log knows.
    base: Duration,
    /// By how much earlier runs moved the clock forward: the calendar of this machine does not know of it.
    earlier: Duration,
    /// By how many milliseconds this run moved it forward.
    forward: AtomicU64,
}

impl Clock {
    /// A clock that goes on after `last`. The time between then and now has passed, unless the calendar was set back.
    ///
    /// `earlier` is by how much it was moved forward until then.
    pub(crate) fn after(last: Option<Now>, earlier: Duration) -> Self {
        let base = last.map_or(Duration::ZERO, |last| {
            let passed = (unix() + earlier).since(last.unix);
            last.mono.since(Time::ZERO) + passed
        });
        Self { start: Instant::now(), base, earlier, forward: AtomicU64::new(0) }
    }

    /// The time in whole milliseconds.
    pub(crate) fn now(&self) -> Now {
        let forward = Duration::from_millis(self.forward.load(Ordering::SeqCst));
        let mono = Time::ZERO + self.base + self.start.elapsed() + forward;
        Recorded::rounded(Now { mono, unix: unix() + self.earlier + forward })
    }

    /// By how much it was moved forward, also in earlier runs.
    pub(crate) fn ahead(&self) -> Duration {
        Duration::from_millis(self.forward.load(Ordering::SeqCst))
    }

    /// Moves the clock forward.
    pub(crate) fn forward(&self, by: Duration) {
        self.forward.fetch_add(millis(by), Ordering::SeqCst);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A calendar before 1970 reads as 1970.
fn unix() -> UnixTime {
    UnixTime::default() + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_the_last_time_and_what_passed_meanwhile() {
        let earlier = Now { mono: Time::from_nanos(5_000_000_000), unix: unix() };
        let hour = Duration::from_secs(3600);
        let clock = Clock::after(Some(earlier), hour);
        let now = clock.now();
        assert!(
            now.mono.since(earlier.mono) >= hour && now.unix.since(earlier.unix) >= hour - Duration::from_millis(1)
        );
        let set_back = Now { unix: earlier.unix + 100 * hour, ..earlier };
        assert!(Clock::after(Some(set_back), Duration::ZERO).now().mono >= earlier.mono);
        clock.forward(hour);
        assert!(clock.now().mono.since(now.mono) >= hour);
    }
}
