//! Performs host operations on an agent's disk.

use std::time::Duration;

use molecule_core::effect::{EffectId, HostOp};

use crate::disk::WriteProgress;
use crate::job::JobKind;
use crate::scenario::{Crash, Moment};
use crate::trace::{TraceEvent, Who};
use crate::world::{Happening, World};

impl World<'_> {
    pub(crate) fn perform(&mut self, who: Who, id: EffectId, op: HostOp, crash: Option<Crash>) {
        self.see(who, TraceEvent::HostAsked(id, &op));
        if let Some(crash) = crash {
            if crash.moment == Moment::During {
                self.interrupt(who.agent, &op);
            }
            return self.crash(who.agent, crash);
        }
        let takes = Duration::from_micros(self.rng.u64(50..20_000));
        if let Some(process) = self.process_mut(who.process) {
            process.acts.insert(id, op);
        }
        self.plan(self.now + takes, Happening::Performed { process: who.process, job: who.job, id });
    }

    /// Interrupts an operation whose process crashes, at a random point of its progress.
    pub(crate) fn interrupt(&mut self, agent: usize, op: &HostOp) {
        let progress = WriteProgress::random(op, &mut self.rng);
        self.agents[agent].disk.interrupted(op, progress);
    }

    pub(crate) fn performed(&mut self, process: usize, job: u32, id: EffectId) {
        let Some(living) = self.process_mut(process) else { return };
        let Some(op) = living.acts.remove(&id) else { return };
        let outcome = living.host.perform(op);
        let agent = living.agent;
        let kind = living.kind(job).unwrap_or(JobKind::Run);
        self.hand_over(Who { agent, process, job, kind }, id, None, outcome);
    }
}
