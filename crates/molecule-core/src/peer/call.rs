//! A call of a peer: which way the message goes, and what became of it.

use std::fmt;
use std::time::Duration;

use molecule_proto::{Time, WorkspaceId};

use super::direct::{self, Direct, Fit};
use super::discover::DiscoverPeer;
use super::outcome::CallOutcome;
use super::outgoing::{PeerCall, Written};
use super::proxy::{A2a, limits};
use crate::call::Call;
use crate::call::ask::Ask;
use crate::call::retry::not_all_at_once;
use crate::config::route::Route;
use crate::config::workspace_id;
use crate::effect::decode::{Decode, LARGE};
use crate::effect::{Attempt, Effect, EffectId, Fault, Limits, Outcome, Sent};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step, Wake};
use crate::session::peer_url::PeerUrl;

/// Sends a message to a peer and tells what became of it (contract section 9; April 7).
///
/// Every request of the call carries the same message under the same id. What a peer may have handled is never sent
/// another way: only a direct call that was certainly not sent, or was answered 401, 403, 404 or 405, goes on through the
/// platform, and that peer is not called directly for 300 s. Nothing keeps a peer from handling what it answers so; it gets
/// that once more then, under the same id.
#[must_use = "a machine does nothing until it is driven"]
pub struct CallPeer {
    target: WorkspaceId,
    call: PeerCall,
    route: Route,
    deadline: Time,
    written: Option<Written>,
    state: State,
    cancelled: bool,
}

enum State {
    Start,
    Discovering(Box<Ask<DiscoverPeer>>),
    Direct(EffectId, PeerUrl),
    /// Read the peer's large answer when polled.
    ToDecode(Decode, PeerUrl),
    /// It is being read.
    Decoding(EffectId, PeerUrl),
    /// The platform asked to stay away until then.
    Waiting(Time),
    Relayed(Box<Call<A2a>>),
    Cancelling(EffectId),
    Finished(Box<Result<CallOutcome>>),
    Done,
}

impl CallPeer {
    /// A call of this peer.
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn new(target: impl AsRef<str>, call: impl Into<PeerCall>) -> Result<Self> {
        Ok(Self {
            target: workspace_id(A2a::OPERATION, target)?,
            call: call.into(),
            route: Route::Auto,
            deadline: Time::ZERO,
            written: None,
            state: State::Start,
            cancelled: false,
        })
    }

    fn finish(&mut self, outcome: CallOutcome) {
        let outcome = match &self.written {
            Some(written) => outcome.of_message(&written.id),
            None => outcome,
        };
        self.state = State::Finished(Box::new(Ok(outcome)));
    }

    fn fail(&mut self, error: Error) {
        let error = error.during(A2a::OPERATION);
        let error = match &self.written {
            Some(written) => error.with_message_id(&written.id),
            None => error,
        };
        self.state = State::Finished(Box::new(Err(error)));
    }

    /// Writes the message, once, and chooses the way.
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.route = self.call.route.unwrap_or(cx.session.config().route);
        self.deadline = cx.now.mono + self.call.limit(cx.session)?;
        self.written = Some(self.call.write(cx.session)?);
        let question = || DiscoverPeer::of(self.target.clone());
        match self.route {
            Route::Auto if !cx.session.peers.is_refused(cx.now, &self.target) => {
                self.state = State::Discovering(Box::new(Ask::once(question().optional()).until(self.deadline)));
            }
            Route::Direct => self.state = State::Discovering(Box::new(Ask::new(question()).until(self.deadline))),
            Route::Auto | Route::Proxy => self.relay(cx),
        }
        Ok(())
    }

    fn discovered(&mut self, cx: &mut Cx<'_>, found: Result<Option<PeerUrl>>) -> Option<(EffectId, Effect)> {
        if self.cancelled {
            self.fail(Error::cancelled(A2a::OPERATION));
            return None;
        }
        self.left(cx)?;
        let found = found.map(|url| url.filter(|url| url.is_direct(cx.session.config().base_url())));
        match (found, self.route) {
            (Ok(Some(url)), _) => return self.send(cx, url),
            (Err(error), Route::Direct) => self.fail(error),
            (Ok(None), Route::Direct) => self.finish(CallOutcome::NoUrl { status: None }),
            (Err(error), Route::Auto | Route::Proxy) if error.retry_after().is_some() => self.stay_away(cx, error),
            // Discovery is not needed for the other way, and may fail where that one works. If it failed for another call
            // because of the rate limit, that is this one's too.
            (Ok(None) | Err(_), Route::Auto | Route::Proxy) => match cx.session.rate.hold_heartbeat(cx.now.mono) {
                Some(until) if until < self.deadline => self.state = State::Waiting(until),
                _ => self.relay(cx),
            },
        }
        None
    }

    /// Waits as long as the platform asks, which would turn the message away too.
    fn stay_away(&mut self, cx: &mut Cx<'_>, error: Error) {
        let asked = error.retry_after().unwrap_or_default();
        let at = cx.now.mono + asked;
        if at >= self.deadline {
            return self.fail(error);
        }
        self.state = State::Waiting(cx.now.mono + not_all_at_once(cx, asked, self.deadline.since(at) / 2));
    }

    fn send(&mut self, cx: &mut Cx<'_>, url: PeerUrl) -> Option<(EffectId, Effect)> {
        let (left, written) = (self.left(cx)?, self.written.as_ref()?);
        let mut request = url.post(written.body.clone());
        request.extensions_mut().insert(Attempt { operation: A2a::OPERATION, number: 1 });
        cx.session.counters.sent(written.body.len(), false);
        let config = cx.session.config();
        let limits = Limits { reach: url.reach(config.base_url()), ..limits(&config.timeouts, left) };
        let id = cx.session.next_effect();
        self.state = State::Direct(id, url);
        Some((id, Effect::Http(request, limits)))
    }

    fn relay(&mut self, cx: &mut Cx<'_>) {
        let (Some(_), Some(written)) = (self.left(cx), &self.written) else { return };
        let endpoint = A2a { target: self.target.clone(), body: written.body.clone() };
        self.state = State::Relayed(Box::new(Call::new(endpoint).until(self.deadline)));
    }

    /// What is left of the call's time; without any it has failed.
    fn left(&mut self, cx: &Cx<'_>) -> Option<Duration> {
        let left = self.deadline.since(cx.now.mono);
        if left.is_zero() {
            self.fail(
                Error::new(ErrorKind::Timeout, A2a::OPERATION, "the limit passed before the message could be sent")
                    .retryable(true)
                    .remedy("try again later, or raise the limit"),
            );
            return None;
        }
        Some(left)
    }

    fn directed(&mut self, cx: &mut Cx<'_>, url: &PeerUrl, end: Direct) {
        let is_fit = !matches!(end, Direct::Refused(_) | Direct::Outcome(_, Fit::No));
        if !is_fit {
            cx.session.peers.refuse(cx.now, &self.target, url);
        }
        match end {
            Direct::Refused(outcome) if self.route == Route::Direct => self.finish(outcome),
            Direct::Refused(_) => self.relay(cx),
            Direct::Outcome(outcome, _) => self.finish(outcome),
            Direct::Unclear(error) => self.fail(unclear(error)),
        }
    }

    fn relayed(&mut self, end: Result<CallOutcome>) {
        match end {
            Ok(outcome) => self.finish(outcome),
            Err(error) => self.fail(unclear(error)),
        }
    }
}

/// Says what to do where nobody knows whether the peer has the message. The same call once more would be another message.
fn unclear(error: Error) -> Error {
    // The platform's own errors have a text, and say that nothing was done; a gateway's have none.
    let is_told = error.server_message().is_some();
    if is_told || !error.may_have_acted() {
        return error;
    }
    error.retryable(false).remedy(
        "the peer may have the message: ask it, or send the same message under the same id (Error::message_id, \
         Message::with_id)",
    )
}

impl Machine for CallPeer {
    type Output = Result<CallOutcome>;

    fn operation(&self) -> &'static str {
        A2a::OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Start => {
                    if let Err(error) = self.begin(cx) {
                        self.fail(error);
                    }
                }
                State::Discovering(mut question) => {
                    if self.deadline <= cx.now.mono {
                        question.cancel(cx);
                    }
                    match question.poll(cx) {
                        Step::Done(found) => {
                            if let Some((id, effect)) = self.discovered(cx, found) {
                                return Step::Start(id, effect);
                            }
                        }
                        Step::Idle(wake) => {
                            self.state = State::Discovering(question);
                            let deadline = Wake { at: self.deadline, why: "the call's limit" };
                            return Step::Idle(Wake::earliest(wake, Some(deadline)));
                        }
                        other => {
                            self.state = State::Discovering(question);
                            return pass(other);
                        }
                    }
                }
                State::Waiting(at) if at <= cx.now.mono => self.relay(cx),
                State::Waiting(at) => {
                    self.state = State::Waiting(at);
                    return Step::Idle(Some(Wake { at, why: "the platform may be asked again" }));
                }
                State::Relayed(mut call) => match call.poll(cx) {
                    Step::Done(end) => self.relayed(end),
                    other => {
                        self.state = State::Relayed(call);
                        return pass(other);
                    }
                },
                State::ToDecode(decode, url) => {
                    let id = cx.session.next_effect();
                    self.state = State::Decoding(id, url);
                    return Step::Start(id, Effect::Decode(decode));
                }
                State::Cancelling(id) => {
                    self.fail(Error::cancelled(A2a::OPERATION));
                    return Step::Cancel(id);
                }
                State::Finished(end) => return Step::Done(*end),
                state @ (State::Direct(..) | State::Decoding(..) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Discovering(mut question) => {
                let end = question.feed(cx, id, outcome);
                self.state = State::Discovering(question);
                end
            }
            State::Relayed(mut call) => {
                let end = call.feed(cx, id, outcome);
                self.state = State::Relayed(call);
                end
            }
            State::Direct(expected, url) if expected == id => {
                match outcome {
                    Outcome::Response(answer) => {
                        cx.session.counters.received(answer.body().len() as u64);
                        cx.session.counters.failures += u64::from(!answer.status().is_success());
                        let now = cx.now.unix;
                        if answer.body().len() > LARGE {
                            self.state = State::ToDecode(Decode::new(move || direct::answered(&answer, now)), url);
                        } else {
                            self.directed(cx, &url, direct::answered(&answer, now));
                        }
                    }
                    Outcome::Failed(Fault { head: Some(head), .. }) => {
                        let end = direct::answered_at_length(&head, cx.now.unix);
                        self.directed(cx, &url, end);
                    }
                    Outcome::Failed(fault) => {
                        cx.session.counters.failures += 1;
                        let end = direct::failed(fault);
                        self.directed(cx, &url, end);
                    }
                    other => {
                        self.state = State::Direct(expected, url);
                        return Err(other);
                    }
                }
                Ok(())
            }
            State::Decoding(expected, url) if expected == id => {
                let read = match outcome {
                    Outcome::Decoded(decoded) => decoded.take().map_err(Outcome::Decoded),
                    // The peer answered, and nobody knows what.
                    Outcome::Failed(fault) => Ok(direct::failed(Fault { sent: Sent::Maybe, ..fault })),
                    other => Err(other),
                };
                match read {
                    Ok(end) => {
                        self.directed(cx, &url, end);
                        Ok(())
                    }
                    Err(other) => {
                        self.state = State::Decoding(expected, url);
                        Err(other)
                    }
                }
            }
            state => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cancelled = true;
        match &mut self.state {
            State::Start | State::Waiting(_) | State::ToDecode(..) => self.fail(Error::cancelled(A2a::OPERATION)),
            State::Discovering(question) => question.cancel(cx),
            State::Relayed(call) => call.cancel(cx),
            State::Direct(id, _) | State::Decoding(id, _) => self.state = State::Cancelling(*id),
            State::Cancelling(_) | State::Finished(_) | State::Done => {}
        }
    }
}

impl fmt::Debug for CallPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Start => "ready",
            State::Discovering(_) => "discovering",
            State::Waiting(_) => "waiting",
            State::Direct(..) | State::ToDecode(..) | State::Decoding(..) => "calling directly",
            State::Relayed(_) => "calling through the platform",
            State::Cancelling(_) => "cancelling",
            State::Finished(_) | State::Done => "done",
        };
        write!(f, "CallPeer({}, {state})", self.target)
    }
}
