//! The clock that drivers read.

use std::time::{Duration, Instant, SystemTime};

use molecule_core::machine::Now;
use molecule_core::proto::{Time, UnixTime};

/// The first reading of the clock: far enough from zero that an earlier time can be expressed.
const BASE: Duration = Duration::from_secs(24 * 60 * 60);

/// A monotonic clock, and the calendar beside it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts a clock. One clock serves an agent for its whole life.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        Now { mono: Time::ZERO + BASE + self.start.elapsed(), unix: calendar(SystemTime::now()) }
    }
}

/// The calendar time; a time before 1970 becomes the start of 1970.
fn calendar(time: SystemTime) -> UnixTime {
    UnixTime::from_secs(0) + time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_begins_above_zero_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.mono >= Time::ZERO + BASE);
        let later = clock.now();
        assert!(later.mono >= first.mono);
        // 2020: the calendar of any machine that runs this test is later.
        assert!(later.unix.as_secs() > 1_577_836_800);
    }

    #[test]
    fn a_calendar_before_1970_is_1970() {
        let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(calendar(long_ago), UnixTime::from_secs(0));
        let moment = SystemTime::UNIX_EPOCH + Duration::new(7, 5);
        assert_eq!(calendar(moment), UnixTime::new(7, 5));
    }
}
