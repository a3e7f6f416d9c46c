//! How many messages the loop's handler works on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// The number, as the session sees it. Once the loop that counts is gone there is none, however the loop ended: a number
/// that stayed would be reported with every later heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Handling(Weak<AtomicU32>);

/// The number, as the loop counts it.
#[derive(Debug, Default)]
pub(crate) struct HandlingCount(Arc<AtomicU32>);

impl Handling {
    /// Returns the number; `None` without a loop that receives messages.
    pub(crate) fn get(&self) -> Option<u32> {
        self.0.upgrade().map(|count| count.load(Ordering::Relaxed))
    }

    /// Sets the number, for as long as its count exists.
    pub(crate) fn set(&mut self, count: &HandlingCount, number: u32) {
        count.0.store(number, Ordering::Relaxed);
        self.0 = Arc::downgrade(&count.0);
    }
}
