//! Discoveries in flight: a call that needs the same peer waits for the answer of the first one.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use molecule_proto::{Time, WorkspaceId};

use crate::machine::Wake;

/// The time after which a waiting call checks again, since it gets no notice.
const PAUSE: Duration = Duration::from_millis(50);

/// The peers that are being discovered. Plain data in the session.
#[derive(Debug, Default)]
pub(crate) struct Discoveries {
    open: BTreeMap<WorkspaceId, Open>,
    begun: u64,
    /// The last discovery that had begun when a peer was forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Open {
    /// The number of the discovery, for as long as its call lives.
    number: Weak<u64>,
    /// The time until which other calls wait for this discovery: a call that is neither dropped nor polled again does
    /// not end it.
    until: Time,
}

impl Open {
    fn number(&self, now: Time) -> Option<u64> {
        self.number.upgrade().map(|number| *number).filter(|_| self.until > now)
    }
}

/// A discovery in flight. It ends when it is dropped with its call.
#[derive(Debug, Clone)]
pub(crate) struct Discovery(Arc<u64>);

impl Discoveries {
    /// Returns the number of this peer's discovery in flight, and when to check again.
    pub(crate) fn under_way(&self, now: Time, id: &WorkspaceId) -> Option<(u64, Wake)> {
        let open = self.open.get(id)?;
        let at = open.until.min(now + PAUSE);
        Some((open.number(now)?, Wake { at, why: "another call asks where the peer is" }))
    }

    /// Begins a discovery, for which other calls wait until this time.
    pub(crate) fn begin(&mut self, now: Time, id: &WorkspaceId, until: Time) -> Discovery {
        self.begun += 1;
        self.open.retain(|_, open| open.number(now).is_some());
        let number = Arc::new(self.begun);
        self.open.entry(id.clone()).or_insert(Open { number: Arc::downgrade(&number), until });
        Discovery(number)
    }

    /// Ends a discovery. Returns whether its answer still counts: it does not if a peer was forgotten since the
    /// discovery began.
    pub(crate) fn end(&mut self, id: &WorkspaceId, ended: &Discovery) -> bool {
        if self.open.get(id).is_some_and(|open| std::ptr::eq(open.number.as_ptr(), Arc::as_ptr(&ended.0))) {
            self.open.remove(id);
        }
        *ended.0 > self.forgotten
    }

    /// Forgets a peer. A discovery in flight may bring its old URL, so no call waits for it any more, and its answer is
    /// not cached.
    pub(crate) fn forget(&mut self, id: &WorkspaceId) {
        self.open.remove(id);
        self.forgotten = self.begun;
    }
}
