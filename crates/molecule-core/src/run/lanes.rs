//! The lanes of the heartbeat and of the state, and what their answers mean for the loop.

use std::time::Duration;

use molecule_proto::{StateAnswer, WorkspaceStatus};

use super::doubts::least_gap;
use super::lane::{LaneStep, Polled};
use super::pace::MAX_DELAY;
use super::{Ended, RegisterReason, Run};
use crate::call::Call;
use crate::config::options::OnPause;
use crate::endpoint;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Lane};
use crate::life::beat::Beat;
use crate::machine::{Cx, Wake};
use crate::session::Dialect;

impl Run {
    /// Returns whether a heartbeat that a rate limit has delayed is still to be sent, for which the other lanes wait.
    pub(super) fn yields_to_heartbeat(&self, cx: &Cx<'_>) -> bool {
        let beats = self.opened && !self.paused && !cx.session.lacks_token();
        beats && self.beats.is_delayed
    }

    pub(super) fn beat(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        let step = self.poll_beat(cx);
        let delayed_until = self.yields_to_heartbeat(cx).then_some(self.beats.next);
        cx.session.rate.expect_heartbeat(delayed_until);
        step
    }

    fn poll_beat(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        match self.beats.poll(cx) {
            Polled::Free => self.beat_when_due(cx),
            Polled::Step(step) => step,
            Polled::Done(Ok(_)) => {
                self.beat_well(cx);
                LaneStep::Again
            }
            Polled::Done(Err(error)) => {
                let failures = self.beats.back_off(cx, &error);
                self.degraded(cx, Lane::Heartbeat, failures, &error);
                LaneStep::Again
            }
        }
    }

    fn beat_when_due(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        // Before the first register the platform does not know the agent.
        if !self.opened || self.paused || cx.session.lacks_token() {
            return LaneStep::Idle(None);
        }
        if let Some(until) = cx.session.rate.hold_heartbeat(cx.now.mono) {
            self.beats.delay(cx, until);
        }
        if self.beats.next > cx.now.mono {
            return LaneStep::Idle(Some(Wake { at: self.beats.next, why: "heartbeat" }));
        }
        self.beats.begin(cx.now, Beat::once());
        LaneStep::Again
    }

    fn beat_well(&mut self, cx: &mut Cx<'_>) {
        let started = self.beats.started;
        let failures = self.beats.settle(cx);
        self.recovered(Lane::Heartbeat, failures);
        // The platform has marked the agent as absent meanwhile, and a heartbeat does not restore all that a register
        // does.
        let heard = [self.beats_well_at.replace(started), cx.session.vitals.registered_at];
        let gap = heard.into_iter().flatten().map(|at| started.since(at)).min();
        if gap.is_some_and(|gap| gap >= absence(cx.session.dialect)) {
            (self.online, self.exists) = (false, false);
            self.want_register(cx.now.mono, RegisterReason::Again);
        }
        self.beating = true;
        if let Some(inbox) = &mut self.inbox {
            inbox.beaten(cx.now.mono, started.mono);
        }
        self.tell_online();
    }

    /// Reports `Event::Online` once a heartbeat is good and the workspace is known to exist.
    pub(super) fn tell_online(&mut self) {
        if self.beating && self.exists && !std::mem::replace(&mut self.online, true) {
            self.events.push_back(Event::Online);
        }
    }

    pub(super) fn poll_state(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        match self.states.poll(cx) {
            Polled::Free => self.poll_state_when_due(cx),
            Polled::Step(step) => step,
            Polled::Done(Ok(answer)) => {
                let failures = self.states.settle(cx);
                self.recovered(Lane::State, failures);
                self.state_answered(cx, &answer);
                LaneStep::Again
            }
            Polled::Done(Err(error)) => {
                let failures = self.states.back_off(cx, &error);
                self.degraded(cx, Lane::State, failures, &error);
                LaneStep::Again
            }
        }
    }

    fn poll_state_when_due(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        if !self.opened {
            return LaneStep::Idle(None);
        }
        if let Some(until) = cx.session.rate.hold_others(cx.now.mono, self.states.due + MAX_DELAY) {
            self.states.delay(cx, until);
        }
        if cx.session.lacks_token() && self.why.is_some() {
            return LaneStep::Idle(None);
        }
        if self.states.next > cx.now.mono {
            return LaneStep::Idle(Some(Wake { at: self.states.next, why: "look at the state" }));
        }
        if cx.session.lacks_token() {
            // The agent was paused before its first start. The view is open, and a register asks it first.
            self.states.next = cx.now.mono + cx.session.config().intervals.state;
            self.want_register(cx.now.mono, RegisterReason::Refused);
            return LaneStep::Again;
        }
        self.states.begin(cx.now, Call::once(endpoint::PollState));
        LaneStep::Again
    }

    fn state_answered(&mut self, cx: &mut Cx<'_>, answer: &StateAnswer) {
        if answer.deleted {
            return self.deleted(cx);
        }
        self.refute(cx);
        if cx.session.vitals.registered_at.is_some_and(|at| self.states.started.mono < at.mono) && !answer.is_paused() {
            return;
        }
        if let Some(status) = &answer.status
            && cx.session.vitals.set_status(status)
        {
            self.events.push_back(Event::StatusChanged(status.clone()));
        }
        if answer.is_paused() {
            return self.pause(cx);
        }
        if std::mem::take(&mut self.paused) {
            self.events.push_back(Event::Resumed);
            (self.online, self.beating) = (false, false);
            self.beats.next = cx.now.mono;
            return self.want_register(cx.now.mono, RegisterReason::Again);
        }
        if answer.status != Some(WorkspaceStatus::Removed) {
            self.exists = true;
            self.tell_online();
        }
        match &answer.status {
            Some(
                WorkspaceStatus::Offline
                | WorkspaceStatus::Failed
                | WorkspaceStatus::AwaitingAgent
                | WorkspaceStatus::Provisioning,
            ) => self.want_register(cx.now.mono, RegisterReason::Again),
            Some(WorkspaceStatus::Removed) => self.want_register(cx.now.mono, RegisterReason::Refused),
            _ => {}
        }
    }

    /// Handles a state that says that the workspace is deleted. An agent's own bearer hardly ever gets this answer.
    fn deleted(&mut self, cx: &mut Cx<'_>) {
        let gap = least_gap(cx);
        if self.doubts.is_gone(cx.now.mono, gap) {
            return self.end(Ok(Ended::Deleted));
        }
        self.states.next = self.states.next.max(cx.now.mono + gap);
        let doubt = "the platform says that the workspace was deleted: it is asked again before the loop ends";
        self.events.push_back(Event::Warning(doubt.to_owned()));
    }

    pub(super) fn pause(&mut self, cx: &mut Cx<'_>) {
        if self.registers.is_under_way() {
            // The register may be using a view from before the pause.
            self.registers.cancel(cx);
        } else {
            self.why = None;
        }
        if !std::mem::replace(&mut self.paused, true) {
            self.events.push_back(Event::Paused);
        }
        match cx.session.config().on_pause {
            OnPause::End => self.end(Ok(Ended::Paused)),
            OnPause::Wait => {}
        }
    }

    pub(super) fn recovered(&mut self, lane: Lane, failures: u32) {
        if failures > 0 {
            self.events.push_back(Event::Recovered { lane, failures });
        }
    }

    pub(super) fn degraded(&mut self, cx: &mut Cx<'_>, lane: Lane, failures: u32, error: &Error) {
        self.events.push_back(Event::Degraded { lane, failures, error: error.to_string() });
        if error.kind() == ErrorKind::Unauthorized {
            // The workspace is deleted, the token is revoked, or the database is down. A register asks the view first,
            // which shows which of these it is.
            self.want_register(cx.now.mono, RegisterReason::Refused);
        }
    }
}

/// Returns the time without a heartbeat after which the platform takes the agent for absent (contract section 3; April
/// 3.2).
pub(crate) fn absence(dialect: Option<Dialect>) -> Duration {
    match dialect {
        Some(Dialect::April) => Duration::from_secs(90),
        Some(Dialect::Current) | None => Duration::from_secs(180),
    }
}
