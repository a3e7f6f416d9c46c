//! A plugin's lock, and the wait for it while somebody else holds it.

use std::time::Duration;

use molecule_proto::{PluginName, Time};

use super::acts;
use crate::effect::plugin::{PluginOp, PluginResult};
use crate::effect::{Effect, EffectId, FaultKind, HostOp, HostResult, LockId, Outcome};
use crate::error::{Error, Result};
use crate::flow::{Line, LockGuard};
use crate::machine::{Cx, Machine, Step, Wake};

/// Between two tries to take a lock that is held: the host has no queue for it.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Takes the lock of a plugin, within a time.
///
/// A try that is under way when the caller goes is finished, and a lock that it took is returned all the same; none follows it.
///
/// # Errors
/// `Locked` if somebody else held it all that time, `Cancelled`, or the host's.
pub(super) async fn take_lock(line: &Line, name: &PluginName, wait: Duration) -> Result<LockGuard> {
    let deadline = line.with(|cx| cx.now.mono) + wait;
    loop {
        line.check()?;
        let fault = match acts::lock(line, name).await {
            Ok(lock) => return Ok(line.guard(lock)),
            Err(fault) => fault,
        };
        let is_held = fault.kind == FaultKind::Locked;
        let error = Error::from_fault(line.operation(), fault);
        if !is_held {
            return Err(error);
        }
        line.check()?;
        let at = line.with(|cx| cx.now.mono) + ASK_EVERY;
        if at > deadline {
            return Err(error.retryable(true));
        }
        line.pause("wait for the plugin's lock", Wake { at, why: "ask for the plugin's lock again" }).await?;
    }
}

/// Takes the lock of a plugin, within a time.
///
/// Once it is cancelled it asks no more; a lock that was taken by then is still given out, for its parent to give back.
#[derive(Debug)]
pub(crate) struct TakeLock {
    operation: &'static str,
    name: PluginName,
    wait: Duration,
    deadline: Option<Time>,
    cancelled: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    Asking(EffectId),
    Waiting(Time),
    Finished(Box<Result<LockId>>),
    Done,
}

impl TakeLock {
    pub(crate) fn new(operation: &'static str, name: PluginName, wait: Duration) -> Self {
        Self { operation, name, wait, deadline: None, cancelled: false, state: State::Ready }
    }

    fn refused(&mut self, now: Time, error: Error) {
        let deadline = *self.deadline.get_or_insert(now + self.wait);
        self.state = match now + ASK_EVERY {
            _ if self.cancelled => self.given_up(),
            at if at <= deadline => State::Waiting(at),
            _ => State::Finished(Box::new(Err(error.retryable(true)))),
        };
    }

    fn given_up(&self) -> State {
        State::Finished(Box::new(Err(Error::cancelled(self.operation))))
    }
}

impl Machine for TakeLock {
    type Output = Result<LockId>;

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Waiting(at) if at > cx.now.mono => {
                self.state = State::Waiting(at);
                Step::Idle(Some(Wake { at, why: "ask for the plugin's lock again" }))
            }
            State::Ready | State::Waiting(_) => {
                self.deadline.get_or_insert(cx.now.mono + self.wait);
                let id = cx.session.next_effect();
                self.state = State::Asking(id);
                Step::Start(id, Effect::Host(HostOp::Plugin(PluginOp::Lock(self.name.clone()))))
            }
            State::Finished(result) => Step::Done(*result),
            state @ (State::Asking(_) | State::Done) => {
                self.state = state;
                Step::Idle(None)
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match (&self.state, outcome) {
            (State::Asking(expected), Outcome::Host(HostResult::Plugin(PluginResult::Locked(lock))))
                if *expected == id =>
            {
                self.state = State::Finished(Box::new(Ok(lock)));
                Ok(())
            }
            (State::Asking(expected), Outcome::Failed(fault)) if *expected == id => {
                let is_held = fault.kind == FaultKind::Locked;
                let error = Error::from_fault(self.operation, fault);
                if is_held {
                    self.refused(cx.now.mono, error);
                } else {
                    self.state = State::Finished(Box::new(Err(error)));
                }
                Ok(())
            }
            (_, outcome) => Err(outcome),
        }
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {
        self.cancelled = true;
        if let State::Ready | State::Waiting(_) = self.state {
            self.state = self.given_up();
        }
    }
}
