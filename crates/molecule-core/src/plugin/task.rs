//! What is done with an installed plugin, under its lock.

use std::fmt;
use std::time::Duration;

use molecule_plugin::{Receipt, TreeDiff};
use molecule_proto::PluginName;
use serde::Serialize;

use super::lock::TakeLock;
use super::order;
use crate::effect::plugin::{Hashed, PluginOp, PluginResult};
use crate::effect::{Effect, EffectId, HostOp, HostResult, LockId, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step};

/// How long to wait while an install of the plugin runs.
const WAIT: Duration = Duration::from_secs(300);

/// One act on an installed plugin: its lock is taken, what an interrupted act left is cleared away, the act is done, the lock
/// given back. Where there is nothing of such a plugin, nothing is made either, not even a lock.
#[must_use = "a machine does nothing until it is driven"]
pub struct PluginTask<T> {
    operation: &'static str,
    read: fn(&PluginName, PluginResult) -> Result<T, PluginResult>,
    name: Option<PluginName>,
    op: Option<PluginOp>,
    /// What comes of it where there is no such plugin.
    absent: Option<T>,
    /// Whether it writes nothing, so that it goes on where no lock can be taken: nobody else takes one there to replace the plugin.
    only_reads: bool,
    lock: Option<LockId>,
    result: Option<Result<T>>,
    state: State,
}

#[derive(Debug)]
enum State {
    Locking(Box<TakeLock>),
    Ready(Act),
    Acting(EffectId, Act),
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Look,
    Sweep,
    Own,
    Unlock,
}

/// How an installed plugin compares with what was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verification {
    /// Compared with the receipt of its install.
    Compared(TreeDiff),
    /// It has no receipt, or one that makes no sense: somebody else put it there, or an install was interrupted.
    NoReceipt,
}

impl Verification {
    /// Whether every file that was installed is there and as it was. Files that came since do not count against it: a
    /// `setup.sh` may have made them.
    pub fn is_intact(&self) -> bool {
        match self {
            Self::Compared(changes) => changes.changed.is_empty() && changes.missing.is_empty(),
            Self::NoReceipt => false,
        }
    }
}

impl PluginTask<bool> {
    /// Removes a plugin and its receipt; tells whether it was there.
    pub fn uninstall(name: &str) -> Self {
        Self::new("uninstall plugin", name, PluginOp::Remove, false, |_, result| match result {
            PluginResult::Removed { existed } => Ok(existed),
            other => Err(other),
        })
    }
}

impl PluginTask<Option<Verification>> {
    /// Compares a plugin with its receipt; `None` where it is not installed. On a disk that can only be read it does so without the
    /// plugin's lock.
    pub fn verify(name: &str) -> Self {
        let task = Self::new("verify plugin", name, PluginOp::Hash, None, |name, result| match result {
            PluginResult::Hashed(hashed) => Ok(hashed.map(|hashed| compare(name, hashed))),
            other => Err(other),
        });
        Self { only_reads: true, ..task }
    }
}

fn compare(name: &PluginName, hashed: Hashed) -> Verification {
    let receipt = hashed.receipt.as_deref().and_then(|bytes| Receipt::read(name, bytes));
    let Some((_, mut installed)) = receipt else { return Verification::NoReceipt };
    if !hashed.tells_executables {
        installed.forget_executables();
    }
    let mut changes = installed.diff(&hashed.tree);
    changes.added.extend(hashed.others);
    changes.added.sort();
    Verification::Compared(changes)
}

impl<T> PluginTask<T> {
    fn new(
        operation: &'static str,
        name: &str,
        op: impl FnOnce(PluginName) -> PluginOp,
        absent: T,
        read: fn(&PluginName, PluginResult) -> Result<T, PluginResult>,
    ) -> Self {
        let (name, result, state) = match order::name(name) {
            Ok(name) => (Some(name), None, State::Ready(Act::Look)),
            Err(error) => (None, Some(Err(error.during(operation))), State::Ready(Act::Unlock)),
        };
        let op = name.clone().map(op);
        Self { operation, read, name, op, absent: Some(absent), only_reads: false, lock: None, result, state }
    }

    fn effect(&mut self, act: Act) -> Option<HostOp> {
        match act {
            Act::Look => self.name.clone().map(PluginOp::Look).map(HostOp::Plugin),
            Act::Sweep => self.name.clone().map(PluginOp::Sweep).map(HostOp::Plugin),
            Act::Own => self.op.take().map(HostOp::Plugin),
            Act::Unlock => self.lock.take().map(HostOp::Unlock),
        }
    }

    /// There is something, or nothing to be done.
    fn looked(&mut self, exists: bool) {
        match (&self.name, self.absent.take()) {
            // It was cancelled meanwhile.
            _ if self.result.is_some() => self.state = State::Ready(Act::Unlock),
            (Some(name), _) if exists => {
                self.state = State::Locking(Box::new(TakeLock::new(self.operation, name.clone(), WAIT)));
            }
            (_, absent) => {
                let cancelled = || Error::cancelled(self.operation);
                let result = absent.ok_or_else(cancelled);
                self.end(result);
            }
        }
    }

    fn end(&mut self, result: Result<T>) {
        self.result = Some(result);
        self.state = State::Ready(Act::Unlock);
    }

    fn acted(&mut self, act: Act, outcome: Outcome) -> Result<(), Outcome> {
        match (act, outcome) {
            (Act::Look, Outcome::Host(HostResult::Plugin(PluginResult::Looked { exists }))) => self.looked(exists),
            (Act::Sweep, Outcome::Host(HostResult::Plugin(PluginResult::Swept(_)))) => {
                self.state = State::Ready(Act::Own);
            }
            (Act::Own, Outcome::Host(HostResult::Plugin(result))) => {
                let read = self.name.as_ref().map(|name| (self.read)(name, result));
                match read {
                    Some(Ok(value)) => self.end(Ok(value)),
                    Some(Err(other)) => return Err(Outcome::Host(HostResult::Plugin(other))),
                    None => self.end(Err(Error::cancelled(self.operation))),
                }
            }
            (Act::Unlock, Outcome::Host(HostResult::Unlocked) | Outcome::Failed(_)) => {
                self.state = State::Ready(Act::Unlock);
            }
            (Act::Sweep, Outcome::Failed(_)) if self.only_reads => self.state = State::Ready(Act::Own),
            (Act::Look | Act::Sweep | Act::Own, Outcome::Failed(fault)) => {
                self.end(Err(Error::from_fault(self.operation, fault)))
            }
            (_, other) => return Err(other),
        }
        Ok(())
    }
}

impl<T> Machine for PluginTask<T> {
    type Output = Result<T>;

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Locking(mut lock) => match lock.poll(cx) {
                    Step::Done(Ok(lock)) => {
                        self.lock = Some(lock);
                        let act = if self.result.is_some() { Act::Unlock } else { Act::Sweep };
                        self.state = State::Ready(act);
                    }
                    Step::Done(Err(error)) if self.only_reads && error.kind() == ErrorKind::Storage => {
                        self.state = State::Ready(Act::Own);
                    }
                    Step::Done(Err(error)) => self.end(Err(error)),
                    other => {
                        self.state = State::Locking(lock);
                        return pass(other);
                    }
                },
                State::Ready(act) => match self.effect(act) {
                    Some(op) => {
                        let id = cx.session.next_effect();
                        self.state = State::Acting(id, act);
                        return Step::Start(id, Effect::Host(op));
                    }
                    None => {
                        let cancelled = || Err(Error::cancelled(self.operation));
                        return Step::Done(self.result.take().unwrap_or_else(cancelled));
                    }
                },
                state @ (State::Acting(..) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Locking(mut lock) => {
                let given = lock.feed(cx, id, outcome);
                self.state = State::Locking(lock);
                given
            }
            State::Acting(expected, act) if expected == id => {
                self.state = State::Acting(expected, act);
                self.acted(act, outcome)
            }
            state => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    /// The act itself is short, and is finished.
    fn cancel(&mut self, cx: &mut Cx<'_>) {
        let cancelled = Some(Err(Error::cancelled(self.operation)));
        match &mut self.state {
            State::Locking(lock) => {
                self.result = cancelled;
                lock.cancel(cx);
            }
            State::Ready(act @ Act::Look) => {
                self.result = cancelled;
                *act = Act::Unlock;
            }
            State::Acting(_, Act::Look) => self.result = cancelled,
            State::Ready(Act::Sweep | Act::Own | Act::Unlock)
            | State::Acting(_, Act::Sweep | Act::Own | Act::Unlock)
            | State::Done => {}
        }
    }
}

impl<T> fmt::Debug for PluginTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginTask")
            .field("operation", &self.operation)
            .field("name", &self.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
