//! The effect that decodes a large answer. It takes time, and needs nothing of the session.

use std::any::Any;
use std::fmt;

use crate::effect::Outcome;

/// An answer whose body is longer than this many bytes is large. A smaller one is decoded at once, while the session is
/// locked.
pub(crate) const LARGE: usize = 256 * 1024;

/// Decodes a large answer. A driver [performs](Self::perform) it while the session is unlocked, on a thread that no
/// other work waits for: a body of 16 MiB takes some tenths of a second.
#[must_use = "an answer that nobody reads ends no call"]
pub struct Decode(Box<dyn FnOnce() -> Decoded + Send>);

impl Decode {
    pub(crate) fn new<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Box::new(move || Decoded(Box::new(read()))))
    }

    /// Decodes the answer.
    pub fn perform(self) -> Outcome {
        Outcome::Decoded((self.0)())
    }
}

/// A decoded answer. The machine that asked for it knows its type.
pub struct Decoded(Box<dyn Any + Send>);

impl Decoded {
    /// Whether it is of this type.
    pub(crate) fn is<T: 'static>(&self) -> bool {
        self.0.is::<T>()
    }

    /// # Errors
    /// Gives the answer back if it has another type.
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
