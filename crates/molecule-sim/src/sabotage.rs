//! Saboteurs: deliberate mistakes between machine and driver, which show that an invariant can fail.

use bytes::Bytes;
use http::Request;
use molecule_core::effect::{EffectId, Outcome};
use molecule_core::machine::{Cx, Step};
use molecule_core::machines::Answer;

use crate::job::{Ending, Job, JobKind};

/// Stands between a machine and its driver and makes a mistake. Every method passes everything on unless it is
/// overridden.
pub trait Saboteur {
    /// A step to return instead of polling the machine.
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<Step<Ending>> {
        None
    }

    /// Decides what the driver gets for a step of the machine.
    fn step(&mut self, _: &mut Cx<'_>, step: Step<Ending>) -> Verdict {
        Verdict::Pass(step)
    }

    /// The outcome that the machine gets instead; `None`: the machine gets nothing, and the driver believes that the
    /// machine took it.
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        Some(outcome)
    }

    /// Changes a request before an agent's own server gets it.
    fn arrives(&mut self, _: &mut Request<Bytes>) {}

    /// The answer that the driver of an agent's own server sends instead.
    fn replies(&mut self, answer: Answer) -> Answer {
        answer
    }

    /// Whether an agent's own server, behind an answer, begins anew without what it kept.
    fn forgets(&mut self) -> bool {
        false
    }
}

/// The decision about a step.
#[derive(Debug)]
pub enum Verdict {
    /// The driver gets this step.
    Pass(Step<Ending>),
    /// The driver never sees the step.
    Swallow,
    /// The driver never sees the step, and the machine gets this outcome of its effect.
    Answer(EffectId, Outcome),
}

/// Returns the saboteur for a machine of this kind, if it has one.
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
                    // The machine has just started this effect and takes its outcome.
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
