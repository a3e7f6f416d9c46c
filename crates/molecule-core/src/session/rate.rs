//! The request budget that an organisation, a token or an address shares (contract section 1.3).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use molecule_proto::{RateLimit, Remaining, Time};

/// The known state of the budget. Every answer shows what is left for all clients together, so each agent learns what
/// the others have spent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateBudget {
    seen: Option<RateLimit>,
    /// When `seen` was received.
    at: Time,
    blocked_until: Time,
    /// When the loop sends the heartbeat that a limit has delayed; `ZERO` if it has delayed none.
    heartbeat_at: Time,
}

/// The length of the server's window.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

impl RateBudget {
    /// The share of a window that is reserved for heartbeats. It is enough for 240 agents that send a heartbeat every
    /// 30 s, up to 10 % early, at a limit of 600 requests per minute.
    pub const KEPT_FOR_HEARTBEATS: f64 = 0.85;

    /// Learns from the headers of an answer.
    pub(crate) fn learn(&mut self, now: Time, status: StatusCode, headers: &HeaderMap, wait: Option<Duration>) {
        if let Some(limit) = RateLimit::from_headers(headers) {
            self.seen = Some(within_window(limit));
            self.at = now;
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            // Of several requests in flight, an earlier answer may have asked for a longer wait than the last one.
            self.blocked_until = self.blocked_until.max(now + wait.unwrap_or(Duration::from_secs(1)));
        }
    }

    /// Returns what the server last said.
    pub fn seen(&self) -> Option<RateLimit> {
        self.seen
    }

    /// Records when the loop sends the heartbeat that a limit has delayed; `None` if it has delayed none. All other
    /// requests of the loop wait for it: if one of them were refused first, the heartbeat would be delayed again and
    /// again.
    pub(crate) fn expect_heartbeat(&mut self, at: Option<Time>) {
        self.heartbeat_at = at.unwrap_or(Time::ZERO);
    }

    /// Returns until when a heartbeat must wait: after a 429, as long as the answer asked.
    pub(crate) fn hold_heartbeat(&self, now: Time) -> Option<Time> {
        (self.blocked_until > now).then_some(self.blocked_until)
    }

    /// Returns until when a request of lower priority must wait, however scarce the window is: after a 429, as long as
    /// the answer asked, and for the heartbeat that this has delayed.
    pub(crate) fn hold_after_limit(&self, now: Time) -> Option<Time> {
        let until = self.blocked_until.max(self.heartbeat_at);
        (until > now).then_some(until)
    }

    /// Returns until when a lane of lower priority must wait. Apart from a 429, it waits for the refill while less of
    /// the window is left than the heartbeats of a large organisation need until then, since other agents go on
    /// spending. For that it waits no longer than until `patience`.
    pub(crate) fn hold_others(&self, now: Time, patience: Time) -> Option<Time> {
        let until = self.affordable_at().min(patience);
        self.hold_after_limit(now).max((until > now).then_some(until))
    }

    fn affordable_at(&self) -> Time {
        let Some(RateLimit::Window { limit, remaining: Some(Remaining { requests, reset_secs, .. }) }) = self.seen
        else {
            return Time::ZERO;
        };
        // The server rounds the seconds down.
        let reset = Duration::from_secs(u64::from(reset_secs) + 1).min(WINDOW);
        let reserved = f64::from(limit) * Self::KEPT_FOR_HEARTBEATS * reset.as_secs_f64() / WINDOW.as_secs_f64();
        if f64::from(requests) < reserved { self.at + reset } else { Time::ZERO }
    }
}

/// Limits the time until the refill to the window's length. Many gateways write it as a Unix time, which would be a
/// wait of half a century.
fn within_window(limit: RateLimit) -> RateLimit {
    match limit {
        RateLimit::Window { limit, remaining: Some(mut left) } => {
            left.reset_secs = left.reset_secs.min(u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX));
            RateLimit::Window { limit, remaining: Some(left) }
        }
        _ => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn headers(requests: u32, reset_secs: u32) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let remaining = Some(Remaining::new(requests, reset_secs));
        RateLimit::Window { limit: 600, remaining }.write_to(&mut headers);
        headers
    }

    fn budget(requests: u32, reset_secs: u32) -> RateBudget {
        let mut budget = RateBudget::default();
        budget.learn(at(100), StatusCode::OK, &headers(requests, reset_secs), None);
        budget
    }

    #[test]
    fn a_budget_that_covers_the_heartbeats_holds_nothing_back() {
        // Reserved are 510 of 600 at the window's start, 8.5 for each second that is left.
        for (requests, reset_secs) in [(599, 59), (510, 59), (255, 29), (9, 0)] {
            assert_eq!(budget(requests, reset_secs).hold_others(at(100), at(999)), None, "{requests} {reset_secs}");
        }
    }

    #[test]
    fn a_scarce_budget_holds_back_what_can_wait_and_no_heartbeat() {
        let scarce = budget(509, 59);
        assert_eq!(scarce.hold_others(at(100), at(999)), Some(at(160)));
        assert_eq!(scarce.hold_others(at(160), at(999)), None);
        assert_eq!(scarce.hold_others(at(100), at(120)), Some(at(120)));
        assert_eq!(scarce.hold_heartbeat(at(100)), None);
        assert_eq!(budget(0, 29).hold_others(at(100), at(999)), Some(at(130)));
    }

    #[test]
    fn a_reset_in_seconds_of_the_calendar_is_no_longer_than_the_window() {
        for reset_secs in [61, 300, 1_795_384_787, u32::MAX] {
            let scarce = budget(500, reset_secs);
            assert_eq!(scarce.hold_others(at(100), at(999)), Some(at(160)), "{reset_secs}");
            assert_eq!(budget(599, reset_secs).hold_others(at(100), at(999)), None, "{reset_secs}");
            let remaining = Some(Remaining::new(500, 60));
            assert_eq!(scarce.seen(), Some(RateLimit::Window { limit: 600, remaining }), "{reset_secs}");
        }
    }

    #[test]
    fn a_429_holds_back_everything() {
        let mut budget = RateBudget::default();
        budget.learn(at(0), StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), Some(Duration::from_secs(7)));
        assert_eq!(budget.hold_heartbeat(at(1)), Some(at(7)));
        assert_eq!(budget.hold_others(at(1), at(999)), Some(at(7)));
        assert_eq!(budget.hold_heartbeat(at(7)), None);
    }

    #[test]
    fn what_a_429_holds_back_waits_for_the_delayed_heartbeat() {
        let mut budget = RateBudget::default();
        budget.learn(at(0), StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), Some(Duration::from_secs(7)));
        budget.expect_heartbeat(Some(at(12)));
        assert_eq!(budget.hold_heartbeat(at(8)), None);
        assert_eq!(budget.hold_after_limit(at(8)), Some(at(12)));
        assert_eq!(budget.hold_others(at(8), at(9)), Some(at(12)));
        assert_eq!(budget.hold_others(at(12), at(999)), None);
        budget.expect_heartbeat(None);
        assert_eq!(budget.hold_after_limit(at(3)), Some(at(7)));
        assert_eq!(budget.hold_after_limit(at(8)), None);
    }

    #[test]
    fn a_shorter_wait_does_not_undo_a_longer_one() {
        let mut budget = RateBudget::default();
        budget.learn(at(0), StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), Some(Duration::from_secs(7)));
        budget.learn(at(1), StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), None);
        assert_eq!(budget.hold_heartbeat(at(3)), Some(at(7)));
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        let mut budget = RateBudget::default();
        for (limit, requests, reset_secs) in [(0, 0, 0), (u32::MAX, u32::MAX, u32::MAX), (1, 0, u32::MAX), (0, 5, 9)] {
            let mut headers = HeaderMap::new();
            RateLimit::Window { limit, remaining: Some(Remaining::new(requests, reset_secs)) }.write_to(&mut headers);
            budget.learn(at(1), StatusCode::OK, &headers, None);
            let _ = budget.hold_others(at(1), at(999));
        }
        budget.learn(at(1), StatusCode::OK, &HeaderMap::new(), None);
        assert!(budget.seen().is_some());
    }
}
