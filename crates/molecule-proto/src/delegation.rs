//! Delegations (contract section 14; April 8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{DelegationId, WorkspaceId};
use crate::lenient::or_default;
use crate::time::UnixTime;
use crate::words::words;

words! {
    /// Where a delegation stands.
    DelegationStatus {
        /// Taken: the answer to a new one.
        Delegated = "delegated",
        /// Recorded, not yet sent.
        Pending = "pending",
        /// Sent to the target.
        Dispatched = "dispatched",
        /// The target is busy; it waits. A row that says so may say it for ever (contract section 14.1).
        Queued = "queued",
        /// The target works on it.
        InProgress = "in_progress",
        /// The target has been silent for ten minutes.
        Stuck = "stuck",
        /// The target answered.
        Completed = "completed",
        /// It could not be sent, or the target answered with an error status.
        Failed = "failed",
    }
}

words! {
    /// Which end of a delegation a workspace is.
    Direction {
        /// It delegated.
        Sent = "sent",
        /// It was delegated to.
        Received = "received",
    }
}

/// Body of `POST /workspaces/:self/delegate`: the path names who delegates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegateRequest {
    /// Who is to do it.
    pub target_id: WorkspaceId,
    /// What is to be done; not empty.
    pub task: String,
    /// The same key of the same workspace names the same delegation, whatever target and task the second call names. One
    /// that failed gives its key free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl DelegateRequest {
    /// A task for a target.
    pub fn new(target_id: WorkspaceId, task: impl Into<String>) -> Self {
        Self { target_id, task: task.into(), idempotency_key: None }
    }

    /// Names the delegation, so that the same request again is the same delegation.
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
    /// The delegation.
    pub delegation_id: DelegationId,
    /// `delegated`, or where the earlier one stands, which may be stale.
    pub status: DelegationStatus,
    /// Who is to do it: of an earlier one its own target, whoever the call named.
    #[serde(default, deserialize_with = "or_default")]
    pub target_id: Option<WorkspaceId>,
    /// The delegation is under way, and its status cannot be followed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub warning: Option<String>,
    /// Whether the key named an earlier delegation, and nothing was sent.
    #[serde(default, skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub idempotent_hit: bool,
}

impl DelegateAnswer {
    /// A new delegation.
    pub fn delegated(delegation_id: DelegationId, target_id: WorkspaceId) -> Self {
        let status = DelegationStatus::Delegated;
        Self { delegation_id, status, target_id: Some(target_id), warning: None, idempotent_hit: false }
    }

    /// The delegation that the key named before.
    pub fn known(delegation_id: DelegationId, status: DelegationStatus, target_id: Option<WorkspaceId>) -> Self {
        Self { delegation_id, status, target_id, warning: None, idempotent_hit: true }
    }
}

/// A row of `GET /workspaces/:self/delegations`; the answer is [`Rows`](crate::Rows) of them, newest first, at most 50.
///
/// There are two shapes of it (contract section 14.2). A row of the **ledger** ([`is_ledger`](Self::is_ledger)) stands
/// for one delegation. A row of the **activity fold** is one of several: those of a delegation share a `delegation_id`
/// (which April's server leaves out of failed results), the newest counts, and a `response_preview` that holds nothing but
/// the id is a handle and no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelegationRow {
    /// The row, in the activity fold.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub id: Option<String>,
    /// `delegation`, in the activity fold.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub kind: Option<String>,
    /// `true` in the ledger.
    #[serde(default, rename = "_ledger", skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub is_ledger: bool,
    /// The delegation. A text, since agents name their own ones as they like.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub delegation_id: Option<String>,
    /// Who delegated.
    #[serde(default, deserialize_with = "or_default")]
    pub source_id: String,
    /// Who is to do it; `""` in what an agent reported itself.
    #[serde(default, deserialize_with = "or_default")]
    pub target_id: String,
    /// Which end the reader is; not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub direction: Option<Direction>,
    /// What the row is about, for people.
    #[serde(default, deserialize_with = "or_default")]
    pub summary: String,
    /// Where it stands; other words (`ok`, `error`) in rows of a server that pushes results.
    pub status: DelegationStatus,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When it was last written, in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub updated_at: Option<UnixTime>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub error: Option<String>,
    /// The first 300 bytes of the answer, or a handle.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub response_preview: Option<String>,
    /// When the target was last heard of, in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub last_heartbeat: Option<UnixTime>,
    /// When it is given up, in the ledger: six hours after its start.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub deadline: Option<UnixTime>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl DelegationRow {
    /// A row with what every row has.
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
    /// Who is to do it.
    pub target_id: WorkspaceId,
    /// What is to be done.
    pub task: String,
    /// What the agent calls it: any text.
    pub delegation_id: String,
}

impl RecordDelegationRequest {
    /// A task for a target, under the agent's own name for it.
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
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_preview: Option<String>,
}

impl UpdateDelegationRequest {
    /// It came to an end, with what came of it.
    pub fn completed(response_preview: impl Into<String>) -> Self {
        let status = DelegationStatus::Completed;
        Self { status, error: None, response_preview: Some(response_preview.into()) }
    }

    /// It failed, and this is why.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { status: DelegationStatus::Failed, error: Some(error.into()), response_preview: None }
    }
}

/// Answer of both: the delegation and `recorded`, or the status that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedDelegation {
    /// The delegation, as the agent calls it.
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
