//! A list that grows in other threads, and bounded waits for what it should come to hold.

use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that a scenario waits for anything: far more than a loaded machine needs, far less than for ever.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What happened, in order; clones share it.
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
    /// Adds an entry and wakes whoever waits.
    pub fn push(&self, entry: T) {
        self.entries().push(entry);
        self.0.1.notify_all();
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<T> {
        self.entries().clone()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// How many entries are such.
    pub fn count(&self, such: impl Fn(&T) -> bool) -> usize {
        self.entries().iter().filter(|entry| such(entry)).count()
    }

    /// Waits for an entry, at most [`PATIENCE`], and gives the first one back. Those that are there already count.
    ///
    /// # Panics
    /// If none comes; with everything that did.
    pub fn wait_for(&self, what: &str, such: impl Fn(&T) -> bool) -> T {
        self.wait(what, |entries| entries.iter().find(|entry| such(entry)).cloned())
    }

    /// Waits for so many such entries, at most [`PATIENCE`].
    ///
    /// # Panics
    /// If they do not come; with everything that did.
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
