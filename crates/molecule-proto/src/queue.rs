//! Calls that wait in the platform's queue for a busy agent (contract section 11).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::database_time::DatabaseTime;
use crate::id::{QueueId, WorkspaceId};
use crate::lenient::or_default;
use crate::rpc::present;
use crate::time::UnixTime;
use crate::words::words;

words! {
    /// The status of a queued call.
    QueueStatus {
        /// The call waits. After its `expires_at` it keeps this status for ever.
        Queued = "queued",
        /// The platform is delivering the call.
        Dispatched = "dispatched",
        /// The agent answered, or was busy again. In the second case there is no answer, and the message is lost.
        Completed = "completed",
        /// The agent could not be reached for too long.
        Dropped = "dropped",
        /// Five attempts failed.
        Failed = "failed",
    }
}

/// Answer of `GET /workspaces/:id/a2a/queue/:queue_id`. Not on April's server.
///
/// Its times are in the database's notation, which is not RFC 3339; an invalid time reads as absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueItem {
    /// The id of the queued call.
    pub queue_id: QueueId,
    /// The workspace that was called.
    pub workspace_id: WorkspaceId,
    /// Its status.
    pub status: QueueStatus,
    /// Its priority: the queue delivers higher ones first. It is 50 for a call.
    #[serde(default, deserialize_with = "or_default")]
    pub priority: i64,
    /// The number of attempts to deliver it so far, at most five.
    #[serde(default, deserialize_with = "or_default")]
    pub attempts: u32,
    /// The error of the last attempt.
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
    /// The time after which it is no longer delivered.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub expires_at: Option<DatabaseTime>,
    /// The agent's answer, if the call is completed; usually an [`RpcAnswer`](crate::RpcAnswer).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub response_body: Option<Value>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl QueueItem {
    /// The answer for a call that was just queued.
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
