//! One delegation, merged from its rows.

use std::fmt::{self, Write as _};

use molecule_proto::{A2aAnswer, AcceptedMode, DelegationStatus, Direction, UnixTime, WorkspaceId};
use serde::Serialize;

use crate::error::printable;
use crate::printable::Printable;

/// A delegation, merged from the rows that the platform shows of it (contract section 14.2).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DelegationView {
    /// The delegation's id: a UUID if the platform made it, any text if an agent reported its own.
    pub id: String,
    /// The workspace that delegated; `None` if no row names it.
    pub source_id: Option<WorkspaceId>,
    /// The workspace that the task is for; `None` if no row names it.
    pub target_id: Option<WorkspaceId>,
    /// Whether this agent sent or received the delegation; `None` on April's server, which shows only sent ones.
    pub direction: Option<Direction>,
    /// The status. On April's server, a delegation that was lost in the queue stays `queued`.
    pub status: DelegationStatus,
    /// The summary of the newest row, as text for people.
    pub summary: String,
    /// When the first row was created.
    pub created_at: UnixTime,
    /// When the newest row was created or last written.
    pub updated_at: UnixTime,
    /// The error, if there is one.
    pub error: Option<String>,
    /// The beginning of the answer, at most 300 bytes. Rows that only name the delegation have none.
    pub preview: Option<String>,
    /// When the platform gives the delegation up, if it keeps a ledger: six hours after the start.
    pub deadline: Option<UnixTime>,
}

/// The end of a delegation, as its rows show it (contract sections 14.1 and 14.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "end", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DelegationEnd {
    /// The peer answered; this is the beginning of its answer, at most 300 bytes.
    Answered(String),
    /// The peer's answer was empty, or the platform did not store it.
    NoAnswer,
    /// The peer polls. The platform accepted the message for it and counts that as the end. An answer, if there is one,
    /// comes as a separate message.
    AcceptedForPoll,
    /// The peer answered with a JSON-RPC error, which the platform counts as an answer.
    PeerError {
        /// The error's code.
        code: i64,
        /// The error's message.
        message: String,
    },
    /// The task could not be delivered, or the peer answered with an error status; the text is the platform's reason.
    Failed(String),
}

impl DelegationView {
    /// Returns whether the delegation has ended, with or without success.
    pub fn is_over(&self) -> bool {
        is_over(&self.status)
    }

    /// Returns how the delegation ended; `None` while it has not.
    pub fn end(&self) -> Option<DelegationEnd> {
        match self.status {
            DelegationStatus::Completed => Some(self.preview.as_deref().map_or(DelegationEnd::NoAnswer, completed)),
            DelegationStatus::Failed => Some(DelegationEnd::Failed(self.error.clone().unwrap_or_default())),
            _ => None,
        }
    }
}

impl fmt::Display for DelegationEnd {
    /// Writes one sentence. The text of the platform or the peer is escaped; an answer keeps its line ends.
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

/// Returns the end that a preview shows. A preview that was cut in the middle of JSON is treated as text.
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
