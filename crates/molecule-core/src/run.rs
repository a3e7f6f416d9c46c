//! The loop: it sends heartbeats and polls the state, each at its own interval, and registers again when there is a
//! reason to.

mod deliveries;
mod delivery;
mod doubts;
mod ended;
mod lane;
mod lanes;
mod no_lock;
mod notes;
mod pace;
mod receive;
mod registers;
mod token_saves;

use std::collections::VecDeque;
use std::time::Duration;

use crate::call::Call;
use crate::call::retry;
use crate::effect::{Effect, EffectId, HostOp, HostResult, LockId, Outcome, Slot};
use crate::endpoint;
use crate::error::{Error, Result};
use crate::event::{Event, Lane};
use crate::inbox::Inbox;
use crate::life::beat::Beat;
use crate::life::register::Register;
use crate::machine::{Cx, Machine, Now, Step, Wake};
use crate::session::StopLevel;
use deliveries::Deliveries;
use doubts::Doubts;
use lane::{AnyLane, LaneState, LaneStep, WindDown};
use notes::Notes;
use receive::LastBeat;
use token_saves::TokenSaves;

pub(crate) use deliveries::{CHECK_EVERY, FIRST_RETRY, LAST_RETRY};
pub(crate) use doubts::STRIKES;
pub use ended::Ended;
pub(crate) use lanes::absence;
pub(crate) use pace::{EARLY, WINDOWS_HELD};

/// The loop of a remote agent. It runs until the platform pauses or deletes the workspace, it is stopped, or its
/// credential is dead.
///
/// It registers first if this agent has not done so. It registers again after a resume, after a gap in its heartbeats
/// that the platform takes for an absence, after a status of `offline`, `failed`, `awaiting_agent` or `provisioning`,
/// and after a change of the URL to register. With [`Plan::Auto`](crate::Plan) it checks whether the platform reaches the
/// agent's server, and polls while that is not so. It sends no register while the workspace is paused. No lane waits for
/// another, and each lane has at most one request in flight.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Run {
    state: State,
    beats: LaneState<Beat>,
    states: LaneState<Call<endpoint::PollState>>,
    registers: LaneState<Register>,
    /// Why the loop registers, or will at the lane's next turn; `None` if there is no reason.
    why: Option<RegisterReason>,
    deliveries: Deliveries,
    saves: TokenSaves,
    notes: Notes,
    /// The lane that receives messages, in a loop with a handler.
    inbox: Option<Box<Inbox>>,
    last_beat: LastBeat,
    /// When the last heartbeat with a good answer was sent.
    beats_well_at: Option<Now>,
    doubts: Doubts,
    /// Whether the first register is done. No lane starts before that.
    opened: bool,
    paused: bool,
    /// Whether a heartbeat got a good answer since the agent was last cut off.
    beating: bool,
    /// Whether the platform has shown since then that the workspace exists. Heartbeats of deleted workspaces get good
    /// answers too.
    exists: bool,
    /// Whether `Event::Online` was reported since then.
    online: bool,
    cancelled: bool,
    events: VecDeque<Event>,
}

const OPERATION: &str = "run heartbeat loop";

#[derive(Debug)]
enum State {
    Start,
    Locking(EffectId),
    /// The loop was stopped: cancel the effect at the next poll.
    Unwanted(EffectId),
    /// The lock cannot be taken: load the token, without which the loop cannot run.
    Load(Box<Error>),
    Loading(EffectId, Box<Error>),
    /// The lanes run, with the lock, or without one if none can be taken.
    Running(Option<LockId>),
    /// The loop finishes what must be finished and cancels the rest.
    Ending(Option<LockId>, Box<Result<Ended>>),
    Unlocking(EffectId, Box<Result<Ended>>),
    Finished(Box<Result<Ended>>),
    Done,
}

/// Why the loop registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RegisterReason {
    /// The agent has not registered yet. An error of this register ends the loop.
    First,
    /// There is a reason to register again.
    Again,
    /// The bearer was refused: the register shows whether it is dead.
    Refused,
}

impl Run {
    /// Makes the loop for the agent of the session.
    pub fn new() -> Self {
        Self {
            state: State::Start,
            beats: LaneState::new(Lane::Heartbeat),
            states: LaneState::new(Lane::State),
            registers: LaneState::new(Lane::Register),
            why: None,
            deliveries: Deliveries::new(),
            saves: TokenSaves::default(),
            notes: Notes::default(),
            inbox: None,
            last_beat: LastBeat::Over,
            beats_well_at: None,
            doubts: Doubts::default(),
            opened: false,
            paused: false,
            beating: false,
            exists: false,
            online: false,
            cancelled: false,
            events: VecDeque::new(),
        }
    }

    fn level(&self, cx: &Cx<'_>) -> StopLevel {
        let own = if self.cancelled { StopLevel::Finish } else { StopLevel::None };
        own.max(cx.session.stop_level())
    }

    fn end(&mut self, ended: Result<Ended>) {
        if let State::Running(lock) = self.state {
            self.state = State::Ending(lock, Box::new(ended));
        }
    }

    /// Starts the lanes, with the lock, or without one if none can be taken.
    fn begin(&mut self, cx: &mut Cx<'_>, lock: Option<LockId>) {
        self.state = State::Running(lock);
        if lock.is_some() {
            self.notes.begin(cx);
        }
        let stagger = cx.session.config().stagger;
        let start = cx.now.mono + retry::jitter(&mut cx.session.rng, Duration::ZERO, stagger);
        self.beats.next = start;
        self.states.next = start;
        self.opened = cx.session.vitals.registered.is_some();
        self.beats_well_at = cx.session.vitals.last_beat;
        self.registers.restore_failures(cx);
        if !self.opened {
            (self.registers.next, self.why) = (start, Some(RegisterReason::First));
        }
    }

    /// The lanes that a round polls, in this order.
    const ROUND: [fn(&mut Self, &mut Cx<'_>) -> LaneStep; 7] =
        [Self::register, Self::save, Self::beat, Self::poll_state, Self::check_delivery, Self::receive, Self::note];

    /// Returns the lanes in the order in which they wind down, that of the heartbeats first.
    fn lanes(&mut self) -> [&mut dyn AnyLane; 4] {
        [&mut self.beats, &mut self.states, &mut self.registers, self.deliveries.lane()]
    }

    /// Polls each lane once. Returns the first step of a lane, or the earliest wake of all.
    fn round(&mut self, cx: &mut Cx<'_>) -> Option<Step<Result<Ended>>> {
        let mut wake = None;
        for ask in Self::ROUND {
            match ask(self, cx) {
                LaneStep::Step(step) => return Some(step),
                LaneStep::Again => return None,
                LaneStep::Idle(own) => wake = Wake::earliest(wake, own),
            }
        }
        Some(Step::Idle(wake))
    }

    /// Winds down the lanes. It cancels what can be cancelled, and waits for a register that may mint a token and for
    /// the save of a secret, unless the loop must end at once. The inbox is drained meanwhile, beside heartbeats. The last
    /// one follows.
    fn wind_down(&mut self, cx: &mut Cx<'_>) -> Option<Step<Result<Ended>>> {
        let at_once = self.level(cx) == StopLevel::Now;
        let mut waits = None;
        if !self.goes_on_beating(at_once) {
            // Replies wait for no heartbeat: the last one follows them.
            cx.session.rate.expect_heartbeat(None);
        }
        // A drain may take an hour, and the platform takes an agent without heartbeats for dead.
        let beats = match self.beat_while_draining(cx, at_once) {
            Some(WindDown::Step(step)) => return Some(step),
            Some(WindDown::Waits(wake)) => wake,
            Some(WindDown::Over) | None => None,
        };
        match self.drain(cx, at_once) {
            WindDown::Step(step) => return Some(step),
            WindDown::Waits(wake) => waits = Some(Wake::earliest(wake, beats)),
            WindDown::Over => {}
        }
        match self.note_last(cx, at_once) {
            WindDown::Step(step) => return Some(step),
            WindDown::Waits(wake) => waits = Some(Wake::earliest(waits.flatten(), wake)),
            WindDown::Over => {}
        }
        let goes_on = usize::from(self.goes_on_beating(at_once));
        for lane in self.lanes().into_iter().skip(goes_on) {
            match lane.wind_down(cx, at_once) {
                WindDown::Step(step) => return Some(step),
                WindDown::Waits(wake) => waits = Some(Wake::earliest(waits.flatten(), wake)),
                WindDown::Over => {}
            }
        }
        // A register in flight stores its token itself.
        if !self.registers.is_under_way()
            && let Some(step) = self.save_at_the_end(cx)
        {
            return Some(step);
        }
        if waits.is_none() {
            match self.beat_last(cx, at_once) {
                WindDown::Step(step) => return Some(step),
                WindDown::Waits(wake) => waits = Some(wake),
                WindDown::Over => {}
            }
        }
        waits.map(Step::Idle)
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for Run {
    type Output = Result<Ended>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            let stopping = self.level(cx) != StopLevel::None;
            match std::mem::replace(&mut self.state, State::Done) {
                State::Start | State::Load(_) if stopping => return Step::Done(Ok(Ended::Stopped)),
                State::Start => {
                    let id = cx.session.next_effect();
                    self.state = State::Locking(id);
                    return Step::Start(id, Effect::Host(HostOp::Lock));
                }
                State::Locking(id) | State::Loading(id, _) if stopping => self.state = State::Unwanted(id),
                State::Load(error) => {
                    let id = cx.session.next_effect();
                    self.state = State::Loading(id, error);
                    return Step::Start(id, Effect::Host(HostOp::Load(Slot::Token)));
                }
                State::Unwanted(id) => {
                    self.state = State::Finished(Box::new(Ok(Ended::Stopped)));
                    return Step::Cancel(id);
                }
                State::Running(lock) => {
                    self.state = State::Running(lock);
                    if stopping {
                        self.end(Ok(Ended::Stopped));
                    } else if let Some(step) = self.round(cx) {
                        return step;
                    }
                }
                State::Ending(lock, result) => {
                    self.state = State::Ending(lock, result);
                    if let Some(step) = self.wind_down(cx) {
                        return step;
                    }
                    match std::mem::replace(&mut self.state, State::Done) {
                        State::Ending(Some(lock), result) => {
                            let id = cx.session.next_effect();
                            self.state = State::Unlocking(id, result);
                            return Step::Start(id, Effect::Host(HostOp::Unlock(lock)));
                        }
                        State::Ending(None, result) => self.state = State::Finished(result),
                        state => self.state = state,
                    }
                }
                State::Finished(result) => return Step::Done(*result),
                state @ (State::Locking(_) | State::Loading(..) | State::Unlocking(..) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Locking(expected) if expected == id => {
                match outcome {
                    Outcome::Host(HostResult::Locked(lock)) => self.begin(cx, Some(lock)),
                    Outcome::Failed(fault) => self.not_locked(cx, Error::from_fault(OPERATION, fault)),
                    other => {
                        self.state = State::Locking(expected);
                        return Err(other);
                    }
                }
                return Ok(());
            }
            State::Loading(expected, error) if expected == id => {
                if let Outcome::Host(HostResult::Loaded(_)) | Outcome::Failed(_) = outcome {
                    self.loaded(cx, outcome, *error);
                    return Ok(());
                }
                self.state = State::Loading(expected, error);
                return Err(outcome);
            }
            // A lock that could not be released ends with the process.
            State::Unlocking(expected, result) if expected == id => {
                if let Outcome::Host(HostResult::Unlocked) | Outcome::Failed(_) = outcome {
                    self.state = State::Finished(result);
                    return Ok(());
                }
                self.state = State::Unlocking(expected, result);
                return Err(outcome);
            }
            state => self.state = state,
        }
        let Err(outcome) = self.saves.feed(cx, id, outcome) else { return Ok(()) };
        let Err(outcome) = self.notes.feed(cx, id, outcome) else { return Ok(()) };
        let Err(mut outcome) = self.feed_inbox(cx, id, outcome) else { return Ok(()) };
        for lane in self.lanes() {
            match lane.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(back) => outcome = back,
            }
        }
        Err(outcome)
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {
        self.cancelled = true;
    }
}
