//! A reply that is given after the handler has returned.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use molecule_proto::{ActivityId, IdError, UnixTime};

use super::message::InboundMessage;
use super::reply::Reply;
use super::stored_reply::StoredReply;

/// A handle by which a message is answered after its handler has returned [`Reply::later`](super::reply::Reply::later):
/// once a person has decided, or a job has ended. The agent's `reply_to` takes it, also after a restart.
///
/// As text it is the id of the message's row in the feed, to be kept in a database or a ticket. Two handles are equal if
/// they are those of one message.
///
/// ```
/// use molecule_core::ReplyHandle;
///
/// let kept = "0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a10"; // what `to_string()` gave
/// assert_eq!(kept.parse::<ReplyHandle>()?.to_string(), kept);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "without its handle a message can be answered by its id alone"]
pub struct ReplyHandle {
    id: ActivityId,
    /// Where the reply goes, if the handle was made from the message: a reply without content.
    address: Option<Box<StoredReply>>,
}

impl ReplyHandle {
    /// The id of the message's row in the feed.
    pub fn id(&self) -> &ActivityId {
        &self.id
    }

    /// Takes the handle apart: the id, and where the reply goes, if that is known.
    pub(super) fn take(self) -> (ActivityId, Option<StoredReply>) {
        (self.id, self.address.map(|address| *address))
    }
}

impl InboundMessage {
    /// Returns the handle by which the message can be answered after its handler has returned.
    pub fn reply_handle(&self) -> ReplyHandle {
        let address = StoredReply::new(UnixTime::default(), self, Reply::none());
        ReplyHandle { id: self.id().clone(), address: Some(Box::new(address)) }
    }
}

impl PartialEq for ReplyHandle {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for ReplyHandle {}

impl PartialOrd for ReplyHandle {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReplyHandle {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for ReplyHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl From<ActivityId> for ReplyHandle {
    fn from(id: ActivityId) -> Self {
        Self { id, address: None }
    }
}

impl From<&ActivityId> for ReplyHandle {
    fn from(id: &ActivityId) -> Self {
        id.clone().into()
    }
}

impl From<&Self> for ReplyHandle {
    fn from(handle: &Self) -> Self {
        handle.clone()
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
        text.parse::<ActivityId>().map(Self::from)
    }
}

impl fmt::Display for ReplyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
