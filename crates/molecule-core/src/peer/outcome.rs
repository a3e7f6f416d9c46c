//! The outcomes of a message to a peer.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use molecule_proto::{QueueId, Reply, RpcAnswer, WorkspaceStatus, json};
use serde::Serialize;
use serde_json::Value;

use crate::endpoint::refusal::{Wrapping, wrapping};
use crate::error::printable;
use crate::printable::Printable;
use crate::text::record::{maybe_seconds, maybe_status};

/// The outcome of a message to a peer. The answer's body decides it, not its status (contract section 9.4).
///
/// No outcome shows that the peer's workspace still exists. A push agent whose workspace was removed without a pause
/// keeps its URL: the platform goes on discovering it and delivering to it (contract sections 6.2 and 9.4).
/// [`ListPeers`](crate::machines::ListPeers) shows no removed peers.
///
/// A call without an answer about the message (a broken connection, a refused bearer, a spent rate limit) ends with an
/// [`Error`](crate::Error) instead.
///
/// As JSON it is an object with `outcome`, the variant's name (`accepted_for_poll`), and `detail`, its fields, where it has
/// any; waits are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
#[must_use = "a message that was not delivered is an outcome too"]
pub enum CallOutcome {
    /// The peer replied with a message, a task, its own JSON, or plain text, of which 64 KiB are kept.
    Replied(Reply),
    /// The peer is busy or not ready. The message is in the platform's queue and will be delivered. It must not be sent
    /// again.
    Queued {
        /// The item's id, for `queue_item` and `wait_queue_item`; April's server cannot show the item.
        queue_id: Option<QueueId>,
        /// The number of messages in the queue for this peer, this one included.
        depth: Option<u64>,
    },
    /// The peer polls, and will find the message in its feed. A reply, if there is one, comes as a separate message.
    /// The current server also accepts messages for a removed workspace, whose feed nobody reads.
    AcceptedForPoll,
    /// The platform accepted the message. The reply comes later, as an event or in the feed.
    AnswerLater,
    /// The peer has the message, and its reply was empty or was lost. It must not be sent again.
    DeliveredReplyLost,
    /// The peer is busy, and the message is not queued. The peer may have it already: send it again only under the same
    /// id ([`Message::with_id`](molecule_proto::Message::with_id)), by which the peer recognises it.
    Busy {
        /// When to try again, if the answer said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
        /// The message's id.
        message_id: String,
    },
    /// The peer was asleep or is starting. Nothing was delivered.
    Waking {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The peer has not registered yet how it is called. Nothing was delivered. Its next register changes this.
    NotEnrolled {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The peer has spent its budget.
    OverBudget,
    /// The two workspaces may not talk to each other, the agent may not talk to others at all, or the workspace does
    /// not exist.
    Denied {
        /// The platform's message.
        message: String,
    },
    /// The workspace does not exist. Agents usually get [`Denied`](Self::Denied) instead.
    NotFound,
    /// The peer has no URL or, on a direct route, none that can be called safely.
    NoUrl {
        /// The peer's status, if the platform gave it: `paused`, or `removed` after a pause.
        status: Option<WorkspaceStatus>,
    },
    /// The peer could not be reached and does not have the message.
    Unreachable,
    /// The platform refuses to call the URL that the peer registered.
    UnsafeUrl,
    /// The peer answered with its own error. It may have handled the message, even if it answered 401, 403, 404 or 405.
    /// The error says nothing about this agent's credential or rate limit. Through the platform a peer's 429 is this
    /// outcome too, and the platform removes the time of the next try; as the answer to a direct call, a 429 or 503
    /// with such a time is [`Busy`](Self::Busy).
    PeerError {
        /// The code of a JSON-RPC error.
        code: Option<i64>,
        /// The HTTP status, if it was the error.
        #[serde(serialize_with = "maybe_status")]
        status: Option<StatusCode>,
        /// The peer's error message.
        message: String,
        /// The `data` of a JSON-RPC error.
        data: Option<Value>,
    },
}

impl CallOutcome {
    /// Returns the reply, if there is one.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Replied(reply) => Some(reply),
            Self::Queued { .. }
            | Self::AcceptedForPoll
            | Self::AnswerLater
            | Self::DeliveredReplyLost
            | Self::Busy { .. }
            | Self::Waking { .. }
            | Self::NotEnrolled { .. }
            | Self::OverBudget
            | Self::Denied { .. }
            | Self::NotFound
            | Self::NoUrl { .. }
            | Self::Unreachable
            | Self::UnsafeUrl
            | Self::PeerError { .. } => None,
        }
    }

    /// Returns when the same message may be sent again, if the answer said so; 1 to 60 s.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } | Self::Waking { retry_after } | Self::NotEnrolled { retry_after } => {
                *retry_after
            }
            Self::Replied(_)
            | Self::Queued { .. }
            | Self::AcceptedForPoll
            | Self::AnswerLater
            | Self::DeliveredReplyLost
            | Self::OverBudget
            | Self::Denied { .. }
            | Self::NotFound
            | Self::NoUrl { .. }
            | Self::Unreachable
            | Self::UnsafeUrl
            | Self::PeerError { .. } => None,
        }
    }

    /// Returns whether the message was or will be delivered. It must not be sent again then.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Replied(_)
            | Self::Queued { .. }
            | Self::AcceptedForPoll
            | Self::AnswerLater
            | Self::DeliveredReplyLost => true,
            Self::Busy { .. }
            | Self::Waking { .. }
            | Self::NotEnrolled { .. }
            | Self::OverBudget
            | Self::Denied { .. }
            | Self::NotFound
            | Self::NoUrl { .. }
            | Self::Unreachable
            | Self::UnsafeUrl
            | Self::PeerError { .. } => false,
        }
    }

    /// Returns the outcome of an agent's JSON-RPC answer.
    pub(super) fn answered(answer: RpcAnswer, status: StatusCode) -> Self {
        let status = (!status.is_success()).then_some(status);
        let mut answer = answer;
        match (answer.error.take(), answer.into_reply()) {
            (Some(error), _) => {
                Self::PeerError { code: Some(error.code), status, message: error.message, data: error.data }
            }
            (None, Some(reply)) if status.is_none() => Self::Replied(reply),
            (None, Some(_)) => Self::failed(status, "the reply came with an error's status"),
            // An answer with neither a result nor an error is incomplete.
            (None, None) => Self::failed(status, "the answer has neither a result nor an error"),
        }
    }

    /// Makes the outcome of a busy peer. The call adds the message's id.
    pub(super) fn busy(retry_after: Option<Duration>) -> Self {
        Self::Busy { retry_after, message_id: String::new() }
    }

    /// Adds the message's id.
    pub(super) fn of_message(mut self, id: &str) -> Self {
        if let Self::Busy { message_id, .. } = &mut self {
            id.clone_into(message_id);
        }
        self
    }

    /// Makes the outcome of a reply that is not JSON: its text, as far as it is kept, or in brackets what hides it.
    pub(super) fn plain_text(answer: &Response<Bytes>) -> Self {
        let text = match wrapping(answer.headers(), answer.body()) {
            Some(Wrapping::Hides(what)) => format!("[the reply is {what}]"),
            Some(Wrapping::Marks(_)) | None => json::excerpt(answer.body()),
        };
        Self::Replied(Reply::Text(text))
    }

    /// Makes the outcome of a web page, which no agent wrote.
    pub(super) fn web_page() -> Self {
        Self::failed(None, "a web page was answered, as by a website and no agent")
    }

    /// Makes the outcome of the peer's own error.
    pub(super) fn failed(status: Option<StatusCode>, message: impl Into<String>) -> Self {
        Self::PeerError { code: None, status, message: message.into(), data: None }
    }
}

impl fmt::Display for CallOutcome {
    /// Writes one sentence. The text of the platform or the peer is escaped; a reply is shown by its texts with their
    /// line ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Printable::lines(f);
        match self {
            Self::Replied(reply) => write!(f, "replied: {}", reply.texts().join("\n")),
            Self::Queued { queue_id: Some(id), .. } => write!(f, "queued as {id}: the peer is busy or not there yet"),
            Self::Queued { queue_id: None, .. } => f.write_str("queued: the peer is busy or not there yet"),
            Self::AcceptedForPoll => f.write_str("accepted: the peer finds it when it polls"),
            Self::AnswerLater => f.write_str("accepted: the answer comes later"),
            Self::DeliveredReplyLost => f.write_str("delivered, without a reply"),
            Self::Busy { .. } => f.write_str("busy"),
            Self::Waking { .. } => f.write_str("not delivered: the peer wakes up"),
            Self::NotEnrolled { .. } => f.write_str("not delivered: the peer has to register once more"),
            Self::OverBudget => f.write_str("not delivered: the peer has spent its budget"),
            Self::Denied { message } => write!(f, "denied: {}", printable(message)),
            Self::NotFound => f.write_str("not delivered: there is no such workspace"),
            Self::NoUrl { status: Some(status) } => write!(f, "not delivered: the peer has no URL, it is {status}"),
            Self::NoUrl { status: None } => f.write_str("not delivered: the peer has no URL that can be called"),
            Self::Unreachable => f.write_str("not delivered: the peer could not be reached"),
            Self::UnsafeUrl => f.write_str("not delivered: the platform does not call the peer's URL"),
            Self::PeerError { code, status, message, .. } => {
                write!(f, "the peer failed: {}", printable(message))?;
                match (code, status) {
                    (Some(code), _) => write!(f, " ({code})"),
                    (None, Some(status)) => write!(f, " ({status})"),
                    (None, None) => Ok(()),
                }
            }
        }
    }
}
