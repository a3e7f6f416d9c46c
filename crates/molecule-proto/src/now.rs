//! The times that a state machine without a clock exchanges with its driver: the current moment, and when to poll
//! again.

use std::time::Duration;

use crate::time::{Time, UnixTime};

/// Both clocks, read once by the driver for one poll or feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, for deadlines.
    pub mono: Time,
    /// The calendar clock, which may jump, for times on the wire.
    pub unix: UnixTime,
}

impl Now {
    /// The time from `earlier` to this moment, by the clock that shows the longer time. The monotonic clock may stand
    /// still while the computer sleeps, and the calendar clock may be set back.
    pub fn since(self, earlier: Self) -> Duration {
        self.mono.since(earlier.mono).max(self.unix.since(earlier.unix))
    }
}

/// The latest moment of the next poll, and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// The moment, on the clock of [`Now::mono`]; later than the moment of the poll that returned it.
    pub at: Time,
    /// The reason, for traces and people.
    pub why: &'static str,
}

impl Wake {
    /// The earlier of two optional wakes; `one` if both have the same moment.
    pub fn earliest(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other.at < one.at { other } else { one }),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_the_larger_of_both_clocks_advances() {
        let at = |mono, unix| Now { mono: Time::ZERO + Duration::from_secs(mono), unix: UnixTime::from_secs(unix) };
        for (now, seconds) in [
            (at(101, 1001), 1),
            // The computer slept.
            (at(101, 4601), 3601),
            // The calendar clock was set back, or stands still.
            (at(130, 500), 30),
            (at(130, 1000), 30),
            (at(99, 999), 0),
        ] {
            assert_eq!(now.since(at(100, 1000)), Duration::from_secs(seconds), "{now:?}");
        }
    }

    #[test]
    fn the_earliest_of_two_wakes_is_found_where_one_is_missing_too() {
        let wake = |at, why| Some(Wake { at: Time::from_nanos(at), why });
        assert_eq!(Wake::earliest(wake(2, "one"), wake(1, "other")), wake(1, "other"));
        assert_eq!(Wake::earliest(wake(1, "one"), wake(1, "other")), wake(1, "one"));
        assert_eq!(Wake::earliest(None, wake(1, "other")), wake(1, "other"));
        assert_eq!(Wake::earliest(wake(1, "one"), None), wake(1, "one"));
        assert_eq!(Wake::earliest(None, None), None);
    }
}
