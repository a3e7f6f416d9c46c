//! The state of the lane of the delivery: when the next check is due, and when a server that could not be reached is tried again.

use std::time::Duration;

use molecule_proto::{Now, Time};

use super::lane::{AnyLane, LaneMachine, LaneState};
use super::pace::EARLY;
use crate::call::retry;
use crate::event::Lane;
use crate::machine::Cx;
use crate::peer::CheckReachable;

/// How long a server counts as reachable after the last proof: a check, or a call of the platform. The platform drops what it
/// cannot deliver for 180 s, so a check is due before that.
pub(crate) const CHECK_EVERY: Duration = Duration::from_secs(120);

/// The first and the longest wait before a server that could not be reached is registered and checked again.
pub(crate) const FIRST_RETRY: Duration = Duration::from_secs(60);
pub(crate) const LAST_RETRY: Duration = Duration::from_secs(30 * 60);

/// The lane of the delivery.
#[derive(Debug)]
pub(super) struct Deliveries {
    pub(super) lane: LaneState<CheckReachable>,
    /// The URL of the server that the rest is about.
    url: Option<String>,
    /// The register that the last check followed.
    pub(super) register: Option<Now>,
    /// When a check last showed that the server is reachable.
    pub(super) checked_at: Option<Time>,
    /// How often in a row a check failed that is not believed yet.
    pub(super) doubts: u32,
    /// How often in a row the server could not be reached.
    pub(super) failures: u32,
    /// When a server that could not be reached is registered and checked again.
    pub(super) retry_at: Option<Time>,
}

impl LaneMachine for CheckReachable {}

impl Deliveries {
    pub(super) fn new() -> Self {
        Self {
            lane: LaneState::new(Lane::Delivery),
            url: None,
            register: None,
            checked_at: None,
            doubts: 0,
            failures: 0,
            retry_at: None,
        }
    }

    pub(super) fn lane(&mut self) -> &mut dyn AnyLane {
        &mut self.lane
    }

    /// Begins anew with another server.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_>) {
        let url = cx.session.delivery.served_url();
        if self.url.as_deref() != url {
            self.url = url.map(str::to_owned);
            (self.doubts, self.failures, self.retry_at) = (0, 0, None);
            self.lane.next = cx.now.mono;
            self.lane.reset_failures(cx);
            self.lane.cancel(cx);
        }
    }

    /// Returns when a server that could not be reached is tried again.
    pub(super) fn retry_at(&mut self, cx: &mut Cx<'_>) -> Time {
        if let Some(at) = self.retry_at {
            return at;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(10)).min(LAST_RETRY);
        let at = cx.now.mono + retry::jitter(&mut cx.session.rng, wait - wait / EARLY, wait);
        *self.retry_at.insert(at)
    }

    /// Returns when the next check of a registered server is due.
    pub(super) fn due(&self, cx: &Cx<'_>) -> Time {
        if self.doubts > 0 || self.lane.failures > 0 {
            return self.lane.next;
        }
        let pushed_at = pushed_at(cx);
        if cx.session.vitals.registered_at != self.register && pushed_at.is_none() {
            return cx.now.mono;
        }
        let proof = self.checked_at.into_iter().chain(pushed_at).max();
        proof.map_or(self.lane.next, |proof| proof + CHECK_EVERY)
    }
}

/// Returns when the platform last called the server, if that was after the last register: it shows that the server is reachable,
/// as a check does.
pub(super) fn pushed_at(cx: &Cx<'_>) -> Option<Time> {
    let registered_at = cx.session.vitals.registered_at?.mono;
    cx.session.delivery.pushed_at().map(|at| at.mono).filter(|at| *at >= registered_at)
}
