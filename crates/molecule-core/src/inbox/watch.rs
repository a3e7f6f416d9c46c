//! The event stream, by which the platform says that something has happened (contract section 18.6).
//!
//! The stream only wakes: it is live, may lose events, and says nothing about the token or the workspace. What has
//! happened is read from the feed and the state.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use molecule_proto::{EventReader, StreamEvent, StreamEventType, Time, Wake, path};

use crate::call::retry;
use crate::effect::connection::Repeat;
use crate::effect::{Attempt, Effect, EffectId, Fault, FaultKind, Limits, Outcome};
use crate::endpoint::refusal;
use crate::error::Result;
use crate::event::Event;
use crate::machine::{Cx, Step};
use crate::session::rate::WINDOW;
use crate::session::{Auth, Draft};

#[cfg(test)]
mod tests;

const OPERATION: &str = "watch the event stream";

/// How much of an event is kept: its type, which the platform writes first.
const KEPT: usize = 16 * 1024;

/// The cap of an answer that is no stream.
const MAX_BODY: u64 = 64 * 1024;

/// The longest wait before the stream is opened again.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// How long a server without a stream, or with something before it that passes none, is left alone.
const LATER: Duration = Duration::from_secs(600);

/// How long after the answer to a heartbeat its event may come.
const ECHO: Duration = Duration::from_secs(5);

/// How long after the last event of a delegation its late result is expected. The platform gives up a task that waits for
/// its agent after some minutes.
const LATE_RESULT: Duration = Duration::from_secs(600);

/// A stream may stay silent as long as it likes. Whether it lives is told by the events of heartbeats.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// Watches the event stream where the server has one, a part of the inbox.
///
/// It opens the stream again with backoff whenever that ends. A heartbeat of the agent's own comes back as an event, so
/// a heartbeat without its event means a stream that is dead.
#[derive(Debug)]
pub(crate) struct Watch {
    state: State,
    /// How often the stream ended in a row without having shown that it lives.
    failures: u32,
    woke: Woke,
    /// The agent's own delegations that have not ended, as far as the stream tells, and when it last told of one.
    delegations: (u32, Time),
    /// When the last event of a heartbeat came.
    beat_at: Option<Time>,
    /// When the event of a heartbeat must have come.
    beat_due: Option<Time>,
    warning: Option<String>,
    has_warned: bool,
}

/// The next step of the watch.
#[derive(Debug)]
#[must_use = "a step that is dropped is an effect that never happens or an event that nobody gets"]
pub(crate) enum WatchStep {
    /// Do what the step says, and poll again at once. It is never `Idle` or `Done`.
    Step(Step<Infallible>),
    /// Something has happened. Poll again at once.
    Woke(Woke),
    /// Nothing to do until an outcome, a change of the session, a call of a method, or the wake.
    Idle(Option<Wake>),
}

/// What is to be done because of events of the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Woke {
    /// Read the feed.
    pub(crate) feed: bool,
    /// Poll the state.
    pub(crate) state: bool,
    /// A turn of the platform about a request may wait for a heartbeat of an idle agent.
    pub(crate) request: bool,
}

#[derive(Debug)]
enum State {
    /// Open the stream at this time.
    Closed(Time),
    /// The request was sent, and nothing of the stream has come. It must until the time.
    Opening(EffectId, EventReader, Time),
    /// The stream is open since this time.
    Open(EffectId, EventReader, Time),
    /// Cancel the stream at the next poll, and open it again at the time.
    Cancelling(EffectId, Time),
    Stopping(EffectId),
    Stopped,
}

impl Watch {
    /// Makes a watch that opens the stream at the first poll; one that never does if `is_on` is not set.
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            state: if is_on { State::Closed(Time::ZERO) } else { State::Stopped },
            failures: 0,
            woke: Woke::default(),
            delegations: (0, Time::ZERO),
            beat_at: None,
            beat_due: None,
            warning: None,
            has_warned: false,
        }
    }

    /// Returns whether the stream is open, so that whatever happens will be told by it.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, State::Open(..))
    }

    /// Returns whether a row may come without an event: the result of a delegation whose task was queued.
    pub(crate) fn is_silent(&self, now: Time) -> bool {
        let (open, at) = self.delegations;
        open > 0 && now.since(at) < LATE_RESULT
    }

    /// Says that a heartbeat that was sent at this time got a good answer. Its event is due.
    pub(crate) fn beaten(&mut self, now: Time, sent_at: Time) {
        let State::Open(_, _, opened_at) = &self.state else { return };
        let is_told = self.beat_at.is_some_and(|at| at >= sent_at);
        if *opened_at <= sent_at && !is_told {
            self.beat_due.get_or_insert(now + ECHO);
        }
    }

    /// Closes the stream for good.
    pub(crate) fn stop(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Stopped) {
            State::Opening(id, ..) | State::Open(id, ..) | State::Cancelling(id, _) | State::Stopping(id) => {
                State::Stopping(id)
            }
            State::Closed(_) | State::Stopped => State::Stopped,
        };
    }

    /// Returns the next step.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> WatchStep {
        loop {
            if let Some(sentence) = self.warning.take() {
                return WatchStep::Step(Step::Event(Event::Warning(sentence)));
            }
            let now = cx.now.mono;
            match std::mem::replace(&mut self.state, State::Stopped) {
                State::Stopping(id) => return WatchStep::Step(Step::Cancel(id)),
                State::Stopped => return WatchStep::Idle(None),
                State::Cancelling(id, at) => {
                    self.state = State::Closed(at);
                    return WatchStep::Step(Step::Cancel(id));
                }
                State::Opening(id, _, until) if until <= now => self.given_up(cx, id),
                State::Open(id, ..) if self.beat_due.is_some_and(|due| due <= now) => self.given_up(cx, id),
                state => {
                    self.state = state;
                    if self.woke != Woke::default() {
                        return WatchStep::Woke(std::mem::take(&mut self.woke));
                    }
                    match self.idle_or_open(cx) {
                        Some(step) => return step,
                        None => continue,
                    }
                }
            }
        }
    }

    /// Opens the stream if it is time to. Returns what there is to wait for otherwise.
    fn idle_or_open(&mut self, cx: &mut Cx<'_>) -> Option<WatchStep> {
        let now = cx.now.mono;
        let wake = match &self.state {
            State::Closed(_) if cx.session.held().is_none() => None,
            State::Closed(at) if *at > now => Some(Wake { at: *at, why: "open the event stream" }),
            State::Closed(at) => match cx.session.rate.hold_others(now, *at + WINDOW) {
                Some(at) => Some(Wake { at, why: "open the event stream within the rate limit" }),
                None => return Some(self.open(cx)),
            },
            State::Opening(_, _, until) => Some(Wake { at: *until, why: "the event stream does not open" }),
            State::Open(..) => self.beat_due.map(|at| Wake { at, why: "the event of a heartbeat" }),
            State::Cancelling(..) | State::Stopping(_) | State::Stopped => return None,
        };
        Some(WatchStep::Idle(wake))
    }

    fn open(&mut self, cx: &mut Cx<'_>) -> WatchStep {
        let request = match request(cx) {
            Ok(request) => request,
            Err(error) => {
                self.state = State::Stopped;
                return WatchStep::Step(Step::Event(Event::Warning(error.during(OPERATION).to_string())));
            }
        };
        let timeouts = &cx.session.config().timeouts;
        let limits: Limits = timeouts.limits(timeouts.request, MAX_BODY).repeated(Repeat::Always).read(SILENCE);
        let until = cx.now.mono + limits.total;
        if until <= cx.now.mono {
            // At the end of time a stream would be given up as soon as it is opened, and opened again.
            return WatchStep::Idle(None);
        }
        let id = cx.session.next_effect();
        cx.session.counters.sent(0, self.failures > 0);
        self.beat_due = None;
        self.state = State::Opening(id, EventReader::new(KEPT), until);
        WatchStep::Step(Step::Start(id, Effect::Watch(request, limits)))
    }

    /// Takes the outcome of an effect.
    ///
    /// # Errors
    /// Gives back an outcome that is not the watch's.
    pub(crate) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Opening(expected, reader, until) if expected == id => match outcome {
                Outcome::Part(part) => self.read(cx, (id, reader, None), &part),
                Outcome::Response(answer) => self.refused(cx, &answer),
                Outcome::Failed(fault) => self.not_opened(cx, &fault),
                other => {
                    self.state = State::Opening(expected, reader, until);
                    return Err(other);
                }
            },
            State::Open(expected, reader, since) if expected == id => match outcome {
                Outcome::Part(part) => self.read(cx, (id, reader, Some(since)), &part),
                Outcome::Failed(_) => {
                    if let Some(event) = reader.finish() {
                        self.happened(cx.now.mono, &event);
                    }
                    self.close(cx, None);
                }
                other => {
                    self.state = State::Open(expected, reader, since);
                    return Err(other);
                }
            },
            state => {
                self.state = state;
                return Err(outcome);
            }
        }
        Ok(())
    }

    /// Reads a part. `since` is when the first one came, if this is not it.
    fn read(&mut self, cx: &mut Cx<'_>, (id, mut reader, since): (EffectId, EventReader, Option<Time>), part: &Bytes) {
        cx.session.counters.received(part.len() as u64);
        let now = cx.now.mono;
        let events = reader.push(part);
        if reader.is_foreign() {
            self.warn("what the platform's event stream answers is no event stream".to_owned());
            self.close(cx, Some(LATER));
            let State::Closed(at) = self.state else { return };
            self.state = State::Cancelling(id, at);
            return;
        }
        // What was written before the stream was open has no event.
        self.woke.feed |= since.is_none();
        for event in events {
            self.happened(now, &event);
        }
        self.state = State::Open(id, reader, since.unwrap_or(now));
    }

    fn happened(&mut self, now: Time, event: &StreamEvent) {
        self.count_delegations(now, event.event_type.as_ref());
        match &event.event_type {
            // The row of a delegation's result has no event of its own.
            Some(
                StreamEventType::ActivityLogged
                | StreamEventType::UserMessage
                | StreamEventType::BroadcastMessage
                | StreamEventType::DelegationComplete
                | StreamEventType::DelegationFailed,
            ) => {
                self.woke.feed = true;
            }
            Some(
                StreamEventType::RequestCreated | StreamEventType::RequestMessage | StreamEventType::RequestResponded,
            ) => {
                self.woke.feed = true;
                self.woke.request = true;
            }
            Some(
                StreamEventType::WorkspacePaused
                | StreamEventType::WorkspaceRemoved
                | StreamEventType::CredentialsRotated,
            ) => self.woke.state = true,
            Some(StreamEventType::WorkspaceHeartbeat) => {
                self.beat_at = Some(now);
                self.beat_due = None;
                self.failures = 0;
            }
            Some(StreamEventType::Other(name)) => self.woke.state |= name.starts_with("WORKSPACE_"),
            Some(_) => {}
            // An event that cannot be read has happened all the same.
            None => self.woke.feed = true,
        }
    }

    fn count_delegations(&mut self, now: Time, event_type: Option<&StreamEventType>) {
        let open = &mut self.delegations.0;
        match event_type {
            Some(StreamEventType::DelegationSent) => *open = open.saturating_add(1),
            Some(StreamEventType::DelegationComplete | StreamEventType::DelegationFailed) => {
                *open = open.saturating_sub(1);
            }
            Some(StreamEventType::DelegationStatus) => {}
            _ => return,
        }
        self.delegations.1 = now;
    }

    /// Handles an answer that is no stream.
    fn refused(&mut self, cx: &mut Cx<'_>, answer: &Response<Bytes>) {
        cx.session.counters.received(answer.body().len() as u64);
        cx.session.counters.failures += 1;
        let wait = retry::retry_after(answer.headers(), refusal::error_body(answer).as_ref(), cx.now.unix);
        self.turned_down(cx, answer, wait);
    }

    fn turned_down<B>(&mut self, cx: &mut Cx<'_>, answer: &Response<B>, wait: Option<Duration>) {
        cx.session.rate.learn(cx.now.mono, answer.status(), answer.headers(), wait);
        match answer.status() {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                self.close(cx, Some(LATER));
            }
            // The state shows whether the bearer is dead.
            StatusCode::UNAUTHORIZED => {
                self.woke.state = true;
                self.close(cx, wait);
            }
            _ => self.close(cx, wait),
        }
    }

    fn not_opened(&mut self, cx: &mut Cx<'_>, fault: &Fault) {
        cx.session.counters.failures += 1;
        // The body is too long, but the status is valid.
        if let Some(head) = &fault.head {
            let wait = retry::retry_after(head.headers(), None, cx.now.unix);
            return self.turned_down(cx, head, wait);
        }
        match fault.kind {
            FaultKind::Protocol => {
                let why = fault.source.as_ref().map(|source| format!(": {source}")).unwrap_or_default();
                self.warn(format!("the platform's event stream cannot be read{why}"));
                self.close(cx, Some(LATER));
            }
            _ => self.close(cx, None),
        }
    }

    /// Gives up a stream that is dead.
    fn given_up(&mut self, cx: &mut Cx<'_>, id: EffectId) {
        self.close(cx, None);
        if let State::Closed(at) = self.state {
            self.state = State::Cancelling(id, at);
        }
    }

    /// Waits before the stream is opened again: at least as long as was asked for, else 1 s, doubled with each failure,
    /// at most 300 s. What has happened since it died has no event, so the feed is read.
    fn close(&mut self, cx: &mut Cx<'_>, asked: Option<Duration>) {
        self.woke.feed = true;
        self.beat_due = None;
        let doubled = retry::BASE.saturating_mul(1 << self.failures.min(10)).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        let wait = match asked {
            Some(asked) => asked + retry::jitter(&mut cx.session.rng, Duration::ZERO, (asked / 4).max(retry::BASE)),
            None => retry::jitter(&mut cx.session.rng, doubled / 2, doubled),
        };
        self.state = State::Closed(cx.now.mono + wait);
    }

    /// Warns once: the agent works without a stream, only later.
    fn warn(&mut self, why: String) {
        if !std::mem::replace(&mut self.has_warned, true) {
            self.warning = Some(format!("{why}; new messages are found by reading the feed again and again"));
        }
    }
}

fn request(cx: &Cx<'_>) -> Result<Request<Bytes>> {
    let path = path::events_stream(cx.session.workspace_id());
    let mut request = cx.session.bind(Draft::new(Method::GET, path, Auth::Bearer))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    request.extensions_mut().insert(Attempt { operation: OPERATION, number: 1 });
    Ok(request)
}
