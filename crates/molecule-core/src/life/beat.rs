//! The heartbeat machine: the call, and what the agent learns from its answer.

use std::collections::VecDeque;

use molecule_proto::{HeartbeatAnswer, HeartbeatRequest, InboundSecret};
use zeroize::Zeroizing;

use crate::call::Call;
use crate::effect::{Effect, EffectId, HostOp, HostResult, Outcome, Slot};
use crate::endpoint::{Endpoint, Heartbeat};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::machine::{Cx, Machine, Step, pass};
use crate::session::Session;
use crate::session::credential::InboundState;

/// Sends a heartbeat with the values that the agent last reported. An inbound secret in the answer is stored.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Beat {
    state: State,
    retries: bool,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Ready,
    Calling(Box<Call<Heartbeat>>),
    Saving(Box<SaveInbound>, Box<HeartbeatAnswer>),
    Done,
}

impl Beat {
    /// Makes a heartbeat with the usual retries.
    pub fn new() -> Self {
        Self { state: State::Ready, retries: true, events: VecDeque::new() }
    }

    /// Makes a heartbeat of one request, for the loop.
    pub(crate) fn once() -> Self {
        Self { retries: false, ..Self::new() }
    }

    /// Returns whether an inbound secret from the answer is being stored.
    pub(crate) fn stores_a_secret(&self) -> bool {
        matches!(self.state, State::Saving(..))
    }

    fn request(cx: &Cx<'_>) -> HeartbeatRequest {
        let session = &cx.session;
        let mut beat = HeartbeatRequest::new(session.workspace_id().clone());
        session.report.fill(&mut beat, session.handling_in_all());
        let uptime = session.vitals.started.map(|started| cx.now.mono.since(started).as_secs());
        beat.uptime_seconds = uptime.and_then(|secs| i64::try_from(secs).ok()).unwrap_or_default();
        beat.observed_generation = session.generation;
        beat
    }
}

impl Default for Beat {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for Beat {
    type Output = Result<HeartbeatAnswer>;

    fn operation(&self) -> &'static str {
        Heartbeat::OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Ready => {
                    let endpoint = Heartbeat(Self::request(cx));
                    let call = if self.retries { Call::new(endpoint) } else { Call::once(endpoint) };
                    self.state = State::Calling(Box::new(call));
                }
                State::Calling(mut call) => match call.poll(cx) {
                    Step::Done(Ok(answer)) => {
                        learn(cx, &answer);
                        let save = SaveInbound::new(cx, answer.platform_inbound_secret.clone());
                        if save.is_done() {
                            return Step::Done(Ok(answer));
                        }
                        self.state = State::Saving(Box::new(save), Box::new(answer));
                    }
                    Step::Done(Err(error)) => return Step::Done(Err(error)),
                    other => {
                        self.state = State::Calling(call);
                        return pass(other);
                    }
                },
                State::Saving(mut save, answer) => match save.poll(cx) {
                    Step::Done(()) => return Step::Done(Ok(*answer)),
                    other => {
                        self.state = State::Saving(save, answer);
                        return pass(other);
                    }
                },
                State::Done => return Step::Idle(None),
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.state {
            State::Calling(call) => call.feed(cx, id, outcome),
            State::Saving(save, _) => save.feed(cx, id, outcome),
            State::Ready | State::Done => Err(outcome),
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Calling(call) => call.cancel(cx),
            State::Ready => {
                let mut call = Call::once(Heartbeat(Self::request(cx)));
                call.cancel(cx);
                self.state = State::Calling(Box::new(call));
            }
            // A save of the secret that has started is finished.
            State::Saving(..) | State::Done => {}
        }
    }
}

/// Records what a good heartbeat shows of the server and of the agent.
fn learn(cx: &mut Cx<'_>, answer: &HeartbeatAnswer) {
    let session = &mut cx.session;
    let current = answer.generation.is_some() || answer.platform_inbound_secret.is_some();
    session.learn_dialect(current);
    session.generation = answer.generation.or(session.generation);
    session.vitals.last_beat = Some(cx.now);
    session.counters.beats += 1;
}

/// Stores an inbound secret from an answer, if it is not the one that is held.
///
/// It never fails: if the secret cannot be stored, the agent goes on with a warning, and the next heartbeat tries
/// again.
#[derive(Debug)]
pub(crate) struct SaveInbound {
    state: SaveState,
    /// Whether the secret is another one than before.
    has_changed: bool,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum SaveState {
    Ready(InboundSecret),
    /// The secrets before it are being stored. A crash between the two writes leaves the one before stored in both slots.
    SavingReplaced(EffectId, InboundSecret),
    /// What is left is the secret itself.
    ReadyForSecret(InboundSecret),
    Saving(EffectId, InboundSecret),
    Done,
}

impl SaveInbound {
    /// Makes the save of an announced secret. The secret counts from now on: the platform uses it already.
    pub(crate) fn new(cx: &mut Cx<'_>, announced: Option<InboundSecret>) -> Self {
        let is_saved = |session: &Session, new: &InboundSecret| matches!(&session.inbound_secret, InboundState::Held { secret, saved: true } if secret == new);
        let new = announced.filter(|new| !is_saved(cx.session, new));
        let has_changed = new.as_ref().is_some_and(|new| cx.session.hold_inbound(cx.now, new.clone(), false));
        Self { state: new.map_or(SaveState::Done, SaveState::Ready), has_changed, events: VecDeque::new() }
    }

    /// Returns whether there is nothing to store.
    fn is_done(&self) -> bool {
        matches!(self.state, SaveState::Done)
    }

    fn settle(&mut self, cx: &mut Cx<'_>, secret: InboundSecret, saved: bool) {
        // Another answer may have announced a newer one meanwhile.
        if cx.session.inbound_secret() == Some(&secret) {
            cx.session.hold_inbound(cx.now, secret, saved);
        }
        if self.has_changed {
            self.events.push_back(Event::InboundSecretChanged);
        }
    }
}

impl Machine for SaveInbound {
    type Output = ();

    fn operation(&self) -> &'static str {
        "store the inbound secret"
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<()> {
        if let Some(event) = self.events.pop_front() {
            return Step::Event(event);
        }
        match std::mem::replace(&mut self.state, SaveState::Done) {
            SaveState::Ready(secret) | SaveState::ReadyForSecret(secret)
                if cx.session.inbound_secret() != Some(&secret) =>
            {
                Step::Done(())
            }
            SaveState::Ready(secret)
                if self.has_changed
                    && let Some(replaced) = cx.session.replaced_secrets.content(cx.now) =>
            {
                let id = cx.session.next_effect();
                self.state = SaveState::SavingReplaced(id, secret);
                Step::Start(id, Effect::Host(HostOp::Replace(Slot::ReplacedSecrets, replaced)))
            }
            SaveState::SavingReplaced(id, secret) => {
                self.state = SaveState::SavingReplaced(id, secret);
                Step::Idle(None)
            }
            SaveState::Ready(secret) | SaveState::ReadyForSecret(secret) => {
                let id = cx.session.next_effect();
                let bytes = Zeroizing::new(secret.expose().as_bytes().to_vec());
                self.state = SaveState::Saving(id, secret);
                Step::Start(id, Effect::Host(HostOp::Replace(Slot::InboundSecret, bytes)))
            }
            SaveState::Saving(id, secret) => {
                self.state = SaveState::Saving(id, secret);
                Step::Idle(None)
            }
            SaveState::Done => Step::Done(()),
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, SaveState::Done) {
            SaveState::SavingReplaced(expected, secret) if expected == id => {
                match outcome {
                    // The next write tells of a store that refuses.
                    Outcome::Host(HostResult::Replaced) | Outcome::Failed(_) => {
                        self.state = SaveState::ReadyForSecret(secret);
                    }
                    other => {
                        self.state = SaveState::SavingReplaced(expected, secret);
                        return Err(other);
                    }
                }
                Ok(())
            }
            SaveState::Saving(expected, secret) if expected == id => {
                match outcome {
                    Outcome::Host(HostResult::Replaced) => self.settle(cx, secret, true),
                    Outcome::Failed(fault) => {
                        // One warning for each secret, since every heartbeat announces it again.
                        if self.has_changed {
                            let error = Error::from_fault("save the inbound secret", fault);
                            self.events.push_back(Event::Warning(error.to_string()));
                        }
                        self.settle(cx, secret, false);
                    }
                    other => {
                        self.state = SaveState::Saving(expected, secret);
                        return Err(other);
                    }
                }
                Ok(())
            }
            state => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    /// Does nothing: a save that has started is finished.
    fn cancel(&mut self, _: &mut Cx<'_>) {}
}
