//! The wish of a handler to be offered a message again.

use std::fmt;
use std::time::Duration;

/// The error of a handler that can do nothing with a message now, and asks to be offered it again later.
///
/// It counts as no attempt: the message is offered again with a growing wait, for up to 24 h after the first such wish, and is a
/// dead letter then. A pushed message is left without an answer, and the platform sends it again.
///
/// ```
/// use std::error::Error;
/// use std::time::Duration;
/// use molecule_core::{InboundMessage, Reply, TryAgain};
///
/// fn handle(message: &InboundMessage, model_is_up: bool) -> Result<Option<Reply>, Box<dyn Error + Send + Sync>> {
///     if !model_is_up {
///         return Err(TryAgain::new("the model is not up").after(Duration::from_secs(30)).into());
///     }
///     Ok(Some(Reply::text(message.text())))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TryAgain {
    pub(crate) why: String,
    pub(crate) wait: Duration,
}

impl TryAgain {
    /// Asks for another try. The reason is for people.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), wait: Duration::ZERO }
    }

    /// Sets the shortest wait before it, at most 1 h.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl fmt::Display for TryAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for TryAgain {}
