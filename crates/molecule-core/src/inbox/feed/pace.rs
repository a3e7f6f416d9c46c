//! When the feed is read.

use std::time::Duration;

use molecule_proto::{Time, Wake};

use crate::call::retry;
use crate::error::{Error, ErrorKind};
use crate::machine::Cx;
use crate::session::rate::WINDOW;

/// A read is early by up to the interval divided by this.
const EARLY: u32 = 10;

#[derive(Debug)]
pub(super) struct Pace {
    /// The time between two reads without an event stream.
    poll: Duration,
    /// The same while one is open.
    idle_poll: Duration,
    is_live: bool,
    /// When something has happened that is not read yet.
    woken: Option<Time>,
    /// When the next read is due.
    due: Time,
    /// Until when nothing is read after a failure, whatever happens.
    blocked_until: Time,
    /// When the whole tail is to be read again, if it is longer than a page.
    deep_due: Time,
    started: Time,
    /// When the last request was made.
    asked: Time,
    was_woken: bool,
}

impl Pace {
    pub(super) fn new(poll: Duration, idle_poll: Duration) -> Self {
        Self {
            poll,
            idle_poll,
            is_live: false,
            woken: None,
            due: Time::ZERO,
            blocked_until: Time::ZERO,
            deep_due: Time::ZERO,
            started: Time::ZERO,
            asked: Time::ZERO,
            was_woken: false,
        }
    }

    pub(super) fn wake(&mut self, now: Time) {
        self.woken.get_or_insert(now);
    }

    pub(super) fn set_live(&mut self, cx: &mut Cx<'_>, is_live: bool) {
        if std::mem::replace(&mut self.is_live, is_live) && !is_live {
            self.due = self.due.min(cx.now.mono + early(cx, self.poll));
        }
    }

    /// Returns until when the next request waits; `None` if it is due. A scarce rate budget delays a read that nothing
    /// asked for by a window of the server; one that something has asked for, and each page of a pass, by an interval.
    pub(super) fn wait(&self, cx: &Cx<'_>, is_reading: bool) -> Option<Wake> {
        let now = cx.now.mono;
        let (at, patience) = match self.woken {
            _ if is_reading => (now, self.asked + self.poll),
            Some(woken) => (now, woken + self.poll),
            None => (self.due, self.due + WINDOW),
        };
        let at = at.max(self.blocked_until);
        if at > now {
            return Some(Wake { at, why: "read the feed" });
        }
        let at = cx.session.rate.hold_others(now, patience)?;
        Some(Wake { at, why: "read the feed within the rate limit" })
    }

    /// Notes that a request is made.
    pub(super) fn ask(&mut self, now: Time) {
        self.asked = now;
    }

    /// Begins a pass. Returns whether it reads the whole tail.
    pub(super) fn begin(&mut self, now: Time) -> bool {
        self.started = now;
        self.was_woken = self.woken.take().is_some();
        self.deep_due <= now
    }

    /// Ends a pass. `pages` is how many requests a read of the whole tail takes, if that is more than one.
    pub(super) fn ended(&mut self, cx: &mut Cx<'_>, has_found: bool, pages: u32) {
        // What woke the reader may become visible in a moment.
        let is_seldom = self.is_live && (has_found || !self.was_woken);
        let interval = if is_seldom { self.idle_poll } else { self.poll };
        self.due = (self.started + early(cx, interval)).max(cx.now.mono);
        if self.deep_due <= self.started {
            let pause = self.poll.max(Duration::from_secs(u64::from(pages)));
            self.deep_due = if pages == 0 { Time::ZERO } else { cx.now.mono + pause };
        }
    }

    /// Ends a pass that failed: the next one comes after 1 s, doubled with each failure, at most 30 s or the interval;
    /// or after the time that the server asked for.
    pub(super) fn failed(&mut self, cx: &mut Cx<'_>, failures: u32, error: &Error) {
        let most = retry::CAP.max(self.poll);
        let wait = match error.retry_after() {
            Some(asked) if error.kind() == ErrorKind::RateLimited => {
                asked + retry::jitter(&mut cx.session.rng, self.poll / 2, WINDOW.min(self.poll * 4))
            }
            Some(asked) => retry::spread(cx, asked, most),
            None => {
                let most = retry::BASE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(most);
                retry::jitter(&mut cx.session.rng, most / 2, most)
            }
        };
        self.due = cx.now.mono + wait;
        self.blocked_until = self.due;
    }
}

fn early(cx: &mut Cx<'_>, interval: Duration) -> Duration {
    interval - retry::jitter(&mut cx.session.rng, Duration::ZERO, interval / EARLY)
}
