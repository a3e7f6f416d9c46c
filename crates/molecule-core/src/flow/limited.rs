//! A child machine with a time limit.

use molecule_proto::Wake;

use crate::effect::{EffectId, Outcome};
use crate::machine::{Cx, Machine, Step};

/// A child machine that is cancelled at a given time, if there is one.
#[derive(Debug)]
pub(crate) struct Limited<M> {
    pub(crate) machine: M,
    pub(crate) limit: Option<Wake>,
}

impl<M: Machine> Machine for Limited<M> {
    type Output = M::Output;

    fn operation(&self) -> &'static str {
        self.machine.operation()
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<M::Output> {
        if self.limit.is_some_and(|limit| limit.at <= cx.now.mono) {
            self.machine.cancel(cx);
        }
        match self.machine.poll(cx) {
            Step::Idle(wake) => Step::Idle(Wake::earliest(wake, self.limit)),
            other => other,
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        self.machine.feed(cx, id, outcome)
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.machine.cancel(cx);
    }
}
