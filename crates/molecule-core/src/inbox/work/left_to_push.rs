//! What the inbox leaves to the pushes while the platform sends the messages to the agent's own server.
//!
//! The platform writes the row of a message before it pushes the message (contract section 10.1), so that a reader of the feed is
//! always the first to know of it. A row is therefore left to its push for as long as a push can still come, and is the inbox's
//! after that. What was written before the server took calls is never pushed to it, and is the inbox's at once.

use std::collections::BTreeSet;
use std::time::Duration;

use molecule_proto::{ActivityId, Time};

use super::Work;
use crate::inbox::message::InboundMessage;
use crate::machine::Cx;
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
    fn set(&mut self, mode: Option<PushMode>) -> BTreeSet<ActivityId> {
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

    /// Returns how long a row that is at least so old is left to its push; `None` if it is the inbox's at once.
    fn wait(&self, now: Time, age: Duration) -> Option<Duration> {
        let since = self.since.filter(|_| self.mode.is_some())?;
        let is_older = age > now.since(since) + OPENING;
        PUSHED_WITHIN.checked_sub(age).filter(|wait| !is_older && !wait.is_zero())
    }

    /// Returns when the feed shows everything from before the register, while messages are pushed.
    fn shown_by(&self, trail: Duration) -> Option<Time> {
        self.mode.map(|mode| mode.registered_at + trail)
    }

    /// Notes that a message is looked at again.
    pub(super) fn waits_no_longer(&mut self, row: &ActivityId) {
        self.rows.remove(row);
    }
}

impl Work {
    pub(in crate::inbox) fn leave_to_push(&mut self, mode: Option<PushMode>) {
        for row in self.left_to_push.set(mode) {
            self.schedule.put_off(&row, Time::ZERO);
        }
    }

    /// Returns when the inbox may have a message that no push has brought so far; `None` if that is now. What has no id is never
    /// pushed.
    pub(super) fn ready_for_inbox(&mut self, cx: &Cx<'_>, message: &InboundMessage) -> Option<Time> {
        message.delivery_key()?;
        let now = cx.now.mono;
        let wait = self.left_to_push.wait(now, self.feed.age(now, message.received_at()))?;
        self.left_to_push.rows.insert(message.id().clone());
        Some(now + wait)
    }

    /// Returns whether the feed need not be read now, since messages are pushed.
    pub(super) fn is_left_to_push(&mut self, cx: &Cx<'_>) -> bool {
        let Some(due) = self.read_due() else { return false };
        if due <= cx.now.mono {
            self.feed.wake_at_rest(cx.now.mono);
            return false;
        }
        self.left_to_push.shown_by(self.options.trail).is_some_and(|shown| self.feed.read_at() >= Some(shown))
    }

    /// Returns when the feed is to be read, while messages are pushed: once all rows from before the register are visible, which
    /// the platform shows late, and then at intervals.
    pub(super) fn read_due(&self) -> Option<Time> {
        let shown = self.left_to_push.shown_by(self.options.trail)?;
        Some(self.feed.read_at().filter(|at| *at >= shown).map_or(shown, |at| at + READ_BESIDE_PUSHES))
    }
}
