//! Signs of the loop's end that are not confirmed yet.

use std::time::Duration;

use molecule_proto::Time;

use crate::machine::Cx;

/// How many registers in a row the platform must refuse before the credential counts as dead.
pub(crate) const STRIKES: u32 = 3;

/// The least time between two signs of the loop's end, however short the intervals are. By then a gateway's fault has
/// passed, and the token file of a rotation is in its place. Only against a platform on this machine, in tests, may it
/// be shorter.
const LEAST_GAP: Duration = Duration::from_secs(15);

/// Signs that the loop should end. A single one may come from a gateway that answers in the platform's place for a
/// while. Signs therefore count only if they are an interval apart, and a good answer between them refutes them.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// When the platform first said that the workspace is deleted.
    gone: Option<Time>,
    /// How many registers in a row were refused with 401.
    strikes: u32,
    /// When the last counted register was refused.
    struck: Option<Time>,
    /// Before this time the loop does not ask only because of a doubt.
    until: Time,
}

impl Doubts {
    /// Records that the platform says that the workspace is deleted. Returns whether that is confirmed now.
    pub(super) fn is_gone(&mut self, now: Time, gap: Duration) -> bool {
        self.until = now + gap;
        let first = *self.gone.get_or_insert(now);
        now.since(first) >= gap
    }

    /// Records a refused register. Returns whether the credential counts as dead now.
    pub(super) fn is_dead(&mut self, now: Time, gap: Duration) -> bool {
        self.until = now + gap;
        // The register's view has shown that the workspace exists.
        self.gone = None;
        if self.struck.is_none_or(|last| now.since(last) >= gap) {
            self.strikes += 1;
            self.struck = Some(now);
        }
        self.strikes >= STRIKES
    }

    /// Returns when the platform may be asked again.
    pub(super) fn until(&self) -> Time {
        self.until
    }

    /// Records that the platform has shown that the workspace exists, and perhaps accepted the bearer. Returns whether
    /// there was a doubt.
    pub(super) fn refute(&mut self) -> bool {
        let doubts = std::mem::take(self);
        doubts.gone.is_some() || doubts.struck.is_some()
    }
}

/// Returns the least time between two signs of the loop's end.
pub(super) fn least_gap(cx: &Cx<'_>) -> Duration {
    let config = cx.session.config();
    let interval = config.intervals.heartbeat;
    if config.base_url().is_loopback() { interval } else { interval.max(LEAST_GAP) }
}
