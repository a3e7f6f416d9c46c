//! Why a message was not handled, as the inbox counts it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use molecule_async::{Error, TryAgain};

use crate::remedy;

/// Why a message was not handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unhandled {
    /// The program failed at it, which is an attempt.
    Failed(String),
    /// Nothing has come of it, through no fault of the message: it is offered again later, and no attempt counts.
    TryAgain(TryAgain),
}

impl Unhandled {
    /// The program could do nothing with it now.
    pub(super) fn again(why: impl Into<String>) -> Self {
        Self::TryAgain(TryAgain::new(why))
    }

    /// The program could do nothing with it now, and says for how long that stays so.
    pub(super) fn again_after(why: impl Into<String>, wait: Duration) -> Self {
        Self::TryAgain(TryAgain::new(why).after(wait))
    }
}

impl fmt::Display for Unhandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::TryAgain(again) => again.fmt(f),
        }
    }
}

/// A failure of the program's own.
impl From<String> for Unhandled {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// An error of a call that the handling needs. One that may pass counts for nothing.
impl From<Error> for Unhandled {
    fn from(error: Error) -> Self {
        let why = remedy::sentence(&error);
        if error.is_retryable() { Self::again_after(why, error.retry_after().unwrap_or_default()) } else { why.into() }
    }
}

impl From<Unhandled> for Box<dyn StdError + Send + Sync> {
    fn from(unhandled: Unhandled) -> Self {
        match unhandled {
            Unhandled::Failed(why) => why.into(),
            Unhandled::TryAgain(again) => again.into(),
        }
    }
}
