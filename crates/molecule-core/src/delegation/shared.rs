//! The polls of the list of delegations, which the waits of one agent share, since each poll shows all delegations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use molecule_proto::Time;

use super::view::DelegationView;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::Wake;

/// The time after which a wait checks again whether another wait's poll has ended, since it gets no notice.
const PAUSE: Duration = Duration::from_millis(50);

/// A poll that began within this time counts as one that begins now.
const FRESH: Duration = Duration::from_millis(250);

/// The result of a poll.
pub(super) type Shown = Result<Arc<[DelegationView]>>;

/// The poll in flight, the result of the last one, and the times of the next polls. Plain data in the session.
#[derive(Debug, Default)]
pub(crate) struct SharedLooks {
    begun: u64,
    open: Option<Open>,
    last: Option<Last>,
    planned: BTreeSet<Time>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    began: Time,
    /// The time until which other waits wait for this poll: a wait that was dropped half-way does not end its poll.
    until: Time,
}

#[derive(Debug)]
struct Last {
    number: u64,
    began: Time,
    shown: Shown,
}

/// What a wait does when it is time to poll.
#[derive(Debug)]
pub(super) enum Look {
    /// The wait uses the result of another wait's poll.
    Shown(Shown),
    /// Another wait's poll is in flight: the wait checks again at the wake.
    UnderWay {
        /// The number of that poll.
        number: u64,
        wake: Wake,
    },
    /// The wait polls under this number, and the other waits use the result.
    Begin(u64),
}

impl SharedLooks {
    /// Returns what a wait does when it is time to poll. `awaited` is the poll that was in flight when it asked before,
    /// `limit` the time limit of a poll.
    pub(super) fn look(&mut self, now: Time, awaited: Option<u64>, limit: Duration) -> Look {
        let is_due = |last: &&Last| awaited == Some(last.number) || now.since(last.began) <= FRESH;
        if let Some(last) = self.last.as_ref().filter(is_due) {
            return Look::Shown(last.shown.clone());
        }
        if let Some(open) = self.open.as_ref().filter(|open| open.until > now) {
            let wake = Wake { at: open.until.min(now + PAUSE), why: "another wait looks at the delegations" };
            return Look::UnderWay { number: open.number, wake };
        }
        self.begun += 1;
        self.open = Some(Open { number: self.begun, began: now, until: now + limit });
        Look::Begin(self.begun)
    }

    /// Records the result of a poll. If its own wait ended it early, by a cancel or by its limit, the result does not
    /// count for the others.
    pub(super) fn ended(&mut self, number: u64, shown: Shown) {
        let Some(open) = self.open.take_if(|open| open.number == number) else { return };
        let is_cut = |error: &Error| matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout);
        if !shown.as_ref().is_err_and(is_cut) {
            self.last = Some(Last { number, began: open.began, shown });
        }
    }

    /// Returns the time within these bounds at which another wait polls anyway.
    pub(crate) fn planned(&self, least: Time, most: Time) -> Option<Time> {
        self.planned.range(least..=most).next().copied()
    }

    /// Records when a wait polls next.
    pub(crate) fn plan(&mut self, now: Time, at: Time) {
        self.planned = self.planned.split_off(&now);
        self.planned.insert(at);
    }
}
