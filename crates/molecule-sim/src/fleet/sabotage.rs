//! Members that break one rule.

use std::time::Duration;

use molecule_core::fleet::{Revision, Rules, Standard};
use molecule_proto::{Now, UnixTime};

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetSabotage {
    /// The window is never over.
    NoSelfFence,
    /// The window begins with the answer of the renewal.
    WindowFromAnswer,
    /// The window begins with the read that found the renewal.
    WindowFromRead,
    /// Only the monotonic clock counts.
    MonotonicClockAlone,
    /// The claims of a silent member are taken without a fence.
    NoFence,
    /// The epoch is the next revision.
    EpochOfRevision,
    /// A reconnect is not noticed: renewals go on without a read.
    RenewalAfterReconnect,
    /// Silence is counted over one's own absence, and a member acts at once after it.
    SilenceOverReconnect,
    /// There is no grace period.
    NoGrace,
    /// The workspace acknowledges as far as its most advanced part.
    AcknowledgesMost,
}

/// The rules, one of them broken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sabotaged(pub(super) Option<FleetSabotage>);

impl Sabotaged {
    fn is(self, sabotage: FleetSabotage) -> bool {
        self.0 == Some(sabotage)
    }
}

impl Rules for Sabotaged {
    fn window_start(&self, sent: Now, answered: Now) -> Now {
        if self.is(FleetSabotage::WindowFromAnswer) { answered } else { Standard.window_start(sent, answered) }
    }

    fn window_start_by_read(&self, sent: Now, read: Now) -> Now {
        if self.is(FleetSabotage::WindowFromRead) { read } else { Standard.window_start_by_read(sent, read) }
    }

    fn trusts(&self, ttl: Duration, start: Now, now: Now) -> bool {
        match self.0 {
            Some(FleetSabotage::NoSelfFence) => true,
            Some(FleetSabotage::MonotonicClockAlone) => now.mono.since(start.mono) < ttl * 4 / 5,
            _ => Standard.trusts(ttl, start, now),
        }
    }

    fn grace(&self, ttl: Duration) -> Duration {
        let has_none = self.is(FleetSabotage::NoGrace) || self.is(FleetSabotage::SilenceOverReconnect);
        if has_none { Duration::ZERO } else { Standard.grace(ttl) }
    }

    fn counts_own_gaps_apart(&self) -> bool {
        !self.is(FleetSabotage::SilenceOverReconnect)
    }

    fn reads_after_reconnect(&self) -> bool {
        !self.is(FleetSabotage::RenewalAfterReconnect) && !self.is(FleetSabotage::SilenceOverReconnect)
    }

    fn fences_before_taking(&self) -> bool {
        !self.is(FleetSabotage::NoFence)
    }

    fn next_epoch(&self, old: u64, revision: Revision, now: UnixTime) -> u64 {
        if self.is(FleetSabotage::EpochOfRevision) { revision + 1 } else { Standard.next_epoch(old, revision, now) }
    }

    fn acknowledged(&self, cursors: &[Option<u64>]) -> Option<u64> {
        match self.0 {
            Some(FleetSabotage::AcknowledgesMost) => cursors.iter().flatten().copied().max(),
            _ => Standard.acknowledged(cursors),
        }
    }
}
