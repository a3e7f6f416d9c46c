//! When the feed is read.

use std::time::Duration;

use molecule_proto::{Time, Wake};

use crate::call::retry;
use crate::error::{Error, ErrorKind};
use crate::machine::Cx;
use crate::session::rate::WINDOW;

/// A read is early by up to the interval divided by this.
const EARLY: u32 = 10;

/// How long after a wake that brought no new row the feed is read again. The row of an event becomes visible up to 30 s
/// after it, mostly within a second.
const LOOKS: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(7), Duration::from_secs(15), LATEST];

/// The last of these reads, after the time within which the server shows a row.
const LATEST: Duration = Duration::from_secs(31);

/// How often the feed is read between two reads of an idle agent, while a row may come that no event tells of.
const SILENT: u32 = 4;

#[derive(Debug)]
pub(super) struct Pace {
    /// The time between two reads without an event stream.
    poll: Duration,
    /// The same while one is open.
    idle_poll: Duration,
    /// The longest time after a wake in which its row is looked for.
    trail: Duration,
    is_live: bool,
    /// Whether a row may come that no event tells of.
    is_silent: bool,
    /// When something has happened that is not read yet.
    woken: Option<Time>,
    /// The wake whose row was not there yet, or came with another one's.
    looks_since: Option<Time>,
    /// When the next read is due.
    due: Time,
    /// Until when nothing is read after a failure, whatever happens.
    blocked_until: Time,
    /// When the whole tail is to be read again, if it is longer than a page.
    deep_due: Time,
    started: Time,
    /// When the last request was made.
    asked: Time,
    /// What had woken the pass under way.
    was_woken: Option<Time>,
}

impl Pace {
    pub(super) fn new(poll: Duration, idle_poll: Duration, trail: Duration) -> Self {
        Self {
            poll,
            idle_poll,
            trail,
            is_live: false,
            is_silent: false,
            woken: None,
            looks_since: None,
            due: Time::ZERO,
            blocked_until: Time::ZERO,
            deep_due: Time::ZERO,
            started: Time::ZERO,
            asked: Time::ZERO,
            was_woken: None,
        }
    }

    pub(super) fn wake(&mut self, now: Time) {
        self.woken.get_or_insert(now);
    }

    /// Says whether a stream is open, and whether a row may come that it does not tell of.
    pub(super) fn set_live(&mut self, cx: &mut Cx<'_>, is_live: bool, is_silent: bool) {
        let before = std::mem::replace(&mut self.is_live, is_live);
        let is_shorter = (before && !is_live) || (is_silent && !self.is_silent);
        self.is_silent = is_silent;
        if is_shorter {
            let interval = self.interval();
            self.due = self.due.min(cx.now.mono + early(cx, interval));
        }
    }

    /// The time between two reads that nothing asks for.
    fn interval(&self) -> Duration {
        match (self.is_live, self.is_silent) {
            (false, _) => self.poll,
            (true, true) => self.poll.max(self.idle_poll / SILENT),
            (true, false) => self.idle_poll,
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
        self.was_woken = self.woken.take();
        self.deep_due <= now
    }

    /// Ends a pass. `pages` is how many requests a read of the whole tail takes, if that is more than one.
    pub(super) fn ended(&mut self, cx: &mut Cx<'_>, has_found: bool, pages: u32) {
        let interval = self.interval();
        self.due = (self.started + early(cx, interval)).max(cx.now.mono);
        if !has_found {
            self.looks_since = self.was_woken.take().or(self.looks_since);
        }
        if let Some(since) = self.looks_since {
            let mut looks = LOOKS.iter().filter(|after| **after <= self.trail).map(|after| since + *after);
            match looks.find(|at| *at > self.started) {
                Some(at) => self.due = self.due.min(at.max(cx.now.mono)),
                None => self.looks_since = None,
            }
        }
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
