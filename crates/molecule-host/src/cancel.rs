//! The flag that cancels an act of the host which takes long.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A flag that is set once and never reset. Clones share it.
///
/// A long act, such as a plugin's `setup.sh`, ends soon after the flag is set. Short acts ignore it.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    /// Creates a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag.
    pub fn cancel(&self) {
        *self.flag() = true;
        self.0.changed.notify_all();
    }

    /// Returns whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        *self.flag()
    }

    /// Wakes the threads in [`wait_until`](Self::wait_until), after the state changed that their `done` checks.
    pub(crate) fn look_again(&self) {
        // A waiting thread checks while it has this lock, so that no change is lost between its check and its wait.
        drop(self.flag());
        self.0.changed.notify_all();
    }

    /// Waits until `done` returns `true`, or until the deadline; returns whether `done` did. The argument of `done` is
    /// the flag.
    pub(crate) fn wait_until(&self, until: Option<Instant>, done: impl Fn(bool) -> bool) -> bool {
        let mut flag = self.flag();
        loop {
            if done(*flag) {
                return true;
            }
            flag = match until {
                None => self.0.changed.wait(flag).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.0.changed.wait_timeout(flag, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.0.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}
