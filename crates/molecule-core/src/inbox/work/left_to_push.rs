//! What the inbox leaves to the pushes while the platform sends the messages to the agent's own server.
//!
//! The platform writes the row of a message before it pushes the message (contract section 10.1), so that a reader of the feed is
//! always the first to know of it. A row is therefore left to its push for as long as a push can still come, and is the inbox's
//! after that. What was written before the server took calls is never pushed to it, and is the inbox's at once.

use std::collections::BTreeSet;
use std::time::Duration;

use molecule_proto::{ActivityId, Time};

use crate::session::delivery::PushMode;

/// How long after its row a message can still be pushed for the first time: the server's limit for the insert of the row is 30 s
/// (contract section 12.1), it takes 10 s each to connect and for TLS (section 9.6), and the agent's server has up to 5 s for the
/// head and 60 s for the body by its defaults. A delegation that failed is tried again within that time too (section 14.1).
///
/// A message that comes later nevertheless, out of the platform's queue, is answered without parts: its reply goes its own way.
pub(crate) const PUSHED_WITHIN: Duration = Duration::from_secs(120);

/// By how much a row must be older than the server to count as older: a server is bound a moment before it is open.
const OPENING: Duration = Duration::from_secs(1);

/// The time between two reads of the feed while messages are pushed. Pushes that failed are found by them, and the cursor follows,
/// so that the next process need not tell rows apart whose answers are no longer kept.
pub(crate) const READ_BESIDE_PUSHES: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default)]
pub(super) struct LeftToPush {
    /// Since when the messages are pushed; `None` while the agent polls.
    mode: Option<PushMode>,
    /// What was written before this time was never pushed to the server.
    since: Option<Time>,
    /// Whether the loop has polled. What was written meanwhile was not pushed either.
    has_polled: bool,
    /// The messages that wait for their pushes.
    rows: BTreeSet<ActivityId>,
}

impl LeftToPush {
    /// Takes the mode. Returns the messages that are left to no push any more.
    pub(super) fn set(&mut self, mode: Option<PushMode>) -> BTreeSet<ActivityId> {
        let before = std::mem::replace(&mut self.mode, mode);
        let Some(mode) = mode else {
            self.has_polled = true;
            return std::mem::take(&mut self.rows);
        };
        if before.is_none() {
            let opened_at = mode.opened_at.filter(|_| !self.has_polled);
            self.since = Some(opened_at.map_or(mode.sent_at, |at| at.min(mode.sent_at)));
        }
        BTreeSet::new()
    }

    /// Leaves a row that is at least so old to its push. Returns until when; `None` if it is the inbox's at once.
    pub(super) fn leave(&mut self, now: Time, age: Duration, row: &ActivityId) -> Option<Time> {
        let since = self.since.filter(|_| self.mode.is_some())?;
        let is_older = age > now.since(since) + OPENING;
        let wait = PUSHED_WITHIN.checked_sub(age).filter(|wait| !is_older && !wait.is_zero())?;
        self.rows.insert(row.clone());
        Some(now + wait)
    }

    /// Returns when the feed shows everything from before the register, while messages are pushed.
    pub(super) fn shown_by(&self, trail: Duration) -> Option<Time> {
        self.mode.map(|mode| mode.registered_at + trail)
    }

    /// Notes that a message is looked at again.
    pub(super) fn waits_no_longer(&mut self, row: &ActivityId) {
        self.rows.remove(row);
    }
}
