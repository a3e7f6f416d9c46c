//! The time of a lane's next turn.

use std::time::Duration;

use molecule_proto::Time;

use crate::call::retry;
use crate::error::{Error, ErrorKind};
use crate::event::Lane;
use crate::machine::Cx;
use crate::session::rate::WINDOW;

/// How long a scarce rate budget may delay a poll of the state, which alone shows a pause; and how long limits may
/// delay any turn before it comes as soon as the last one allows it.
pub(super) const MAX_DELAY: Duration = WINDOW.saturating_mul(WINDOWS_HELD);

/// The same time in windows of the server's rate limit.
pub(crate) const WINDOWS_HELD: u32 = 5;

/// A turn is early by up to the interval divided by this.
pub(crate) const EARLY: u32 = 10;

/// The times of a lane.
struct Pace {
    /// The time between two good turns, and the longest wait of the backoff.
    interval: Duration,
    /// The shortest and the longest wait after the end of a rate limit. The limit ends for all agents at once, so their
    /// turns are spread. Heartbeats come within half of their interval. Registers and polls of the state come after
    /// that, since they can wait for a window of the server. Whatever is refused next, a heartbeat was sent first.
    after_limit: (Duration, Duration),
}

impl Pace {
    fn of(lane: Lane, cx: &Cx<'_>) -> Self {
        let intervals = &cx.session.config().intervals;
        let (beat, half) = (intervals.heartbeat, intervals.heartbeat / 2);
        match lane {
            Lane::Heartbeat => Self { interval: beat, after_limit: (Duration::ZERO, half) },
            Lane::Register => Self { interval: beat, after_limit: (half, beat) },
            // The inbox has a pace of its own.
            Lane::State | Lane::Delivery | Lane::Inbox => {
                Self { interval: intervals.state, after_limit: (half, WINDOW) }
            }
        }
    }
}

/// Returns the time from the start of a good turn to the next one. The first time, the interval is spread by up to half
/// of it.
pub(super) fn after_good(cx: &mut Cx<'_>, lane: Lane, is_first: bool) -> Duration {
    let interval = Pace::of(lane, cx).interval;
    let spread = if is_first { interval / 2 } else { interval / EARLY };
    interval - retry::jitter(&mut cx.session.rng, Duration::ZERO, spread)
}

/// Returns the wait of a lane after a failure.
pub(super) fn after_bad(cx: &mut Cx<'_>, lane: Lane, failures: u32, error: &Error) -> Duration {
    let interval = Pace::of(lane, cx).interval;
    match error.retry_after() {
        Some(asked) if error.kind() == ErrorKind::RateLimited => asked + spread(cx, lane),
        Some(asked) => retry::spread(cx, asked, interval),
        None => backoff(cx, failures, interval),
    }
}

/// Returns the time of a turn that the rate budget delays until a time, and that was due at first at another. Lanes that
/// spread their turns less could use up the budget each time, so that one that has waited for long comes at once.
pub(super) fn delayed(cx: &mut Cx<'_>, lane: Lane, due: Time, until: Time) -> Time {
    if until < due + MAX_DELAY { until + spread(cx, lane) } else { until }
}

fn spread(cx: &mut Cx<'_>, lane: Lane) -> Duration {
    let (least, most) = Pace::of(lane, cx).after_limit;
    retry::jitter(&mut cx.session.rng, least, most)
}

fn backoff(cx: &mut Cx<'_>, failures: u32, interval: Duration) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(10));
    let most = doubled.min(interval);
    retry::jitter(&mut cx.session.rng, most / 2, most)
}
