//! The one timer of a connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A timer that is set for each wait of a connection, and seldom moved: it goes off early, and then sleeps on until the time
/// that is due. A call that is answered within the timer's last setting costs no work at the runtime's timers.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    due: Instant,
}

/// A time beyond all waits: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(sleep(FAR)), due: Instant::now() }
    }

    /// Waits for a future for so long; `None` if it is not ready then.
    pub(crate) async fn within<T>(&mut self, patience: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.until(|now| after(now, patience), future).await
    }

    /// Waits for a future until a time that is made of the time at which the wait begins. A future that is ready is no wait.
    pub(crate) async fn until<T>(
        &mut self,
        due: impl FnOnce(Instant) -> Instant,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        let mut due = Some(due);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if let Some(due) = due.take() {
                self.set(due(Instant::now()));
            }
            self.poll(cx).map(|()| None)
        })
        .await
    }

    fn set(&mut self, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline() {
            self.sleep.as_mut().reset(due);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.due <= self.sleep.deadline() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.due);
        }
    }
}

/// The time after a wait, however long it is.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FAR)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_it_is_due_whatever_the_timer_was_set_to_before() {
        let mut alarm = Alarm::new();
        for secs in [5, 900, 1, 1, 60, 0, 5] {
            let (start, wait) = (Instant::now(), Duration::from_secs(secs));
            assert_eq!(alarm.within(wait, pending::<()>()).await, None);
            // The runtime's timers count milliseconds.
            let took = start.elapsed();
            assert!(took >= wait && took <= wait + Duration::from_millis(2), "{took:?} instead of {wait:?}");
            assert_eq!(alarm.within(Duration::ZERO, ready(secs)).await, Some(secs));
        }
        assert_eq!(alarm.within(Duration::MAX, ready(())).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_over_early_leaves_the_timer_for_the_next_one() {
        let mut alarm = Alarm::new();
        let late = Duration::from_secs(10);
        assert_eq!(alarm.within(late, sleep(Duration::from_secs(1))).await, Some(()));
        let (start, wait) = (Instant::now(), Duration::from_secs(30));
        assert_eq!(alarm.within(wait, pending::<()>()).await, None);
        assert!(start.elapsed() >= wait && start.elapsed() <= wait + Duration::from_millis(2));
    }
}
