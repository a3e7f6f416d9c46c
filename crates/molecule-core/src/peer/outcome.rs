//! What became of a message to a peer.

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

/// What became of a message to a peer, told by the answer's body and not by its status (contract section 9.4).
///
/// None of it says that the peer's workspace still exists. A push agent whose workspace was removed without having been
/// paused before keeps its URL: the platform discovers it and delivers to it for ever (contract sections 6.2 and 9.4).
/// [`ListPeers`](crate::machines::ListPeers) shows no removed ones.
///
/// What is no answer about the message (a broken connection, a refused bearer, a spent rate limit) is an
/// [`Error`](crate::Error) instead.
///
/// As JSON it is an object with `outcome`, the variant's name (`accepted_for_poll`), and `detail`, its fields, where it has
/// any; waits are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
#[must_use = "a message that was not delivered is an outcome too"]
pub enum CallOutcome {
    /// The peer replied, with a message, a task, JSON of its own, or plain text, of which 64 KiB are kept.
    Replied(Reply),
    /// The peer is busy or not there yet. The message waits in the platform's queue and will be delivered: it must not be
    /// sent again.
    Queued {
        /// The item, for `queue_item` and `wait_queue_item`; April's server cannot show it.
        queue_id: Option<QueueId>,
        /// How many messages wait for this peer, this one included.
        depth: Option<u64>,
    },
    /// The peer polls, and finds the message in its feed whenever it looks. A reply, if any, comes as a message of its own.
    /// The current server accepts for a removed workspace too, where nobody will look.
    AcceptedForPoll,
    /// The platform took the message and has the reply come some other way: as an event, or in the feed.
    AnswerLater,
    /// The peer has the message, and its reply was empty or was lost. It must not be sent again.
    DeliveredReplyLost,
    /// The peer is busy, and the message does not wait for it. It may have it already: if it is sent again, then under the
    /// same id ([`Message::with_id`](molecule_proto::Message::with_id)), by which who has it knows it.
    Busy {
        /// When to try again, if somebody said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
        /// The id under which it was sent.
        message_id: String,
    },
    /// The peer was asleep, or starts; nothing was delivered.
    Waking {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The peer has not told the platform yet how it is called; nothing was delivered. Its next register does.
    NotEnrolled {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The peer has spent its budget.
    OverBudget,
    /// The two may not talk to each other, the agent may not talk to others at all, or there is no such workspace.
    Denied {
        /// What the platform says.
        message: String,
    },
    /// There is no such workspace. Agents are told [`Denied`](Self::Denied) as a rule.
    NotFound,
    /// The peer has no URL; on a direct route: none that can be called safely.
    NoUrl {
        /// The peer's status, if the platform said it: `paused`, or `removed` after a pause.
        status: Option<WorkspaceStatus>,
    },
    /// The peer could not be reached, and does not have the message.
    Unreachable,
    /// The platform does not call the URL that the peer registered.
    UnsafeUrl,
    /// The peer answered with an error of its own; it may have handled the message, also where it refused it with 401, 403,
    /// 404 or 405. It says nothing about this agent's credential or rate limit: a peer's 429 comes as this through the
    /// platform, which keeps back when to come again. To a direct call a 429 or 503 that says so is [`Busy`](Self::Busy).
    PeerError {
        /// The code of a JSON-RPC error.
        code: Option<i64>,
        /// The HTTP status, if that was the error.
        #[serde(serialize_with = "maybe_status")]
        status: Option<StatusCode>,
        /// What went wrong, in the peer's words.
        message: String,
        /// More about it, from a JSON-RPC error.
        data: Option<Value>,
    },
}

impl CallOutcome {
    /// The reply, if there is one.
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

    /// When the same message may be sent again, if somebody said so; 1 to 60 s.
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

    /// Whether the message is delivered or will be: then it must not be sent again.
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

    /// What an agent's JSON-RPC answer says.
    pub(super) fn answered(answer: RpcAnswer, status: StatusCode) -> Self {
        let status = (!status.is_success()).then_some(status);
        let mut answer = answer;
        match (answer.error.take(), answer.into_reply()) {
            (Some(error), _) => {
                Self::PeerError { code: Some(error.code), status, message: error.message, data: error.data }
            }
            (None, Some(reply)) if status.is_none() => Self::Replied(reply),
            (None, Some(_)) => Self::failed(status, "the reply came with an error's status"),
            // JSON-RPC with neither is half an answer; its other keys are all that it says.
            (None, None) => Self::failed(status, "the answer has neither a result nor an error"),
        }
    }

    /// A busy peer; the call says which message it was.
    pub(super) fn busy(retry_after: Option<Duration>) -> Self {
        Self::Busy { retry_after, message_id: String::new() }
    }

    /// The same, of the message of this id.
    pub(super) fn of_message(mut self, id: &str) -> Self {
        if let Self::Busy { message_id, .. } = &mut self {
            id.clone_into(message_id);
        }
        self
    }

    /// A reply that is no JSON: its text, as far as it is kept, or in brackets what hides it.
    pub(super) fn plain_text(answer: &Response<Bytes>) -> Self {
        let text = match wrapping(answer.headers(), answer.body()) {
            Some(Wrapping::Hides(what)) => format!("[the reply is {what}]"),
            Some(Wrapping::Marks(_)) | None => json::excerpt(answer.body()),
        };
        Self::Replied(Reply::Text(text))
    }

    /// An error of the peer's own.
    pub(super) fn failed(status: Option<StatusCode>, message: impl Into<String>) -> Self {
        Self::PeerError { code: None, status, message: message.into(), data: None }
    }
}

impl fmt::Display for CallOutcome {
    /// One sentence, with what the platform or the peer says made fit to print; a reply is shown by its texts with their line ends.
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
