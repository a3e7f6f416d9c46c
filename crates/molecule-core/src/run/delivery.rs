//! The lane of the delivery: it checks whether the platform reaches the agent's own server, and has the agent poll while it
//! does not.

use std::time::Duration;

use molecule_proto::Wake;

use super::deliveries::pushed_at;
use super::lane::{LaneStep, Polled};
use super::pace::MAX_DELAY;
use super::{RegisterReason, Run};
use crate::error::{ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::machine::Cx;
use crate::peer::{CheckReachable, ReachFailure, Reachability};
use crate::session::delivery::{PushMode, PushState};

/// The wait before a failure is believed that may pass, or of a server that was reachable.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Run {
    /// Returns since when the platform sends the agent's messages to its server; `None` while the agent polls.
    pub(super) fn push_mode(cx: &Cx<'_>) -> Option<PushMode> {
        let session = &cx.session;
        let is_pushed =
            session.is_served_url_registered() && session.url_to_register() == session.delivery.served_url();
        let registered_at = session.vitals.registered_at.filter(|_| is_pushed)?.mono;
        let sent_at = session.vitals.register_sent_at.unwrap_or(registered_at);
        Some(PushMode { sent_at, registered_at, opened_at: session.delivery.opened_at() })
    }

    pub(super) fn check_delivery(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        self.deliveries.follow(cx);
        let is_auto = cx.session.delivery.is_auto() && cx.session.is_served_url_registered();
        if is_auto && pushed_at(cx).is_some() && cx.session.delivery.state() != Some(&PushState::Reachable) {
            self.reachable(cx);
            return LaneStep::Again;
        }
        match self.deliveries.lane.poll(cx) {
            Polled::Free => self.check_delivery_when_due(cx),
            Polled::Step(step) => step,
            Polled::Done(result) => {
                self.delivery_checked(cx, result);
                LaneStep::Again
            }
        }
    }

    fn check_delivery_when_due(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        if !self.opened || self.paused || cx.session.lacks_token() || !cx.session.delivery.is_auto() {
            return LaneStep::Idle(None);
        }
        if cx.session.delivery.polls() {
            let at = self.deliveries.retry_at(cx);
            if at > cx.now.mono {
                return LaneStep::Idle(Some(Wake { at, why: "register the server again" }));
            }
            self.deliveries.retry_at = None;
            cx.session.delivery.try_again();
            return LaneStep::Again;
        }
        // A register that is due or in flight is followed by a check.
        if self.why.is_some() || !cx.session.is_served_url_registered() {
            return LaneStep::Idle(None);
        }
        let due = self.deliveries.due(cx);
        let lane = &mut self.deliveries.lane;
        if !lane.is_delayed {
            (lane.next, lane.due) = (due, due);
        }
        if let Some(until) = cx.session.rate.hold_others(cx.now.mono, lane.due + MAX_DELAY) {
            lane.delay(cx, until);
        }
        if lane.next > cx.now.mono {
            return LaneStep::Idle(Some(Wake { at: lane.next, why: "check that the platform reaches the server" }));
        }
        self.deliveries.register = cx.session.vitals.registered_at;
        self.deliveries.lane.begin(cx.now, CheckReachable::once());
        LaneStep::Again
    }

    fn delivery_checked(&mut self, cx: &mut Cx<'_>, result: Result<Reachability>) {
        if !cx.session.delivery.is_auto() || !cx.session.is_served_url_registered() {
            // It is about another server, or about none.
            self.deliveries.lane.next = cx.now.mono;
            return;
        }
        match result {
            Ok(Reachability::Reachable { .. }) => {
                self.delivery_answered(cx);
                self.deliveries.checked_at = Some(cx.now.mono);
                self.reachable(cx);
            }
            Ok(Reachability::Unreachable { why }) => {
                self.delivery_answered(cx);
                self.unreachable(cx, &why);
            }
            // The check was of another server.
            Err(error) if error.kind() == ErrorKind::Cancelled => {}
            Err(error) => {
                let failures = self.deliveries.lane.back_off(cx, &error);
                self.degraded(cx, Lane::Delivery, failures, &error);
            }
        }
    }

    /// Records that a check came to a result.
    fn delivery_answered(&mut self, cx: &mut Cx<'_>) {
        let failures = self.deliveries.lane.reset_failures(cx);
        self.recovered(Lane::Delivery, failures);
    }

    fn reachable(&mut self, cx: &mut Cx<'_>) {
        (self.deliveries.doubts, self.deliveries.failures) = (0, 0);
        if cx.session.delivery.set_state(PushState::Reachable) {
            self.events.push_back(Event::PushReachable);
        }
    }

    /// Has the agent poll, once the failure is believed.
    fn unreachable(&mut self, cx: &mut Cx<'_>, why: &ReachFailure) {
        if pushed_at(cx).is_some_and(|at| at >= self.deliveries.lane.started.mono) {
            // The platform called the server meanwhile.
            return self.reachable(cx);
        }
        let was_reachable = cx.session.delivery.state() == Some(&PushState::Reachable);
        self.deliveries.doubts += 1;
        if (was_reachable || why.may_pass()) && self.deliveries.doubts < 2 {
            self.deliveries.lane.next = cx.now.mono + why.retry_after().unwrap_or(LOOK_AGAIN);
            if matches!(why, ReachFailure::PollMode | ReachFailure::NotEnrolled { .. }) {
                self.want_register(cx.now.mono, RegisterReason::Again);
            }
            return;
        }
        (self.deliveries.doubts, self.deliveries.retry_at) = (0, None);
        let why = why.to_string();
        if cx.session.delivery.set_state(PushState::Unreachable(why.clone())) {
            self.events.push_back(Event::PushUnreachable { why });
            if self.inbox.is_none() {
                let sentence = "the agent polls now, and this loop reads no messages: run the loop with a handler";
                self.events.push_back(Event::Warning(sentence.to_owned()));
            }
        }
    }
}
