//! When to look at the feed for the first notice in doubt.

use std::time::Duration;

use molecule_proto::{Time, UnixTime, Wake};

use super::look::Look;
use super::{Polled, backoff};
use crate::effect::{EffectId, Outcome};
use crate::machine::{Cx, Machine, Step, pass};

/// When the looks for a notice begin after the first one, counted from its doubt. The last one begins once every row
/// must be visible.
const OFFSETS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15)];

/// The longest wait after looks that failed.
const CAP: Duration = Duration::from_secs(60);

/// The looks at the feed: one at a time.
#[derive(Debug)]
pub(super) struct Looks {
    /// The time within which rows become visible.
    trail: Duration,
    look: Option<(Time, Look)>,
    /// When the last look began that read the feed.
    last: Option<Time>,
    /// When the last look for the first notice began that read the feed.
    last_for_it: Option<Time>,
    failures: u32,
    /// No look begins before this time.
    not_before: Time,
}

impl Looks {
    pub(super) fn new(trail: Duration) -> Self {
        Self { trail, look: None, last: None, last_for_it: None, failures: 0, not_before: Time::ZERO }
    }

    /// Begins the looks for another notice. The wait after looks that failed goes on: it concerns the feed.
    pub(super) fn begin(&mut self, now: Time) {
        (self.last_for_it, self.not_before) = (None, self.not_before.max(now));
    }

    /// Begins no look before this time, for which the server asked.
    pub(super) fn wait_until(&mut self, at: Time) {
        self.not_before = self.not_before.max(at);
    }

    /// Returns whether the feed was read so late that it shows every notice which was sent before this time.
    pub(super) fn shows_all(&self, from: Time) -> bool {
        self.last.is_some_and(|last| last >= from + self.trail)
    }

    /// Starts the next look if it is due, back to a time of the server's clock.
    pub(super) fn start_due(&mut self, now: Time, from: Time, since: UnixTime) -> bool {
        if self.look.is_some() || self.at(from) > now {
            return false;
        }
        self.look = Some((now, Look::back_to(since)));
        true
    }

    /// Returns the wake of the next look for a notice in doubt since this time.
    pub(super) fn next(&self, from: Time) -> Option<Wake> {
        let wake = Wake { at: self.at(from), why: "look whether a notice arrived" };
        self.look.is_none().then_some(wake)
    }

    fn at(&self, from: Time) -> Time {
        let Some(last) = self.last_for_it else { return from.max(self.not_before) };
        let next = OFFSETS.into_iter().map(|offset| from + offset).find(|at| *at > last);
        let end = from + self.trail;
        next.map_or(end, |next| next.min(end)).max(self.not_before)
    }

    pub(super) fn is_free(&self) -> bool {
        self.look.is_none()
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Polled {
        let Some((began, look)) = &mut self.look else { return Polled::Idle(None) };
        let began = *began;
        let read = match look.poll(cx) {
            Step::Done(read) => read,
            Step::Idle(wake) => return Polled::Idle(wake),
            other => return Polled::Step(pass(other)),
        };
        self.look = None;
        match read {
            Ok(()) => (self.last, self.last_for_it, self.failures) = (Some(began), Some(began), 0),
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let wait = backoff(cx, self.failures, CAP).max(error.retry_after().unwrap_or_default());
                self.not_before = cx.now.mono + wait;
            }
        }
        Polled::Changed
    }

    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.look {
            Some((_, look)) => look.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Some((_, look)) = &mut self.look {
            look.cancel(cx);
        }
    }
}
