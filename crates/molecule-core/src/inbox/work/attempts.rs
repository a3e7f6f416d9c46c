//! Attempts of the handler.

use std::time::Duration;

use molecule_proto::{ActivityId, Time};

use super::{AfterSave, Attempt, MAX_BACKOFF, PUT_OFF_AT_MOST, Work};
use crate::call::retry;
use crate::effect::{Effect, Fault, FaultKind, Handle, Handled, Sent};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::inbox::journal::{Attempts, HandlerReply, PutOff, Record};
use crate::inbox::message::InboundMessage;
use crate::inbox::outbox::OutgoingReply;
use crate::inbox::reply::Reply;
use crate::inbox::stored_reply::StoredReply;
use crate::inbox::try_again::TryAgain;
use crate::machine::{Cx, Step};
use crate::session::claims::Pushed;

/// The wait before a message is offered again whose handler could not be called, for example because no thread
/// started, or was dropped half-way.
const NOT_CALLED: Duration = Duration::from_secs(1);

/// The wait before a message is looked at again that a push handles meanwhile.
const PUSHED: Duration = Duration::from_secs(1);

/// The longest wait that a handler may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

const HANDLE: &str = "handle a message";

/// Returns the wait before a message is offered again, after so many earlier waits.
fn backoff(cx: &mut Cx<'_>, before: u32) -> Duration {
    let doubled = retry::BASE.saturating_mul(1 << before.min(10)).min(MAX_BACKOFF);
    retry::jitter(&mut cx.session.rng, doubled / 2, doubled)
}

impl Work {
    pub(super) fn ready_at(&self, cx: &Cx<'_>) -> Option<Time> {
        self.schedule.wake(cx.now.mono)
    }

    /// Begins attempts while there is room. Returns whether one has begun.
    pub(super) fn begin_attempts(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut is_begun = false;
        // A reply may have 4 MB, and as many messages may wait as fill the journal many times over.
        while !self.is_held
            && !self.journal.is_full()
            && self.running.len() + self.beginning + self.offers.len() < self.options.concurrency
            && let Some(message) = self.schedule.take(cx.now.mono)
        {
            self.left_to_push.waits_no_longer(message.id());
            let key = message.delivery_key();
            let pushed = key.and_then(|key| cx.session.claims.pushed(key));
            if pushed == Some(Pushed::Running) {
                self.schedule.put_off(message.id(), cx.now.mono + PUSHED);
                continue;
            }
            is_begun = true;
            let was_pushed = pushed == Some(Pushed::Handled);
            if was_pushed || self.is_repeated(&message) {
                self.schedule.remove(message.id());
                self.finish_files(message.id());
                if was_pushed {
                    self.done(message.id().clone());
                } else {
                    self.feed.finished(message.id());
                }
                continue;
            }
            // Until here a push could take it, and its caller would get the handler's answer.
            if let Some(key) = key {
                cx.session.claims.inbox_holds(key);
            }
            let Attempts { begun, failed, .. } = self.journal.attempts(message.id());
            let begun = if self.options.hand_over { failed } else { begun };
            if begun >= self.options.attempts {
                // The process died in the last one.
                self.bury(cx, &message, begun, "the process ended during the last attempt");
                continue;
            }
            let (row, attempt) = (message.id().clone(), begun + 1);
            if self.options.hand_over {
                // An attempt that ends with the process does not count, so that nothing is recorded.
                self.offers.push_back((message, attempt));
                continue;
            }
            self.beginning += 1;
            self.record(Record::Begun { row, attempt }, AfterSave::Offer(message, attempt));
        }
        is_begun
    }

    /// Returns whether another row of the same message was handled since this one came. A dead letter that is offered
    /// again is known itself.
    fn is_repeated(&self, message: &InboundMessage) -> bool {
        !self.journal.is_done(message.id())
            && message.duplicate_key().is_some_and(|key| self.journal.is_known_message(key))
    }

    pub(super) fn offer(&mut self, cx: &mut Cx<'_>, message: InboundMessage, number: u32) -> Step<Result<()>> {
        let (message, flag) = message.for_attempt(number);
        let id = cx.session.next_effect();
        self.running.insert(id, Attempt { message: message.clone(), number, flag });
        Step::Start(id, Effect::Handle(Handle { message }))
    }

    pub(super) fn handled(&mut self, cx: &mut Cx<'_>, attempt: Attempt, handled: Handled) {
        let message = attempt.message;
        let mut outgoing = None;
        let reply = match handled {
            // It was put off, and then given before the handler returned.
            Handled::Later if self.answered.contains(message.id()) => HandlerReply::None,
            Handled::Later => HandlerReply::Later(StoredReply::new(cx.now.unix, &message, Reply::none())),
            Handled::Reply(Some(reply)) if !reply.is_none() => {
                match OutgoingReply::of_handler(cx.now.unix, &message, reply, &self.ids) {
                    Ok(reply) => HandlerReply::Now(outgoing.insert(reply).reply.clone()),
                    Err(why) => {
                        self.events.push_back(Event::ReplyDropped { message: message.id().clone(), why });
                        HandlerReply::None
                    }
                }
            }
            Handled::Reply(_) => HandlerReply::None,
        };
        if self.options.hand_over {
            let event = Event::MessageDone { message: message.id().clone() };
            self.after_save.push_back((self.saves.next_batch(), AfterSave::Told(event)));
        }
        self.finish(cx, &message, Record::handled(&message, reply), outgoing);
    }

    /// Records that a message needs no further attempt. The next one of its conversation may begin: its first record is
    /// saved together with this one, or after it.
    fn finish(&mut self, cx: &mut Cx<'_>, message: &InboundMessage, record: Record, reply: Option<OutgoingReply>) {
        let key = message.delivery_key();
        if let Some(key) = key {
            cx.session.claims.inbox_handled(key);
        }
        self.schedule.remove(message.id());
        self.answered.remove(message.id());
        self.finish_files(message.id());
        self.record(record, AfterSave::Finished(message.id().clone(), key, reply.map(Box::new)));
    }

    /// Finishes the files of a message: after a restart they would be messages of their own, since nobody would name
    /// them.
    fn finish_files(&mut self, message: &ActivityId) {
        self.joined.remove(message).unwrap_or_default().into_iter().for_each(|row| self.done(row));
    }

    /// Records that a row needs nothing more which was no message of its own.
    pub(super) fn done(&mut self, row: ActivityId) {
        self.record(Record::done(std::slice::from_ref(&row)), AfterSave::Finished(row, None, None));
    }

    pub(super) fn failed(&mut self, cx: &mut Cx<'_>, attempt: &Attempt, fault: Fault) {
        if fault.kind == FaultKind::Cancelled {
            // The handler was dropped together with the loop's future.
            return self.uncount(&attempt.message, attempt.number, cx.now.mono + NOT_CALLED);
        }
        if fault.sent == Sent::No {
            // The handler was not called.
            self.uncount(&attempt.message, attempt.number, cx.now.mono + NOT_CALLED);
            let error = Error::from_fault(HANDLE, fault);
            return self.events.push_back(Event::Warning(error.to_string()));
        }
        if fault.kind == FaultKind::TryAgain {
            return self.put_off(cx, attempt, fault);
        }
        let error = Error::from_fault(HANDLE, fault);
        let (message, number) = (&attempt.message, attempt.number);
        self.events.push_back(Event::HandlerFailed {
            message: message.id().clone(),
            attempt: number,
            error: error.to_string(),
        });
        if number >= self.options.attempts {
            return self.bury(cx, message, number, &error.to_string());
        }
        let wait = backoff(cx, number - 1);
        self.schedule.acquit(message.id());
        self.schedule.put_off(message.id(), cx.now.mono + wait);
        self.journal.record(Record::failed(message.id(), number, &error.to_string()));
    }

    /// Offers a message again later, as its handler wishes. The attempt does not count; that it is not put off for ever
    /// is a matter of time.
    fn put_off(&mut self, cx: &mut Cx<'_>, attempt: &Attempt, fault: Fault) {
        let asked = fault.source.as_deref().and_then(|source| source.downcast_ref::<TryAgain>());
        let asked = asked.map_or(Duration::ZERO, |asked| asked.wait.min(LONGEST_ASKED));
        let error = Error::from_fault(HANDLE, fault);
        let (message, number) = (&attempt.message, attempt.number);
        let PutOff { since, times } =
            self.journal.attempts(message.id()).put_off.unwrap_or(PutOff { since: cx.now.unix, times: 0 });
        let hours = PUT_OFF_AT_MOST.as_secs() / 3600;
        if cx.now.unix.since(since) >= PUT_OFF_AT_MOST {
            let why = format!("{}, and has for {hours} h", error.cause());
            return self.bury(cx, message, number, &why);
        }
        let wait = backoff(cx, times).max(asked);
        self.events.push_back(Event::PutOff { message: message.id().clone(), wait, why: error.cause().to_owned() });
        self.schedule.acquit(message.id());
        self.schedule.put_off(message.id(), cx.now.mono + wait);
        let (row, times) = (message.id().clone(), times.saturating_add(1));
        self.journal.record(Record::PutOff { row, attempt: number, since, times });
    }

    /// Keeps a message that the handler could not handle as a dead letter.
    fn bury(&mut self, cx: &mut Cx<'_>, message: &InboundMessage, attempts: u32, why: &str) {
        let event = Event::DeadLetter { message: message.id().clone(), attempts, why: why.to_owned() };
        self.after_save.push_back((self.saves.next_batch(), AfterSave::Told(event)));
        self.finish(cx, message, Record::dead(message, attempts, why), None);
    }

    /// Takes back the attempts that have not started, so that they do not count.
    pub(super) fn take_back_offers(&mut self) {
        for (batch, then) in std::mem::take(&mut self.after_save) {
            match then {
                AfterSave::Offer(message, number) => self.offers.push_back((message, number)),
                AfterSave::Finished(..) | AfterSave::Told(_) | AfterSave::Marked(_) | AfterSave::Cursor(_) => {
                    self.after_save.push_back((batch, then));
                }
            }
        }
        self.beginning = 0;
        for (message, number) in std::mem::take(&mut self.offers) {
            self.uncount(&message, number, Time::ZERO);
        }
    }

    /// Ends the wait for the attempts that still run. They do not count: the loop's end has cut them off.
    pub(super) fn leave_attempts(&mut self) {
        for (id, attempt) in std::mem::take(&mut self.running) {
            attempt.flag.set();
            self.cancelled.push(id);
            self.uncount(&attempt.message, attempt.number, Time::ZERO);
        }
    }

    /// Takes an attempt back, so that it does not count. The message is offered again at this time.
    fn uncount(&mut self, message: &InboundMessage, number: u32, ready_at: Time) {
        self.schedule.put_off(message.id(), ready_at);
        if self.options.hand_over {
            return;
        }
        self.journal.record(Record::Interrupted { row: message.id().clone(), attempt: number });
    }
}
