//! Discoveries under way: whoever wants the same peer meanwhile waits for the one.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{Time, WorkspaceId};

use crate::machine::Wake;

/// How long a call waits before it looks again: nobody tells it.
const PAUSE: Duration = Duration::from_millis(50);

/// Which peers are being discovered. Plain data in the session.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    open: BTreeMap<WorkspaceId, Open>,
    begun: u64,
    /// The last one that had begun when a peer was forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    /// A call that was dropped half-way (its runtime is gone) does not end its discovery; after this nobody waits for it.
    until: Time,
}

/// The number of a discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked(u64);

impl Asking {
    /// The discovery of this peer that is under way, and when to look again.
    pub(crate) fn under_way(&self, now: Time, id: &WorkspaceId) -> Option<(Asked, Wake)> {
        let open = self.open.get(id).filter(|open| open.until > now)?;
        let at = open.until.min(now + PAUSE);
        Some((Asked(open.number), Wake { at, why: "another call asks where the peer is" }))
    }

    /// One begins, which may take until then.
    pub(crate) fn begin(&mut self, now: Time, id: &WorkspaceId, until: Time) -> Asked {
        self.begun += 1;
        self.open.retain(|_, open| open.until > now);
        self.open.entry(id.clone()).or_insert(Open { number: self.begun, until });
        Asked(self.begun)
    }

    /// One ended. Tells whether its answer still counts: not if a peer was forgotten since it began.
    pub(crate) fn end(&mut self, id: &WorkspaceId, asked: Asked) -> bool {
        if self.open.get(id).is_some_and(|open| open.number == asked.0) {
            self.open.remove(id);
        }
        asked.0 > self.forgotten
    }

    /// What is under way may bring what this peer was, so nobody waits for it any more, and it is not remembered.
    pub(crate) fn forget(&mut self, id: &WorkspaceId) {
        self.open.remove(id);
        self.forgotten = self.begun;
    }
}
