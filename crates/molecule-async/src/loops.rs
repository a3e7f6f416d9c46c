//! The loops of one agent, and who waits for whom.
//!
//! A loop whose future was dropped still gives its lock back, and stores a token that it is being given. A loop that starts meanwhile
//! waits for that: it would meet the lock, and count as a second agent.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Tells a loop that its session changed: once for all changes since it last looked.
pub(crate) type Changes = Receiver<()>;

#[derive(Default)]
pub(crate) struct Loops(Mutex<Vec<Entry>>);

struct Entry {
    /// Closed once the loop's machine is gone.
    changed: Sender<()>,
    /// Whether the loop's future was dropped.
    is_dropped: bool,
}

/// A loop in the list. It is dropped with the loop's future.
pub(crate) struct RunningLoop<'a> {
    loops: &'a Loops,
    changed: Sender<()>,
}

impl Loops {
    /// Enters a loop that begins.
    pub(crate) fn enter(&self) -> (RunningLoop<'_>, Changes) {
        let (changed, changes) = channel(1);
        let mut entries = self.entries();
        entries.retain(|entry| !entry.changed.is_closed());
        entries.push(Entry { changed: changed.clone(), is_dropped: false });
        (RunningLoop { loops: self, changed }, changes)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loops that were dropped and have not ended yet.
    fn ending(&self) -> Vec<Sender<()>> {
        let entries = self.entries();
        entries.iter().filter(|entry| entry.is_dropped).map(|entry| entry.changed.clone()).collect()
    }
}

impl RunningLoop<'_> {
    /// Has the loop look at the session again, and returns whether it still runs.
    pub(crate) fn look_again(&self) -> impl Fn() -> bool + Send + use<> {
        let changed = self.changed.clone();
        move || !matches!(changed.try_send(()), Err(TrySendError::Closed(())))
    }

    /// Waits until the loops that were dropped have ended, or this one is to stop.
    pub(crate) async fn wait_for_the_last(&self, changes: &mut Changes, is_stopped: impl Fn() -> bool) {
        for ending in self.loops.ending() {
            let mut ended = pin!(ending.closed());
            let ended_or_stopped = poll_fn(|cx| {
                // A stop that came before this loop was entered stands in the session alone.
                while !is_stopped() {
                    if changes.poll_recv(cx).is_pending() {
                        return ended.as_mut().poll(cx);
                    }
                }
                Poll::Ready(())
            });
            ended_or_stopped.await;
        }
    }
}

impl Drop for RunningLoop<'_> {
    fn drop(&mut self) {
        let mut entries = self.loops.entries();
        let own = entries.iter_mut().find(|entry| entry.changed.same_channel(&self.changed));
        own.into_iter().for_each(|entry| entry.is_dropped = true);
    }
}
