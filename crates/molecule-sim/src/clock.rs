//! The virtual time of the world, and the two clocks of each computer.

use std::time::Duration;

use molecule_proto::{Now, Time, UnixTime};

/// The time at which every world begins: so late that no clock has to show a time before its zero.
pub(crate) const BEGINNING: Time = Time::from_nanos(86_400_000_000_000);

/// The wall-clock time at the beginning: 2026-08-01.
const CALENDAR: i64 = 1_785_542_400;

/// The platform's clocks, which are always right.
pub(crate) fn platform_now(world: Time) -> Now {
    let gone = world.since(BEGINNING);
    Now { mono: world, unix: UnixTime::from_secs(CALENDAR) + gone }
}

/// The clocks of an agent's computer. They begin right; actions make them jump or stand still.
#[derive(Debug, Clone)]
pub(crate) struct HostClock {
    /// When they were last set, in world time.
    set_at: Time,
    then: Now,
    still: bool,
}

impl HostClock {
    /// The clocks of a computer that had been up for `up_for` when the world began.
    pub(crate) fn new(up_for: Duration) -> Self {
        let then = Now { mono: Time::ZERO + up_for, unix: UnixTime::from_secs(CALENDAR) };
        Self { set_at: BEGINNING, then, still: false }
    }

    /// Both clocks at a time of the world.
    pub(crate) fn read(&self, world: Time) -> Now {
        let gone = world.since(self.set_at);
        let mono = if self.still { self.then.mono } else { self.then.mono + gone };
        Now { mono, unix: self.then.unix + gone }
    }

    /// Moves the monotonic clock ahead.
    pub(crate) fn jump(&mut self, world: Time, by: Duration) {
        self.set(world);
        self.then.mono = self.then.mono + by;
    }

    /// Moves the wall clock.
    pub(crate) fn set_calendar(&mut self, world: Time, by_secs: i64) {
        self.set(world);
        let unix = self.then.unix;
        self.then.unix = UnixTime::new(unix.as_secs().saturating_add(by_secs), unix.subsec_nanos());
    }

    /// Stops the monotonic clock, or lets it go on.
    pub(crate) fn stand_still(&mut self, world: Time, still: bool) {
        self.set(world);
        self.still = still;
    }

    fn set(&mut self, world: Time) {
        self.then = self.read(world);
        self.set_at = world;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn clocks_jump_and_stand_still_each_on_its_own() {
        let mut clock = HostClock::new(HOUR);
        let start = clock.read(BEGINNING);
        clock.stand_still(BEGINNING, true);
        let later = BEGINNING + HOUR;
        assert_eq!(clock.read(later), Now { mono: start.mono, unix: start.unix + HOUR });
        clock.stand_still(later, false);
        clock.jump(later, HOUR);
        clock.set_calendar(later, -7200);
        let back = UnixTime::from_secs(CALENDAR - 3600);
        assert_eq!(clock.read(later), Now { mono: start.mono + HOUR, unix: back });
    }
}
