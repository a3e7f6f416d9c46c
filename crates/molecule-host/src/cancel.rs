//! The flag by which a long act is told that nobody waits for it any more.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A flag that is raised once and stays up. Clones share it.
///
/// An act that takes long, such as a plugin's `setup.sh`, ends soon after it is raised; short acts do not look at it.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    /// A flag that is down.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag.
    pub fn cancel(&self) {
        *self.flag() = true;
        self.0.changed.notify_all();
    }

    /// Whether the flag is up.
    pub fn is_cancelled(&self) -> bool {
        *self.flag()
    }

    /// Makes whoever waits on this flag look again at what it waits for, which has changed before.
    pub(crate) fn look_again(&self) {
        // Whoever looks holds the flag, so the change cannot fall between its look and its wait.
        drop(self.flag());
        self.0.changed.notify_all();
    }

    /// Waits until `done`, which is told whether the flag is up, or until the moment; says whether it was `done`.
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
