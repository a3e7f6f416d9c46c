//! One conformance suite for stores, which the simulated disk and a real one must pass, so that the simulated disk does
//! only what a real one does.
//!
//! A [`Course`] is data: the operations of two agents in their order, changes of the disk's condition between them, and
//! the expected outcome of each operation. A [`TestDisk`] is where a course runs: a real directory below
//! `molecule-host`, or a simulated disk.

mod courses;

use std::fmt;
use std::sync::Arc;

use molecule_core::effect::{Durability, FaultKind, HostOp, HostResult, LockId, Outcome, Slot};
use molecule_host::{Host, Store};

pub use courses::all;

/// Operations in their order, each with its expected outcome.
#[derive(Debug)]
pub struct Course {
    /// What the course shows; unique within the suite.
    pub name: &'static str,
    steps: Vec<CourseStep>,
}

#[derive(Debug)]
enum CourseStep {
    /// An agent's operation, and its expected outcome.
    StoreAct(StoreUser, StoreAct, Did),
    /// The disk's condition changes.
    Becomes(Condition),
    /// The outcome of the agent's last operation is disposed of.
    Disposed(StoreUser),
    /// The agent's process ends.
    Ends(StoreUser),
}

/// Two agents of one workspace, each a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoreUser {
    One,
    Other,
}

#[derive(Debug, Clone, Copy)]
enum StoreAct {
    Prepare,
    Load(Slot),
    Replace(Slot, &'static str),
    Append(Slot, &'static str, Durability),
    SetAside(Slot),
    Lock,
    /// Releases a lock by its number.
    Unlock(u64),
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Prepared,
    Loaded(Option<String>),
    Replaced,
    Appended,
    SetAside,
    Locked(u64),
    Unlocked,
    Failed(FaultKind),
    /// An outcome that no store operation has.
    Odd,
}

/// The condition of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Fine,
    /// No space is left for content.
    Full,
    /// It cannot be written.
    ReadOnly,
    /// The home is no directory, so that every operation fails.
    Broken,
}

/// A disk on which a course runs.
pub trait TestDisk {
    /// The agent's store, as one more process opens it.
    fn store(&self) -> Arc<dyn Store>;

    /// Sets the disk's condition.
    fn set_condition(&mut self, condition: Condition);
}

impl Course {
    /// Returns whether the course needs a disk that can become full or read-only.
    pub fn needs_a_disk(&self) -> bool {
        let conditions = [Condition::Full, Condition::ReadOnly];
        self.steps.iter().any(|step| matches!(step, CourseStep::Becomes(condition) if conditions.contains(condition)))
    }

    /// Runs the course; returns a complaint for every operation with another outcome than expected.
    pub fn run(&self, disk: &mut impl TestDisk) -> Vec<String> {
        let mut agents = AgentHosts { hosts: [None, None], last: [None, None] };
        let mut complaints = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                CourseStep::StoreAct(agent, act, due) => {
                    let outcome = agents.host(*agent, disk).perform(act.op());
                    let did = Did::from(&outcome);
                    if did != *due {
                        complaints.push(format!("{}, step {}: {act:?} gave {did}, not {due}", self.name, at + 1));
                    }
                    agents.last[*agent as usize] = Some(outcome);
                }
                CourseStep::Becomes(condition) => disk.set_condition(*condition),
                CourseStep::Disposed(agent) => {
                    if let Some(outcome) = agents.last[*agent as usize].take() {
                        agents.host(*agent, disk).dispose(outcome);
                    }
                }
                CourseStep::Ends(agent) => agents.hosts[*agent as usize] = None,
            }
        }
        complaints
    }
}

struct AgentHosts {
    hosts: [Option<Host>; 2],
    last: [Option<Outcome>; 2],
}

impl AgentHosts {
    fn host(&mut self, agent: StoreUser, disk: &impl TestDisk) -> &Host {
        self.hosts[agent as usize].get_or_insert_with(|| Host::new(disk.store()))
    }
}

impl StoreAct {
    fn op(self) -> HostOp {
        match self {
            Self::Prepare => HostOp::Prepare,
            Self::Load(slot) => HostOp::Load(slot),
            Self::Replace(slot, content) => HostOp::Replace(slot, content.as_bytes().to_vec().into()),
            Self::Append(slot, content, durability) => HostOp::Append(slot, content.as_bytes().into(), durability),
            Self::SetAside(slot) => HostOp::SetAside(slot),
            Self::Lock => HostOp::Lock,
            Self::Unlock(number) => HostOp::Unlock(LockId(number)),
        }
    }
}

impl From<&Outcome> for Did {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Host(HostResult::Prepared | HostResult::SetRight(_)) => Self::Prepared,
            Outcome::Host(HostResult::Loaded(stored)) => {
                Self::Loaded(stored.as_ref().map(|stored| String::from_utf8_lossy(&stored.bytes).into_owned()))
            }
            Outcome::Host(HostResult::Replaced) => Self::Replaced,
            Outcome::Host(HostResult::Appended) => Self::Appended,
            Outcome::Host(HostResult::SetAside(place)) if place.is_empty() => Self::Odd,
            Outcome::Host(HostResult::SetAside(_)) => Self::SetAside,
            Outcome::Host(HostResult::Locked(id)) => Self::Locked(id.0),
            Outcome::Host(HostResult::Unlocked) => Self::Unlocked,
            Outcome::Failed(fault) => Self::Failed(fault.kind),
            Outcome::Host(HostResult::Plugin(_) | HostResult::FileRead(_))
            | Outcome::Response(_)
            | Outcome::Staged(..)
            | Outcome::Saved(_)
            | Outcome::Decoded(_)
            | Outcome::Handled(_)
            | Outcome::Part(_)
            | Outcome::Progress(_) => Self::Odd,
        }
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
