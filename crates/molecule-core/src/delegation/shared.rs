//! Looks at the list of delegations that the waits of one agent share, since each look shows all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use molecule_proto::Time;

use super::view::DelegationView;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::Wake;

/// After how long a wait asks again whether the look of another one has ended: nothing wakes it.
const PAUSE: Duration = Duration::from_millis(50);

/// A look that began no longer ago than this counts as one that begins now.
const FRESH: Duration = Duration::from_millis(250);

/// What a look showed.
pub(super) type Shown = Result<Arc<[DelegationView]>>;

/// Which look is under way, what the last one showed, and when the waits look next. Plain data in the session.
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
    /// A wait that was dropped half-way does not end its look; after this nobody waits for it.
    until: Time,
}

#[derive(Debug)]
struct Last {
    number: u64,
    began: Time,
    shown: Shown,
}

/// What a wait does when a look is due.
#[derive(Debug)]
pub(super) enum Look {
    /// It takes what the look of another wait showed.
    Shown(Shown),
    /// The look of another wait is under way: it asks again at the wake.
    UnderWay {
        /// Its number.
        number: u64,
        wake: Wake,
    },
    /// It looks, under this number, and others take what it sees.
    Begin(u64),
}

impl SharedLooks {
    /// The look of a wait for which one is due. `awaited`: the one that was under way when it asked before. `limit`: how long a
    /// look may take.
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

    /// A look ended. One that its own wait cut short, by its caller or by its patience, says nothing to the others.
    pub(super) fn ended(&mut self, number: u64, shown: Shown) {
        let Some(open) = self.open.take_if(|open| open.number == number) else { return };
        let is_cut = |error: &Error| matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout);
        if !shown.as_ref().is_err_and(is_cut) {
            self.last = Some(Last { number, began: open.began, shown });
        }
    }

    /// The moment within these bounds at which another wait looks anyway.
    pub(crate) fn planned(&self, least: Time, most: Time) -> Option<Time> {
        self.planned.range(least..=most).next().copied()
    }

    /// A wait looks next at this moment.
    pub(crate) fn plan(&mut self, now: Time, at: Time) {
        self.planned = self.planned.split_off(&now);
        self.planned.insert(at);
    }
}
