//! Ends the loop from outside.

use std::fmt;

use molecule_core::StopLevel;

use crate::session::SharedSession;

/// A handle that ends an agent's loop, of the agent's `stopper()`.
///
/// It is a latch: a stop before the start ends the loop at once, and it is never lowered again. Its methods wait for
/// nothing and need no runtime, so that any thread may call them, also one that serves signals.
#[derive(Clone)]
pub struct Stopper(pub(crate) SharedSession);

impl Stopper {
    /// Ends the loop after what must be finished: a register that may bring a token, and its save. Everything else ends
    /// within 100 ms, even while a request is in flight. A second call is [`stop_now`](Self::stop_now).
    pub fn stop(&self) {
        self.raise(false);
    }

    /// Whether somebody called one of the others: no loop of the agent starts any more, and one that runs ends.
    pub fn is_stopped(&self) -> bool {
        self.0.lock().stop_level() != StopLevel::None
    }

    /// Ends the loop within 100 ms, whatever it is at.
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
