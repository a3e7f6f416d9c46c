//! `POST /registry/heartbeat` (contract section 5; April 4.2).

use std::time::Duration;

use molecule_proto::{Dialect, HeartbeatAnswer, Now, WorkspaceId, WorkspaceStatus};
use serde_json::{Value, json};

use crate::json::{Fields, Malformed, holds_nul};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::sweep::LIVENESS;
use crate::workspace::{Pulse, Reported, Workspace};

const FAILED: &str = "failed to update";
/// The tasks that a workspace runs at once. A workspace with fewer active tasks gets a queued message.
const MOST_TASKS: i64 = 1;
/// The most that a workspace can have spent, in US cents.
const MOST_SPEND: i64 = 1_000_000_000_000;

struct Beat {
    workspace_id: String,
    reported: Reported,
    healthy: bool,
    announced: Announced,
    agent_card: Option<Value>,
}

/// The settings in a heartbeat's metadata. A heartbeat without them resets them.
#[derive(Default)]
struct Announced {
    manages_status: bool,
    has_own_queue: bool,
    idle_timeout: Option<Duration>,
}

impl Platform {
    pub(crate) fn heartbeat(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        let dialect = self.config.dialect;
        let beat = read(dialect, body)?;
        self.registry_auth(call.now.unix, call.headers, &beat.workspace_id)?;
        let id = beat.workspace_id.parse().map_err(|_| Refusal::internal(FAILED))?;
        if self.database_down || !beat.is_storable() {
            return Err(Refusal::internal(FAILED));
        }
        // An unknown or removed workspace gets the same answer.
        if let Some(row) = self.workspaces.get_mut(&id).filter(|row| !row.is_removed()) {
            let has_time = beat.reported.active_tasks < MOST_TASKS;
            let (task, status) = (row.reported.current_task.clone(), row.status.clone());
            row.take(dialect, call.now, beat);
            self.tell_of_beat(call.now, &id, &task, &status);
            if has_time {
                self.drain(call.now, &id);
            }
        }
        let mut answer = HeartbeatAnswer::ok();
        if dialect == Dialect::Current {
            answer.generation = Some(0);
            answer.platform_inbound_secret = Some(self.inbound_secret_of(call.now.mono, &id));
        }
        Ok(reply::ok(&answer))
    }

    /// Tells the event streams about a heartbeat, and about what it changed.
    fn tell_of_beat(&mut self, now: Now, id: &WorkspaceId, task_before: &str, status_before: &WorkspaceStatus) {
        let Some(row) = self.workspaces.get(id).filter(|_| self.has_streams(id)) else { return };
        let (active, uptime) = (row.reported.active_tasks, row.reported.uptime_seconds);
        let (task, status) = (row.reported.current_task.clone(), row.status.clone());
        if task != task_before {
            self.emit(now, id, "TASK_UPDATED", || json!({"active_tasks": active, "current_task": task}));
        }
        self.emit(now, id, "WORKSPACE_HEARTBEAT", || json!({"active_tasks": active, "uptime_seconds": uptime}));
        if status == *status_before {
            return;
        }
        match status {
            WorkspaceStatus::Online => self.emit(now, id, "WORKSPACE_ONLINE", || json!({})),
            WorkspaceStatus::Degraded => self.emit(now, id, "WORKSPACE_DEGRADED", || json!({})),
            _ => {}
        }
    }
}

impl Workspace {
    fn take(&mut self, dialect: Dialect, now: Now, beat: Beat) {
        if let (Dialect::Current, Some(card)) = (dialect, beat.agent_card) {
            self.register_failed = None;
            self.agent_card.get_or_insert(card);
        }
        let spend = match beat.reported.monthly_spend {
            ..=0 => self.reported.monthly_spend,
            cents => cents.min(MOST_SPEND),
        };
        let pulse = Pulse { error_rate: beat.reported.error_rate, wedged: beat.reported.wedged, healthy: beat.healthy };
        self.reported = Reported { monthly_spend: spend, ..beat.reported };
        self.last_heartbeat = Some(now);
        self.last_event = now.mono;
        self.has_own_queue = beat.announced.has_own_queue;
        self.idle_timeout = beat.announced.idle_timeout;
        self.updated = now.unix;
        if self.liveness_key.is_some() && self.status != WorkspaceStatus::Paused {
            self.liveness_key = Some(now.mono + LIVENESS);
        }
        self.beat(dialect, now.mono, &pulse);
        // This setting of a heartbeat applies only from the next one on.
        self.manages_status = beat.announced.manages_status;
    }
}

impl Beat {
    /// Returns whether the database can store the heartbeat: it has no U+0000, and stores the number of tasks in 32
    /// bits.
    fn is_storable(&self) -> bool {
        let texts = [&self.reported.sample_error, &self.reported.current_task];
        !texts.iter().any(|text| text.contains('\0'))
            && !self.agent_card.as_ref().is_some_and(holds_nul)
            && i32::try_from(self.reported.active_tasks).is_ok()
    }
}

fn read(dialect: Dialect, body: &[u8]) -> Result<Beat, Malformed> {
    let fields = Fields::read(body)?;
    let workspace_id = fields.text("workspace_id")?;
    if workspace_id.is_empty() {
        return Err(Malformed);
    }
    let state = fields.text("runtime_state")?;
    let reported = Reported {
        active_tasks: fields.integer("active_tasks")?,
        error_rate: fields.number("error_rate")?,
        sample_error: fields.text("sample_error")?,
        uptime_seconds: fields.integer("uptime_seconds")?,
        current_task: fields.text("current_task")?,
        monthly_spend: fields.integer("monthly_spend")?,
        wedged: state == "wedged",
    };
    if dialect == Dialect::Current {
        fields.truth("is_busy")?;
        fields.integer("observed_generation")?;
        fields.text("schema_version")?;
    }
    let announced = announced(&fields)?;
    let agent_card = match dialect {
        Dialect::April => None,
        Dialect::Current => fields.raw("agent_card").filter(|card| !card.is_null()).cloned(),
    };
    Ok(Beat { workspace_id, reported, healthy: state.is_empty(), announced, agent_card })
}

fn announced(fields: &Fields) -> Result<Announced, Malformed> {
    let Some(metadata) = fields.object("runtime_metadata")? else { return Ok(Announced::default()) };
    let idle = metadata.get("idle_timeout_seconds");
    if idle.is_some_and(|seconds| !seconds.is_null() && !seconds.is_i64()) {
        return Err(Malformed);
    }
    let idle = idle.and_then(Value::as_u64).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let named = match metadata.get("capabilities") {
        None | Some(Value::Null) => return Ok(Announced { idle_timeout: idle, ..Announced::default() }),
        Some(Value::Object(named)) if named.values().all(Value::is_boolean) => named,
        Some(_) => return Err(Malformed),
    };
    let says = |name| named.get(name) == Some(&Value::Bool(true));
    Ok(Announced { manages_status: says("status_mgmt"), has_own_queue: says("session"), idle_timeout: idle })
}
