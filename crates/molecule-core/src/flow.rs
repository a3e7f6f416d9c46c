//! Flows: machines that are written as an `async fn`.
//!
//! There is no runtime and no waker. A [`Flow`] polls its future when an outcome has come or a wake is due, and lends
//! it the session for that poll, so that a poll of a flow is as atomic as one of any machine. The code of a flow gets a
//! [`Line`], through which it reaches the session ([`Line::with`]) and the driver ([`Line::host`], [`Line::http`],
//! [`Line::decode`], [`Line::run`], [`Line::pause`], [`Line::turn`]). Each wait has a label, which `Debug` shows. This
//! module checks, once for all flows, that an outcome fits its effect.
//!
//! A cancel ends the wait of a flow: its effect is cancelled, or its child machine is treated as its [`Parting`] says.
//! The wait then returns [`Cancelled`], which `?` passes to the end of the flow. [`Line::host_to_the_end`] waits for
//! work that must be finished. [`Line::host_until_told`] and [`Line::run_to_the_last_outcome`] wait for work that may
//! be told to end, but whose outcome must come.

mod child;
mod guard;
mod limited;
mod line;
mod shared;

pub(crate) use child::Parting;
pub(crate) use guard::LockGuard;
pub(crate) use limited::Limited;
pub(crate) use line::{Cancelled, Line};

use std::fmt::{self, Debug};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::effect::{Effect, EffectId, HostOp, HostResult, Outcome};
use crate::machine::{Cx, Machine, Step};
use guard::Back;
use shared::{Fits, OnCancel, Shared, Start, Wait};

/// A machine that is written as an `async fn`.
pub(crate) struct Flow<Out> {
    operation: &'static str,
    body: Option<Pin<Box<dyn Future<Output = Out> + Send>>>,
    /// The future's output, until the locks that it held are released.
    output: Option<Out>,
    shared: Shared,
}

impl<Out> Flow<Out> {
    /// Makes a flow that runs this code.
    pub(crate) fn new<F>(operation: &'static str, code: impl FnOnce(Line) -> F) -> Self
    where
        F: Future<Output = Out> + Send + 'static,
    {
        let shared = Shared::default();
        let body = Box::pin(code(Line { operation, shared: shared.clone() }));
        Self { operation, body: Some(body), output: None, shared }
    }

    /// Returns whether the flow waits for something that a cancel does not end.
    pub(crate) fn must_be_finished(&self) -> bool {
        match &self.shared.lock().wait {
            Wait::Child(child) => child.is_bound(),
            Wait::Start(start) => start.on_cancel == OnCancel::Finish,
            Wait::Outcome { on_cancel, .. } => *on_cancel != OnCancel::GiveUp,
            Wait::Tell { .. } => true,
            Wait::Nothing | Wait::GiveUp(_) | Wait::Until(_) | Wait::NextPoll(_) => false,
        }
    }

    /// Returns whether the flow's code has ended.
    fn is_over(&self) -> bool {
        self.body.is_none()
    }

    /// Polls the future and lends it the session.
    fn resume(&mut self, cx: &mut Cx<'_>) {
        let Some(body) = &mut self.body else { return };
        let lent = cx.session.lend();
        self.shared.lock().lent = Some((cx.now, lent));
        let _back = Back { shared: &self.shared, place: cx.session };
        if let Poll::Ready(output) = body.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.output = Some(output);
            // This drops its guards too.
            self.body = None;
        }
    }
}

impl<Out> Machine for Flow<Out> {
    type Output = Out;

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Out> {
        let mut is_resumed = false;
        loop {
            let mut inner = self.shared.lock();
            if let Some(event) = inner.events.pop_front() {
                return Step::Event(event);
            }
            if inner.unlocking.is_some() {
                return Step::Idle(None);
            }
            if let Some(lock) = inner.returned.pop() {
                let id = cx.session.next_effect();
                (inner.label, inner.unlocking) = ("give a lock back", Some(id));
                return Step::Start(id, Effect::Host(HostOp::Unlock(lock)));
            }
            match mem::take(&mut inner.wait) {
                Wait::Nothing => {}
                Wait::Start(start) => {
                    let Start { effect, fits, on_cancel, begun } = *start;
                    let id = cx.session.next_effect();
                    inner.wait = Wait::Outcome { id, fits, on_cancel };
                    inner.events.extend(begun);
                    return Step::Start(id, effect);
                }
                Wait::Tell { id, fits } => {
                    inner.wait = Wait::Outcome { id, fits, on_cancel: OnCancel::Tell };
                    return Step::Cancel(id);
                }
                wait @ Wait::Outcome { .. } => {
                    inner.wait = wait;
                    return Step::Idle(None);
                }
                Wait::GiveUp(id) => return Step::Cancel(id),
                Wait::Child(mut child) => match child.poll(cx) {
                    Step::Done(()) => {}
                    Step::Cancel(id) if child.owes_outcome() => {
                        inner.wait = Wait::Outcome { id, fits: Fits::Any, on_cancel: OnCancel::Finish };
                        return Step::Cancel(id);
                    }
                    other => {
                        inner.wait = Wait::Child(child);
                        return crate::machine::pass(other);
                    }
                },
                Wait::Until(wake) if wake.at <= cx.now.mono => {}
                Wait::Until(wake) => {
                    inner.wait = Wait::Until(wake);
                    return Step::Idle(Some(wake));
                }
                Wait::NextPoll(wake) if is_resumed => {
                    inner.wait = Wait::NextPoll(wake);
                    return Step::Idle(Some(wake));
                }
                Wait::NextPoll(_) => {}
            }
            drop(inner);
            match self.output.take() {
                Some(output) => return Step::Done(output),
                None if self.is_over() => return Step::Idle(None),
                None => self.resume(cx),
            }
            is_resumed = true;
            assert!(self.is_over() || self.shared.lock().has_something_to_do(), "a flow waits by its line alone");
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let mut inner = self.shared.lock();
        if inner.unlocking == Some(id) {
            // A lock that could not be released ends with the process.
            return match outcome {
                Outcome::Host(HostResult::Unlocked) | Outcome::Failed(_) => {
                    inner.unlocking = None;
                    Ok(())
                }
                other => Err(other),
            };
        }
        let came = match (&mut inner.wait, outcome) {
            (Wait::Child(child), outcome) => return child.feed(cx, id, outcome),
            (Wait::Outcome { id: expected, fits, .. } | Wait::Tell { id: expected, fits }, outcome)
                if *expected == id && fits.admit(&outcome) =>
            {
                outcome
            }
            (_, outcome) => return Err(outcome),
        };
        // The awaited outcome is the final one.
        if !came.is_final() {
            return Ok(());
        }
        inner.came = Some(came);
        inner.wait = Wait::Nothing;
        Ok(())
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        let mut inner = self.shared.lock();
        inner.is_cancelled = true;
        match &mut inner.wait {
            Wait::Child(child) => child.cancel(cx),
            Wait::Start(start) if start.on_cancel == OnCancel::Finish => {}
            Wait::Start(_) | Wait::Until(_) | Wait::NextPoll(_) => inner.wait = Wait::Nothing,
            Wait::Outcome { id, on_cancel: OnCancel::GiveUp, .. } => inner.wait = Wait::GiveUp(*id),
            Wait::Outcome { id, fits, on_cancel: OnCancel::Tell } => inner.wait = Wait::Tell { id: *id, fits: *fits },
            Wait::Outcome { on_cancel: OnCancel::Finish, .. } | Wait::Tell { .. } | Wait::Nothing | Wait::GiveUp(_) => {
            }
        }
    }
}

impl<Out> Debug for Flow<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.shared.lock();
        let mut flow = f.debug_struct("Flow");
        flow.field("operation", &self.operation).field("at", &inner.label).field("has_turn", &inner.has_turn);
        match &inner.wait {
            Wait::Child(child) => flow.field("child", child.debug()),
            Wait::Outcome { id, .. } | Wait::Tell { id, .. } => flow.field("effect", id),
            Wait::Nothing | Wait::Start(_) | Wait::GiveUp(_) | Wait::Until(_) | Wait::NextPoll(_) => &mut flow,
        };
        flow.finish_non_exhaustive()
    }
}

/// Makes a machine of a type that wraps a flow.
macro_rules! machine_of_flow {
    ($machine:ident $(<$generic:ident>)?, $output:ty) => {
        impl $(<$generic>)? $crate::machine::Machine for $machine $(<$generic>)? {
            type Output = $output;

            fn operation(&self) -> &'static str {
                self.0.operation()
            }

            fn poll(&mut self, cx: &mut $crate::machine::Cx<'_>) -> $crate::machine::Step<$output> {
                self.0.poll(cx)
            }

            fn feed(
                &mut self,
                cx: &mut $crate::machine::Cx<'_>,
                id: $crate::effect::EffectId,
                outcome: $crate::effect::Outcome,
            ) -> Result<(), $crate::effect::Outcome> {
                self.0.feed(cx, id, outcome)
            }

            fn cancel(&mut self, cx: &mut $crate::machine::Cx<'_>) {
                self.0.cancel(cx);
            }
        }
    };
}
pub(crate) use machine_of_flow;

#[cfg(test)]
mod tests;
