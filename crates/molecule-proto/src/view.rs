//! `GET /workspaces/:id`, the open view (contract section 7.2; April 5.3).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::WorkspaceId;
use crate::json::{self, Unreadable};
use crate::lenient::{nullable, or_default, word};
use crate::status::{WorkspaceKind, WorkspaceStatus};
use crate::time::UnixTime;

/// Answer of `GET /workspaces/:id` at 200. No credential is needed to read it.
///
/// Only `id` and `status` must be valid: an invalid value in another field reads as the default. Fields that April's
/// server does not send are `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct WorkspaceView {
    pub id: WorkspaceId,
    pub status: WorkspaceStatus,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub role: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub tier: i64,
    /// `external`, `kimi` …; on April's server `langgraph` for a workspace that was created without a runtime.
    #[serde(default, deserialize_with = "or_default")]
    pub runtime: String,
    /// The registered URL, `""` for none.
    #[serde(default, deserialize_with = "or_default")]
    pub url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub parent_id: Option<WorkspaceId>,
    /// The stored card: any JSON value.
    #[serde(default)]
    pub agent_card: Option<Value>,
    #[serde(default, deserialize_with = "or_default")]
    pub active_tasks: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub max_concurrent_tasks: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub last_error_rate: f64,
    #[serde(default, deserialize_with = "or_default")]
    pub uptime_seconds: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub last_outbound_at: Option<UnixTime>,
    #[serde(default, deserialize_with = "or_default")]
    pub x: f64,
    #[serde(default, deserialize_with = "or_default")]
    pub y: f64,
    #[serde(default, deserialize_with = "or_default")]
    pub collapsed: bool,
    /// Milliseconds; sent for managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub provision_timeout_ms: Option<i64>,
    /// Not on April's server, like everything below.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word")]
    pub kind: Option<WorkspaceKind>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub last_sample_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    pub last_heartbeat_at: Option<Option<UnixTime>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub broadcast_enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub talk_to_user_enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub loaded_mcp_tools: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    pub mcp_surface: Option<Option<Value>>,
    /// Whether the agent reported itself as stuck.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub wedged: Option<bool>,
}

/// The fields that a client's decisions depend on. All other keys are skipped.
#[derive(Deserialize)]
struct Essence {
    id: WorkspaceId,
    status: WorkspaceStatus,
    #[serde(default, deserialize_with = "word")]
    kind: Option<WorkspaceKind>,
}

impl WorkspaceView {
    /// Reads the view's body. If it has more values than the [limit](crate::json::MAX_MEMORY), which an agent's card
    /// can cause, only `id`, `status` and `kind` are read.
    ///
    /// # Errors
    /// [`Unreadable::Mismatch`] if `id` or `status` is invalid.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        match json::read(body) {
            Err(Unreadable::TooManyValues) => {
                let Essence { id, status, kind } = json::read_known(body)?;
                Ok(Self { kind, ..Self::new(id, status) })
            }
            read => read,
        }
    }

    /// A view with an id and a status; all other fields are as in a new row.
    pub fn new(id: WorkspaceId, status: WorkspaceStatus) -> Self {
        Self {
            id,
            status,
            name: String::new(),
            role: None,
            tier: 0,
            runtime: String::new(),
            url: String::new(),
            parent_id: None,
            agent_card: None,
            active_tasks: 0,
            max_concurrent_tasks: 1,
            last_error_rate: 0.0,
            uptime_seconds: 0,
            last_outbound_at: None,
            x: 0.0,
            y: 0.0,
            collapsed: false,
            provision_timeout_ms: None,
            kind: None,
            last_sample_error: None,
            last_heartbeat_at: None,
            broadcast_enabled: None,
            talk_to_user_enabled: None,
            compute: None,
            loaded_mcp_tools: None,
            mcp_surface: None,
            wedged: None,
        }
    }
}

/// Answer of `GET /workspaces/:id` at 410: the workspace was removed. April's server answers 200 with the status
/// `removed` instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemovedWorkspace {
    /// `workspace removed`.
    pub error: String,
    /// The workspace.
    pub id: WorkspaceId,
    /// The remedy, for people.
    #[serde(default)]
    pub hint: String,
    /// The time of the last write to its row. A register after the removal changes it.
    #[serde(default, deserialize_with = "or_default")]
    pub removed_at: Option<UnixTime>,
}

impl RemovedWorkspace {
    /// The answer for a workspace that was removed.
    pub fn new(id: WorkspaceId, hint: impl Into<String>, removed_at: UnixTime) -> Self {
        Self { error: "workspace removed".to_owned(), id, hint: hint.into(), removed_at: Some(removed_at) }
    }
}
