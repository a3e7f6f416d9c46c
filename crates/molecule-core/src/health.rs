//! How an agent is, as its application may ask at any time.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use molecule_proto::{RateLimit, Time, UnixTime, WorkspaceStatus};

use crate::session::Dialect;

/// A snapshot of an agent's state, of `agent.health()`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// When a heartbeat was last answered well.
    pub last_beat: Option<UnixTime>,
    /// The status that the platform last showed.
    pub status: Option<WorkspaceStatus>,
    /// Failures in a row of the heartbeat.
    pub heartbeat_failures: u32,
    /// Failures in a row of the state's lane.
    pub state_failures: u32,
    /// Failures in a row of registering again.
    pub register_failures: u32,
    /// What the server last said about its rate limit.
    pub rate: Option<RateLimit>,
    /// Which server this is, as far as its answers told.
    pub dialect: Dialect,
    /// Whether this agent has registered since it was built.
    pub registered: bool,
}

/// What is known of the request budget that an organisation, a token or an address shares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateBudget {
    seen: Option<RateLimit>,
    refills_at: Time,
    blocked_until: Time,
}

impl RateBudget {
    /// Learns from an answer's headers.
    pub(crate) fn learn(&mut self, now: Time, status: StatusCode, headers: &HeaderMap, wait: Option<Duration>) {
        if let Some(limit) = RateLimit::from_headers(headers) {
            if let RateLimit::Window { remaining: Some(left), .. } = limit {
                self.refills_at = now + Duration::from_secs(u64::from(left.reset_secs) + 1);
            }
            self.seen = Some(limit);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.blocked_until = now + wait.unwrap_or(Duration::from_secs(1));
        }
    }

    /// What the server last said.
    pub fn seen(&self) -> Option<RateLimit> {
        self.seen
    }

    /// Until when a lane should hold back: everybody after a 429, and the lanes that can wait (`urgent: false`) also
    /// while less than a tenth of the window is left.
    pub(crate) fn hold_until(&self, now: Time, urgent: bool) -> Option<Time> {
        let scarce = match self.seen {
            Some(RateLimit::Window { limit, remaining: Some(left) }) => left.requests < limit.div_ceil(10),
            Some(RateLimit::Window { remaining: None, .. } | RateLimit::Unlimited) | None => false,
        };
        let until = if scarce && !urgent { self.blocked_until.max(self.refills_at) } else { self.blocked_until };
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use molecule_proto::Remaining;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn headers(requests: u32, reset_secs: u32) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let remaining = Some(Remaining { requests, reset_secs });
        RateLimit::Window { limit: 60, remaining }.write_to(&mut headers);
        headers
    }

    #[test]
    fn a_scarce_budget_holds_back_what_can_wait_and_no_heartbeat() {
        let mut budget = RateBudget::default();
        budget.learn(at(0), StatusCode::OK, &headers(6, 30), None);
        assert_eq!(budget.hold_until(at(1), false), None);
        budget.learn(at(0), StatusCode::OK, &headers(5, 30), None);
        assert_eq!(budget.hold_until(at(1), false), Some(at(31)));
        assert_eq!(budget.hold_until(at(1), true), None);
        assert_eq!(budget.hold_until(at(31), false), None);
    }

    #[test]
    fn a_429_holds_back_everything() {
        let mut budget = RateBudget::default();
        budget.learn(at(0), StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), Some(Duration::from_secs(7)));
        assert_eq!(budget.hold_until(at(1), true), Some(at(7)));
        assert_eq!(budget.hold_until(at(7), true), None);
    }
}
