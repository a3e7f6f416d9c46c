//! Wrong with effects and the store.

use molecule_core::effect::{Effect, EffectId, HostOp, HostResult, Outcome, Slot};
use molecule_core::machine::{Cx, Step};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// Believes that a token is stored.
pub(crate) struct ForgetsToStore;

impl Saboteur for ForgetsToStore {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Start(id, Effect::Host(HostOp::Replace(Slot::Token, _))) => {
                Verdict::Answer(id, Outcome::Host(HostResult::Replaced))
            }
            step => Verdict::Pass(step),
        }
    }
}

/// Does something else before it stores a token.
#[derive(Default)]
pub(crate) struct StoresLast {
    put_off: Option<AStep>,
}

/// No machine's.
const OWN: EffectId = EffectId(1 << 40);

impl Saboteur for StoresLast {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.put_off.take()
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            store @ Step::Start(_, Effect::Host(HostOp::Replace(Slot::Token, _))) => {
                self.put_off = Some(store);
                Step::Start(OWN, Effect::Host(HostOp::Prepare))
            }
            step => step,
        })
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        (id != OWN).then_some(outcome)
    }
}

/// Stores something else.
pub(crate) struct StoresRubbish;

impl Saboteur for StoresRubbish {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Host(HostOp::Replace(Slot::Token, mut content))) => {
                content.reverse();
                Step::Start(id, Effect::Host(HostOp::Replace(Slot::Token, content)))
            }
            step => step,
        })
    }
}

/// Stores what nobody gave it.
#[derive(Default)]
pub(crate) struct StoresUnasked {
    stored: bool,
}

impl Saboteur for StoresUnasked {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        let content = b"a token of its own invention".to_vec().into();
        let first = !std::mem::replace(&mut self.stored, true);
        first.then(|| Step::Start(OWN, Effect::Host(HostOp::Replace(Slot::Token, content))))
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        (id != OWN).then_some(outcome)
    }
}

/// Uses a name a second time.
#[derive(Default)]
pub(crate) struct AsksTheHostTwice {
    again: Option<EffectId>,
}

impl Saboteur for AsksTheHostTwice {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.again.take().map(|id| Step::Start(id, Effect::Host(HostOp::Prepare)))
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(id, Effect::Host(HostOp::Prepare)) = &step {
            self.again = Some(*id);
        }
        Verdict::Pass(step)
    }
}

/// Ends without giving the lock back.
pub(crate) struct KeepsTheLock;

impl Saboteur for KeepsTheLock {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Start(id, Effect::Host(HostOp::Unlock(_))) => {
                Verdict::Answer(id, Outcome::Host(HostResult::Unlocked))
            }
            step => Verdict::Pass(step),
        }
    }
}

/// Cancels what it has cancelled.
#[derive(Default)]
pub(crate) struct CancelsTwice {
    cancelled: Option<EffectId>,
}

impl Saboteur for CancelsTwice {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.cancelled.take().map(Step::Cancel)
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Cancel(id) = step {
            self.cancelled = Some(id);
        }
        Verdict::Pass(step)
    }
}

/// Cancels what has ended.
#[derive(Default)]
pub(crate) struct CancelsWhatEnded {
    ended: Option<EffectId>,
}

impl Saboteur for CancelsWhatEnded {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.ended.take().map(Step::Cancel)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        self.ended = Some(id);
        Some(outcome)
    }
}

/// Hides that it cancelled something.
pub(crate) struct Disowns;

impl Saboteur for Disowns {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Cancel(_) => Verdict::Swallow,
            step => Verdict::Pass(step),
        }
    }
}
