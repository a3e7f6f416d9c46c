//! Mistakes that are made on purpose, to see that an invariant notices them.

use molecule_core::effect::{EffectId, Outcome};
use molecule_core::machine::{Cx, Step};

use crate::job::{Ending, Job, JobKind};

/// Stands between a machine and its driver, and makes a mistake. What it does not change passes.
pub trait Saboteur {
    /// A step of its own, before the machine is asked.
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<Step<Ending>> {
        None
    }

    /// What becomes of a step that the machine gave.
    fn step(&mut self, _: &mut Cx<'_>, step: Step<Ending>) -> Verdict {
        Verdict::Pass(step)
    }

    /// What the machine gets in place of an outcome; `None`: nothing, and the driver believes that it took it.
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        Some(outcome)
    }
}

/// What becomes of a step.
#[derive(Debug)]
pub enum Verdict {
    /// The driver gets this one.
    Pass(Step<Ending>),
    /// The driver never learns of it.
    Swallow,
    /// The driver never learns of it, and the machine is told that this came of its effect.
    Answer(EffectId, Outcome),
}

/// Which saboteur stands before a machine, if one does.
pub type Saboteurs<'a> = &'a dyn Fn(JobKind) -> Option<Box<dyn Saboteur>>;

/// A machine and its saboteur.
pub(crate) struct Sabotaged {
    pub(crate) job: Box<dyn Job>,
    pub(crate) saboteur: Box<dyn Saboteur>,
}

impl Job for Sabotaged {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Ending> {
        if let Some(step) = self.saboteur.instead(cx) {
            return step;
        }
        loop {
            let step = self.job.poll(cx);
            match self.saboteur.step(cx, step) {
                Verdict::Pass(step) => return step,
                Verdict::Swallow => {}
                Verdict::Answer(id, outcome) => {
                    // It asked for this a moment ago and takes it.
                    let _ = self.job.feed(cx, id, outcome);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match self.saboteur.outcome(cx, id, outcome) {
            Some(outcome) => self.job.feed(cx, id, outcome),
            None => Ok(()),
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.job.cancel(cx);
    }

    fn printed(&self) -> String {
        self.job.printed()
    }
}
