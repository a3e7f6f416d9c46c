//! The changes that only time causes: liveness keys expire, sweeps find silent agents, starts that cannot succeed fail
//! (contract section 3; April 3).

use std::time::Duration;

use molecule_proto::{Dialect, Now, Time, UnixTime, Wake, WorkspaceStatus};

use crate::config::Config;
use crate::platform::Platform;
use crate::workspace::Workspace;

/// The lifetime of a liveness key after a register, or after a heartbeat that extends it.
pub(crate) const LIVENESS: Duration = Duration::from_secs(180);

/// The sweeps, at fixed intervals from the first time that the platform sees.
#[derive(Clone)]
pub(crate) struct Sweeps {
    silence: Option<Silence>,
    unborn: Option<Unborn>,
}

/// The sweep for external agents that were online and are silent.
#[derive(Clone)]
struct Silence {
    stale_after: Duration,
    becomes: WorkspaceStatus,
    ticks: Ticks,
}

/// The sweep for April's pre-registered workspaces for which no agent ever registered.
#[derive(Clone)]
struct Unborn {
    after: Duration,
    ticks: Ticks,
}

#[derive(Clone)]
struct Ticks {
    period: Duration,
    next: Option<Time>,
}

impl Sweeps {
    pub(crate) fn new(config: &Config) -> Self {
        let ticks = |seconds| Ticks { period: Duration::from_secs(seconds), next: None };
        let silence =
            |seconds, becomes| Silence { stale_after: Duration::from_secs(seconds), becomes, ticks: ticks(15) };
        match config.dialect {
            Dialect::Current => Self { silence: Some(silence(180, WorkspaceStatus::AwaitingAgent)), unborn: None },
            // Only a server with a container provisioner sweeps for silent agents.
            Dialect::April => Self {
                silence: config.provisioner.then(|| silence(90, WorkspaceStatus::Offline)),
                unborn: Some(Unborn { after: Duration::from_secs(600), ticks: ticks(30) }),
            },
        }
    }
}

impl Ticks {
    /// Returns the last tick up to now, if it was not returned before. Earlier ticks are skipped: nothing happens
    /// between two calls, so they would have found less.
    fn take(&mut self, now: Time) -> Option<Time> {
        let next = *self.next.get_or_insert(now + self.period);
        if next > now {
            return None;
        }
        let last = now - Duration::from_nanos(self.remainder(next, now));
        self.next = Some(last + self.period);
        Some(last)
    }

    /// The first tick at or after a time.
    fn first_from(&self, due: Time) -> Option<Time> {
        let next = self.next?;
        if next >= due {
            return Some(next);
        }
        match self.remainder(next, due) {
            0 => Some(due),
            past => Some(due - Duration::from_nanos(past) + self.period),
        }
    }

    fn remainder(&self, from: Time, to: Time) -> u64 {
        let period = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        (to.as_nanos() - from.as_nanos()) % period
    }
}

impl Silence {
    /// The time at which a workspace becomes stale. Without a heartbeat it counts from the creation.
    fn due(&self, row: &Workspace) -> Option<Time> {
        let covered =
            row.runtime == "external" && matches!(row.status, WorkspaceStatus::Online | WorkspaceStatus::Degraded);
        covered.then(|| row.last_heartbeat.unwrap_or(row.created).mono + self.stale_after)
    }
}

impl Unborn {
    fn due(&self, row: &Workspace) -> Option<Time> {
        (row.status == WorkspaceStatus::Provisioning && row.fails_at.is_none()).then(|| row.created.mono + self.after)
    }
}

impl Platform {
    /// Applies every change that is due, and returns the time rounded as the database does.
    pub(crate) fn settle(&mut self, now: Now) -> Now {
        let now = Now { unix: in_micros(now.unix), ..now };
        let dialect = self.config.dialect;
        for row in self.workspaces.values_mut() {
            give_up_start(row, now);
            end_liveness_key(row, dialect, now);
        }
        if let Some(silence) = &mut self.sweeps.silence
            && let Some(tick) = silence.ticks.take(now.mono)
        {
            for row in self.workspaces.values_mut() {
                if silence.due(row).is_some_and(|due| due <= tick) {
                    row.status = silence.becomes.clone();
                    row.updated = now.unix;
                }
            }
        }
        if let Some(unborn) = &mut self.sweeps.unborn
            && let Some(tick) = unborn.ticks.take(now.mono)
        {
            for row in self.workspaces.values_mut() {
                if unborn.due(row).is_some_and(|due| due <= tick) {
                    row.status = WorkspaceStatus::Failed;
                    row.reported.sample_error = "provisioning timed out".to_owned();
                    row.updated = now.unix;
                }
            }
        }
        self.settle_flights(now);
        self.settle_uploads(now.mono);
        self.settle_streams(now.mono);
        self.settle_delegations(now);
        now
    }

    /// The next time at which time alone changes something.
    pub(crate) fn next_wake(&self, now: Time) -> Option<Wake> {
        let rows = || self.workspaces.values();
        let starts = rows().filter_map(|row| row.fails_at).map(|at| (at, "a start fails"));
        let keys = rows().filter_map(|row| row.liveness_key).map(|at| (at, "a liveness key ends"));
        let silent = self.sweeps.silence.iter().flat_map(|silence| {
            rows().filter_map(|row| silence.ticks.first_from(silence.due(row)?)).map(|at| (at, "an agent falls silent"))
        });
        let unborn = self.sweeps.unborn.iter().flat_map(|unborn| {
            rows().filter_map(|row| unborn.ticks.first_from(unborn.due(row)?)).map(|at| (at, "no agent ever came"))
        });
        let events = self.stream_wake().map(|at| (at, "an event is told"));
        let (at, why) = starts.chain(keys).chain(silent).chain(unborn).chain(self.mail_wakes()).chain(events).min()?;
        // Every change that is due was applied, unless the clock stands still. The wake is then one nanosecond later.
        Some(Wake { at: at.max(now + Duration::from_nanos(1)), why })
    }
}

fn give_up_start(row: &mut Workspace, now: Now) {
    if row.fails_at.is_some_and(|at| at <= now.mono) {
        row.fails_at = None;
        row.status = WorkspaceStatus::Failed;
        row.updated = now.unix;
    }
}

/// The same time in whole microseconds, which is the precision of the server's database.
fn in_micros(time: UnixTime) -> UnixTime {
    let nanos = time.subsec_nanos();
    UnixTime::new(time.as_secs(), nanos - nanos % 1000)
}

/// Ends an expired liveness key, which makes a workspace `offline`. The current server leaves external workspaces to the
/// sweep. Paused and removed workspaces have no key.
fn end_liveness_key(row: &mut Workspace, dialect: Dialect, now: Now) {
    if row.liveness_key.is_none_or(|at| at > now.mono) {
        return;
    }
    row.liveness_key = None;
    if dialect == Dialect::April || row.runtime != "external" {
        row.status = WorkspaceStatus::Offline;
        row.updated = now.unix;
    }
}
