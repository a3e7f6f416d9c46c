//! Saboteurs that make mistakes with effects and the store.

use molecule_core::effect::{Effect, EffectId, HostOp, HostResult, Outcome, Slot};
use molecule_core::machine::{Cx, Step};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// Reports a token as stored without storing it.
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

/// Starts another effect before it stores a token.
#[derive(Default)]
pub(crate) struct StoresLast {
    put_off: Option<AStep>,
}

/// An effect id that no machine uses.
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

/// Stores another content than the token.
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

/// Stores a token that no answer contained.
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

/// Uses an effect id twice.
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

/// Ends without releasing the lock.
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

/// Cancels an effect twice.
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

/// Cancels an effect that has ended.
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

/// Cancels an effect without telling the driver.
pub(crate) struct Disowns;

impl Saboteur for Disowns {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Cancel(_) => Verdict::Swallow,
            step => Verdict::Pass(step),
        }
    }
}
