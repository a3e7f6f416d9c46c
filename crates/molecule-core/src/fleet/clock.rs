//! A member's two clocks as one that never shows too little: from one look to the next, the clock counts that has advanced more.

use molecule_proto::{Now, UnixTime};

/// A calendar clock that is set back would hide a sleep that follows. So the calendar time of this clock advances with the
/// monotonic clock as well.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The last look, and the calendar time that this clock showed.
    last: Option<(Now, UnixTime)>,
}

impl Clock {
    pub(super) fn read(&self, now: Now) -> Now {
        match self.last {
            Some((last, unix)) => Now { unix: unix + now.since(last), ..now },
            None => now,
        }
    }

    pub(super) fn look(&mut self, now: Now) -> Now {
        let read = self.read(now);
        self.last = Some((now, read.unix));
        read
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use molecule_proto::Time;

    use super::*;

    #[test]
    fn a_sleep_is_seen_although_the_clock_was_set_back_before() {
        let at = |mono, unix| Now { mono: Time::ZERO + Duration::from_secs(mono), unix: UnixTime::from_secs(unix) };
        let mut clock = Clock::default();
        let start = clock.look(at(10, 1000));
        assert_eq!(clock.look(at(11, 400)).since(start), Duration::from_secs(1), "set back");
        assert_eq!(clock.read(at(11, 430)).since(start), Duration::from_secs(31), "slept for 30 s");
        assert_eq!(clock.look(at(41, 401)).since(start), Duration::from_secs(31), "set back again");
    }
}
