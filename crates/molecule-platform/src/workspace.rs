//! The row of a workspace and its transitions (contract section 3; April 3.1).

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{
    DeliveryMode, Dialect, InboundSecret, Now, Time, UnixTime, WorkspaceId, WorkspaceKind, WorkspaceStatus,
    WorkspaceView,
};
use serde_json::Value;

use crate::routes::Entry;

/// The time for which a refused register of an authenticated agent degrades its workspace.
const FAILURE_WINDOW: Duration = Duration::from_secs(300);

/// The row of a workspace.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) tier: i64,
    pub(crate) runtime: String,
    pub(crate) kind: WorkspaceKind,
    pub(crate) parent: Option<WorkspaceId>,
    pub(crate) status: WorkspaceStatus,
    pub(crate) url: String,
    pub(crate) delivery_mode: DeliveryMode,
    pub(crate) agent_card: Option<Value>,
    pub(crate) reported: Reported,
    pub(crate) created: Now,
    /// The time of the last write to the row.
    pub(crate) updated: UnixTime,
    /// The time of the last accepted register or heartbeat.
    pub(crate) last_heartbeat: Option<Now>,
    /// The time at which its agent last sent a message to another workspace.
    pub(crate) last_outbound: Option<Now>,
    /// The time of its last sign of life: a register, a heartbeat or a row of its feed. Calls to it are cut off only if
    /// it is silent.
    pub(crate) last_event: Time,
    /// The longest allowed silence, from its last heartbeat.
    pub(crate) idle_timeout: Option<Duration>,
    /// Whether the last heartbeat said that the agent has its own queue.
    pub(crate) has_own_queue: bool,
    pub(crate) abilities: Abilities,
    /// The most that it may spend in a month, in US cents.
    pub(crate) budget_limit: Option<i64>,
    /// Whether the last heartbeat said that the agent manages its own status.
    pub(crate) manages_status: bool,
    /// The time of a refused register with a right token. A later success clears it.
    pub(crate) register_failed: Option<Time>,
    /// The time at which the liveness key expires. Only a register creates one, heartbeats extend it.
    pub(crate) liveness_key: Option<Time>,
    /// The time at which a start that cannot succeed fails.
    pub(crate) fails_at: Option<Time>,
    pub(crate) inbound_secret: Option<InboundSecret>,
    pub(crate) secrets: BTreeMap<String, StoredSecret>,
    pub(crate) memory: BTreeMap<String, Entry>,
}

/// The abilities that its owner grants a workspace (contract section 16.6).
#[derive(Clone)]
pub(crate) struct Abilities {
    pub(crate) broadcast: bool,
    pub(crate) talk_to_user: bool,
    pub(crate) delegate: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self { broadcast: false, talk_to_user: true, delegate: true }
    }
}

/// The values of the last heartbeat.
#[derive(Clone, Default)]
pub(crate) struct Reported {
    pub(crate) active_tasks: i64,
    pub(crate) error_rate: f64,
    pub(crate) sample_error: String,
    pub(crate) uptime_seconds: i64,
    pub(crate) current_task: String,
    /// US cents; a heartbeat with 0 does not change it.
    pub(crate) monthly_spend: i64,
    pub(crate) wedged: bool,
}

#[derive(Clone)]
pub(crate) struct StoredSecret {
    pub(crate) value: String,
    pub(crate) created: UnixTime,
    pub(crate) updated: UnixTime,
}

/// The values of a heartbeat that decide the status.
#[derive(Clone)]
pub(crate) struct Pulse {
    pub(crate) error_rate: f64,
    pub(crate) wedged: bool,
    /// Whether `runtime_state` is `""`.
    pub(crate) healthy: bool,
}

impl Workspace {
    /// Creates a row with default values.
    pub(crate) fn new(id: WorkspaceId, name: String, status: WorkspaceStatus, now: Now) -> Self {
        Self {
            id,
            name,
            role: None,
            tier: 3,
            runtime: "external".to_owned(),
            kind: WorkspaceKind::Workspace,
            parent: None,
            status,
            url: String::new(),
            delivery_mode: DeliveryMode::Push,
            agent_card: None,
            reported: Reported::default(),
            created: now,
            updated: now.unix,
            last_heartbeat: None,
            last_outbound: None,
            last_event: now.mono,
            idle_timeout: None,
            has_own_queue: false,
            abilities: Abilities::default(),
            budget_limit: None,
            manages_status: false,
            register_failed: None,
            liveness_key: None,
            fails_at: None,
            inbound_secret: None,
            secrets: BTreeMap::new(),
            memory: BTreeMap::new(),
        }
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.status == WorkspaceStatus::Removed
    }

    /// Returns whether a register leaves the row unchanged. On April's server a register ends a pause.
    pub(crate) fn ignores_register(&self, dialect: Dialect) -> bool {
        match self.status {
            WorkspaceStatus::Removed => true,
            WorkspaceStatus::Paused | WorkspaceStatus::Hibernated => dialect == Dialect::Current,
            _ => false,
        }
    }

    /// Changes the status after a heartbeat, by at most one step.
    pub(crate) fn beat(&mut self, dialect: Dialect, now: Time, pulse: &Pulse) {
        let failed_lately = self.register_failed.is_some_and(|at| now.since(at) < FAILURE_WINDOW);
        let next = match self.status {
            WorkspaceStatus::Provisioning | WorkspaceStatus::Offline => WorkspaceStatus::Online,
            WorkspaceStatus::Failed | WorkspaceStatus::AwaitingAgent if dialect == Dialect::Current => {
                WorkspaceStatus::Online
            }
            WorkspaceStatus::Online => {
                let too_many_errors = pulse.error_rate >= 0.5 && !self.manages_status;
                if !(too_many_errors || pulse.wedged || failed_lately) {
                    return;
                }
                WorkspaceStatus::Degraded
            }
            WorkspaceStatus::Degraded => {
                let well = pulse.error_rate < 0.1 && pulse.healthy && !failed_lately;
                if !well || self.manages_status {
                    return;
                }
                WorkspaceStatus::Online
            }
            _ => return,
        };
        self.status = next;
        self.fails_at = None;
    }

    pub(crate) fn pause(&mut self, now: Now) {
        self.status = WorkspaceStatus::Paused;
        self.url.clear();
        self.liveness_key = None;
        self.fails_at = None;
        self.updated = now.unix;
    }

    pub(crate) fn hibernate(&mut self, now: Now) {
        self.status = WorkspaceStatus::Hibernated;
        self.url.clear();
        self.liveness_key = None;
        self.updated = now.unix;
    }

    /// Wakes a hibernated workspace with its first message. An external one has no container to start, so the start
    /// fails.
    pub(crate) fn wake(&mut self, now: Now) {
        self.status = WorkspaceStatus::Failed;
        self.updated = now.unix;
    }

    /// Starts a container for the workspace. An external one has none, so the start fails within a second.
    pub(crate) fn resume(&mut self, now: Now) {
        self.status = WorkspaceStatus::Provisioning;
        self.fails_at = Some(now.mono + Duration::from_millis(500));
        self.updated = now.unix;
    }

    pub(crate) fn remove(&mut self, now: Now) {
        self.status = WorkspaceStatus::Removed;
        self.liveness_key = None;
        self.fails_at = None;
        self.updated = now.unix;
    }

    /// The row as the open view shows it (contract section 7.2; April 5.3).
    pub(crate) fn view(&self, dialect: Dialect) -> WorkspaceView {
        let mut view = WorkspaceView::new(self.id.clone(), self.status.clone());
        view.name.clone_from(&self.name);
        view.role.clone_from(&self.role);
        view.tier = self.tier;
        view.runtime.clone_from(&self.runtime);
        view.url.clone_from(&self.url);
        view.parent_id.clone_from(&self.parent);
        view.agent_card.clone_from(&self.agent_card);
        view.active_tasks = self.reported.active_tasks;
        view.last_error_rate = self.reported.error_rate;
        view.uptime_seconds = self.reported.uptime_seconds;
        view.last_outbound_at = self.last_outbound.map(|now| now.unix);
        if dialect == Dialect::Current {
            view.kind = Some(self.kind.clone());
            view.last_sample_error = Some(self.reported.sample_error.clone());
            view.last_heartbeat_at = Some(self.last_heartbeat.map(|now| now.unix));
            view.broadcast_enabled = Some(self.abilities.broadcast);
            view.talk_to_user_enabled = Some(self.abilities.talk_to_user);
            view.compute = Some(Value::Object(serde_json::Map::new()));
            view.loaded_mcp_tools = Some(Vec::new());
            view.mcp_surface = Some(None);
            view.wedged = Some(self.reported.wedged);
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Pulse = Pulse { error_rate: 0.0, wedged: false, healthy: true };

    fn row(status: WorkspaceStatus) -> Workspace {
        let id = WorkspaceId::from_random([1; 16]);
        Workspace::new(id, "a".to_owned(), status, Now::default())
    }

    fn after(dialect: Dialect, status: WorkspaceStatus, pulse: &Pulse) -> WorkspaceStatus {
        let mut row = row(status);
        row.beat(dialect, Time::ZERO, pulse);
        row.status
    }

    #[test]
    fn what_a_good_beat_brings_online() {
        use WorkspaceStatus::{AwaitingAgent, Degraded, Failed, Offline, Online, Paused, Provisioning, Removed};
        for status in [Provisioning, Offline, Online, Degraded] {
            assert_eq!(after(Dialect::April, status.clone(), &WELL), Online);
            assert_eq!(after(Dialect::Current, status, &WELL), Online);
        }
        assert_eq!(after(Dialect::Current, Failed, &WELL), Online);
        assert_eq!(after(Dialect::Current, AwaitingAgent, &WELL), Online);
        assert_eq!(after(Dialect::April, Failed, &WELL), Failed);
        for status in [Paused, Removed] {
            assert_eq!(after(Dialect::Current, status.clone(), &WELL), status);
        }
    }

    #[test]
    fn half_of_the_work_failed_is_too_much_and_a_tenth_is_not_well() {
        let after =
            |status, error_rate| after(Dialect::Current, status, &Pulse { error_rate, wedged: false, healthy: true });
        assert_eq!(after(WorkspaceStatus::Online, 0.5), WorkspaceStatus::Degraded);
        assert_eq!(after(WorkspaceStatus::Online, 0.49), WorkspaceStatus::Online);
        assert_eq!(after(WorkspaceStatus::Degraded, 0.1), WorkspaceStatus::Degraded);
        assert_eq!(after(WorkspaceStatus::Degraded, 0.09), WorkspaceStatus::Online);
    }

    #[test]
    fn another_runtime_state_hinders_recovery_and_degrades_nothing() {
        let odd = Pulse { error_rate: 0.0, wedged: false, healthy: false };
        assert_eq!(after(Dialect::Current, WorkspaceStatus::Degraded, &odd), WorkspaceStatus::Degraded);
        assert_eq!(after(Dialect::Current, WorkspaceStatus::Online, &odd), WorkspaceStatus::Online);
    }

    #[test]
    fn a_refused_register_degrades_for_five_minutes() {
        let mut row = row(WorkspaceStatus::Online);
        row.register_failed = Some(Time::ZERO);
        row.beat(Dialect::Current, Time::ZERO + Duration::from_secs(299), &WELL);
        assert_eq!(row.status, WorkspaceStatus::Degraded);
        row.beat(Dialect::Current, Time::ZERO + Duration::from_secs(300), &WELL);
        assert_eq!(row.status, WorkspaceStatus::Online);
    }

    #[test]
    fn an_agent_that_judges_itself_stays_as_it_is() {
        let mut row = row(WorkspaceStatus::Online);
        row.manages_status = true;
        row.beat(Dialect::Current, Time::ZERO, &Pulse { error_rate: 0.9, wedged: false, healthy: true });
        assert_eq!(row.status, WorkspaceStatus::Online);
        row.status = WorkspaceStatus::Degraded;
        row.beat(Dialect::Current, Time::ZERO, &WELL);
        assert_eq!(row.status, WorkspaceStatus::Degraded);
    }
}
