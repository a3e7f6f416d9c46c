//! When a lane goes next.

use std::time::Duration;

use molecule_proto::{Time, UnixTime};

use crate::call::retry;
use crate::error::{Error, ErrorKind};
use crate::event::Lane;
use crate::machine::{Cx, Now};
use crate::session::rate::WINDOW;

#[derive(Debug)]
pub(super) struct LaneState<M> {
    pub(super) next: Time,
    /// When it would have gone if the budget had not held it back.
    pub(super) due: Time,
    pub(super) call: Option<Box<M>>,
    pub(super) started: Now,
    pub(super) failures: u32,
    /// Whether a rate limit put its next turn off.
    pub(super) is_put_off: bool,
    /// Whether the next wait is the first: it is spread widely, so that a fleet that starts together drifts apart.
    first: bool,
}

/// A turn comes early by up to this part of its interval.
pub(crate) const EARLY: u32 = 10;

impl<M> LaneState<M> {
    pub(super) fn new() -> Self {
        Self {
            next: Time::ZERO,
            due: Time::ZERO,
            call: None,
            started: Now { mono: Time::ZERO, unix: UnixTime::default() },
            failures: 0,
            is_put_off: false,
            first: true,
        }
    }

    pub(super) fn begin(&mut self, now: Now, call: M) {
        self.started = now;
        self.is_put_off = false;
        self.call = Some(Box::new(call));
    }

    /// After a good answer: an interval after the last start, early by up to a tenth, never late. Missed turns are not
    /// made up.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>, interval: Duration) -> u32 {
        let spread = if std::mem::take(&mut self.first) { interval / 2 } else { interval / EARLY };
        let early = retry::jitter(&mut cx.session.rng, Duration::ZERO, spread);
        self.next = (self.started.mono + (interval - early)).max(cx.now.mono);
        self.due = self.next;
        std::mem::take(&mut self.failures)
    }

    /// After a bad one: a second doubled with each failure, at most the interval; or what the server asked for.
    pub(super) fn back_off(&mut self, cx: &mut Cx<'_>, lane: Lane, interval: Duration, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        self.next = cx.now.mono + wait_after(cx, lane, self.failures, interval, error);
        self.due = self.next;
        self.is_put_off = error.kind() == ErrorKind::RateLimited;
    }

    /// Not before a rate limit ends.
    pub(super) fn put_off(&mut self, cx: &mut Cx<'_>, lane: Lane, until: Time) {
        self.is_put_off |= self.next < until;
        self.next = held(cx, lane, self.next, until);
    }
}

/// How long a lane waits after a failure.
pub(super) fn wait_after(cx: &mut Cx<'_>, lane: Lane, failures: u32, interval: Duration, error: &Error) -> Duration {
    match error.retry_after() {
        Some(asked) if error.kind() == ErrorKind::RateLimited => asked + spread(cx, lane),
        Some(asked) => retry::not_all_at_once(cx, asked, interval),
        None => lane_backoff(cx, failures, interval),
    }
}

/// Not before the budget allows it.
pub(super) fn held(cx: &mut Cx<'_>, lane: Lane, next: Time, until: Time) -> Time {
    if next < until { until + spread(cx, lane) } else { next }
}

/// How long after the end of a rate limit a lane goes. It ends for all agents at once, so they come back one by one:
/// heartbeats within half of their interval, and only then registers, and looks at the state, which can wait for a window
/// of the server's. So whatever is refused next, a heartbeat was first.
fn spread(cx: &mut Cx<'_>, lane: Lane) -> Duration {
    let interval = cx.session.config().intervals.heartbeat;
    let (least, most) = match lane {
        Lane::Heartbeat => (Duration::ZERO, interval / 2),
        Lane::Register => (interval / 2, interval),
        Lane::State => (interval / 2, WINDOW),
    };
    retry::jitter(&mut cx.session.rng, least, most)
}

fn lane_backoff(cx: &mut Cx<'_>, failures: u32, interval: Duration) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(10));
    let most = doubled.min(interval);
    retry::jitter(&mut cx.session.rng, most / 2, most)
}
