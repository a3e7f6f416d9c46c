//! How often the inbox has failed in a row, for its events and for the health.

use crate::error::Error;
use crate::event::{Event, Lane};
use crate::machine::Cx;

/// The failures in a row of the two things that the inbox repeats.
#[derive(Debug, Default)]
pub(super) struct Failures {
    reads: u32,
    saves: u32,
}

/// A thing that the inbox repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The reads of the feed.
    Read,
    /// The appends to the journal.
    Save,
}

impl Failures {
    /// Makes the count of a loop that begins. That of an earlier loop ends with it.
    pub(super) fn new(cx: &mut Cx<'_>) -> Self {
        cx.session.vitals.failed(Lane::Inbox, 0);
        Self::default()
    }

    /// Records that something has failed so many times in a row.
    pub(super) fn failed(&mut self, cx: &mut Cx<'_>, what: Repeated, failures: u32, error: &Error) -> Event {
        self.set(cx, what, failures);
        Event::Degraded { lane: Lane::Inbox, failures, error: error.to_string() }
    }

    /// Records that it works again, after so many failures.
    pub(super) fn recovered(&mut self, cx: &mut Cx<'_>, what: Repeated, failures: u32) -> Event {
        self.set(cx, what, 0);
        Event::Recovered { lane: Lane::Inbox, failures }
    }

    fn set(&mut self, cx: &mut Cx<'_>, what: Repeated, failures: u32) {
        match what {
            Repeated::Read => self.reads = failures,
            Repeated::Save => self.saves = failures,
        }
        cx.session.vitals.failed(Lane::Inbox, self.reads.max(self.saves));
    }
}
