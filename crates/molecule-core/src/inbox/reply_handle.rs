//! A reply that is given after the handler has returned.

use std::fmt;
use std::str::FromStr;

use molecule_proto::{ActivityId, IdError};

use super::message::InboundMessage;

/// The right to answer a message after its handler has returned [`Reply::later`](super::reply::Reply::later): once a
/// person has decided, or a job has ended. The agent's `reply_to` takes it, also after a restart.
///
/// As text it is the id of the message's row in the feed, to be kept in a database or a ticket.
///
/// ```
/// use molecule_core::ReplyHandle;
///
/// let kept = "0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a10"; // what `to_string()` gave
/// assert_eq!(kept.parse::<ReplyHandle>()?.to_string(), kept);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "without its handle a message can be answered by its id alone"]
pub struct ReplyHandle(ActivityId);

impl ReplyHandle {
    /// The id of the message's row in the feed.
    pub fn id(&self) -> &ActivityId {
        &self.0
    }
}

impl InboundMessage {
    /// Returns the handle by which the message can be answered after its handler has returned.
    pub fn reply_handle(&self) -> ReplyHandle {
        ReplyHandle(self.id().clone())
    }
}

impl From<ActivityId> for ReplyHandle {
    fn from(id: ActivityId) -> Self {
        Self(id)
    }
}

impl From<&ActivityId> for ReplyHandle {
    fn from(id: &ActivityId) -> Self {
        Self(id.clone())
    }
}

impl From<&InboundMessage> for ReplyHandle {
    fn from(message: &InboundMessage) -> Self {
        message.reply_handle()
    }
}

impl From<InboundMessage> for ReplyHandle {
    fn from(message: InboundMessage) -> Self {
        message.reply_handle()
    }
}

impl FromStr for ReplyHandle {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ReplyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
