//! The member's own view of the store: since when it is whole. Silence of others counts only in it.

use std::time::Duration;

use molecule_proto::Time;

use super::rules::look_gap;

/// What must be read after a connection was made.
#[derive(Debug, Clone, Copy, Default)]
struct Recovery {
    own: bool,
    members: bool,
    claims: bool,
}

#[derive(Debug)]
pub(super) struct Link {
    ttl: Duration,
    grace: Duration,
    recovery: Recovery,
    /// Since when the connection holds and everything has been read; the grace period begins here.
    since: Option<Time>,
    /// Since when the members are looked at without a gap.
    observed: Option<Time>,
    looked: Option<Time>,
    /// Operations before this one were started on an earlier connection.
    barrier: u64,
}

/// The reads of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Own,
    Members,
    Claims,
}

impl Link {
    pub(super) fn new(ttl: Duration, grace: Duration) -> Self {
        Self { ttl, grace, recovery: Recovery::default(), since: None, observed: None, looked: None, barrier: 0 }
    }

    /// The connection was lost, or the store went back: nothing that was read before counts. `next` is the number of the next
    /// operation.
    pub(super) fn interrupt(&mut self, next: u64) {
        *self = Self { barrier: next, ..Self::new(self.ttl, self.grace) };
    }

    pub(super) fn is_of_this_connection(&self, order: u64) -> bool {
        order >= self.barrier
    }

    /// Takes note of a read that succeeded; `splits_gaps` says whether a gap begins the count anew.
    pub(super) fn read(&mut self, read: Read, now: Time, splits_gaps: bool) {
        match read {
            Read::Own => self.recovery.own = true,
            Read::Claims => self.recovery.claims = true,
            Read::Members => {
                self.recovery.members = true;
                let has_gap = self.looked.is_none_or(|looked| now.since(looked) > look_gap(self.ttl));
                if self.observed.is_none() || (has_gap && splits_gaps) {
                    self.observed = Some(now);
                }
                self.looked = Some(now);
            }
        }
        if self.is_recovered() && self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// Whether the own key, the members and the claims have been read on this connection.
    pub(super) fn is_recovered(&self) -> bool {
        self.recovery.own && self.recovery.members && self.recovery.claims
    }

    /// Whether the recovery makes this read next; the own key comes first.
    pub(super) fn lacks(&self, read: Read) -> bool {
        let Recovery { own, members, claims } = self.recovery;
        match read {
            Read::Own => !own,
            Read::Members => own && !members,
            Read::Claims => own && !claims,
        }
    }

    /// Whether the grace period is over: whatever a store that went back has lost, nobody trusts it any longer.
    pub(super) fn is_settled(&self, now: Time) -> bool {
        self.since.is_some_and(|since| now.since(since) >= self.grace)
    }

    /// Since when silence is counted; `None` while the members are not looked at.
    pub(super) fn observed(&self, now: Time) -> Option<Time> {
        let is_looking = self.looked.is_some_and(|looked| now.since(looked) <= look_gap(self.ttl));
        self.observed.filter(|_| is_looking)
    }
}
