//! Ends the loop from outside.

use std::fmt;

use molecule_core::StopLevel;

use crate::session::SharedSession;

/// A handle that ends an agent's loop, of the agent's `stopper()`.
///
/// A stop is a latch, which is never lowered: after it, a loop that starts ends at once. The methods wait for nothing and need no
/// runtime, so that any thread may call them, also one that serves signals.
#[derive(Clone)]
pub struct Stopper(pub(crate) SharedSession);

impl Stopper {
    /// Ends the loop within 100 ms, even while a request is in flight. Only a register that may mint a token is finished first, and the
    /// token stored. A second call is [`stop_now`](Self::stop_now).
    pub fn stop(&self) {
        self.raise(false);
    }

    /// Whether [`stop`](Self::stop) or [`stop_now`](Self::stop_now) was called.
    pub fn is_stopped(&self) -> bool {
        self.0.lock().stop_level() != StopLevel::None
    }

    /// Ends the loop within 100 ms, even while it registers.
    pub fn stop_now(&self) {
        self.raise(true);
    }

    /// Raises the latch, which a loop that starts later finds, and wakes the loops that run.
    fn raise(&self, now: bool) {
        self.0.lock().raise_stop(now);
        self.0.look_again();
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stopper({:?})", self.0.lock().stop_level())
    }
}
