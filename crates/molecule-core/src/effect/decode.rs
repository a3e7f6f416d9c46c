//! Reading a large answer, as an effect: it takes its time, and needs nothing of the session.

use std::any::Any;
use std::fmt;

use crate::effect::Outcome;

/// From how many bytes of its body on an answer is large. A smaller one is read at once, while the session is locked.
pub(crate) const LARGE: usize = 256 * 1024;

/// Reads a large answer. A driver [performs](Self::perform) it while the session is not locked, and on no thread that others
/// wait for: a body of 16 MiB takes some tenths of a second.
#[must_use = "an answer that nobody reads ends no call"]
pub struct Decode(Box<dyn FnOnce() -> Decoded + Send>);

impl Decode {
    pub(crate) fn new<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Box::new(move || Decoded(Box::new(read()))))
    }

    /// Reads the answer.
    pub fn perform(self) -> Outcome {
        Outcome::Decoded((self.0)())
    }
}

/// What was read; the machine that asked for it knows its type.
pub struct Decoded(Box<dyn Any + Send>);

impl Decoded {
    /// # Errors
    /// Gives it back if it is of another type.
    pub(crate) fn take<T: 'static>(self) -> Result<T, Self> {
        self.0.downcast().map(|read| *read).map_err(Self)
    }
}

impl fmt::Debug for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decode")
    }
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoded")
    }
}
