//! When the loop registers, and what comes of it.

use molecule_proto::Time;

use super::lanes::Lap;
use super::pace::{held, wait_after};
use super::{Ended, Run, Why};
use crate::beat::pass;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::machine::{Cx, Machine, Step, Wake};
use crate::register::{Register, Registration};

/// How many registers in a row the platform must refuse before the credential counts as dead.
const STRIKES: u32 = 3;

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
        let Some((at, why)) = self.register_due.filter(|_| !self.yields_to_heartbeat(cx)) else {
            return Lap::Idle(None);
        };
        let until = cx.session.rate.hold_heartbeat(cx.now.mono);
        let at = until.map_or(at, |until| held(cx, Lane::Register, at, until));
        self.register_due = Some((at, why));
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
        if moved && !self.paused && self.register.is_none() && self.register_due.is_none() {
            self.register_due = Some((cx.now.mono, Why::Again));
        }
    }

    /// Asks for a register, unless one is under way or due already.
    pub(super) fn want_register(&mut self, at: Time, why: Why) {
        if self.register.is_none() && self.register_due.is_none() && !(self.paused && why == Why::Again) {
            self.register_due = Some((at, why));
        }
    }

    fn register_done(&mut self, cx: &mut Cx<'_>, why: Why, result: Result<Registration>) {
        match result {
            Ok(registration) if registration.paused => {
                self.opened = true;
                self.pause(cx);
            }
            Ok(_) => {
                if cx.session.vitals.register_failures > 0 {
                    let failures = std::mem::take(&mut cx.session.vitals.register_failures);
                    self.events.push_back(Event::Recovered { lane: Lane::Register, failures });
                }
                self.registered(cx);
            }
            Err(error) => self.register_failed(cx, why, error),
        }
    }

    pub(super) fn registered(&mut self, cx: &Cx<'_>) {
        self.opened = true;
        self.strikes = 0;
        self.beats.next = self.beats.next.min(cx.now.mono);
        if self.paused {
            // It was resumed, or paused while the register was under way: only the state can tell.
            self.looks.next = self.looks.next.min(cx.now.mono);
        }
    }

    fn register_failed(&mut self, cx: &mut Cx<'_>, why: Why, error: Error) {
        match error.kind() {
            ErrorKind::Removed if why != Why::First => return self.end(Ok(Ended::Deleted)),
            ErrorKind::NotCreated if why != Why::First => return self.end(Ok(Ended::Deleted)),
            _ if why == Why::First => return self.end(Err(error)),
            ErrorKind::Cancelled if self.paused => return,
            ErrorKind::TokenNotSaved => {
                self.events.push_back(Event::Warning(error.to_string()));
                return self.registered(cx);
            }
            ErrorKind::Revoked | ErrorKind::TokenNotHeld => self.strikes += 1,
            _ => {}
        }
        let failures = cx.session.vitals.register_failures.saturating_add(1);
        cx.session.vitals.register_failures = failures;
        let interval = cx.session.config().intervals.heartbeat;
        let wait = wait_after(cx, Lane::Register, failures, interval, &error);
        self.events.push_back(Event::Degraded { lane: Lane::Register, failures, error: error.to_string() });
        // The last refusal is told too: it says how to recover.
        if self.strikes >= STRIKES {
            self.end(Ok(Ended::Unauthorized))
        } else {
            self.want_register(cx.now.mono + wait, why)
        }
    }
}
