//! A lane: a machine that is run again and again at its own pace, and never twice at once.

use molecule_proto::{Time, UnixTime};

use super::Ended;
use super::pace::{after_bad, after_good, held};
use crate::call::Call;
use crate::effect::{EffectId, Outcome};
use crate::endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::life::beat::Beat;
use crate::life::register::Register;
use crate::machine::{Cx, Machine, Now, Step, Wake, pass};

/// What a lane wants of the loop.
pub(super) enum LaneStep {
    /// This, now.
    Step(Step<Result<Ended>>),
    /// To be asked again: something changed.
    Again,
    /// Nothing until then.
    Idle(Option<Wake>),
}

/// What became of the machine that a lane runs.
pub(super) enum Polled<Out> {
    /// It runs none.
    Free,
    /// It goes on.
    Step(LaneStep),
    /// It is done.
    Done(Out),
}

/// How far a lane has wound down.
pub(super) enum WindDown {
    /// It needs this first.
    Step(Step<Result<Ended>>),
    /// What must be finished is under way.
    Waits(Option<Wake>),
    /// Nothing is under way any more.
    Over,
}

/// What a lane runs.
pub(super) trait LaneMachine: Machine {
    /// Whether it is waited for when the loop ends: what it stores, or may be minted, cannot be had again.
    fn must_be_finished(&self) -> bool {
        false
    }

    /// What the application hears of its end while the loop winds down.
    fn last_word(_: Self::Output) -> Option<Event> {
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

    /// The token is saved, and what else came of it no longer matters; but a failure to save must be heard.
    fn last_word(registered: Self::Output) -> Option<Event> {
        let error = registered.err().filter(|error| error.kind() == ErrorKind::TokenNotSaved)?;
        Some(Event::Warning(error.to_string()))
    }
}

#[derive(Debug)]
pub(super) struct LaneState<M> {
    lane: Lane,
    pub(super) next: Time,
    /// When it would have gone if the budget had not held it back.
    pub(super) due: Time,
    /// The machine that it runs.
    machine: Option<Box<M>>,
    pub(super) started: Now,
    failures: u32,
    /// Whether a rate limit put its next turn off.
    pub(super) is_put_off: bool,
    /// Whether the next wait is the first: it is spread widely, so that a fleet that starts together drifts apart.
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
            is_put_off: false,
            first: true,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.machine.is_some()
    }

    pub(super) fn begin(&mut self, now: Now, machine: M) {
        self.started = now;
        self.is_put_off = false;
        self.machine = Some(Box::new(machine));
    }

    /// Goes on counting where an earlier loop of the agent ended.
    pub(super) fn count_on(&mut self, cx: &Cx<'_>) {
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

    /// After a good answer: an interval after the last start, up to 10 % early, never late. Missed turns are not made up.
    /// Returns how often the lane had failed before.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) -> u32 {
        let wait = after_good(cx, self.lane, std::mem::take(&mut self.first));
        self.next = (self.started.mono + wait).max(cx.now.mono);
        self.due = self.next;
        self.works_again(cx)
    }

    /// Counts from nothing again. Returns how often the lane had failed.
    pub(super) fn works_again(&mut self, cx: &mut Cx<'_>) -> u32 {
        cx.session.vitals.failed(self.lane, 0);
        std::mem::take(&mut self.failures)
    }

    /// After a bad one: a second doubled with each failure, at most the interval; or what the server asked for. Returns how
    /// often the lane failed in a row.
    pub(super) fn back_off(&mut self, cx: &mut Cx<'_>, error: &Error) -> u32 {
        self.failures = self.failures.saturating_add(1);
        cx.session.vitals.failed(self.lane, self.failures);
        self.next = cx.now.mono + after_bad(cx, self.lane, self.failures, error);
        self.due = self.next;
        self.is_put_off = error.kind() == ErrorKind::RateLimited;
        self.failures
    }

    /// Not before a rate limit ends.
    pub(super) fn put_off(&mut self, cx: &mut Cx<'_>, until: Time) {
        self.is_put_off |= self.next < until;
        self.next = held(cx, self.lane, self.next, until);
    }
}

/// What the loop does with every lane alike.
pub(super) trait AnyLane {
    /// Offers an outcome to what is under way.
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;

    /// Cancels what can be cancelled; what must be finished is waited for, unless the loop ends at once.
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
                return M::last_word(output).map_or(WindDown::Over, |event| WindDown::Step(Step::Event(event)));
            }
            // Dropped, it gives back what it holds.
            Step::Idle(_) if at_once || !machine.must_be_finished() => return WindDown::Over,
            Step::Idle(wake) => WindDown::Waits(wake),
            other => WindDown::Step(pass(other)),
        };
        self.machine = Some(machine);
        ending
    }
}
