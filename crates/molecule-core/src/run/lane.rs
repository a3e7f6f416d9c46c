//! A lane: it runs a machine again and again at its own interval, one at a time.

use std::time::Duration;

use molecule_proto::{Time, UnixTime};

use super::ended::Ended;
use super::pace::{after_bad, after_good, delayed};
use crate::call::Call;
use crate::effect::{EffectId, Outcome};
use crate::endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::life::beat::Beat;
use crate::life::register::Register;
use crate::machine::{Cx, Machine, Now, Step, Wake, pass};

/// The least time between the starts of two turns of which the second is wanted at once.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// The next step of a lane.
pub(super) enum LaneStep {
    /// The loop returns this step.
    Step(Step<Result<Ended>>),
    /// Something has changed: poll the lanes again.
    Again,
    /// The lane waits for the wake or an outcome.
    Idle(Option<Wake>),
}

/// The state of a lane's machine after a poll.
pub(super) enum Polled<Out> {
    /// The lane runs no machine.
    Free,
    /// The machine goes on.
    Step(LaneStep),
    /// The machine is done.
    Done(Out),
}

/// The progress of a lane that winds down.
pub(super) enum WindDown {
    /// The loop returns this step first.
    Step(Step<Result<Ended>>),
    /// The lane waits for work that must be finished.
    Waits(Option<Wake>),
    /// The lane has nothing in flight any more.
    Over,
}

/// A machine that a lane runs.
pub(super) trait LaneMachine: Machine {
    /// Returns whether the loop waits for the machine when it ends: a secret that is being stored, or a token that may
    /// be minted, would be lost.
    fn must_be_finished(&self) -> bool {
        false
    }

    /// Returns the event that reports the machine's result while the loop winds down, if there is one.
    fn final_event(_: Self::Output) -> Option<Event> {
        None
    }
}

impl LaneMachine for Beat {
    fn must_be_finished(&self) -> bool {
        self.stores_a_secret()
    }
}

impl LaneMachine for Call<endpoint::PollState> {}

impl LaneMachine for Register {
    fn must_be_finished(&self) -> bool {
        Self::must_be_finished(self)
    }

    /// The register's other results no longer matter, but a token that could not be saved must be reported.
    fn final_event(registered: Self::Output) -> Option<Event> {
        let error = registered.err().filter(|error| error.kind() == ErrorKind::TokenNotSaved)?;
        Some(Event::Warning(error.to_string()))
    }
}

#[derive(Debug)]
pub(super) struct LaneState<M> {
    lane: Lane,
    pub(super) next: Time,
    /// When the lane's next turn would be without the rate budget.
    pub(super) due: Time,
    /// The machine that the lane runs now.
    machine: Option<Box<M>>,
    pub(super) started: Now,
    pub(super) failures: u32,
    /// Whether another turn is wanted once the one under way is over, since what it asks may be older than what the stream
    /// told.
    is_hastened: bool,
    /// Whether a rate limit has delayed the lane's next turn.
    pub(super) is_delayed: bool,
    /// Whether the next wait is the lane's first. It is spread widely, so that agents that start together drift apart.
    first: bool,
}

impl<M: LaneMachine> LaneState<M> {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            next: Time::ZERO,
            due: Time::ZERO,
            machine: None,
            started: Now { mono: Time::ZERO, unix: UnixTime::default() },
            failures: 0,
            is_hastened: false,
            is_delayed: false,
            first: true,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.machine.is_some()
    }

    pub(super) fn begin(&mut self, now: Now, machine: M) {
        self.started = now;
        (self.is_delayed, self.is_hastened) = (false, false);
        self.machine = Some(Box::new(machine));
    }

    /// Continues the count of failures of the agent's earlier loop.
    pub(super) fn restore_failures(&mut self, cx: &Cx<'_>) {
        self.failures = cx.session.vitals.failures_of(self.lane);
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Polled<M::Output> {
        let Some(mut machine) = self.machine.take() else { return Polled::Free };
        let step = match machine.poll(cx) {
            Step::Done(output) => return Polled::Done(output),
            Step::Idle(wake) => LaneStep::Idle(wake),
            other => LaneStep::Step(pass(other)),
        };
        self.machine = Some(machine);
        Polled::Step(step)
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Some(machine) = &mut self.machine {
            machine.cancel(cx);
        }
    }

    /// Sets the next turn after a good answer: an interval after the last start, up to 10 % early, never late. Missed
    /// turns are not made up. Returns how often the lane had failed in a row.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) -> u32 {
        let wait = after_good(cx, self.lane, std::mem::take(&mut self.first));
        self.next = (self.started.mono + wait).max(cx.now.mono);
        if std::mem::take(&mut self.is_hastened) {
            self.next = self.soon(cx.now.mono);
        }
        self.due = self.next;
        self.reset_failures(cx)
    }

    /// Asks for the next turn as soon as possible: at least a second after the last one, since anybody may make the stream
    /// tell something. A lane that fails or is held back keeps its time.
    pub(super) fn hasten(&mut self, now: Time) {
        if self.is_under_way() {
            self.is_hastened = true;
        } else if self.failures == 0 && !self.is_delayed {
            self.next = self.next.min(self.soon(now));
        }
    }

    fn soon(&self, now: Time) -> Time {
        now.max(self.started.mono + LEAST_GAP)
    }

    /// Resets the count of failures. Returns how often the lane had failed in a row.
    pub(super) fn reset_failures(&mut self, cx: &mut Cx<'_>) -> u32 {
        cx.session.vitals.failed(self.lane, 0);
        std::mem::take(&mut self.failures)
    }

    /// Sets the next turn after a failure: after 1 s, doubled with each failure, at most the interval; or after the
    /// time that the server asked for. Returns how often the lane has failed in a row.
    pub(super) fn back_off(&mut self, cx: &mut Cx<'_>, error: &Error) -> u32 {
        self.failures = self.failures.saturating_add(1);
        cx.session.vitals.failed(self.lane, self.failures);
        self.next = cx.now.mono + after_bad(cx, self.lane, self.failures, error);
        self.due = self.next;
        self.is_delayed = error.kind() == ErrorKind::RateLimited;
        self.failures
    }

    /// Plans the next turn for this time, whatever was planned.
    pub(super) fn plan(&mut self, at: Time) {
        (self.next, self.due) = (at, at);
    }

    /// Delays the next turn until a rate limit ends.
    pub(super) fn delay(&mut self, cx: &mut Cx<'_>, until: Time) {
        if self.next < until {
            self.is_delayed = true;
            self.next = delayed(cx, self.lane, self.due, until);
        }
    }
}

/// The operations that the loop performs on every lane.
pub(super) trait AnyLane {
    /// Feeds an outcome to the lane's machine.
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;

    /// Winds the lane down: cancels what can be cancelled, and waits for what must be finished unless the loop ends at
    /// once.
    fn wind_down(&mut self, cx: &mut Cx<'_>, at_once: bool) -> WindDown;
}

impl<M: LaneMachine> AnyLane for LaneState<M> {
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.machine {
            Some(machine) => machine.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }

    fn wind_down(&mut self, cx: &mut Cx<'_>, at_once: bool) -> WindDown {
        let Some(mut machine) = self.machine.take() else { return WindDown::Over };
        machine.cancel(cx);
        let ending = match machine.poll(cx) {
            Step::Done(output) => {
                return M::final_event(output).map_or(WindDown::Over, |event| WindDown::Step(Step::Event(event)));
            }
            // The dropped machine releases its turn and its locks.
            Step::Idle(_) if at_once || !machine.must_be_finished() => return WindDown::Over,
            Step::Idle(wake) => WindDown::Waits(wake),
            other => WindDown::Step(pass(other)),
        };
        self.machine = Some(machine);
        ending
    }
}
