//! A child machine, which a flow drives to its end, and how a cancel of the flow affects it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::effect::{EffectId, Outcome};
use crate::machine::{Cx, Machine, Step};

/// How a cancel of the flow affects its child machine.
pub(crate) struct Parting<M> {
    /// Passes the cancel to the child.
    pub(crate) cancel: fn(&mut M, &mut Cx<'_>),
    /// Whether the flow still waits for the child's end.
    pub(crate) is_bound: fn(&M) -> bool,
}

impl<M: Machine> Parting<M> {
    /// The child is cancelled too.
    pub(crate) fn give_up() -> Self {
        Self { cancel: M::cancel, is_bound: |_| false }
    }

    /// The child goes on to its end.
    pub(crate) fn finish() -> Self {
        Self { cancel: |_, _| {}, is_bound: |_| true }
    }
}

/// A child machine, whose output goes into a slot of the waiting flow.
pub(super) trait Child: Send {
    /// Polls the child. `Done` has no output, since that is in the slot.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<()>;
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;
    fn cancel(&mut self, cx: &mut Cx<'_>);
    fn is_bound(&self) -> bool;
    /// Returns whether the flow waits for the outcome of an effect that the child has cancelled.
    fn owes_outcome(&self) -> bool;
    fn debug(&self) -> &dyn Debug;
}

pub(super) struct Running<M: Machine> {
    /// The machine, until it ends.
    pub(super) machine: Option<M>,
    pub(super) parting: Parting<M>,
    pub(super) owes_outcome: bool,
    pub(super) end: Slotted<M>,
}

/// A child that has ended, and its output.
pub(super) type Slotted<M> = Arc<Mutex<Option<(M, <M as Machine>::Output)>>>;

impl<M: Machine<Output: Send> + Debug + Send> Child for Running<M> {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<()> {
        let Some(machine) = &mut self.machine else { return Step::Done(()) };
        match machine.poll(cx) {
            Step::Start(id, effect) => Step::Start(id, effect),
            Step::Cancel(id) => Step::Cancel(id),
            Step::Event(event) => Step::Event(event),
            Step::Idle(wake) => Step::Idle(wake),
            Step::Done(output) => {
                *lock(&self.end) = self.machine.take().map(|machine| (machine, output));
                Step::Done(())
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.machine {
            Some(machine) => machine.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Some(machine) = &mut self.machine {
            (self.parting.cancel)(machine, cx);
        }
    }

    fn is_bound(&self) -> bool {
        self.machine.as_ref().is_some_and(self.parting.is_bound)
    }

    fn owes_outcome(&self) -> bool {
        self.owes_outcome
    }

    fn debug(&self) -> &dyn Debug {
        &self.machine
    }
}

/// Locks without waiting, since only one thread at a time polls a machine.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
