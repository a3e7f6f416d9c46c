//! A list to which other threads append, and bounded waits for its entries.

use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that a scenario waits for anything: far more than a loaded machine needs, and still bounded.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Entries in their order; clones share them.
#[derive(Debug)]
pub struct Log<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Debug> Log<T> {
    /// Adds an entry and wakes the waiting threads.
    pub fn push(&self, entry: T) {
        self.entries().push(entry);
        self.0.1.notify_all();
    }

    /// All entries so far.
    pub fn all(&self) -> Vec<T> {
        self.entries().clone()
    }

    /// Returns whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// The number of entries for which `such` holds.
    pub fn count(&self, such: impl Fn(&T) -> bool) -> usize {
        self.entries().iter().filter(|entry| such(entry)).count()
    }

    /// Waits for at most [`PATIENCE`] until there is an entry for which `such` holds, and returns the first. Existing
    /// entries count.
    ///
    /// # Panics
    /// If none comes; the message lists the entries that did.
    pub fn wait_for(&self, what: &str, such: impl Fn(&T) -> bool) -> T {
        self.wait(what, |entries| entries.iter().find(|entry| such(entry)).cloned())
    }

    /// Waits for at most [`PATIENCE`] until there are `count` entries for which `such` holds.
    ///
    /// # Panics
    /// If they do not come; the message lists the entries that did.
    pub fn wait_for_count(&self, what: &str, count: usize, such: impl Fn(&T) -> bool) {
        self.wait(what, |entries| (entries.iter().filter(|entry| such(entry)).count() >= count).then_some(()));
    }

    fn wait<R>(&self, what: &str, found: impl Fn(&[T]) -> Option<R>) -> R {
        let deadline = Instant::now() + PATIENCE;
        let mut entries = self.entries();
        loop {
            if let Some(result) = found(&entries) {
                return result;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come within {PATIENCE:?}; this did: {entries:#?}");
            entries = self.0.1.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
