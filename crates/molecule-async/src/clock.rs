//! The limits of a request.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use molecule_core::effect::{Fault, FaultKind, Phase, Sent};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// The timer of a connection, kept for all its requests: to set it to a later moment costs next to nothing, to make one costs more.
pub(crate) type Timer = Pin<Box<Sleep>>;

/// A timer that is not set to anything.
pub(crate) fn timer() -> Timer {
    Box::pin(sleep_until(Instant::now()))
}

/// The wait for one phase of a request: at most the phase's own limit, and never past the limit of the whole.
pub(crate) struct Wait {
    phase: Phase,
    limit: Duration,
    end: Instant,
    sent: Sent,
    is_timed: bool,
}

impl Wait {
    /// A wait for a phase with this limit of a request that ends at this moment, and may have been sent or not.
    pub(crate) fn new(phase: Phase, limit: Duration, end: Instant, sent: Sent) -> Self {
        Self { phase, limit, end, sent, is_timed: false }
    }

    /// Returns the fault when the time is over. It is polled while the result is not there; a result that is there at once sets no
    /// timer.
    pub(crate) fn is_over(&mut self, cx: &mut Context<'_>, timer: &mut Timer) -> Poll<Fault> {
        if !self.is_timed {
            self.is_timed = true;
            let end = Instant::now() + self.limit;
            if self.end < end {
                self.phase = Phase::Total;
            }
            timer.as_mut().reset(end.min(self.end));
        }
        // Unconstrained, so that a peer that keeps the task busy cannot use up the timer's budget.
        let over = pin!(unconstrained(timer.as_mut())).poll(cx);
        over.map(|()| Fault::new(self.sent, FaultKind::Timeout(self.phase)))
    }
}
