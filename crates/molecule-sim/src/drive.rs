//! Drives machines as both facades' drivers do: polls until the machine is idle, performs effects, feeds outcomes, and
//! disposes of late ones.

use std::time::Duration;

use molecule_core::machine::{MAX_STEPS, Step, StopLevel};
use molecule_core::{CallOutcome, Ended, Error, Event};

use crate::agent::Program;
use crate::job::{self, Ending, Job, JobKind};
use crate::peers::Speech;
use crate::process::Process;
use crate::sabotage::Sabotaged;
use crate::scenario::{AfterError, Crash};
use crate::served::{SERVER, Serving};
use crate::trace::{TraceEvent, Who};
use crate::world::{Happening, World};

/// The delay of a program between an error and its next attempt.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl World<'_> {
    /// Polls a machine until it is idle or done.
    pub(crate) fn drive(&mut self, number: usize, job: u32) {
        if job == SERVER {
            return self.drive_server(number);
        }
        for steps in 1..=MAX_STEPS {
            let Some(agent) = self.process(number).map(|process| process.agent) else { return };
            let now = self.clock(agent);
            self.stepped();
            let Some(process) = self.process_mut(number) else { return };
            let Some(kind) = process.kind(job) else { return };
            let who = Who { agent, process: number, job, kind };
            match process.poll(job, now) {
                None => return,
                Some(Step::Start(id, effect)) => self.start_effect(who, id, effect),
                Some(Step::Cancel(id)) => self.cancel_effect(who, id),
                Some(Step::Event(event)) => {
                    if let Event::DeadLetter { message, .. } = &event {
                        self.agents[agent].dead_letter = Some(message.clone());
                    }
                    self.see(who, TraceEvent::Told(&event));
                }
                Some(Step::Idle(wake)) => {
                    let in_flight = process.in_flight(job);
                    let armed = process.arm(job);
                    if let Some(wake) = wake {
                        let at = self.now + wake.at.since(now.mono);
                        self.plan(at, Happening::Wake { process: who.process, job, wake: armed });
                    }
                    let in_vain = self.process(number).is_some_and(|process| process.waits_in_vain(job));
                    let wake = wake.map(|wake| wake.at);
                    self.see(who, TraceEvent::Rested { steps, wake, in_flight, in_vain });
                    return self.print_some(who);
                }
                Some(Step::Done(ending)) => {
                    self.see(who, TraceEvent::Ended(&ending));
                    self.leave_streams(|stream| stream.who == who);
                    if let Ending::CallPeer(Ok(outcome)) = &ending {
                        self.record_outcome(outcome);
                    }
                    return self.ended(who, ending);
                }
            }
            if self.is_broken() {
                return;
            }
        }
        if let Some(process) = self.process(number)
            && let Some(kind) = process.kind(job)
        {
            let who = Who { agent: process.agent, process: number, job, kind };
            self.see(who, TraceEvent::Raced);
        }
    }

    /// Shows the `Debug` output of the whole process to the invariants after every eighth step.
    fn print_some(&mut self, who: Who) {
        if self.steps().is_multiple_of(8)
            && let Some(process) = self.process(who.process)
        {
            let printed = process.printed();
            self.see(who, TraceEvent::Printed(&printed));
        }
    }

    /// Begins a machine in a process; returns its number.
    pub(crate) fn begin(&mut self, number: usize, kind: JobKind, job: Box<dyn Job>) -> Option<u32> {
        let job = match self.saboteurs.and_then(|saboteurs| saboteurs(kind)) {
            Some(saboteur) => Box::new(Sabotaged { job, saboteur }),
            None => job,
        };
        let process = self.process_mut(number)?;
        let agent = process.agent;
        let job = process.begin(kind, job);
        self.see(Who { agent, process: number, job, kind }, TraceEvent::Began);
        self.drive(number, job);
        Some(job)
    }

    /// Starts an agent's program, unless it runs already.
    pub(crate) fn start(&mut self, agent: usize) {
        if self.agents[agent].process.is_some() {
            return;
        }
        let number = self.new_process(agent);
        self.agents[agent].process = Some(number);
        self.start_server(agent, number);
        // The process may die in it.
        if self.agents[agent].process == Some(number) {
            self.enter(agent, number);
        }
    }

    pub(crate) fn new_process(&mut self, agent: usize) -> usize {
        let in_organisation = self.scenario.setup.rate_limit.is_some();
        let seed = self.rng.u64(..);
        let config = self.agents[agent].config(in_organisation, &self.tokens_for_peers(agent));
        let process = Process::new(agent, config, seed, &self.agents[agent].disk);
        self.processes.push(Some(process));
        self.processes.len() - 1
    }

    /// Begins the first machine of a program: the register or the loop.
    fn enter(&mut self, agent: usize, process: usize) {
        if self.agents[agent].setup.registers_first {
            self.agents[agent].program = Program::Registering;
            self.begin(process, JobKind::Register, job::register());
        } else {
            self.agents[agent].loops(self.now);
            self.begin_loop(agent, process);
        }
    }

    /// Begins the loop in a process.
    pub(crate) fn begin_loop(&mut self, agent: usize, process: usize) {
        let receives = self.agents[agent].setup.handler.is_some();
        self.begin(process, JobKind::Run, if receives { job::run_with_inbox() } else { job::run() });
    }

    pub(crate) fn tries_again(&mut self, agent: usize, process: usize) {
        let waits = matches!(self.agents[agent].program, Program::Waiting(_));
        if waits && self.agents[agent].process == Some(process) {
            self.enter(agent, process);
        }
    }

    /// Continues the program after one of its machines ended.
    fn ended(&mut self, who: Who, ending: Ending) {
        let ending = match (who.kind, ending) {
            (JobKind::LookUp(id), Ending::LookUp(page)) => return self.looked_up(who.process, id, page),
            (_, ending) => ending,
        };
        if self.process(who.process).is_some_and(|process| process.is_rival) {
            return self.dies(who.process, false);
        }
        let agent = who.agent;
        if self.agents[agent].process != Some(who.process) {
            return;
        }
        if let Some(process) = self.process_mut(who.process) {
            match &ending {
                Ending::Delegate(Ok(id)) => process.delegation = Some(id.clone()),
                Ending::CallPeer(Ok(CallOutcome::Queued { queue_id: Some(id), .. })) => {
                    process.queued = Some(id.clone())
                }
                _ => {}
            }
        }
        match (ending, self.agents[agent].program) {
            (Ending::Register(Ok(_)), Program::Registering) => {
                self.agents[agent].loops(self.now);
                self.begin_loop(agent, who.process);
            }
            (Ending::Register(Err(error)), Program::Registering) => self.failed(agent, who.process, &error),
            (Ending::Run(Ok(ended)), _) => {
                self.agents[agent].program = Program::Finished(ended);
                self.drain_server(who.process);
            }
            (Ending::Run(Err(error)), _) => self.failed(agent, who.process, &error),
            _ => {}
        }
    }

    fn failed(&mut self, agent: usize, process: usize, error: &Error) {
        let kind = error.kind();
        match self.agents[agent].setup.after_error {
            AfterError::End => {
                self.agents[agent].program = Program::Failed(kind);
                self.dies(process, false);
            }
            AfterError::Again => {
                self.agents[agent].program = Program::Waiting(kind);
                self.plan(self.now + PATIENCE, Happening::TriesAgain { agent, process });
            }
            AfterError::Restart => {
                self.agents[agent].program = Program::Waiting(kind);
                self.dies(process, false);
                self.plan(self.now + PATIENCE, Happening::Starts(agent));
            }
        }
    }

    /// Raises the stop latch of an agent's program and polls its loops, as a facade's stop method does.
    pub(crate) fn stop(&mut self, agent: usize, at_once: bool) {
        let Some(number) = self.agents[agent].process else { return };
        let Some(process) = self.process_mut(number) else { return };
        let level = process.session.raise_stop(at_once);
        self.see(self.program(agent), TraceEvent::StopRaised);
        self.poll_loops(number, Some(level));
        if let Program::Waiting(_) | Program::Registering | Program::NotStarted = self.agents[agent].program {
            self.agents[agent].program = Program::Finished(Ended::Stopped);
        }
    }

    /// Polls every loop of a process after a change of its session, such as a raised stop latch.
    pub(crate) fn poll_loops(&mut self, number: usize, raised: Option<StopLevel>) {
        let Some(process) = self.process(number) else { return };
        let agent = process.agent;
        for job in process.jobs(JobKind::Run) {
            if let Some(level) = raised {
                self.see(Who { agent, process: number, job, kind: JobKind::Run }, TraceEvent::Stopping(level));
            }
            self.drive(number, job);
        }
    }

    pub(crate) fn gives_up(&mut self, number: usize, job: u32) {
        let Some(process) = self.process(number) else { return };
        let (agent, Some(kind)) = (process.agent, process.kind(job)) else { return };
        let now = self.clock(agent);
        if let Some(process) = self.process_mut(number) {
            process.cancel(job, now);
        }
        self.see(Who { agent, process: number, job, kind }, TraceEvent::GivenUp);
        self.drive(number, job);
    }

    /// Drops a machine half-way. Its effects go on, and nobody takes their outcomes.
    pub(crate) fn drops(&mut self, number: usize, job: u32) {
        let Some(process) = self.process_mut(number) else { return };
        let (agent, Some(kind)) = (process.agent, process.kind(job)) else { return };
        process.drop_job(job);
        let who = Who { agent, process: number, job, kind };
        self.leave_streams(|stream| stream.who == who);
        self.see(who, TraceEvent::Dropped);
    }

    pub(crate) fn crash(&mut self, agent: usize, crash: Crash) {
        if let Some(process) = self.agents[agent].process {
            self.agents[agent].program = Program::Crashed;
            self.dies(process, crash.power);
        }
        if let Some(after) = crash.restart_s {
            self.plan(self.now + Duration::from_secs(after.into()), Happening::Starts(agent));
        }
    }

    /// Ends a process and everything that it had in flight.
    pub(crate) fn dies(&mut self, number: usize, power: bool) {
        let Some(mut process) = self.processes[number].take() else { return };
        let agent = process.agent;
        self.close_streams(number);
        self.leave_forms(|form| form.process == number);
        let callers = process.serving.take().into_iter().flat_map(Serving::callers);
        callers.for_each(|exchange| self.say(exchange, Speech::HangsUp));
        for op in process.acts.values() {
            self.interrupt(agent, op);
        }
        drop(process);
        if power {
            self.agents[agent].disk.lose_power(&mut self.rng);
        }
        if self.agents[agent].process == Some(number) {
            self.agents[agent].process = None;
        }
        self.see(Who { agent, process: number, job: 0, kind: JobKind::Run }, TraceEvent::Died { power });
    }
}
