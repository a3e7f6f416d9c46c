//! The register lane: when the loop registers, and what the result means for the loop.

use molecule_proto::Time;

use super::doubts::least_gap;
use super::lane::{LaneStep, Polled};
use super::{Ended, RegisterReason, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::life::register::{Register, Registration, TokenUse};
use crate::machine::{Cx, Wake};

impl Run {
    pub(super) fn register(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        self.ask_to_register(cx);
        match self.registers.poll(cx) {
            Polled::Free => self.register_when_due(cx),
            Polled::Step(step) => step,
            Polled::Done(result) => {
                let why = self.why.take();
                self.register_done(cx, why, result);
                LaneStep::Again
            }
        }
    }

    fn register_when_due(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        let Some(why) = self.why.filter(|_| !self.yields_to_heartbeat(cx)) else { return LaneStep::Idle(None) };
        if let Some(until) = cx.session.rate.hold_heartbeat(cx.now.mono) {
            self.registers.delay(cx, until);
        }
        let next = self.registers.next;
        let at = if why == RegisterReason::Refused { next.max(self.doubts.until()) } else { next };
        if at > cx.now.mono {
            return LaneStep::Idle(Some(Wake { at, why: "register" }));
        }
        self.registers.begin(cx.now, if why == RegisterReason::First { Register::new() } else { Register::once() });
        LaneStep::Again
    }

    /// Asks for a register if the URL to register has changed since the last one.
    fn ask_to_register(&mut self, cx: &Cx<'_>) {
        let registered = cx.session.vitals.registered.as_ref();
        if registered.is_some_and(|url| url.as_deref() != cx.session.url_to_register()) {
            self.want_register(cx.now.mono, RegisterReason::Again);
        }
    }

    /// Asks for a register, unless one is in flight or planned already. One for another reason than a refused bearer
    /// replaces a planned one that waits because of a doubt.
    pub(super) fn want_register(&mut self, at: Time, why: RegisterReason) {
        if self.registers.is_under_way() || (self.paused && why == RegisterReason::Again) {
            return;
        }
        match self.why {
            Some(RegisterReason::Refused) => self.why = Some(why),
            Some(RegisterReason::First | RegisterReason::Again) => {}
            None => {
                self.registers.plan(at);
                self.why = Some(why);
            }
        }
    }

    fn register_done(&mut self, cx: &mut Cx<'_>, why: Option<RegisterReason>, result: Result<Registration>) {
        match result {
            Ok(registration) if registration.paused => {
                self.opened = true;
                self.doubts.refute();
                self.pause(cx);
            }
            Ok(registration) => {
                self.register_recovered(cx);
                // A heartbeat that is refused although its bearer lives keeps its backoff: the cause is not mended.
                if why != Some(RegisterReason::Refused) || registration.token == TokenUse::Minted {
                    self.beat_soon(cx);
                }
                self.registered(cx);
            }
            Err(error) => self.register_failed(cx, why, error),
        }
    }

    fn register_recovered(&mut self, cx: &mut Cx<'_>) {
        let failures = self.registers.reset_failures(cx);
        self.recovered(Lane::Register, failures);
    }

    /// Records that the platform accepted the bearer after all, so that no register is needed to check it.
    pub(super) fn refute(&mut self, cx: &mut Cx<'_>) {
        if self.doubts.refute() {
            if !self.registers.is_under_way() {
                self.why = self.why.filter(|why| *why != RegisterReason::Refused);
            }
            if self.why.is_none() {
                self.register_recovered(cx);
            }
        }
    }

    fn beat_soon(&mut self, cx: &Cx<'_>) {
        self.beats.next = self.beats.next.min(cx.now.mono);
    }

    fn registered(&mut self, cx: &Cx<'_>) {
        self.opened = true;
        self.doubts.refute();
        self.exists = true;
        self.tell_online();
        if self.paused {
            // The workspace was resumed, or was paused while the register was in flight: only the state shows which.
            self.states.next = self.states.next.min(cx.now.mono);
        }
    }

    fn register_failed(&mut self, cx: &mut Cx<'_>, why: Option<RegisterReason>, error: Error) {
        match error.kind() {
            _ if why == Some(RegisterReason::First) => return self.end(Err(error)),
            ErrorKind::Cancelled if self.paused => return,
            ErrorKind::TokenNotSaved => {
                self.events.push_back(Event::Warning(error.to_string()));
                self.beat_soon(cx);
                return self.registered(cx);
            }
            _ => {}
        }
        let (now, gap) = (cx.now.mono, least_gap(cx));
        let is_gone = matches!(error.kind(), ErrorKind::Removed | ErrorKind::NotCreated);
        let is_dead = matches!(error.kind(), ErrorKind::Revoked | ErrorKind::TokenNotHeld);
        let end = match () {
            () if is_gone => self.doubts.is_gone(now, gap).then_some(Ended::Deleted),
            () if is_dead => self.doubts.is_dead(now, gap).then_some(Ended::Unauthorized),
            () => None,
        };
        let why = if is_gone || is_dead || why == Some(RegisterReason::Refused) {
            RegisterReason::Refused
        } else {
            RegisterReason::Again
        };
        let is_doubted = is_gone && end.is_none();
        let error = if is_doubted { error.remedy("the loop asks once more before it ends") } else { error };
        let failures = self.registers.back_off(cx, &error);
        // The last refusal is reported too, since its error says how to recover.
        self.events.push_back(Event::Degraded { lane: Lane::Register, failures, error: error.to_string() });
        match end {
            Some(ended) => self.end(Ok(ended)),
            None => self.want_register(self.registers.next, why),
        }
    }
}
