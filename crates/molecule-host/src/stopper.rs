//! The handle that stops an agent's loop from outside.

use std::fmt;

use molecule_core::machine::StopLevel;

use crate::session::SharedSession;

/// A handle that stops an agent's loop; the agent's `stopper()` returns it.
///
/// A stop is a latch that is never reset: a loop that starts after it ends at once. The methods do not block and need
/// no runtime, so that any thread may call them, also a signal handler's thread.
#[derive(Clone)]
pub struct Stopper(pub(crate) SharedSession);

impl Stopper {
    /// Ends the loop within 100 ms, even while a request is in flight. Only a register that may mint a token is
    /// completed first, and the token is stored. A second call has the effect of [`stop_now`](Self::stop_now).
    pub fn stop(&self) {
        self.raise(false);
    }

    /// Returns whether [`stop`](Self::stop) or [`stop_now`](Self::stop_now) was called.
    pub fn is_stopped(&self) -> bool {
        self.0.lock().stop_level() != StopLevel::None
    }

    /// Ends the loop within 100 ms, even while it registers.
    pub fn stop_now(&self) {
        self.raise(true);
    }

    /// Sets the latch, which later loops check, and wakes the running loops.
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
