//! `POST /registry/heartbeat` (contract section 5; April 4.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::WorkspaceId;
use crate::lenient;
use crate::secret::{self, InboundSecret};
use crate::status::RuntimeState;

/// Body of `POST /registry/heartbeat`. Only `workspace_id` is required; the server does not check the values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeartbeatRequest {
    /// The workspace whose agent is alive.
    pub workspace_id: WorkspaceId,
    /// Share of failed work, 0 to 1: at 0.5 and more the workspace becomes degraded, below 0.1 it recovers.
    #[serde(default)]
    pub error_rate: f64,
    /// One of the errors behind the rate. It overwrites the stored one, also with `""`.
    #[serde(default)]
    pub sample_error: String,
    /// Number of tasks in progress. At 1 and more the platform holds back queued calls, unless the workspace allows
    /// more at once.
    #[serde(default)]
    pub active_tasks: i64,
    /// Whether the agent is busy; derived from `active_tasks` if absent. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_busy: Option<bool>,
    /// Seconds since the agent started.
    #[serde(default)]
    pub uptime_seconds: i64,
    /// What the agent works on, in a few words.
    #[serde(default)]
    pub current_task: String,
    /// Money spent this month in US cents, cumulative; 0 does not change the stored value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub monthly_spend: i64,
    /// The `generation` of the last heartbeat's answer. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Version of this body's schema. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// The runtime's state: `""` is healthy; `wedged` makes the workspace degraded.
    #[serde(default, skip_serializing_if = "RuntimeState::is_healthy")]
    pub runtime_state: RuntimeState,
    /// What the agent can do. A heartbeat without it withdraws what an earlier one announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_metadata: Option<RuntimeMetadata>,
    /// A card, stored only if the workspace has none. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_card: Option<Value>,
    /// Whether the agent serves MCP; sent by managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_server_present: Option<bool>,
    /// Names of the MCP tools; sent by managed runtimes. An absent list is not the same as an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_mcp_tools: Option<Vec<String>>,
    /// Whether the MCP tools can be called; sent by managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_tools_ready: Option<bool>,
    /// When the agent could first work; sent by managed runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ready_at: Option<Value>,
}

impl HeartbeatRequest {
    /// A heartbeat that only says that the agent is alive.
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

    /// Sets the share of failed work, 0 to 1.
    #[must_use]
    pub fn error_rate(mut self, error_rate: f64) -> Self {
        self.error_rate = error_rate;
        self
    }

    /// Sets one of the errors behind the rate.
    #[must_use]
    pub fn sample_error(mut self, sample_error: impl Into<String>) -> Self {
        self.sample_error = sample_error.into();
        self
    }

    /// Sets the number of tasks in progress.
    #[must_use]
    pub fn active_tasks(mut self, active_tasks: i64) -> Self {
        self.active_tasks = active_tasks;
        self
    }

    /// Sets whether the agent is busy.
    #[must_use]
    pub fn is_busy(mut self, is_busy: bool) -> Self {
        self.is_busy = Some(is_busy);
        self
    }

    /// Sets the seconds since the agent started.
    #[must_use]
    pub fn uptime_seconds(mut self, uptime_seconds: i64) -> Self {
        self.uptime_seconds = uptime_seconds;
        self
    }

    /// Sets what the agent works on, in a few words.
    #[must_use]
    pub fn current_task(mut self, current_task: impl Into<String>) -> Self {
        self.current_task = current_task.into();
        self
    }

    /// Sets the money spent this month, in US cents.
    #[must_use]
    pub fn monthly_spend(mut self, monthly_spend: i64) -> Self {
        self.monthly_spend = monthly_spend;
        self
    }

    /// Sets the `generation` of the last answer.
    #[must_use]
    pub fn observed_generation(mut self, observed_generation: i64) -> Self {
        self.observed_generation = Some(observed_generation);
        self
    }

    /// Sets the runtime's state.
    #[must_use]
    pub fn runtime_state(mut self, runtime_state: RuntimeState) -> Self {
        self.runtime_state = runtime_state;
        self
    }

    /// Sets what the agent can do.
    #[must_use]
    pub fn runtime_metadata(mut self, runtime_metadata: RuntimeMetadata) -> Self {
        self.runtime_metadata = Some(runtime_metadata);
        self
    }

    /// Sets a card for a workspace that has none.
    #[must_use]
    pub fn agent_card(mut self, agent_card: impl Into<Value>) -> Self {
        self.agent_card = Some(agent_card.into());
        self
    }
}

/// `runtime_metadata` of a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RuntimeMetadata {
    /// The tasks that the agent does itself, instead of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Seconds of silence after which the platform gives up a call to this agent; replaces the server's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<i64>,
}

impl RuntimeMetadata {
    /// An empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the tasks that the agent does itself, instead of the platform.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Sets the seconds of silence after which the platform gives up a call to this agent.
    #[must_use]
    pub fn idle_timeout_seconds(mut self, idle_timeout_seconds: i64) -> Self {
        self.idle_timeout_seconds = Some(idle_timeout_seconds);
        self
    }
}

/// The tasks that an agent does itself, instead of the platform. `scheduler` promises that the agent serves
/// `/internal/schedules`: set it only then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
#[non_exhaustive]
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
    /// Capabilities that this version does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Capabilities {
    /// An empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the agent itself does `heartbeat`.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: bool) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// Sets whether the agent itself does `scheduler`.
    #[must_use]
    pub fn scheduler(mut self, scheduler: bool) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// Sets whether the agent itself does `session`.
    #[must_use]
    pub fn session(mut self, session: bool) -> Self {
        self.session = Some(session);
        self
    }

    /// Sets whether the agent itself does `status_mgmt`.
    #[must_use]
    pub fn status_mgmt(mut self, status_mgmt: bool) -> Self {
        self.status_mgmt = Some(status_mgmt);
        self
    }

    /// Sets whether the agent itself does `retry`.
    #[must_use]
    pub fn retry(mut self, retry: bool) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets whether the agent itself does `activity_decoration`.
    #[must_use]
    pub fn activity_decoration(mut self, activity_decoration: bool) -> Self {
        self.activity_decoration = Some(activity_decoration);
        self
    }

    /// Sets whether the agent itself does `channel_dispatch`.
    #[must_use]
    pub fn channel_dispatch(mut self, channel_dispatch: bool) -> Self {
        self.channel_dispatch = Some(channel_dispatch);
        self
    }

    /// Adds a capability that has no field of its own.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.other.insert(name.into(), value.into());
        self
    }
}

/// Answer of `POST /registry/heartbeat`. The server answers 200 also for unknown and removed workspaces, so it does not
/// prove that the workspace exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeartbeatAnswer {
    /// `ok`.
    pub status: String,
    /// A counter of the workspace's configuration; absent on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::or_default")]
    pub generation: Option<i64>,
    /// The secret with which the platform authenticates to a push agent; absent on April's server and if the platform
    /// could not read it.
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
