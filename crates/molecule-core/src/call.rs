//! One endpoint with its retries and the rule for a 401.

pub(crate) mod ask;
mod confirm;
mod judge;
pub(crate) mod retry;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use molecule_proto::{ErrorBody, Time, Token};

use crate::call::confirm::{Confirmation, Doubted};
use crate::call::judge::{Judged, Verdict, judge};
use crate::call::retry::MAX_REQUESTS;
use crate::effect::decode::{Decode, LARGE};
use crate::effect::plugin::StageId;
use crate::effect::{Attempt, Dest, Effect, EffectId, Fault, HostOp, HostResult, Outcome, Sent, Slot, Staged, Stored};
use crate::endpoint::refusal;
use crate::endpoint::{Endpoint, Existence, Mints, View};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::Parting;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step, Wake};
use crate::session::credential::read_token;
use crate::session::credential::{Credential, Kept};
use crate::session::{Auth, Dialect, Session};
use crate::unpack::Progress;

/// A call of one endpoint: at most four requests, with the waits between them, within the call's deadline.
///
/// On a 401: if the session's bearer changed since the request was built, send again; else read the store once, where
/// another process may have put a newer token; else try the bearer that such a one replaced, if the store does not hold it;
/// else look at the open view, which tells a bearer that is dead from a database that is down; then the call fails with
/// `Unauthorized`, `Removed`, or `Unavailable`, which is tried again like any other.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Call<E: Endpoint> {
    /// Shared with what reads a large answer.
    endpoint: Arc<E>,
    state: State<E::Answer>,
    /// Requests that may still be sent.
    left: u32,
    attempts: u32,
    /// The credential of the request whose answer was accepted.
    accepted_with: Option<Token>,
    /// Requests that were sent again because the bearer had changed.
    resends: u32,
    store_read: bool,
    /// Whether a refused bearer is doubted until the open view has told.
    asks_view: bool,
    /// Whether the server may have acted on a request of which no answer came that tells.
    may_have_acted: bool,
    /// When somebody else's time for it is over.
    until: Option<Time>,
    deadline: Option<Time>,
    /// When the application is next told how far a fetch has come.
    next_progress: Option<Time>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State<A> {
    /// Send when polled.
    Ready,
    /// Read the store when polled.
    ToLoad(WhyLoad),
    /// The store is read, because the bearer is not known yet or because it was refused.
    Loading(EffectId, WhyLoad),
    /// The request is under way, with this credential.
    Sent(EffectId, Option<Token>),
    /// Read its large answer when polled.
    ToDecode(Decode, Option<Token>),
    /// The answer is being read.
    Decoding(EffectId, Option<Token>),
    /// The open view is looked at, since this is doubted.
    Confirming(Box<Call<View>>, Doubted<A>),
    /// Send at this moment.
    Waiting(Time),
    /// Nobody waits any more: say so to the effect's performer.
    Cancelling(EffectId),
    Finished(Result<A>),
    Done,
}

#[derive(Debug)]
enum WhyLoad {
    Unread,
    Refused { bearer: Option<Token>, error: Error },
}

/// What a request gets at least of a call that has it.
const LEAST: Duration = Duration::from_secs(1);

const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// More than this many changes of the bearer under one call are somebody's mistake.
const MAX_RESENDS: u32 = 3;

impl<E: Endpoint> Call<E> {
    /// A call with retries.
    pub fn new(endpoint: E) -> Self {
        Self::with_requests(endpoint, MAX_REQUESTS).asking_the_view(true)
    }

    /// A call without retries, for a lane whose own pace stands in for them. The rule for a 401 holds but for its last part: a
    /// lane's 401 has the loop register, which looks at the view.
    pub fn once(endpoint: E) -> Self {
        Self::with_requests(endpoint, 1)
    }

    fn with_requests(endpoint: E, requests: u32) -> Self {
        Self {
            endpoint: Arc::new(endpoint),
            state: State::Ready,
            left: requests,
            attempts: 0,
            accepted_with: None,
            resends: 0,
            store_read: false,
            asks_view: false,
            may_have_acted: false,
            until: None,
            deadline: None,
            next_progress: None,
            events: VecDeque::new(),
        }
    }

    /// The same, over by this moment if the endpoint's own limit does not end it before.
    pub(crate) fn until(self, at: Time) -> Self {
        Self { until: Some(at), ..self }
    }

    /// The same, asking the open view about a refused bearer, or not.
    pub(crate) fn asking_the_view(self, asks_view: bool) -> Self {
        Self { asks_view, ..self }
    }

    /// In a flow that is cancelled: a request that is under way is waited for, and none follows it.
    pub(crate) fn wait_if_sent() -> Parting<Self> {
        Parting {
            cancel: |call, cx| if call.is_sent() { call.no_more_requests() } else { call.cancel(cx) },
            is_bound: Self::is_sent,
        }
    }

    /// Sends nothing more; what is under way is waited for.
    pub(crate) fn no_more_requests(&mut self) {
        self.left = 0;
        self.resends = MAX_RESENDS;
        if let State::Ready | State::Waiting(_) = self.state {
            self.finish(Err(Error::cancelled(E::OPERATION)));
        }
    }

    /// The credential of the request whose answer was accepted.
    pub(crate) fn accepted_with(&self) -> Option<&Token> {
        self.accepted_with.as_ref()
    }

    /// Whether a request is under way that the server may act upon, or what it answered is not known yet.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent(..) | State::ToDecode(..) | State::Decoding(..))
    }

    fn finish(&mut self, result: Result<E::Answer>) {
        let (attempts, acted) = (self.attempts, self.may_have_acted);
        let result = result.map_err(|error| error.with_attempts(attempts).with_may_have_acted(acted));
        self.state = State::Finished(result);
    }

    fn send(&mut self, cx: &mut Cx<'_>) -> Option<(EffectId, Effect)> {
        let deadline = self.deadline(cx);
        if self.until.is_some_and(|until| until <= cx.now.mono) {
            self.finish(Err(Self::out_of_time()));
            return None;
        }
        cx.session.vitals.started.get_or_insert(cx.now.mono);
        let draft = match self.endpoint.draft(cx.session.workspace_id()) {
            Ok(draft) => draft,
            Err(error) => {
                self.finish(Err(error.during(E::OPERATION)));
                return None;
            }
        };
        if *draft.auth() == Auth::Bearer && matches!(cx.session.credential(), Credential::Unread) {
            return Some(self.load(cx, WhyLoad::Unread));
        }
        if *draft.auth() == Auth::Bearer && cx.session.held().is_none() && !E::WITHOUT_BEARER {
            self.finish(Err(Session::no_token(E::OPERATION)));
            return None;
        }
        let credential = cx.session.credential_of(draft.auth()).cloned();
        let mut request = match cx.session.bind(draft) {
            Ok(request) => request,
            Err(error) => {
                self.finish(Err(error.during(E::OPERATION)));
                return None;
            }
        };
        // A clock that jumped past the deadline (a laptop that slept) must not make a request without any time.
        let left = deadline.since(cx.now.mono).max(LEAST);
        let left = self.until.map_or(left, |until| left.min(until.since(cx.now.mono)));
        let mut limits = self.endpoint.limits(&cx.session.config().timeouts, left);
        if E::MINTS == Mints::Always || (E::MINTS == Mints::WithoutBearer && credential.is_none()) {
            (limits.head, limits.total) = (left, left);
        }
        let limits = limits.repeated(E::REPEAT);
        let id = cx.session.next_effect();
        self.left = self.left.saturating_sub(1);
        self.attempts += 1;
        request.extensions_mut().insert(Attempt { operation: E::OPERATION, number: self.attempts });
        cx.session.counters.sent(request.body().len(), self.attempts > 1);
        self.state = State::Sent(id, credential);
        let effect = match self.endpoint.dest() {
            Some(dest) => Effect::Fetch(request, limits, dest),
            None => Effect::Http(request, limits),
        };
        Some((id, effect))
    }

    /// When the call is over, from its first request on.
    fn deadline(&mut self, cx: &Cx<'_>) -> Time {
        if let Some(deadline) = self.deadline {
            return deadline;
        }
        let own = cx.now.mono + self.endpoint.deadline(&cx.session.config().timeouts);
        let deadline = self.until.map_or(own, |until| own.min(until));
        self.deadline = Some(deadline);
        deadline
    }

    fn out_of_time() -> Error {
        Error::new(ErrorKind::Timeout, E::OPERATION, "the limit passed before the request could be sent")
            .retryable(true)
            .remedy("try again later, or raise the limit")
    }

    fn load(&mut self, cx: &mut Cx<'_>, why: WhyLoad) -> (EffectId, Effect) {
        let id = cx.session.next_effect();
        self.state = State::Loading(id, why);
        (id, Effect::Host(HostOp::Load(Slot::Token)))
    }

    /// A large answer is read with the session unlocked, every other one at once.
    fn answered(&mut self, cx: &mut Cx<'_>, credential: Option<Token>, answer: Response<Bytes>) {
        cx.session.counters.received(answer.body().len() as u64);
        let (endpoint, sent_with) = (Arc::clone(&self.endpoint), credential.clone());
        let is_large = answer.body().len() > LARGE;
        let workspace = cx.session.workspace_id().clone();
        let read = move || judge(&*endpoint, &workspace, sent_with.as_ref(), answer);
        if is_large {
            self.state = State::ToDecode(Decode::new(read), credential);
        } else {
            self.judged(cx, credential, read());
        }
    }

    fn judged(&mut self, cx: &mut Cx<'_>, credential: Option<Token>, judged: Judged<E::Answer>) {
        let Judged { status, headers, body, is_relayed, is_doubtful, verdict } = judged;
        let wait = retry::retry_after(&headers, body.as_ref(), cx.now.unix);
        if !is_relayed {
            cx.session.rate.learn(cx.now.mono, status, &headers, wait);
        }
        let error = match verdict {
            Verdict::Accepted(decoded) => {
                self.accepted_with.clone_from(&credential);
                if is_doubtful && self.asks_view && cx.session.dialect != Some(Dialect::Current) {
                    return self.confirm(cx, Doubted::Answer(decoded));
                }
                return self.accepted(cx, decoded);
            }
            Verdict::Refused(error) => error.with_retry_after(wait),
        };
        self.turned_down(cx, credential, is_relayed, body.as_ref(), error);
    }

    fn accepted(&mut self, cx: &mut Cx<'_>, decoded: Result<E::Answer>) {
        // A web page is the answer of something else.
        self.may_have_acted |= decoded.as_ref().is_err_and(|error| error.kind() != ErrorKind::Routing);
        cx.session.counters.failures += u64::from(decoded.is_err());
        self.finish(decoded);
    }

    /// An answer whose body passes the cap. None of the platform's errors is so long, but what the status says holds.
    fn answered_at_length(&mut self, cx: &mut Cx<'_>, credential: Option<Token>, head: &Response<()>) {
        let status = head.status();
        let wait = retry::retry_after(head.headers(), None, cx.now.unix);
        if !E::RELAYED {
            cx.session.rate.learn(cx.now.mono, status, head.headers(), wait);
        }
        if let Some(answer) = self.endpoint.too_large(head) {
            return self.finish(Ok(answer));
        }
        if status.is_success() {
            let error = refusal::too_large(E::OPERATION, head, E::MAX_BODY);
            self.may_have_acted |= error.kind() != ErrorKind::Routing;
            cx.session.counters.failures += 1;
            return self.finish(Err(error));
        }
        self.turned_down(cx, credential, E::RELAYED, None, refusal::refused_at_length(E::OPERATION, head, wait));
    }

    /// The status is an error's: looks for a newer bearer, sends again, or ends.
    fn turned_down(
        &mut self,
        cx: &mut Cx<'_>,
        credential: Option<Token>,
        is_relayed: bool,
        body: Option<&ErrorBody>,
        error: Error,
    ) {
        cx.session.counters.failures += 1;
        let status = error.status().unwrap_or_default();
        self.may_have_acted |= retry::may_have_acted(status, body);
        let error = if E::EVERYWHERE { refusal::elsewhere(error) } else { error };
        let error = self.endpoint.refine(error);
        if status == StatusCode::UNAUTHORIZED && !is_relayed && self.carries_bearer(cx.session) {
            // What stands before the platform knows nothing of the bearer: another one would fare no better.
            let is_about_it = body.is_some_and(refusal::is_about_a_token);
            return if is_about_it { self.unauthorized(cx, credential, error) } else { self.doubt(cx, error) };
        }
        // What the waits are for: a status that says come again, within what is left of requests and time.
        let passes = E::REPEATS_500 && status == StatusCode::INTERNAL_SERVER_ERROR;
        // `refine` may know that what looks like a gateway's is final.
        let is_final = status.is_server_error() && !error.is_retryable();
        if !is_final && (passes || retry::may_repeat_status(status, body, E::REPEAT)) {
            self.retry(cx, error.retry_after(), error.retryable(true));
        } else {
            self.finish(Err(error));
        }
    }

    fn staged(&mut self, cx: &mut Cx<'_>, id: StageId, staged: Staged) -> Result<(), Outcome> {
        cx.session.counters.received(staged.unpacked.received);
        if !E::RELAYED {
            cx.session.rate.learn(cx.now.mono, staged.head.status(), staged.head.headers(), None);
        }
        match self.endpoint.staged(id, staged) {
            Ok(answer) => {
                self.finish(Ok(answer));
                Ok(())
            }
            Err((id, staged)) => Err(Outcome::Staged(id, staged)),
        }
    }

    /// Tells the application, but not of every piece.
    fn progressed(&mut self, now: Time, progress: Progress) {
        if self.next_progress.is_some_and(|at| now < at) {
            return;
        }
        self.next_progress = Some(now + PROGRESS_EVERY);
        if let Some(Dest::Unpack(plugin, _)) = self.endpoint.dest() {
            self.events.push_back(Event::PluginProgress { plugin, progress });
        }
    }

    fn failed(&mut self, cx: &mut Cx<'_>, fault: Fault) {
        cx.session.counters.failures += 1;
        self.may_have_acted |= fault.sent == Sent::Maybe;
        let repeat = retry::may_repeat_fault(&fault, E::REPEAT);
        let error = Error::from_fault(E::OPERATION, fault).retryable(repeat);
        if repeat { self.retry(cx, None, error) } else { self.finish(Err(error)) }
    }

    /// Waits and sends again, or gives the error back at once where no request is left or the wait would pass the
    /// deadline.
    fn retry(&mut self, cx: &mut Cx<'_>, wait: Option<Duration>, error: Error) {
        let retries = self.attempts.saturating_sub(self.resends + 1);
        // Somebody else's time is not outlasted, and a request without any time only makes its end unclear.
        let least = if self.until.is_some() { LEAST } else { Duration::ZERO };
        let wait = match wait {
            Some(asked) => {
                let room = self.deadline.unwrap_or_default().since(cx.now.mono + asked + least);
                retry::not_all_at_once(cx, asked, room)
            }
            None => retry::backoff(&mut cx.session.rng, retries),
        };
        let at = cx.now.mono + wait;
        let in_time = self.deadline.is_some_and(|deadline| at + least < deadline);
        if self.left == 0 || !in_time {
            return self.finish(Err(error));
        }
        let (operation, attempt, error) = (E::OPERATION, self.attempts, error.to_string());
        self.events.push_back(Event::Retrying { operation, attempt, wait, error });
        self.state = State::Waiting(at);
    }

    fn carries_bearer(&self, session: &Session) -> bool {
        self.endpoint.draft(session.workspace_id()).is_ok_and(|draft| *draft.auth() == Auth::Bearer)
    }

    fn unauthorized(&mut self, cx: &mut Cx<'_>, bearer: Option<Token>, error: Error) {
        if cx.session.bearer() != bearer.as_ref() {
            self.resend(cx, error);
        } else if self.store_read {
            self.doubt(cx, error);
        } else {
            self.store_read = true;
            self.state = State::ToLoad(WhyLoad::Refused { bearer, error });
        }
    }

    /// Sends again with the newer bearer. This is no retry: the server turned the last request away unread. While the rate limit is
    /// spent it waits, as far as the call's time goes.
    fn resend(&mut self, cx: &Cx<'_>, error: Error) {
        let at = cx.session.rate.hold_heartbeat(cx.now.mono).unwrap_or(cx.now.mono);
        let in_time = at == cx.now.mono || self.deadline.is_some_and(|deadline| at < deadline);
        if self.resends == MAX_RESENDS || !in_time {
            return self.finish(Err(error));
        }
        self.resends += 1;
        self.left += 1;
        self.state = State::Waiting(at);
    }
}

impl<E: Endpoint> Call<E> {
    fn loaded(&mut self, cx: &mut Cx<'_>, why: WhyLoad, stored: Option<Stored>) {
        let token = match stored.map(|stored| read_token(E::OPERATION, &stored)).transpose() {
            Ok(token) => token,
            Err(error) => return self.not_loaded(cx, why, error),
        };
        match why {
            WhyLoad::Unread => {
                match token {
                    // Somebody else's call may have read or minted one meanwhile: that one is newer.
                    Some(token) if cx.session.held().is_none() => {
                        cx.session.hold(token, Kept::Stored);
                    }
                    Some(_) => {}
                    None => cx.session.hold_none(),
                }
                self.state = State::Ready;
            }
            WhyLoad::Refused { bearer, error } => self.refused(cx, bearer.as_ref(), error, token),
        }
    }

    /// A store that cannot be read has nothing newer: the 401 is what the call ends with, since it may mean a deletion.
    fn not_loaded(&mut self, cx: &mut Cx<'_>, why: WhyLoad, unreadable: Error) {
        match why {
            WhyLoad::Unread => self.finish(Err(unreadable)),
            WhyLoad::Refused { bearer, error } => {
                self.events.push_back(Event::Warning(unreadable.to_string()));
                self.refused(cx, bearer.as_ref(), error, None);
            }
        }
    }

    /// This bearer was refused, and the store was asked.
    fn refused(&mut self, cx: &mut Cx<'_>, bearer: Option<&Token>, error: Error, stored: Option<Token>) {
        if cx.session.bearer() == bearer && cx.session.hold_another(stored) {
            self.events.push_back(Event::TokenChanged);
        }
        if cx.session.bearer() == bearer { self.doubt(cx, error) } else { self.resend(cx, error) }
    }

    /// No other bearer is at hand.
    fn doubt(&mut self, cx: &Cx<'_>, error: Error) {
        if self.asks_view { self.confirm(cx, Doubted::Refusal(error)) } else { self.finish(Err(error)) }
    }

    /// Looks at the open view, within the call's time.
    fn confirm(&mut self, cx: &Cx<'_>, doubted: Doubted<E::Answer>) {
        let deadline = self.deadline.unwrap_or(cx.now.mono);
        let until = if self.until.is_some() { deadline } else { deadline.max(cx.now.mono + LEAST) };
        self.state = State::Confirming(Box::new(Call::once(View).until(until)), doubted);
    }

    fn confirmed(&mut self, cx: &mut Cx<'_>, view: Result<Existence>, doubted: Doubted<E::Answer>) {
        match (Confirmation::of(E::OPERATION, view), doubted) {
            (Confirmation::Holds, Doubted::Refusal(error)) => self.finish(Err(error)),
            (Confirmation::Holds, Doubted::Answer(decoded)) => self.accepted(cx, decoded),
            (Confirmation::Failed(error), _) => self.finish(Err(error)),
            // It was turned away unread, unless a peer said so in the platform's words.
            (Confirmation::Unclear(error), Doubted::Refusal(_)) if !E::RELAYED => {
                self.retry(cx, error.retry_after(), error);
            }
            (Confirmation::Unclear(error), _) => self.finish(Err(error)),
        }
    }
}

impl<E: Endpoint> Machine for Call<E> {
    type Output = Result<E::Answer>;

    fn operation(&self) -> &'static str {
        E::OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Ready => {
                    if let Some((id, effect)) = self.send(cx) {
                        return Step::Start(id, effect);
                    }
                }
                State::ToLoad(why) => {
                    let (id, effect) = self.load(cx, why);
                    return Step::Start(id, effect);
                }
                State::Confirming(mut view, doubted) => match view.poll(cx) {
                    Step::Done(told) => self.confirmed(cx, told, doubted),
                    other => {
                        self.state = State::Confirming(view, doubted);
                        return pass(other);
                    }
                },
                State::Waiting(at) if at <= cx.now.mono => self.state = State::Ready,
                State::Waiting(at) => {
                    self.state = State::Waiting(at);
                    return Step::Idle(Some(Wake { at, why: "send again" }));
                }
                State::ToDecode(decode, credential) => {
                    let id = cx.session.next_effect();
                    self.state = State::Decoding(id, credential);
                    return Step::Start(id, Effect::Decode(decode));
                }
                State::Cancelling(id) => {
                    self.finish(Err(Error::cancelled(E::OPERATION)));
                    return Step::Cancel(id);
                }
                State::Finished(result) => return Step::Done(result),
                state @ (State::Loading(..) | State::Sent(..) | State::Decoding(..) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Loading(expected, why) if expected == id => {
                match outcome {
                    Outcome::Host(HostResult::Loaded(stored)) => self.loaded(cx, why, stored),
                    Outcome::Failed(fault) => self.not_loaded(cx, why, Error::from_fault(E::OPERATION, fault)),
                    other => {
                        self.state = State::Loading(expected, why);
                        return Err(other);
                    }
                }
                Ok(())
            }
            State::Confirming(mut view, doubted) => {
                let end = view.feed(cx, id, outcome);
                self.state = State::Confirming(view, doubted);
                end
            }
            State::Sent(expected, credential) if expected == id => {
                match outcome {
                    Outcome::Response(answer) => self.answered(cx, credential, answer),
                    Outcome::Failed(Fault { head: Some(head), .. }) => self.answered_at_length(cx, credential, &head),
                    Outcome::Failed(fault) => self.failed(cx, fault),
                    Outcome::Progress(progress) => {
                        self.state = State::Sent(expected, credential);
                        self.progressed(cx.now.mono, progress);
                    }
                    Outcome::Staged(stage, staged) => {
                        self.state = State::Sent(expected, credential);
                        return self.staged(cx, stage, staged);
                    }
                    other @ (Outcome::Host(_) | Outcome::Decoded(_)) => {
                        self.state = State::Sent(expected, credential);
                        return Err(other);
                    }
                }
                Ok(())
            }
            State::Decoding(expected, credential) if expected == id => {
                let other = match outcome {
                    Outcome::Decoded(decoded) => match decoded.take() {
                        Ok(judged) => {
                            self.judged(cx, credential, judged);
                            return Ok(());
                        }
                        Err(decoded) => Outcome::Decoded(decoded),
                    },
                    Outcome::Failed(fault) => {
                        self.may_have_acted = true;
                        self.finish(Err(Error::from_fault(E::OPERATION, fault)));
                        return Ok(());
                    }
                    other => other,
                };
                self.state = State::Decoding(expected, credential);
                Err(other)
            }
            state => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Confirming(mut view, doubted) => {
                view.cancel(cx);
                self.state = State::Confirming(view, doubted);
            }
            State::Loading(id, _) | State::Sent(id, _) | State::Decoding(id, _) => self.state = State::Cancelling(id),
            State::Ready | State::ToLoad(_) | State::ToDecode(..) | State::Waiting(_) => {
                self.finish(Err(Error::cancelled(E::OPERATION)))
            }
            state @ (State::Cancelling(_) | State::Finished(_) | State::Done) => self.state = state,
        }
    }
}
