//! When the loop registers, and what comes of it.

use molecule_proto::Time;

use super::doubts::apart;
use super::lanes::Lap;
use super::pace::{held, wait_after};
use super::{Ended, Run, Why};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::life::register::{Register, Registration};
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step, Wake};

impl Run {
    pub(super) fn register(&mut self, cx: &mut Cx<'_>) -> Lap {
        self.ask_to_register(cx);
        let Some((mut register, why)) = self.register.take() else { return self.register_when_due(cx) };
        match register.poll(cx) {
            Step::Done(result) => {
                self.register_done(cx, why, result);
                Lap::Again
            }
            Step::Idle(wake) => {
                self.register = Some((register, why));
                Lap::Idle(wake)
            }
            other => {
                self.register = Some((register, why));
                Lap::Step(pass(other))
            }
        }
    }

    fn register_when_due(&mut self, cx: &mut Cx<'_>) -> Lap {
        let Some((due, why)) = self.register_due.filter(|_| !self.yields_to_heartbeat(cx)) else {
            return Lap::Idle(None);
        };
        let until = cx.session.rate.hold_heartbeat(cx.now.mono);
        let due = until.map_or(due, |until| held(cx, Lane::Register, due, until));
        self.register_due = Some((due, why));
        let at = if why == Why::Refused { due.max(self.doubts.until()) } else { due };
        if at > cx.now.mono {
            return Lap::Idle(Some(Wake { at, why: "register" }));
        }
        self.register_due = None;
        let register = if why == Why::First { Register::new() } else { Register::once() };
        self.register = Some((Box::new(register), why));
        Lap::Again
    }

    /// The reported URL changed since it was registered.
    fn ask_to_register(&mut self, cx: &Cx<'_>) {
        let moved = cx.session.vitals.registered.as_ref().is_some_and(|url| *url != cx.session.config().reported_url);
        if moved {
            self.want_register(cx.now.mono, Why::Again);
        }
    }

    /// Asks for a register, unless one is under way or due already. One that is needed does not wait for a doubt.
    pub(super) fn want_register(&mut self, at: Time, why: Why) {
        if self.register.is_some() || (self.paused && why == Why::Again) {
            return;
        }
        let (at, why) = match self.register_due {
            Some((due, Why::Refused)) => (due, why),
            Some(due) => due,
            None => (at, why),
        };
        self.register_due = Some((at, why));
    }

    fn register_done(&mut self, cx: &mut Cx<'_>, why: Why, result: Result<Registration>) {
        match result {
            Ok(registration) if registration.paused => {
                self.opened = true;
                self.doubts.refute();
                self.pause(cx);
            }
            Ok(_) => {
                self.register_recovered(cx);
                self.registered(cx);
            }
            Err(error) => self.register_failed(cx, why, error),
        }
    }

    fn register_recovered(&mut self, cx: &mut Cx<'_>) {
        let failures = std::mem::take(&mut cx.session.vitals.register_failures);
        if failures > 0 {
            self.events.push_back(Event::Recovered { lane: Lane::Register, failures });
        }
    }

    /// The platform took the bearer after all: nobody has to find out by a register whether it is dead.
    pub(super) fn refute(&mut self, cx: &mut Cx<'_>) {
        if self.doubts.refute() {
            self.register_due = self.register_due.filter(|(_, why)| *why != Why::Refused);
            if self.register.is_none() && self.register_due.is_none() {
                self.register_recovered(cx);
            }
        }
    }

    pub(super) fn registered(&mut self, cx: &Cx<'_>) {
        self.opened = true;
        self.doubts.refute();
        self.exists = true;
        self.tell_online();
        self.beats.next = self.beats.next.min(cx.now.mono);
        if self.paused {
            // It was resumed, or paused while the register was under way: only the state can tell.
            self.looks.next = self.looks.next.min(cx.now.mono);
        }
    }

    fn register_failed(&mut self, cx: &mut Cx<'_>, why: Why, error: Error) {
        match error.kind() {
            _ if why == Why::First => return self.end(Err(error)),
            ErrorKind::Cancelled if self.paused => return,
            ErrorKind::TokenNotSaved => {
                self.events.push_back(Event::Warning(error.to_string()));
                return self.registered(cx);
            }
            _ => {}
        }
        let (now, apart) = (cx.now.mono, apart(cx));
        let is_gone = matches!(error.kind(), ErrorKind::Removed | ErrorKind::NotCreated);
        let is_dead = matches!(error.kind(), ErrorKind::Revoked | ErrorKind::TokenNotHeld);
        let end = match () {
            () if is_gone => self.doubts.is_gone(now, apart).then_some(Ended::Deleted),
            () if is_dead => self.doubts.is_dead(now, apart).then_some(Ended::Unauthorized),
            () => None,
        };
        let why = if is_gone || is_dead { Why::Refused } else { why };
        let is_doubted = is_gone && end.is_none();
        let error = if is_doubted { error.remedy("the loop asks once more before it ends") } else { error };
        let failures = cx.session.vitals.register_failures.saturating_add(1);
        cx.session.vitals.register_failures = failures;
        let interval = cx.session.config().intervals.heartbeat;
        let wait = wait_after(cx, Lane::Register, failures, interval, &error);
        // The last refusal is told too: it says how to recover.
        self.events.push_back(Event::Degraded { lane: Lane::Register, failures, error: error.to_string() });
        match end {
            Some(ended) => self.end(Ok(ended)),
            None => self.want_register(now + wait, why),
        }
    }
}
