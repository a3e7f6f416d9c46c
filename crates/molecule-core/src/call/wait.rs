//! Waiting for the end of something that the platform works on, by looking at it now and then.

use std::time::Duration;

use molecule_proto::{DelegationId, QueueId, Time};

use crate::call::retry::{jitter, spread};
use crate::config::options::check_limit;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Line, machine_of_flow};
use crate::machine::{Cx, Wake};
use crate::session::Session;

/// What to wait for, and for how long; an id is one with half an hour of patience, the platform's own limit for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nobody waits until it is handed to the agent"]
pub struct WaitFor {
    pub(crate) id: String,
    pub(crate) patience: Duration,
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

/// Looks now and then until the end, with one request each: after a second, then after twice as long each time, at most
/// 30 s. Looks that fail for a while are no end, unless the server asks to stay away until the patience is over; neither is it
/// that the platform knows nothing of it in the first minute. Several waits for delegations look together: the list shows all of
/// them, so that any number of waits costs hardly more requests than one.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Wait<End>(Flow<Result<End>>);

machine_of_flow!(Wait<End>, Result<End>);

/// Something that ends some time.
pub(crate) trait Awaited: Send + Sync + 'static {
    /// What its end is.
    type End;
    /// What waiting for it is called, for errors: `wait for delegation`.
    const WAIT: &'static str;

    /// A look with one request, over by this moment: its end, if the look shows it.
    fn look(&self, line: &Line, until: Time) -> impl Future<Output = Result<Option<Self::End>>> + Send;

    /// The moment within these bounds at which somebody looks anyway and shows this one's state too.
    fn planned(&self, _: &Session, _least: Time, _most: Time) -> Option<Time> {
        None
    }

    /// The next look is at this moment.
    fn plan(&self, _: &mut Cx<'_>, _at: Time) {}
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

impl<End: Send + 'static> Wait<End> {
    pub(crate) fn new<A: Awaited<End = End>>(awaited: A, patience: Duration) -> Self {
        Self(Flow::new(A::WAIT, move |line| async move {
            wait(&line, &awaited, patience).await.map_err(|error| error.during(A::WAIT))
        }))
    }
}

async fn wait<A: Awaited>(line: &Line, awaited: &A, patience: Duration) -> Result<A::End> {
    line.check()?;
    check_limit("wait's", patience)?;
    let began = line.with(|cx| cx.now.mono);
    let mut looks = 0;
    loop {
        let until = line.with(|cx| (began + patience).max(cx.now.mono + LAST_LOOK));
        looks += 1;
        let look = awaited.look(line, until).await;
        let since = line.with(|cx| cx.now.mono.since(began));
        let passing = match look {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => None,
            Err(_) if line.is_cancelled() => None,
            Err(error) if error.kind() == ErrorKind::NotFound && since < GRACE => Some(error),
            Err(error) if error.is_retryable() => Some(error),
            Err(error) => return Err(error),
        };
        line.check()?;
        let asked = passing.as_ref().and_then(Error::retry_after).unwrap_or_default();
        let (now, next) = line.with(|cx| (cx.now.mono, next_look(awaited, cx, looks, asked, began + patience)));
        // A clock that stands at its end shows no later moment, and where the server asks to stay away until the patience is
        // over there is nothing to wait for.
        let comes = next > now && next >= now + asked;
        if since >= patience || !comes {
            return Err(passing.unwrap_or_else(|| out_of_patience(A::WAIT)));
        }
        line.pause("wait for the next look", Wake { at: next, why: "look again" }).await?;
    }
}

/// When the next look is due after so many. `asked`: how long the server wants to be left alone. `last`: when the patience is over.
fn next_look<A: Awaited>(awaited: &A, cx: &mut Cx<'_>, looks: u32, asked: Duration, last: Time) -> Time {
    let now = cx.now.mono;
    let most = FIRST.saturating_mul(1 << looks.saturating_sub(1).min(5)).min(CAP);
    let asked = if asked.is_zero() { asked } else { spread(cx, asked, CAP) };
    let jittered = now + jitter(&mut cx.session.rng, most / 2, most);
    let next = awaited.planned(cx.session, now + most / 2, now + most).unwrap_or(jittered).max(now + asked);
    // A look can wait for a window in which the heartbeats have room.
    let next = cx.session.rate.hold_others(now, now + CAP).map_or(next, |until| next.max(until));
    let next = next.min(last).max(now + Duration::from_millis(1));
    awaited.plan(cx, next);
    next
}

fn out_of_patience(operation: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, operation, "it is not over, and the time to wait for it is")
        .retryable(true)
        .remedy("wait once more: it goes on meanwhile")
}
