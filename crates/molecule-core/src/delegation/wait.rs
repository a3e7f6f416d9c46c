//! Waiting for the end of something that the platform works on, by looking at it now and then.

use std::fmt;
use std::time::Duration;

use molecule_proto::{DelegationId, QueueId, Time};

use crate::call::ask::{Ask, Question};
use crate::call::retry::{jitter, not_all_at_once};
use crate::config::options::check_limit;
use crate::delegation::queue::{QueueOutcome, QueuedItem, is_long_reply};
use crate::delegation::{DelegationOf, DelegationView};
use crate::effect::{EffectId, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::machine::pass;
use crate::machine::{Cx, Machine, Now, Step, Wake};
use crate::session::Session;

/// What to wait for, and for how long; an id is one with half an hour of patience, the platform's own limit for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nobody waits until it is handed to the agent"]
pub struct WaitFor {
    id: String,
    patience: Duration,
}

impl WaitFor {
    /// For this one, at most half an hour.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self { id: id.as_ref().to_owned(), patience: PATIENCE }
    }

    /// Waits at most so long, and at most an hour; the last look begins by then and takes at most a second. What is waited
    /// for goes on.
    pub fn at_most(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

macro_rules! wait_for_ids {
    ($($id:ty),*) => {
        $(impl From<$id> for WaitFor {
            fn from(id: $id) -> Self {
                Self::new(id)
            }
        })*
    };
}

wait_for_ids!(&str, String, DelegationId, &DelegationId, QueueId, &QueueId);

/// Something that ends some time.
pub trait Awaited: Question + Clone {
    /// What its end is.
    type End;
    /// What waiting for it is called, for errors: `wait for delegation`.
    const WAIT: &'static str;

    /// The question of a look that is over by this moment.
    fn look(&self, _: Time) -> Self {
        self.clone()
    }

    /// The moment within these bounds at which somebody looks anyway and shows this one's state too.
    fn planned(&self, _: &Session, _least: Time, _most: Time) -> Option<Time> {
        None
    }

    /// The next look is at this moment.
    fn plan(&self, _: &mut Cx<'_>, _at: Time) {}

    /// Its end, if this look shows it.
    fn end_of(&self, look: Self::Output, now: Now) -> Option<Self::End>;

    /// The same of a look that failed.
    fn end_of_failed(&self, _: &Error) -> Option<Self::End> {
        None
    }
}

impl Awaited for DelegationOf {
    type End = DelegationView;
    const WAIT: &'static str = "wait for delegation";

    fn look(&self, until: Time) -> Self {
        self.shared(until)
    }

    fn planned(&self, session: &Session, least: Time, most: Time) -> Option<Time> {
        session.looks.planned(least, most)
    }

    fn plan(&self, cx: &mut Cx<'_>, at: Time) {
        cx.session.looks.plan(cx.now.mono, at);
    }

    fn end_of(&self, look: DelegationView, _: Now) -> Option<DelegationView> {
        look.is_over().then_some(look)
    }
}

impl Awaited for QueuedItem {
    type End = QueueOutcome;
    const WAIT: &'static str = "wait for queue item";

    fn end_of(&self, look: Self::Output, now: Now) -> Option<QueueOutcome> {
        QueueOutcome::taken(look, now.unix)
    }

    fn end_of_failed(&self, error: &Error) -> Option<QueueOutcome> {
        is_long_reply(error).then_some(QueueOutcome::DeliveredReplyLost)
    }
}

/// Looks now and then until the end, with one request each: after a second, then after twice as long each time, at most
/// 30 s. Looks that fail for a while are no end, unless the server asks to stay away until the patience is over; neither is it
/// that the platform knows nothing of it in the first minute. Several waits for delegations look together: the list shows all of
/// them, so that any number of waits costs hardly more requests than one.
#[must_use = "a machine does nothing until it is driven"]
pub struct Wait<A: Awaited> {
    what: A,
    patience: Duration,
    /// From the first look on.
    began: Option<Time>,
    looks: u32,
    state: State<A>,
    cancelled: bool,
}

enum State<A: Awaited> {
    Look,
    Looking(Box<Ask<A>>),
    Waiting(Time),
    Finished(Box<Result<A::End>>),
    Done,
}

/// How long is waited unless told otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);

/// Between two looks.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
pub(crate) const CAP: Duration = Duration::from_secs(30);

/// What the last look may take.
pub(crate) const LAST_LOOK: Duration = Duration::from_secs(1);

/// How long something may be unknown that the platform was just given.
const GRACE: Duration = Duration::from_secs(60);

impl Wait<DelegationOf> {
    /// Waits until a delegation is over.
    pub fn for_delegation(wait: impl Into<WaitFor>) -> Self {
        let WaitFor { id, patience } = wait.into();
        Self::new(DelegationOf::new(id), patience)
    }
}

impl Wait<QueuedItem> {
    /// Waits until a queued message was delivered, or will not be.
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn for_queue_item(wait: impl Into<WaitFor>) -> Result<Self> {
        let WaitFor { id, patience } = wait.into();
        Ok(Self::new(QueuedItem::new(id)?, patience))
    }
}

impl<A: Awaited> Wait<A> {
    fn new(what: A, patience: Duration) -> Self {
        Self { what, patience, began: None, looks: 0, state: State::Look, cancelled: false }
    }

    fn finish(&mut self, end: Result<A::End>) {
        self.state = State::Finished(Box::new(end.map_err(|error| error.during(A::WAIT))));
    }

    fn begin(&mut self, cx: &Cx<'_>) {
        if let Err(error) = check_limit("wait's", self.patience) {
            return self.finish(Err(error));
        }
        let began = *self.began.get_or_insert(cx.now.mono);
        let until = (began + self.patience).max(cx.now.mono + LAST_LOOK);
        self.looks += 1;
        self.state = State::Looking(Box::new(Ask::once(self.what.look(until)).asking_the_view().until(until)));
    }

    fn looked(&mut self, cx: &mut Cx<'_>, look: Result<A::Output>) {
        let since = cx.now.mono.since(self.began.unwrap_or_default());
        if let Some(end) = look.as_ref().err().and_then(|error| self.what.end_of_failed(error)) {
            return self.finish(Ok(end));
        }
        let passing = match look.map(|look| self.what.end_of(look, cx.now)) {
            Ok(Some(end)) => return self.finish(Ok(end)),
            Ok(None) => None,
            Err(_) if self.cancelled => None,
            Err(error) if error.kind() == ErrorKind::NotFound && since < GRACE => Some(error),
            Err(error) if error.is_retryable() => Some(error),
            Err(error) => return self.finish(Err(error)),
        };
        if self.cancelled {
            return self.finish(Err(Error::cancelled(A::WAIT)));
        }
        let asked = passing.as_ref().and_then(Error::retry_after).unwrap_or_default();
        let next = self.next_look(cx, asked);
        // A clock that stands at its end shows no later moment, and where the server asks to stay away until the patience is
        // over there is nothing to wait for.
        let comes = next > cx.now.mono && next >= cx.now.mono + asked;
        if since >= self.patience || !comes {
            return self.finish(Err(passing.unwrap_or_else(Self::out_of_patience)));
        }
        self.state = State::Waiting(next);
    }

    fn out_of_patience() -> Error {
        Error::new(ErrorKind::Timeout, A::WAIT, "it is not over, and the time to wait for it is")
            .retryable(true)
            .remedy("wait once more: it goes on meanwhile")
    }

    fn next_look(&self, cx: &mut Cx<'_>, asked: Duration) -> Time {
        let now = cx.now.mono;
        let most = FIRST.saturating_mul(1 << self.looks.saturating_sub(1).min(5)).min(CAP);
        let asked = if asked.is_zero() { asked } else { not_all_at_once(cx, asked, CAP) };
        let jittered = now + jitter(&mut cx.session.rng, most / 2, most);
        let next = self.what.planned(cx.session, now + most / 2, now + most).unwrap_or(jittered).max(now + asked);
        // A look can wait for a window in which the heartbeats have room.
        let next = cx.session.rate.hold_others(now, now + CAP).map_or(next, |until| next.max(until));
        let last = self.began.unwrap_or_default() + self.patience;
        let next = next.min(last).max(now + Duration::from_millis(1));
        self.what.plan(cx, next);
        next
    }
}

impl<A: Awaited> Machine for Wait<A> {
    type Output = Result<A::End>;

    fn operation(&self) -> &'static str {
        A::WAIT
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Look => self.begin(cx),
                State::Looking(mut look) => match look.poll(cx) {
                    Step::Done(end) => self.looked(cx, end),
                    other => {
                        self.state = State::Looking(look);
                        return pass(other);
                    }
                },
                State::Waiting(at) if at <= cx.now.mono => self.state = State::Look,
                State::Waiting(at) => {
                    self.state = State::Waiting(at);
                    return Step::Idle(Some(Wake { at, why: "look again" }));
                }
                State::Finished(end) => return Step::Done(*end),
                State::Done => return Step::Idle(None),
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.state {
            State::Looking(look) => look.feed(cx, id, outcome),
            State::Look | State::Waiting(_) | State::Finished(_) | State::Done => Err(outcome),
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cancelled = true;
        match &mut self.state {
            State::Looking(look) => look.cancel(cx),
            State::Look | State::Waiting(_) => self.finish(Err(Error::cancelled(A::WAIT))),
            State::Finished(_) | State::Done => {}
        }
    }
}

impl<A: Awaited> fmt::Debug for Wait<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({}, {} looks)", A::WAIT, self.looks)
    }
}
