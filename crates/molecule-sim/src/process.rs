//! A process of an agent's program: its session and its machines, polled and fed as by a facade's driver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use molecule_core::effect::{EffectId, HostOp, Outcome};
use molecule_core::machine::{Cx, Now, Session, Step};
use molecule_core::{Config, InboundMessage};
use molecule_host::Host;
use molecule_proto::{DelegationId, QueueId};

use crate::disk::Disk;
use crate::idle::IdleConnections;
use crate::job::{Ending, Job, JobKind};
use crate::scenario::Crash;
use crate::served::{SERVER, Serving};
use crate::trace::Taken;

/// A running process.
pub(crate) struct Process {
    pub(crate) agent: usize,
    pub(crate) session: Session,
    pub(crate) host: Host,
    jobs: BTreeMap<u32, RunningJob>,
    begun: u32,
    /// Host operations in flight.
    pub(crate) acts: BTreeMap<EffectId, HostOp>,
    /// The messages that its handlers have.
    pub(crate) handling: BTreeMap<EffectId, InboundMessage>,
    /// The process crashes instead of getting the outcome of this effect.
    pub(crate) fatal: Option<(EffectId, Crash)>,
    /// Its latest delegation.
    pub(crate) delegation: Option<DelegationId>,
    /// Its latest own message that the platform queued.
    pub(crate) queued: Option<QueueId>,
    /// Its idle connections.
    pub(crate) idle: IdleConnections,
    /// Its A2A server, if its agent has one of the SDK.
    pub(crate) serving: Option<Serving>,
    /// Whether this is a second process besides the program's own; it ends when it has the lock.
    pub(crate) is_rival: bool,
}

struct RunningJob {
    kind: JobKind,
    job: Box<dyn Job>,
    in_flight: BTreeSet<EffectId>,
    /// The number of the latest wake; earlier ones are void.
    wake: u64,
}

impl Process {
    pub(crate) fn new(agent: usize, config: Config, seed: u64, disk: &Disk) -> Self {
        Self {
            agent,
            session: Session::new(config, seed),
            host: Host::new(Arc::new(disk.clone())),
            jobs: BTreeMap::new(),
            begun: 0,
            acts: BTreeMap::new(),
            handling: BTreeMap::new(),
            fatal: None,
            delegation: None,
            queued: None,
            idle: IdleConnections::default(),
            serving: None,
            is_rival: false,
        }
    }

    pub(crate) fn begin(&mut self, kind: JobKind, job: Box<dyn Job>) -> u32 {
        self.begun += 1;
        self.jobs.insert(self.begun, RunningJob { kind, job, in_flight: BTreeSet::new(), wake: 0 });
        self.begun
    }

    pub(crate) fn kind(&self, job: u32) -> Option<JobKind> {
        if job == SERVER {
            return self.serving.as_ref().map(|_| JobKind::Serve);
        }
        self.jobs.get(&job).map(|running| running.kind)
    }

    /// The numbers of the machines of a kind.
    pub(crate) fn jobs(&self, kind: JobKind) -> Vec<u32> {
        self.jobs.iter().filter(|(_, running)| running.kind == kind).map(|(job, _)| *job).collect()
    }

    pub(crate) fn in_flight(&self, job: u32) -> usize {
        self.jobs.get(&job).map_or(0, |running| running.in_flight.len())
    }

    /// Polls a machine once; `None` if it is done already.
    pub(crate) fn poll(&mut self, job: u32, now: Now) -> Option<Step<Ending>> {
        let running = self.jobs.get_mut(&job)?;
        let step = running.job.poll(&mut Cx { now, session: &mut self.session });
        match &step {
            Step::Start(id, _) => {
                running.in_flight.insert(*id);
            }
            Step::Done(_) => {
                self.jobs.remove(&job);
            }
            Step::Cancel(_) | Step::Event(_) | Step::Idle(_) => {}
        }
        Some(step)
    }

    /// Drops a machine half-way.
    pub(crate) fn drop_job(&mut self, job: u32) {
        self.jobs.remove(&job);
    }

    /// Returns whether a machine waits for its turn to get a token while no machine has the turn.
    pub(crate) fn waits_in_vain(&self, job: u32) -> bool {
        let may_wait = |running: &&RunningJob| matches!(running.kind, JobKind::Register | JobKind::Recover { .. });
        let waits =
            self.jobs.get(&job).filter(may_wait).is_some_and(|running| running.job.printed().contains("take the turn"));
        waits
            && !self.jobs.values().any(|running| {
                let printed = running.job.printed();
                printed.contains("has_turn: true") || printed.contains("held: Some")
            })
    }

    /// Feeds an outcome to its machine; an outcome that the machine does not take is disposed of.
    pub(crate) fn feed(&mut self, job: u32, now: Now, id: EffectId, outcome: Outcome) -> Taken {
        if job == SERVER {
            return self.feed_server(now, id, outcome);
        }
        let Some(running) = self.jobs.get_mut(&job) else {
            self.host.dispose(outcome);
            return Taken::TooLate;
        };
        if outcome.is_final() {
            running.in_flight.remove(&id);
        }
        match running.job.feed(&mut Cx { now, session: &mut self.session }, id, outcome) {
            Ok(()) => Taken::Yes,
            Err(outcome) => {
                self.host.dispose(outcome);
                Taken::GivenBack
            }
        }
    }

    pub(crate) fn cancel(&mut self, job: u32, now: Now) {
        if let Some(running) = self.jobs.get_mut(&job) {
            running.job.cancel(&mut Cx { now, session: &mut self.session });
        }
    }

    /// Numbers a new wake of a machine and makes all earlier ones void.
    pub(crate) fn arm(&mut self, job: u32) -> u64 {
        self.jobs.get_mut(&job).map_or(0, |running| {
            running.wake += 1;
            running.wake
        })
    }

    pub(crate) fn is_armed(&self, job: u32, wake: u64) -> bool {
        if job == SERVER {
            return self.serving.as_ref().is_some_and(|serving| serving.is_armed(wake));
        }
        self.jobs.get(&job).is_some_and(|running| running.wake == wake)
    }

    /// The `Debug` output of the session and of every machine.
    pub(crate) fn printed(&self) -> String {
        let mut text = format!("{:?}", self.session);
        if let Some(serving) = &self.serving {
            text.push_str(&format!("{:?}", serving.inbound));
        }
        for running in self.jobs.values() {
            text.push_str(&running.job.printed());
        }
        text
    }
}
