//! `POST /registry/heartbeat` (contract section 5; April 4.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::WorkspaceId;
use crate::lenient;
use crate::secret::{self, InboundSecret};
use crate::status::RuntimeState;

/// Body of `POST /registry/heartbeat`. Only `workspace_id` is required; the server takes values as they come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatRequest {
    /// The workspace that lives.
    pub workspace_id: WorkspaceId,
    /// Share of failed work, 0 to 1: 0.5 and more degrades the workspace, less than 0.1 recovers it.
    #[serde(default)]
    pub error_rate: f64,
    /// One of the errors behind the rate; overwrites the last one, with `""` too.
    #[serde(default)]
    pub sample_error: String,
    /// Tasks in work; 1 and more holds back queued calls (unless the workspace allows more at once).
    #[serde(default)]
    pub active_tasks: i64,
    /// Whether the agent is busy; derived from `active_tasks` where absent. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_busy: Option<bool>,
    /// Seconds since the agent started.
    #[serde(default)]
    pub uptime_seconds: i64,
    /// What the agent does, in a few words.
    #[serde(default)]
    pub current_task: String,
    /// Spend of this month in US cents, cumulative; 0 leaves the stored one as it is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub monthly_spend: i64,
    /// The last `generation` that a heartbeat's answer carried. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Version of this body's shape. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// How the agent feels; `""` is healthy, `wedged` degrades.
    #[serde(default, skip_serializing_if = "RuntimeState::is_healthy")]
    pub runtime_state: RuntimeState,
    /// What the agent can do; a beat without it withdraws what an earlier one announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_metadata: Option<RuntimeMetadata>,
    /// A card, stored only if the workspace has none. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_card: Option<Value>,
    /// Whether the agent serves MCP; managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_server_present: Option<bool>,
    /// Names of the MCP tools; managed runtimes. Absent is not the same as empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_mcp_tools: Option<Vec<String>>,
    /// Whether the MCP tools can be called; managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_tools_ready: Option<bool>,
    /// When the agent could first work; managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ready_at: Option<Value>,
}

impl HeartbeatRequest {
    /// A beat that says nothing but that the agent lives.
    pub fn new(workspace_id: WorkspaceId) -> Self {
        Self {
            workspace_id,
            error_rate: 0.0,
            sample_error: String::new(),
            active_tasks: 0,
            is_busy: None,
            uptime_seconds: 0,
            current_task: String::new(),
            monthly_spend: 0,
            observed_generation: None,
            schema_version: None,
            runtime_state: RuntimeState::Healthy,
            runtime_metadata: None,
            agent_card: None,
            mcp_server_present: None,
            loaded_mcp_tools: None,
            mcp_tools_ready: None,
            first_ready_at: None,
        }
    }
}

/// `runtime_metadata` of a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeMetadata {
    /// What the agent takes care of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Seconds of silence after which a call to this agent is given up; replaces the server's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<i64>,
}

/// What an agent takes care of itself, instead of the platform. `scheduler` promises that the agent serves
/// `/internal/schedules`: do not set it otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Capabilities {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_mgmt: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity_decoration: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_dispatch: Option<bool>,
    /// Names that this version does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Answer of `POST /registry/heartbeat`: 200 also for unknown and removed workspaces, so it proves no life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeartbeatAnswer {
    /// `ok`.
    pub status: String,
    /// A counter of the workspace's configuration; absent on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::or_default")]
    pub generation: Option<i64>,
    /// The secret with which the platform calls a push agent; absent on April's server and when it could not be read.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "secret::inbound_secret",
        serialize_with = "InboundSecret::serialize_option"
    )]
    pub platform_inbound_secret: Option<InboundSecret>,
}

impl HeartbeatAnswer {
    /// The answer of an older server.
    pub fn ok() -> Self {
        Self { status: "ok".to_owned(), generation: None, platform_inbound_secret: None }
    }
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}
