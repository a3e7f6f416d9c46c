//! The limits of one request, kept by one timer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use molecule_core::effect::{Fault, FaultKind, Phase, Sent};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// When a request must be over, and the timer of whichever wait it is in.
pub(crate) struct Clock<'a> {
    end: Instant,
    timer: Pin<&'a mut Sleep>,
}

/// What is waited for, how long at most, and whether the request may have been sent by then.
#[derive(Clone, Copy)]
pub(crate) struct Wait(pub(crate) Phase, pub(crate) Duration, pub(crate) Sent);

/// A timer for a clock, which sets it.
pub(crate) fn timer() -> Sleep {
    sleep_until(Instant::now())
}

impl<'a> Clock<'a> {
    /// A clock that starts now. It sets the timer once there is something to wait for.
    pub(crate) fn start(total: Duration, timer: Pin<&'a mut Sleep>) -> Self {
        // The timer was made just now.
        Self { end: timer.deadline() + total, timer }
    }

    /// Waits for one phase, at most its own limit, and never past the end of the whole.
    pub(crate) fn wait<T>(
        &mut self,
        Wait(phase, limit, sent): Wait,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> impl Future<Output = Result<T, Fault>> {
        let mut timed = None;
        poll_fn(move |cx| {
            if let Poll::Ready(done) = work(cx) {
                return Poll::Ready(Ok(done));
            }
            // What is there at once is not timed at all.
            let phase = *timed.get_or_insert_with(|| self.set(phase, limit));
            // A peer that keeps the task busy does not keep it from looking at the clock.
            let timer = pin!(unconstrained(self.timer.as_mut()));
            timer.poll(cx).map(|()| Err(Fault::new(sent, FaultKind::Timeout(phase))))
        })
    }

    /// Sets the timer, and tells which limit it stands for.
    fn set(&mut self, phase: Phase, limit: Duration) -> Phase {
        let end = Instant::now() + limit;
        let (end, phase) = if self.end < end { (self.end, Phase::Total) } else { (end, phase) };
        self.timer.as_mut().reset(end);
        phase
    }
}
