//! Calls that wait for a busy agent (contract section 11).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::database_time::DatabaseTime;
use crate::id::{QueueId, WorkspaceId};
use crate::lenient::or_default;
use crate::rpc::present;
use crate::time::UnixTime;
use crate::words::words;

words! {
    /// Where a waiting call stands.
    QueueStatus {
        /// It waits. One that is past its `expires_at` says so for ever.
        Queued = "queued",
        /// It is being delivered.
        Dispatched = "dispatched",
        /// The agent answered, or was busy again: then there is no answer, and the message is lost.
        Completed = "completed",
        /// The agent was out of reach for too long.
        Dropped = "dropped",
        /// Five attempts failed.
        Failed = "failed",
    }
}

/// Answer of `GET /workspaces/:id/a2a/queue/:queue_id`. Not on April's server.
///
/// Its times are written in the database's own notation, which is no RFC 3339; one that makes no sense reads as absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueItem {
    /// The item.
    pub queue_id: QueueId,
    /// The workspace that was called.
    pub workspace_id: WorkspaceId,
    /// Where it stands.
    pub status: QueueStatus,
    /// Higher ones are delivered first; 50 for a call.
    #[serde(default, deserialize_with = "or_default")]
    pub priority: i64,
    /// Attempts to deliver it so far, at most five.
    #[serde(default, deserialize_with = "or_default")]
    pub attempts: u32,
    /// What went wrong with the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub last_error: Option<String>,
    /// When it was queued.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub enqueued_at: Option<DatabaseTime>,
    /// When the last attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub dispatched_at: Option<DatabaseTime>,
    /// When it was completed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub completed_at: Option<DatabaseTime>,
    /// When it is no longer delivered.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub expires_at: Option<DatabaseTime>,
    /// The agent's answer, when it is completed; an [`RpcAnswer`](crate::RpcAnswer) as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub response_body: Option<Value>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl QueueItem {
    /// An item that was just queued.
    pub fn new(queue_id: QueueId, workspace_id: WorkspaceId, enqueued_at: UnixTime) -> Self {
        Self {
            queue_id,
            workspace_id,
            status: QueueStatus::Queued,
            priority: 50,
            attempts: 0,
            last_error: None,
            enqueued_at: Some(DatabaseTime(enqueued_at)),
            dispatched_at: None,
            completed_at: None,
            expires_at: None,
            response_body: None,
            extra: Map::new(),
        }
    }
}
