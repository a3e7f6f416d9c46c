//! Delegations (contract section 14; April 8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{DelegationId, WorkspaceId};
use crate::lenient::or_default;
use crate::time::UnixTime;
use crate::words::words;

words! {
    /// The status of a delegation.
    DelegationStatus {
        /// Accepted: the answer to a new delegation.
        Delegated = "delegated",
        /// Recorded, but not sent yet.
        Pending = "pending",
        /// Sent to the target.
        Dispatched = "dispatched",
        /// The delegation waits, because the target is busy. A row may keep this status for ever (contract section
        /// 14.1).
        Queued = "queued",
        /// The target works on it.
        InProgress = "in_progress",
        /// The target has sent nothing for ten minutes.
        Stuck = "stuck",
        /// The target answered.
        Completed = "completed",
        /// The delegation could not be sent, or the target answered with an error status.
        Failed = "failed",
    }
}

words! {
    /// Whether the workspace sent or received a delegation.
    Direction {
        /// The workspace delegated the task.
        Sent = "sent",
        /// The workspace is the target.
        Received = "received",
    }
}

/// Body of `POST /workspaces/:self/delegate`. The path names the delegating workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegateRequest {
    /// The workspace that shall do the task.
    pub target_id: WorkspaceId,
    /// The task; not empty.
    pub task: String,
    /// A second call of the same workspace with the same key names the same delegation, even if its target and task
    /// differ. A failed delegation frees its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl DelegateRequest {
    /// A task for a target.
    pub fn new(target_id: WorkspaceId, task: impl Into<String>) -> Self {
        Self { target_id, task: task.into(), idempotency_key: None }
    }

    /// Sets the key that makes a repeated request the same delegation.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// Answer of `POST /workspaces/:self/delegate`: 202 for a new one, 200 for a known key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegateAnswer {
    /// The delegation's id.
    pub delegation_id: DelegationId,
    /// `delegated`, or the status of the earlier delegation, which may be stale.
    pub status: DelegationStatus,
    /// The workspace that shall do the task. For an earlier delegation this is its own target, not the one in the
    /// request.
    #[serde(default, deserialize_with = "or_default")]
    pub target_id: Option<WorkspaceId>,
    /// Present if the delegation is in progress but its status cannot be followed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub warning: Option<String>,
    /// Whether the key named an earlier delegation, so that nothing was sent.
    #[serde(default, skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub idempotent_hit: bool,
}

impl DelegateAnswer {
    /// The answer for a new delegation.
    pub fn delegated(delegation_id: DelegationId, target_id: WorkspaceId) -> Self {
        let status = DelegationStatus::Delegated;
        Self { delegation_id, status, target_id: Some(target_id), warning: None, idempotent_hit: false }
    }

    /// The answer for an earlier delegation with the same key.
    pub fn known(delegation_id: DelegationId, status: DelegationStatus, target_id: Option<WorkspaceId>) -> Self {
        Self { delegation_id, status, target_id, warning: None, idempotent_hit: true }
    }
}

/// A row of `GET /workspaces/:self/delegations`; the answer is [`Rows`](crate::Rows) of them, newest first, at most 50.
///
/// It has two forms (contract section 14.2). The **ledger** ([`is_ledger`](Self::is_ledger)) has one row for each
/// delegation. The **activity fold** has several: the rows of a delegation share a `delegation_id` (which April's
/// server leaves out of failed results), and the newest row counts. There, a `response_preview` that is only the id is
/// a handle, not an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegationRow {
    /// The row's id, in the activity fold.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub id: Option<String>,
    /// `delegation`, in the activity fold.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub kind: Option<String>,
    /// `true` in the ledger.
    #[serde(default, rename = "_ledger", skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub is_ledger: bool,
    /// The delegation's id. It is a string, since agents may give their own delegations any id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub delegation_id: Option<String>,
    /// The workspace that delegated the task.
    #[serde(default, deserialize_with = "or_default")]
    pub source_id: String,
    /// The workspace that shall do the task; `""` in a row that an agent reported itself.
    #[serde(default, deserialize_with = "or_default")]
    pub target_id: String,
    /// Whether the reader sent or received it. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub direction: Option<Direction>,
    /// A description of the row, for people.
    #[serde(default, deserialize_with = "or_default")]
    pub summary: String,
    /// The delegation's status. Rows of a server that pushes results have other words (`ok`, `error`).
    pub status: DelegationStatus,
    /// When the row was created.
    pub created_at: UnixTime,
    /// When the row was last written, in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub updated_at: Option<UnixTime>,
    /// The error, for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub error: Option<String>,
    /// The first 300 bytes of the answer, or a handle.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub response_preview: Option<String>,
    /// When the platform last heard of the target, in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub last_heartbeat: Option<UnixTime>,
    /// When the platform gives the delegation up, in the ledger: six hours after its start.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub deadline: Option<UnixTime>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl DelegationRow {
    /// A row with the fields that every row has.
    pub fn new(source_id: &WorkspaceId, status: DelegationStatus, created_at: UnixTime) -> Self {
        Self {
            id: None,
            kind: None,
            is_ledger: false,
            delegation_id: None,
            source_id: source_id.to_string(),
            target_id: String::new(),
            direction: None,
            summary: String::new(),
            status,
            created_at,
            updated_at: None,
            error: None,
            response_preview: None,
            last_heartbeat: None,
            deadline: None,
            extra: Map::new(),
        }
    }
}

/// Body of `POST /workspaces/:self/delegations/record`: a delegation that the agent carries out itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordDelegationRequest {
    /// The workspace that shall do the task.
    pub target_id: WorkspaceId,
    /// The task.
    pub task: String,
    /// The agent's own id for it: any text.
    pub delegation_id: String,
}

impl RecordDelegationRequest {
    /// A task for a target, under the agent's own id.
    pub fn new(target_id: WorkspaceId, task: impl Into<String>, delegation_id: impl Into<String>) -> Self {
        Self { target_id, task: task.into(), delegation_id: delegation_id.into() }
    }
}

/// Body of `POST /workspaces/:self/delegations/:delegation_id/update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpdateDelegationRequest {
    /// `completed` or `failed`.
    pub status: DelegationStatus,
    /// The error, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The start of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_preview: Option<String>,
}

impl UpdateDelegationRequest {
    /// An update for a delegation that ended with this result.
    pub fn completed(response_preview: impl Into<String>) -> Self {
        let status = DelegationStatus::Completed;
        Self { status, error: None, response_preview: Some(response_preview.into()) }
    }

    /// An update for a delegation that failed with this error.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { status: DelegationStatus::Failed, error: Some(error.into()), response_preview: None }
    }
}

/// Answer of `…/delegations/record` and `…/update`: the delegation and `recorded`, or the status that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedDelegation {
    /// The agent's own id of the delegation.
    pub delegation_id: String,
    /// `recorded`, or the status that was sent.
    pub status: String,
}

impl ReportedDelegation {
    /// The answer for a delegation.
    pub fn new(delegation_id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { delegation_id: delegation_id.into(), status: status.into() }
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}
