//! The loop: heartbeats and looks at the state, each at its own pace, and registering again when something asks for it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use molecule_proto::{StateAnswer, Time, WorkspaceStatus};

use crate::beat::{Beat, pass};
use crate::call::Call;
use crate::effect::{Effect, EffectId, HostOp, HostResult, LockId, Outcome};
use crate::endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::machine::{Cx, Machine, Step, Wake};
use crate::options::OnPause;
use crate::rate::WINDOW;
use crate::register::{Register, Registration};
use crate::retry;
use crate::session::{Dialect, StopLevel};

/// The loop of a remote agent, until the platform pauses or deletes its workspace, somebody stops it, or its credential
/// is dead.
///
/// It registers first if this agent has not; and again after a resume, after a gap in its heartbeats that the platform
/// takes for an absence, when the platform shows it as `offline`, `failed`, `awaiting_agent` or `provisioning`, and when
/// the reported URL changed. It never registers while the workspace is paused. No lane waits for another, and none has two
/// requests under way.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Run {
    state: State,
    beats: LaneState<Beat>,
    looks: LaneState<Call<endpoint::State>>,
    register: Option<(Box<Register>, Why)>,
    register_due: Option<(Time, Why)>,
    /// When the last good heartbeat was sent.
    beats_well_at: Time,
    /// Registers in a row that the platform refused with 401.
    strikes: u32,
    /// Whether the first register is behind: before it no lane goes.
    opened: bool,
    paused: bool,
    online: bool,
    stop: StopLevel,
    events: VecDeque<Event>,
}

/// What may be said to the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunCommand {
    /// End after what must be finished.
    Stop,
    /// End at once.
    StopNow,
    /// Look at the session again: its reported URL may have changed.
    Check,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The platform paused the workspace.
    Paused,
    /// The workspace was deleted.
    Deleted,
    /// Somebody stopped the loop.
    Stopped,
    /// The token is dead, and registering brought no other: three times.
    Unauthorized,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused",
            Self::Deleted => "deleted",
            Self::Stopped => "stopped",
            Self::Unauthorized => "unauthorized",
        })
    }
}

#[derive(Debug)]
enum State {
    Start,
    Locking(EffectId),
    /// The lock is not wanted any more.
    Unwanted(EffectId),
    Running(LockId),
    /// What must be finished is finished, the rest is cancelled.
    Ending(LockId, Box<Result<Ended>>),
    Unlocking(EffectId, Box<Result<Ended>>),
    Finished(Box<Result<Ended>>),
    Done,
}

/// Why the loop registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// This agent has not yet: its errors are the loop's.
    First,
    /// Something asked for it.
    Again,
    /// The bearer was refused: is it dead?
    Refused,
}

#[derive(Debug)]
struct LaneState<M> {
    next: Time,
    /// When it would have gone if the budget had not held it back.
    due: Time,
    call: Option<Box<M>>,
    started: Time,
    failures: u32,
    /// Whether the next wait is the first: it is spread widely, so that a fleet that starts together drifts apart.
    first: bool,
}

impl<M> LaneState<M> {
    fn new() -> Self {
        Self { next: Time::ZERO, due: Time::ZERO, call: None, started: Time::ZERO, failures: 0, first: true }
    }

    fn begin(&mut self, now: Time, call: M) {
        self.started = now;
        self.call = Some(Box::new(call));
    }

    /// After a good answer: an interval after the last start, early by up to a tenth, never late. Missed turns are not
    /// made up.
    fn settle(&mut self, cx: &mut Cx<'_>, interval: Duration) -> u32 {
        let spread = if std::mem::take(&mut self.first) { interval / 2 } else { interval / 10 };
        let early = retry::jitter(&mut cx.session.rng, Duration::ZERO, spread);
        self.next = (self.started + (interval - early)).max(cx.now.mono);
        self.due = self.next;
        std::mem::take(&mut self.failures)
    }

    /// After a bad one: a second doubled with each failure, at most the interval; or what the server asked for.
    fn back_off(&mut self, cx: &mut Cx<'_>, lane: Lane, interval: Duration, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        self.next = cx.now.mono + wait_after(cx, lane, self.failures, interval, error);
        self.due = self.next;
    }
}

/// How long a lane waits after a failure.
fn wait_after(cx: &mut Cx<'_>, lane: Lane, failures: u32, interval: Duration, error: &Error) -> Duration {
    match error.retry_after() {
        Some(asked) if error.kind() == ErrorKind::RateLimited => asked + spread(cx, lane),
        Some(asked) => asked,
        None => lane_backoff(cx, failures, interval),
    }
}

/// Not before the budget allows it.
fn held(cx: &mut Cx<'_>, lane: Lane, next: Time, until: Time) -> Time {
    if next < until { until + spread(cx, lane) } else { next }
}

/// How long after the end of a rate limit a lane goes. It ends for all agents at once, so they come back one by one:
/// heartbeats within half of their interval, and only then registers, and looks at the state, which can wait for a window
/// of the server's. So whatever is refused next, a heartbeat was first.
fn spread(cx: &mut Cx<'_>, lane: Lane) -> Duration {
    let interval = cx.session.config().intervals.heartbeat;
    let (least, most) = match lane {
        Lane::Heartbeat => (Duration::ZERO, interval / 2),
        Lane::Register => (interval / 2, interval),
        Lane::State => (interval / 2, WINDOW),
    };
    retry::jitter(&mut cx.session.rng, least, most)
}

fn lane_backoff(cx: &mut Cx<'_>, failures: u32, interval: Duration) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(10));
    let most = doubled.min(interval);
    retry::jitter(&mut cx.session.rng, most / 2, most)
}

/// How long a scarce budget may hold a look at the state back: it alone tells of a pause.
const MOST_HELD: Duration = WINDOW.saturating_mul(5);

/// How many registers in a row the platform must refuse before the credential counts as dead.
const STRIKES: u32 = 3;

impl Run {
    /// The loop, for the agent of the session.
    pub fn new() -> Self {
        Self {
            state: State::Start,
            beats: LaneState::new(),
            looks: LaneState::new(),
            register: None,
            register_due: None,
            beats_well_at: Time::ZERO,
            strikes: 0,
            opened: false,
            paused: false,
            online: false,
            stop: StopLevel::None,
            events: VecDeque::new(),
        }
    }

    fn level(&self, cx: &Cx<'_>) -> StopLevel {
        self.stop.max(cx.session.stop_level())
    }

    fn end(&mut self, ended: Result<Ended>) {
        if let State::Running(lock) = self.state {
            self.state = State::Ending(lock, Box::new(ended));
        }
    }

    /// The lock is held: the loop begins.
    fn begin(&mut self, cx: &mut Cx<'_>, lock: LockId) {
        self.state = State::Running(lock);
        let stagger = cx.session.config().stagger;
        let start = cx.now.mono + retry::jitter(&mut cx.session.rng, Duration::ZERO, stagger);
        self.beats.next = start;
        self.looks.next = start;
        self.opened = cx.session.vitals.registered.is_some();
        self.beats_well_at = cx.session.vitals.last_beat.map(|(mono, _)| mono).unwrap_or_default();
        if !self.opened {
            self.register_due = Some((start, Why::First));
        }
    }

    /// One round over the lanes: the first step that one of them has, or the earliest wake of all.
    fn round(&mut self, cx: &mut Cx<'_>) -> Option<Step<Event, Result<Ended>>> {
        let mut wake = None;
        self.ask_to_register(cx);
        if let Some((mut register, why)) = self.register.take() {
            match register.poll(cx) {
                Step::Done(result) => {
                    self.register_done(cx, why, result);
                    return None;
                }
                Step::Idle(child) => {
                    wake = Wake::earliest(wake, child);
                    self.register = Some((register, why));
                }
                other => {
                    self.register = Some((register, why));
                    return Some(pass(other));
                }
            }
        } else if let Some((at, why)) = self.register_due {
            let until = cx.session.rate.hold_heartbeat(cx.now.mono);
            let at = until.map_or(at, |until| held(cx, Lane::Register, at, until));
            self.register_due = Some((at, why));
            if at <= cx.now.mono {
                self.register_due = None;
                let register = if why == Why::First { Register::new() } else { Register::once() };
                self.register = Some((Box::new(register), why));
                return None;
            }
            wake = Wake::earliest(wake, Some(Wake { at, why: "register" }));
        }
        // Before the first register there is nobody whose heart could beat.
        if !self.opened {
            return Some(Step::Idle(wake));
        }
        match self.beat(cx) {
            Lap::Step(step) => return Some(step),
            Lap::Again => return None,
            Lap::Idle(child) => wake = Wake::earliest(wake, child),
        }
        match self.look(cx) {
            Lap::Step(step) => return Some(step),
            Lap::Again => return None,
            Lap::Idle(child) => wake = Wake::earliest(wake, child),
        }
        Some(Step::Idle(wake))
    }

    /// The reported URL changed since it was registered.
    fn ask_to_register(&mut self, cx: &Cx<'_>) {
        let moved = cx.session.vitals.registered.as_ref().is_some_and(|url| *url != cx.session.config().reported_url);
        if moved && !self.paused && self.register.is_none() && self.register_due.is_none() {
            self.register_due = Some((cx.now.mono, Why::Again));
        }
    }

    fn beat(&mut self, cx: &mut Cx<'_>) -> Lap {
        let Some(mut beat) = self.beats.call.take() else {
            if self.paused || cx.session.lacks_token() {
                return Lap::Idle(None);
            }
            if let Some(until) = cx.session.rate.hold_heartbeat(cx.now.mono) {
                self.beats.next = held(cx, Lane::Heartbeat, self.beats.next, until);
            }
            if self.beats.next > cx.now.mono {
                return Lap::Idle(Some(Wake { at: self.beats.next, why: "heartbeat" }));
            }
            self.beats.begin(cx.now.mono, Beat::once());
            return Lap::Again;
        };
        match beat.poll(cx) {
            Step::Done(Ok(_)) => {
                self.beat_well(cx);
                Lap::Again
            }
            Step::Done(Err(error)) => {
                let interval = cx.session.config().intervals.heartbeat;
                self.beats.back_off(cx, Lane::Heartbeat, interval, &error);
                cx.session.vitals.heartbeat_failures = self.beats.failures;
                self.degraded(cx, Lane::Heartbeat, self.beats.failures, &error);
                Lap::Again
            }
            Step::Idle(wake) => {
                self.beats.call = Some(beat);
                Lap::Idle(wake)
            }
            other => {
                self.beats.call = Some(beat);
                Lap::Step(pass(other))
            }
        }
    }

    fn beat_well(&mut self, cx: &mut Cx<'_>) {
        let started = self.beats.started;
        let interval = cx.session.config().intervals.heartbeat;
        let failures = self.beats.settle(cx, interval);
        cx.session.vitals.heartbeat_failures = 0;
        if failures > 0 {
            self.events.push_back(Event::Recovered { lane: Lane::Heartbeat, failures });
        }
        // The platform forgot the agent meanwhile, and a heartbeat alone does not restore what a register does.
        let good_before = std::mem::replace(&mut self.beats_well_at, started);
        if good_before.max(cx.session.vitals.registered_at) + absence(cx.session.dialect) <= started {
            self.online = false;
            self.want_register(cx.now.mono, Why::Again);
        }
        if !std::mem::replace(&mut self.online, true) {
            self.events.push_back(Event::Online);
        }
    }

    fn look(&mut self, cx: &mut Cx<'_>) -> Lap {
        let Some(mut look) = self.looks.call.take() else {
            if let Some(until) = cx.session.rate.hold_others(cx.now.mono, self.looks.due + MOST_HELD) {
                self.looks.next = held(cx, Lane::State, self.looks.next, until);
            }
            if cx.session.lacks_token() && (self.register.is_some() || self.register_due.is_some()) {
                return Lap::Idle(None);
            }
            if self.looks.next > cx.now.mono {
                return Lap::Idle(Some(Wake { at: self.looks.next, why: "look at the state" }));
            }
            if cx.session.lacks_token() {
                // An agent that was paused before its first start: the view is open, and registering looks at it first.
                self.looks.next = cx.now.mono + cx.session.config().intervals.state;
                self.want_register(cx.now.mono, Why::Refused);
                return Lap::Again;
            }
            self.looks.begin(cx.now.mono, Call::once(endpoint::State));
            return Lap::Again;
        };
        match look.poll(cx) {
            Step::Done(Ok(answer)) => {
                let interval = cx.session.config().intervals.state;
                let failures = self.looks.settle(cx, interval);
                cx.session.vitals.state_failures = 0;
                if failures > 0 {
                    self.events.push_back(Event::Recovered { lane: Lane::State, failures });
                }
                self.looked(cx, &answer);
                Lap::Again
            }
            Step::Done(Err(error)) => {
                let interval = cx.session.config().intervals.state;
                self.looks.back_off(cx, Lane::State, interval, &error);
                cx.session.vitals.state_failures = self.looks.failures;
                self.degraded(cx, Lane::State, self.looks.failures, &error);
                Lap::Again
            }
            Step::Idle(wake) => {
                self.looks.call = Some(look);
                Lap::Idle(wake)
            }
            other => {
                self.looks.call = Some(look);
                Lap::Step(pass(other))
            }
        }
    }

    fn looked(&mut self, cx: &mut Cx<'_>, answer: &StateAnswer) {
        if answer.deleted {
            return self.end(Ok(Ended::Deleted));
        }
        self.strikes = 0;
        if self.looks.started < cx.session.vitals.registered_at && !answer.is_paused() {
            return;
        }
        if let Some(status) = &answer.status
            && cx.session.vitals.status.as_ref() != Some(status)
        {
            cx.session.vitals.status = Some(status.clone());
            self.events.push_back(Event::StatusChanged(status.clone()));
        }
        if answer.is_paused() {
            return self.pause(cx);
        }
        if std::mem::take(&mut self.paused) {
            self.events.push_back(Event::Resumed);
            self.online = false;
            self.beats.next = cx.now.mono;
            return self.want_register(cx.now.mono, Why::Again);
        }
        match &answer.status {
            Some(
                WorkspaceStatus::Offline
                | WorkspaceStatus::Failed
                | WorkspaceStatus::AwaitingAgent
                | WorkspaceStatus::Provisioning,
            ) => self.want_register(cx.now.mono, Why::Again),
            Some(WorkspaceStatus::Removed) => self.want_register(cx.now.mono, Why::Refused),
            _ => {}
        }
    }

    fn pause(&mut self, cx: &mut Cx<'_>) {
        self.register_due = None;
        if let Some((register, _)) = &mut self.register {
            // It may still be reading a view that is older than the pause.
            register.cancel(cx);
        }
        if !std::mem::replace(&mut self.paused, true) {
            self.events.push_back(Event::Paused);
        }
        match cx.session.config().on_pause {
            OnPause::End => self.end(Ok(Ended::Paused)),
            OnPause::Wait => {}
        }
    }

    /// Asks for a register, unless one is under way or due already.
    fn want_register(&mut self, at: Time, why: Why) {
        if self.register.is_none() && self.register_due.is_none() && !(self.paused && why == Why::Again) {
            self.register_due = Some((at, why));
        }
    }

    fn degraded(&mut self, cx: &mut Cx<'_>, lane: Lane, failures: u32, error: &Error) {
        self.events.push_back(Event::Degraded { lane, failures, error: error.to_string() });
        if error.kind() == ErrorKind::Unauthorized {
            // Deleted, revoked, or a database that is down (April): registering looks at the view first and tells.
            self.want_register(cx.now.mono, Why::Refused);
        }
    }

    fn register_done(&mut self, cx: &mut Cx<'_>, why: Why, result: Result<Registration>) {
        match result {
            Ok(registration) if registration.paused => {
                self.opened = true;
                self.pause(cx);
            }
            Ok(_) => {
                if cx.session.vitals.register_failures > 0 {
                    let failures = std::mem::take(&mut cx.session.vitals.register_failures);
                    self.events.push_back(Event::Recovered { lane: Lane::Register, failures });
                }
                self.registered(cx);
            }
            Err(error) => self.register_failed(cx, why, error),
        }
    }

    fn registered(&mut self, cx: &Cx<'_>) {
        self.opened = true;
        self.strikes = 0;
        self.beats.next = self.beats.next.min(cx.now.mono);
        if self.paused {
            // It was resumed, or paused while the register was under way: only the state can tell.
            self.looks.next = self.looks.next.min(cx.now.mono);
        }
    }

    fn register_failed(&mut self, cx: &mut Cx<'_>, why: Why, error: Error) {
        match error.kind() {
            ErrorKind::Removed if why != Why::First => return self.end(Ok(Ended::Deleted)),
            ErrorKind::NotCreated if why != Why::First => return self.end(Ok(Ended::Deleted)),
            _ if why == Why::First => return self.end(Err(error)),
            ErrorKind::Cancelled if self.paused => return,
            ErrorKind::TokenNotSaved => {
                self.events.push_back(Event::Warning(error.to_string()));
                return self.registered(cx);
            }
            ErrorKind::Revoked | ErrorKind::TokenNotHeld => {
                self.strikes += 1;
                if self.strikes >= STRIKES {
                    return self.end(Ok(Ended::Unauthorized));
                }
            }
            _ => {}
        }
        let failures = cx.session.vitals.register_failures.saturating_add(1);
        cx.session.vitals.register_failures = failures;
        let interval = cx.session.config().intervals.heartbeat;
        let wait = wait_after(cx, Lane::Register, failures, interval, &error);
        self.events.push_back(Event::Degraded { lane: Lane::Register, failures, error: error.to_string() });
        self.want_register(cx.now.mono + wait, why);
    }

    /// Winds down: children that can be cancelled are, a register that may mint is waited for unless it must end at once.
    fn wind_down(&mut self, cx: &mut Cx<'_>) -> Option<Step<Event, Result<Ended>>> {
        if let Some(mut beat) = self.beats.call.take() {
            beat.cancel(cx);
            if let step @ Step::Cancel(_) = beat.poll(cx) {
                return Some(pass(step));
            }
        }
        if let Some(mut look) = self.looks.call.take() {
            look.cancel(cx);
            if let step @ Step::Cancel(_) = look.poll(cx) {
                return Some(pass(step));
            }
        }
        let (mut register, why) = self.register.take()?;
        register.cancel(cx);
        match register.poll(cx) {
            Step::Done(result) => {
                // The token is saved; what else came of it no longer matters, but a failure to save must be heard.
                if let Err(error) = result
                    && error.kind() == ErrorKind::TokenNotSaved
                {
                    return Some(Step::Event(Event::Warning(error.to_string())));
                }
                None
            }
            Step::Idle(_) if self.level(cx) == StopLevel::Now || !register.must_be_finished() => None,
            other => {
                self.register = Some((register, why));
                Some(pass(other))
            }
        }
    }
}

enum Lap {
    Step(Step<Event, Result<Ended>>),
    Again,
    Idle(Option<Wake>),
}

/// After how long without a heartbeat the platform takes the agent for absent (contract section 3; April 3.2).
fn absence(dialect: Dialect) -> Duration {
    match dialect {
        Dialect::April => Duration::from_secs(90),
        Dialect::Current | Dialect::Unknown => Duration::from_secs(180),
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for Run {
    type Command = RunCommand;
    type Event = Event;
    type Output = Result<Ended>;

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Event, Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            let stopping = self.level(cx) != StopLevel::None;
            match std::mem::replace(&mut self.state, State::Done) {
                State::Start if stopping => return Step::Done(Ok(Ended::Stopped)),
                State::Start => {
                    let id = cx.session.next_effect();
                    self.state = State::Locking(id);
                    return Step::Start(id, Effect::Host(HostOp::Lock));
                }
                State::Locking(id) if stopping => self.state = State::Unwanted(id),
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
                    if let State::Ending(lock, result) = std::mem::replace(&mut self.state, State::Done) {
                        let id = cx.session.next_effect();
                        self.state = State::Unlocking(id, result);
                        return Step::Start(id, Effect::Host(HostOp::Unlock(lock)));
                    }
                }
                State::Finished(result) => return Step::Done(*result),
                state @ (State::Locking(_) | State::Unlocking(..) | State::Done) => {
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
                    Outcome::Host(HostResult::Locked(lock)) => self.begin(cx, lock),
                    Outcome::Failed(fault) => {
                        let error = Error::from_fault("run heartbeat loop", fault);
                        self.state = State::Finished(Box::new(Err(error)));
                    }
                    other => {
                        self.state = State::Locking(expected);
                        return Err(other);
                    }
                }
                return Ok(());
            }
            // A lock that could not be given back goes with the process.
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
        let mut outcome = outcome;
        if let Some((register, _)) = &mut self.register {
            match register.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(back) => outcome = back,
            }
        }
        if let Some(beat) = &mut self.beats.call {
            match beat.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(back) => outcome = back,
            }
        }
        if let Some(look) = &mut self.looks.call {
            match look.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(back) => outcome = back,
            }
        }
        Err(outcome)
    }

    fn command(&mut self, _: &mut Cx<'_>, command: RunCommand) {
        match command {
            RunCommand::Stop => self.stop = self.stop.max(StopLevel::Finish),
            RunCommand::StopNow => self.stop = StopLevel::Now,
            RunCommand::Check => {}
        }
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {
        self.stop = self.stop.max(StopLevel::Finish);
    }
}
