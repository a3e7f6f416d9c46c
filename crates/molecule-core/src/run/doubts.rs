//! What the loop was told of its end, and does not believe yet.

use std::time::Duration;

use molecule_proto::Time;

use crate::machine::Cx;

/// How many registers in a row the platform must refuse before the credential counts as dead.
pub(crate) const STRIKES: u32 = 3;

/// What is told again so much later is believed, however short the intervals are: a gateway's hiccup is over by then, and the
/// token file of a rotation is in its place. Against this machine alone an interval may be shorter than that, for tests.
const LEAST_APART: Duration = Duration::from_secs(15);

/// Signs that the loop should end. One of them may come from something that answers in the platform's place for a while, so
/// they count only an interval apart, and a good answer in between refutes them.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// When the platform first said that the workspace is gone.
    gone: Option<Time>,
    /// Registers in a row that were refused with 401.
    strikes: u32,
    /// When the last of them was.
    struck: Option<Time>,
    /// Before this nobody asks for the sake of a doubt.
    until: Time,
}

impl Doubts {
    /// The platform says that the workspace is gone. Tells whether that is certain now.
    pub(super) fn is_gone(&mut self, now: Time, apart: Duration) -> bool {
        self.until = now + apart;
        let first = *self.gone.get_or_insert(now);
        now.since(first) >= apart
    }

    /// The platform refused a register. Tells whether the credential is certainly dead now.
    pub(super) fn is_dead(&mut self, now: Time, apart: Duration) -> bool {
        self.until = now + apart;
        // The view showed that it exists.
        self.gone = None;
        if self.struck.is_none_or(|last| now.since(last) >= apart) {
            self.strikes += 1;
            self.struck = Some(now);
        }
        self.strikes >= STRIKES
    }

    /// When the platform may be asked once more.
    pub(super) fn until(&self) -> Time {
        self.until
    }

    /// The platform showed that the workspace exists, and perhaps took the bearer too. Tells whether there was a doubt.
    pub(super) fn refute(&mut self) -> bool {
        let doubts = std::mem::take(self);
        doubts.gone.is_some() || doubts.struck.is_some()
    }
}

/// How long after a sign of its end the loop asks again.
pub(super) fn apart(cx: &Cx<'_>) -> Duration {
    let config = cx.session.config();
    let interval = config.intervals.heartbeat;
    if config.base_url().is_loopback() { interval } else { interval.max(LEAST_APART) }
}
