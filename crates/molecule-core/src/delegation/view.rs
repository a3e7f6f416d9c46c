//! One delegation, as its rows together show it.

use std::fmt::{self, Write as _};

use molecule_proto::{A2aAnswer, AcceptedMode, DelegationStatus, Direction, UnixTime, WorkspaceId};
use serde::Serialize;

use crate::error::printable;
use crate::printable::Printable;

/// A delegation, put together from whatever rows the platform shows of it (contract section 14.2).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DelegationView {
    /// The delegation: a UUID if the platform made it, any text if an agent reported its own.
    pub id: String,
    /// Who delegated; `None` if no row says.
    pub source_id: Option<WorkspaceId>,
    /// Who is to do it; `None` if no row says.
    pub target_id: Option<WorkspaceId>,
    /// Which end this agent is; `None` on April's server, which shows the sender's alone.
    pub direction: Option<Direction>,
    /// Where it stands. On April's server one that was lost in the queue stays `queued` for ever.
    pub status: DelegationStatus,
    /// What the newest row is about, for people.
    pub summary: String,
    /// When its first row was made.
    pub created_at: UnixTime,
    /// When its newest row was made, or last written.
    pub updated_at: UnixTime,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of the answer, at most 300 bytes. Rows that only name the delegation have none.
    pub preview: Option<String>,
    /// When the platform gives it up, if it keeps a ledger: six hours after the start.
    pub deadline: Option<UnixTime>,
}

/// How a delegation ended, as its rows tell (contract sections 14.1 and 14.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "end", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DelegationEnd {
    /// The peer answered; this is the beginning of its answer, at most 300 bytes.
    Answered(String),
    /// The peer answered with nothing, or the platform did not keep its answer.
    NoAnswer,
    /// The peer polls: the platform took the message for it and counts that as the end. An answer, if any, comes as a message
    /// of its own.
    AcceptedForPoll,
    /// The peer answered with a JSON-RPC error, which the platform counts as an answer.
    PeerError {
        /// What went wrong, for programs.
        code: i64,
        /// What went wrong, for people.
        message: String,
    },
    /// It could not be delivered, or the peer answered with an error's status: why, as far as the platform says.
    Failed(String),
}

impl DelegationView {
    /// Whether it is over, one way or the other.
    pub fn is_over(&self) -> bool {
        is_over(&self.status)
    }

    /// How it ended; `None` while it has not.
    pub fn end(&self) -> Option<DelegationEnd> {
        match self.status {
            DelegationStatus::Completed => Some(self.preview.as_deref().map_or(DelegationEnd::NoAnswer, completed)),
            DelegationStatus::Failed => Some(DelegationEnd::Failed(self.error.clone().unwrap_or_default())),
            _ => None,
        }
    }
}

impl fmt::Display for DelegationEnd {
    /// One sentence, with what the platform or the peer says made fit to print; an answer keeps its line ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Printable::lines(f);
        match self {
            Self::Answered(answer) => write!(f, "answered: {answer}"),
            Self::NoAnswer => f.write_str("over, without an answer"),
            Self::AcceptedForPoll => f.write_str("accepted: the peer finds it when it polls"),
            Self::PeerError { code, message } => write!(f, "the peer failed: {} ({code})", printable(message)),
            Self::Failed(why) if why.is_empty() => f.write_str("failed"),
            Self::Failed(why) => write!(f, "failed: {}", printable(why)),
        }
    }
}

pub(super) fn is_over(status: &DelegationStatus) -> bool {
    matches!(status, DelegationStatus::Completed | DelegationStatus::Failed)
}

/// What a preview says. One that was cut in the middle of JSON is a text like any other.
fn completed(preview: &str) -> DelegationEnd {
    match A2aAnswer::read(preview.as_bytes()) {
        A2aAnswer::Accepted(taken) if taken.delivery_mode == Some(AcceptedMode::Poll) => DelegationEnd::AcceptedForPoll,
        A2aAnswer::Replied(answer) => match answer.error {
            Some(error) => DelegationEnd::PeerError { code: error.code, message: error.message },
            None => DelegationEnd::Answered(preview.to_owned()),
        },
        A2aAnswer::Empty => DelegationEnd::NoAnswer,
        _ => DelegationEnd::Answered(preview.to_owned()),
    }
}
