//! The machine that calls one endpoint, with its retries and the rule for a 401.

mod confirm;
mod judge;
pub(crate) mod retry;
pub(crate) mod wait;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use molecule_proto::{ErrorBody, Time, Token};

use crate::call::confirm::{Confirmation, Doubted};
use crate::call::judge::{Judged, Verdict, judge};
use crate::call::retry::MAX_REQUESTS;
use crate::effect::decode::{Decode, LARGE};
use crate::effect::plugin::StageId;
use crate::effect::{
    Attempt, Dest, Effect, EffectId, Fault, HostOp, HostResult, Outcome, Saved, Sent, Slot, Staged, Stored,
};
use crate::endpoint::date::server_time;
use crate::endpoint::refusal;
use crate::endpoint::{Endpoint, Existence, Mints, View};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::Parting;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step, Wake};
use crate::session::credential::read_token;
use crate::session::credential::{Credential, Persistence};
use crate::session::{Auth, Dialect, Session};
use crate::unpack::Progress;

/// A call of one endpoint: at most four requests, and the waits between them, within the call's deadline.
///
/// After a 401 the call tries these steps, in order:
///
/// 1. If the session's bearer has changed since the request was built, send the request again with the new one.
/// 2. Read the store once, where another process may have put a newer token, and send the request again with that.
/// 3. If the session replaced a bearer that is in no store, send the request again with that bearer.
/// 4. Ask the open view whether the bearer is dead or the platform's database is down.
///
/// Then the call fails with `Unauthorized`, `Removed`, or `Unavailable`; the last one is retried like any other.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Call<E: Endpoint> {
    /// Shared with the effect that decodes a large answer.
    endpoint: Arc<E>,
    state: State<E::Answer>,
    /// How many requests may still be sent.
    left: u32,
    attempts: u32,
    /// The credential of the request whose answer was accepted.
    accepted_with: Option<Token>,
    /// How many requests were sent again because the bearer had changed.
    resends: u32,
    store_read: bool,
    /// Whether the open view must confirm that a refused bearer is dead.
    asks_view: bool,
    /// Whether the server may have acted on a request although no answer says so.
    may_have_acted: bool,
    /// The deadline of the caller's own limit, if it has one.
    until: Option<Time>,
    deadline: Option<Time>,
    /// When the next progress event of a fetch may be reported.
    next_progress: Option<Time>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State<A> {
    /// Send the request at the next poll.
    Ready,
    /// Load the token from the store at the next poll.
    ToLoad(WhyLoad),
    /// The token is being loaded, because the session has not read the store yet or because the bearer was refused.
    Loading(EffectId, WhyLoad),
    /// The request with this credential is in flight.
    Sent(EffectId, Option<Token>),
    /// Decode the large answer at the next poll.
    ToDecode(Decode, Option<Token>),
    /// The large answer is being decoded.
    Decoding(EffectId, Option<Token>),
    /// The open view is being asked, since this refusal or answer is in doubt.
    Confirming(Box<Call<View>>, Doubted<A>),
    /// Send the request again at this time.
    Waiting(Time),
    /// Send the request again at this time, if the session's bearer is then another than the refused one.
    Resending {
        at: Time,
        bearer: Option<Token>,
        error: Error,
    },
    /// The caller is gone: cancel the effect at the next poll.
    Cancelling(EffectId),
    Finished(Result<A>),
    Done,
}

#[derive(Debug)]
enum WhyLoad {
    Unread,
    Refused { bearer: Option<Token>, error: Error },
}

/// The least time that a request gets, even at the call's deadline.
const MIN_REQUEST_TIME: Duration = Duration::from_secs(1);

const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// The most resends for a changed bearer in one call. More changes than this are a mistake in the agent's surroundings.
const MAX_RESENDS: u32 = 3;

impl<E: Endpoint> Call<E> {
    /// Makes a call with retries.
    pub fn new(endpoint: E) -> Self {
        Self::with_requests(endpoint, MAX_REQUESTS).asking_the_view(true)
    }

    /// Makes a call without retries, for a lane of the loop, which repeats its request at its own interval. The rule
    /// for a 401 applies except for its last step: after a 401 of a lane the loop registers, and the register asks the
    /// view.
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

    /// Ends the call at this time, unless the endpoint's own limit ends it before.
    pub(crate) fn until(self, at: Time) -> Self {
        Self { until: Some(at), ..self }
    }

    /// Sets whether the call asks the open view about a refused bearer.
    pub(crate) fn asking_the_view(self, asks_view: bool) -> Self {
        Self { asks_view, ..self }
    }

    /// Returns what a cancelled flow does with this call: it waits for a request in flight, and sends no other.
    pub(crate) fn wait_if_sent() -> Parting<Self> {
        Parting {
            cancel: |call, cx| if call.is_sent() { call.no_more_requests() } else { call.cancel(cx) },
            is_bound: Self::is_sent,
        }
    }

    /// Sends no more requests. The call still waits for a request in flight.
    pub(crate) fn no_more_requests(&mut self) {
        self.left = 0;
        self.resends = MAX_RESENDS;
        if let State::Ready | State::Waiting(_) | State::Resending { .. } = self.state {
            self.finish(Err(Error::cancelled(E::OPERATION)));
        }
    }

    /// Returns the credential of the request whose answer was accepted.
    pub(crate) fn accepted_with(&self) -> Option<&Token> {
        self.accepted_with.as_ref()
    }

    /// Returns whether a request is in flight, or its answer is being decoded: the server may have acted on it.
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
        // A clock that jumps past the deadline (a laptop that slept) must not leave a request without any time.
        let left = deadline.since(cx.now.mono).max(MIN_REQUEST_TIME);
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
        let effect = match (self.endpoint.dest(), self.endpoint.upload()) {
            (Some(dest), _) => Effect::Fetch(request, limits, dest),
            (None, Some(upload)) => {
                request.headers_mut().insert(CONTENT_TYPE, upload.content_type());
                Effect::Upload(request, limits, upload)
            }
            (None, None) => Effect::Http(request, limits),
        };
        Some((id, effect))
    }

    /// Returns the call's deadline, which is set at its first request.
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

    /// Decodes a large answer with the session unlocked, every other one at once.
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
        cx.session.notices.begin(cx.now.mono, || server_time(&headers));
        if !is_relayed {
            cx.session.rate.learn(cx.now.mono, status, &headers, wait);
        }
        let error = match verdict {
            Verdict::Accepted(decoded) => {
                self.accepted_with.clone_from(&credential);
                if decoded.is_ok() && !is_doubtful {
                    cx.session.accept(credential.as_ref());
                }
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
        // A web page does not come from the server, so it does not show that the server has acted.
        self.may_have_acted |= decoded.as_ref().is_err_and(|error| error.kind() != ErrorKind::Routing);
        cx.session.counters.failures += u64::from(decoded.is_err());
        self.finish(decoded);
    }

    /// Handles an answer whose body is longer than the cap. None of the platform's errors is so long, but the status is
    /// valid.
    fn answered_above_cap(&mut self, cx: &mut Cx<'_>, credential: Option<Token>, head: &Response<()>) {
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

    /// Handles an error status: looks for a newer bearer, sends the request again, or ends the call.
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
            // A gateway before the platform does not check the bearer, so another bearer would fare no better.
            let is_about_it = body.is_some_and(refusal::is_about_a_token);
            return if is_about_it { self.unauthorized(cx, credential, error) } else { self.doubt(cx, error) };
        }
        // A status that may pass is retried within the requests and the time that are left.
        let passes = E::REPEATS_500 && status == StatusCode::INTERNAL_SERVER_ERROR;
        // `refine` may know that a status that looks like a gateway's is final.
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

    fn saved(&mut self, cx: &mut Cx<'_>, saved: Saved) -> Result<(), Outcome> {
        cx.session.counters.received(saved.bytes);
        if !E::RELAYED {
            cx.session.rate.learn(cx.now.mono, saved.head.status(), saved.head.headers(), None);
        }
        match self.endpoint.saved(saved) {
            Ok(answer) => {
                self.finish(Ok(answer));
                Ok(())
            }
            Err(saved) => Err(Outcome::Saved(saved)),
        }
    }

    /// Reports the progress to the application, at most once in 250 ms.
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

    /// Waits and sends the request again. If no request is left, or the wait would pass the deadline, the call ends
    /// with the error at once.
    fn retry(&mut self, cx: &mut Cx<'_>, wait: Option<Duration>, error: Error) {
        let retries = self.attempts.saturating_sub(self.resends + 1);
        // The call must not outlast its caller's deadline, and a request without any time would only hide why the call
        // ended.
        let least = if self.until.is_some() { MIN_REQUEST_TIME } else { Duration::ZERO };
        let wait = match wait {
            Some(asked) => {
                let room = self.deadline.unwrap_or_default().since(cx.now.mono + asked + least);
                retry::spread(cx, asked, room)
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
            self.resend(cx, bearer, error);
        } else if self.store_read {
            self.doubt(cx, error);
        } else {
            self.store_read = true;
            self.state = State::ToLoad(WhyLoad::Refused { bearer, error });
        }
    }

    /// Sends the request again with the newer bearer. This is no retry, since the server turned the last request away
    /// unhandled. While the rate limit is spent, it waits within the call's deadline.
    fn resend(&mut self, cx: &Cx<'_>, bearer: Option<Token>, error: Error) {
        let at = cx.session.rate.hold_after_limit(cx.now.mono).unwrap_or(cx.now.mono);
        let in_time = at == cx.now.mono || self.deadline.is_some_and(|deadline| at < deadline);
        if self.resends == MAX_RESENDS || !in_time {
            return self.finish(Err(error));
        }
        self.state = State::Resending { at, bearer, error };
    }

    /// Sends the request again, unless another call went back to the refused bearer during the wait.
    fn resend_now(&mut self, cx: &Cx<'_>, bearer: Option<&Token>, error: Error) {
        if cx.session.bearer() == bearer {
            return self.doubt(cx, error);
        }
        self.resends += 1;
        self.left += 1;
        self.state = State::Ready;
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
                    // Another call of the session has loaded or minted a token meanwhile, which is newer.
                    Some(token) if cx.session.held().is_none() => {
                        cx.session.hold(token, Persistence::Stored);
                    }
                    Some(_) => {}
                    None => cx.session.set_missing(),
                }
                self.state = State::Ready;
            }
            WhyLoad::Refused { bearer, error } => self.refused(cx, bearer, error, token),
        }
    }

    /// Handles a store that cannot be read, as if it held no newer token. The call then ends with the 401, since that
    /// may mean a deletion.
    fn not_loaded(&mut self, cx: &mut Cx<'_>, why: WhyLoad, unreadable: Error) {
        match why {
            WhyLoad::Unread => self.finish(Err(unreadable)),
            WhyLoad::Refused { bearer, error } => {
                self.events.push_back(Event::Warning(unreadable.to_string()));
                self.refused(cx, bearer, error, None);
            }
        }
    }

    /// Handles a refused bearer after the store was read.
    fn refused(&mut self, cx: &mut Cx<'_>, bearer: Option<Token>, error: Error, stored: Option<Token>) {
        if cx.session.bearer() == bearer.as_ref() && cx.session.replace_refused(stored) {
            self.events.push_back(Event::TokenChanged);
        }
        if cx.session.bearer() == bearer.as_ref() {
            self.doubt(cx, error);
        } else {
            self.resend(cx, bearer, error);
        }
    }

    /// Handles a refused bearer when there is no other one to try.
    fn doubt(&mut self, cx: &Cx<'_>, error: Error) {
        if self.asks_view { self.confirm(cx, Doubted::Refusal(error)) } else { self.finish(Err(error)) }
    }

    /// Asks the open view, within the call's deadline. While the rate limit is spent, it waits.
    fn confirm(&mut self, cx: &Cx<'_>, doubted: Doubted<E::Answer>) {
        let deadline = self.deadline.unwrap_or(cx.now.mono);
        let until = if self.until.is_some() { deadline } else { deadline.max(cx.now.mono + MIN_REQUEST_TIME) };
        let mut view = Call::once(View).until(until);
        let held = cx.session.rate.hold_after_limit(cx.now.mono);
        if let Some(at) = held.filter(|at| *at + MIN_REQUEST_TIME <= until) {
            view.state = State::Waiting(at);
        }
        self.state = State::Confirming(Box::new(view), doubted);
    }

    fn confirmed(&mut self, cx: &mut Cx<'_>, view: Result<Existence>, doubted: Doubted<E::Answer>) {
        match (Confirmation::of(E::OPERATION, view), doubted) {
            (Confirmation::Holds, Doubted::Refusal(error)) => self.finish(Err(error)),
            (Confirmation::Holds, Doubted::Answer(decoded)) => self.accepted(cx, decoded),
            (Confirmation::Failed(error), _) => self.finish(Err(error)),
            // The platform turned the request away unhandled, unless a peer used the platform's words.
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
            // The state is large, and most polls change nothing.
            if let State::Loading(..) | State::Sent(..) | State::Decoding(..) | State::Done = self.state {
                return Step::Idle(None);
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
                State::Resending { at, bearer, error } if at <= cx.now.mono => {
                    self.resend_now(cx, bearer.as_ref(), error);
                }
                State::Resending { at, bearer, error } => {
                    self.state = State::Resending { at, bearer, error };
                    return Step::Idle(Some(Wake { at, why: "send again with the newer bearer" }));
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
                State::Loading(..) | State::Sent(..) | State::Decoding(..) | State::Done => {
                    unreachable!("they are looked at above")
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        if let State::Loading(own, _) | State::Sent(own, _) | State::Decoding(own, _) = &self.state
            && *own != id
        {
            return Err(outcome);
        }
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
                    Outcome::Failed(Fault { head: Some(head), .. }) => self.answered_above_cap(cx, credential, &head),
                    Outcome::Failed(fault) => self.failed(cx, fault),
                    Outcome::Progress(progress) => {
                        self.state = State::Sent(expected, credential);
                        self.progressed(cx.now.mono, progress);
                    }
                    Outcome::Staged(stage, staged) => {
                        self.state = State::Sent(expected, credential);
                        return self.staged(cx, stage, staged);
                    }
                    Outcome::Saved(saved) => {
                        self.state = State::Sent(expected, credential);
                        return self.saved(cx, saved);
                    }
                    other @ (Outcome::Host(_) | Outcome::Decoded(_) | Outcome::Part(_) | Outcome::Handled(_)) => {
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
            State::Ready | State::ToLoad(_) | State::ToDecode(..) | State::Waiting(_) | State::Resending { .. } => {
                self.finish(Err(Error::cancelled(E::OPERATION)))
            }
            state @ (State::Cancelling(_) | State::Finished(_) | State::Done) => self.state = state,
        }
    }
}
