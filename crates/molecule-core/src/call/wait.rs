//! The wait for the end of something that the platform works on, by polling.

use std::time::Duration;

use molecule_proto::{DelegationId, QueueId, Time};

use crate::call::retry::{jitter, spread};
use crate::config::options::check_limit;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Line, machine_of_flow};
use crate::machine::{Cx, Wake};
use crate::session::Session;

/// What to wait for, and how long. A plain id has a limit of 30 minutes, the platform's own limit for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nobody waits until it is handed to the agent"]
pub struct WaitFor {
    pub(crate) id: String,
    pub(crate) patience: Duration,
}

impl WaitFor {
    /// Makes a wait for this id, of at most 30 minutes.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self { id: id.as_ref().to_owned(), patience: PATIENCE }
    }

    /// Sets the limit of the wait, at most an hour. The last poll begins before the limit passes, and takes at most 1
    /// s. What the agent waits for goes on after that.
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

/// Polls until the end, with one request each time: after 1 s, then after twice as long each time, at most 30 s. A poll
/// that fails for a reason that may pass does not end the wait, unless the server asks to wait longer than the limit.
/// Neither does an unknown id in the first minute. Several waits for delegations share their polls, since the list
/// shows all delegations: any number of waits costs hardly more requests than one.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Wait<End>(Flow<Result<End>>);

machine_of_flow!(Wait<End>, Result<End>);

/// Something whose end can be awaited by polling.
pub(crate) trait Awaited: Send + Sync + 'static {
    /// The type of its end.
    type End;
    /// The wait's operation name for errors, such as `wait for delegation`.
    const WAIT: &'static str;

    /// Polls with one request, which ends by `until`. Returns the end, if the answer shows it.
    fn look(&self, line: &Line, until: Time) -> impl Future<Output = Result<Option<Self::End>>> + Send;

    /// Returns the time within these bounds at which another wait polls anyway and shows the state of this one too.
    fn planned(&self, _: &Session, _least: Time, _most: Time) -> Option<Time> {
        None
    }

    /// Records the time of the next poll.
    fn plan(&self, _: &mut Cx<'_>, _at: Time) {}
}

/// The default limit of a wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);

/// The first and the longest time between two polls.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
pub(crate) const CAP: Duration = Duration::from_secs(30);

/// The time limit of the last poll.
pub(crate) const LAST_LOOK: Duration = Duration::from_secs(1);

/// How long the platform may not know an id that it has just returned.
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
        // The wait also ends if the clock is at the end of its range, or if the server asks to wait longer than the
        // limit.
        let comes = next > now && next >= now + asked;
        if since >= patience || !comes {
            return Err(passing.unwrap_or_else(|| out_of_patience(A::WAIT)));
        }
        line.pause("wait for the next look", Wake { at: next, why: "look again" }).await?;
    }
}

/// Returns the time of the next poll after `looks` polls. `asked` is the wait that the server asked for, `last` the
/// time at which the limit passes.
fn next_look<A: Awaited>(awaited: &A, cx: &mut Cx<'_>, looks: u32, asked: Duration, last: Time) -> Time {
    let now = cx.now.mono;
    let most = FIRST.saturating_mul(1 << looks.saturating_sub(1).min(5)).min(CAP);
    let asked = if asked.is_zero() { asked } else { spread(cx, asked, CAP) };
    let jittered = now + jitter(&mut cx.session.rng, most / 2, most);
    let next = awaited.planned(cx.session, now + most / 2, now + most).unwrap_or(jittered).max(now + asked);
    // A poll can wait for a window that has enough left for heartbeats.
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
