//! The open inbox: it reads the feed, offers messages to the handler, and sends the replies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use molecule_proto::{ActivityId, ActivityRow, Time, Wake};

use super::Wishes;
use super::failures::{Failures, Repeated};
use super::feed::{Feed, FeedStep, Position};
use super::form::{self, Form};
use super::journal::{HandlerReply, Journal, Record};
use super::message::{CancelFlag, InboundMessage};
use super::open::Opened;
use super::outbox::{Outbox, OutboxStep, OutgoingReply, ReplyKey, ReplyRecord};
use super::reply::Reply;
use super::reply_id::ReplyIds;
use super::saves::{Batch, Saved, Saves, is_unsupported};
use super::schedule::Schedule;
use super::stored_reply::StoredReply;
use super::uploads::Uploads;
use super::watch::{Watch, WatchStep, Woke};
use crate::call::retry;
use crate::config::inbox::InboxOptions;
use crate::effect::{Effect, EffectId, Fault, FaultKind, Handle, Handled, Outcome, Sent, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::{Cx, Step, pass};
use crate::session::claims::Pushed;

/// How often the cursor is saved at most.
const CURSOR_EVERY: Duration = Duration::from_secs(5);

/// The number of waiting messages at which the feed is read no further.
pub(crate) const MAX_WAITING: usize = 1_000;

/// The bytes of waiting messages at which the feed is read no further. A message has at most a few MB.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The longest wait before a message is offered again.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(5 * 60);

/// The wait before a message is offered again whose handler could not be called, for example because no thread
/// started, or was dropped half-way.
const NOT_CALLED: Duration = Duration::from_secs(1);

/// How long a loop that ends at once waits for the write that is under way: half of the time in which it must end.
const LAST_WRITE: Duration = Duration::from_millis(50);

/// The wait before a message is looked at again that a push handles meanwhile.
const PUSHED: Duration = Duration::from_secs(1);

const HANDLE: &str = "handle a message";

/// The open inbox.
#[derive(Debug)]
pub(super) struct Work {
    options: InboxOptions,
    journal: Journal,
    ids: ReplyIds,
    feed: Feed,
    watch: Watch,
    outbox: Outbox,
    schedule: Schedule,
    uploads: Uploads,
    /// The rows of the files that belong to a message, by the message's row. They are finished together.
    joined: BTreeMap<ActivityId, Vec<ActivityId>>,
    saves: Saves,
    /// What follows once a batch of records is saved.
    after_save: VecDeque<(Batch, AfterSave)>,
    /// Attempts whose beginning is not saved yet.
    beginning: usize,
    /// Attempts that may start.
    offers: VecDeque<(InboundMessage, u32)>,
    /// The attempts under way.
    running: BTreeMap<EffectId, Attempt>,
    /// The messages that the application has answered while their handlers were still to return.
    answered: BTreeSet<ActivityId>,
    /// Effects to cancel.
    cancelled: Vec<EffectId>,
    /// When the cursor may be saved again.
    cursor_at: Time,
    /// The time until which running handlers are awaited, once the loop ends.
    drain_until: Option<Time>,
    /// The time until which a write of the journal is awaited, once the loop must end at once.
    write_until: Option<Time>,
    /// Whether a draining inbox has saved what it could.
    has_saved_last: bool,
    /// Whether a draining inbox has given up what takes too long.
    has_given_up: bool,
    wishes: Wishes,
    failures: Failures,
    /// Whether the workspace is paused.
    is_held: bool,
    /// Since when the messages are sent to the agent's own server.
    pushed_since: Option<Time>,
    /// The store cannot hold a journal.
    unfit: Option<Error>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Attempt {
    message: InboundMessage,
    number: u32,
    flag: CancelFlag,
}

#[derive(Debug)]
enum AfterSave {
    /// Offer the message to the handler: a process that dies in it has counted the attempt.
    Offer(InboundMessage, u32),
    /// The row needs nothing more; its reply goes out, if there is one.
    Finished(ActivityId, Option<Box<OutgoingReply>>),
    /// The message is a dead letter, which the application can list.
    Buried(Event),
    /// The notice may be sent.
    Marked(ReplyKey),
    /// The feed may acknowledge the rows up to this cursor.
    Cursor(Position),
}

impl Work {
    pub(super) fn new(cx: &mut Cx<'_>, opened: Opened) -> Self {
        let Opened { journal, ids } = opened;
        cx.session.claims.inbox_begins(journal.known_messages());
        let options = cx.session.config().inbox.clone();
        let mut outbox = Outbox::new(options.trail);
        let mut unsent: Vec<_> = journal.unsent().collect();
        unsent.sort_by_key(|unsent| unsent.reply.replied_at);
        unsent.into_iter().for_each(|unsent| outbox.push(cx, OutgoingReply::unsent(&ids, unsent)));
        let mut schedule = Schedule::default();
        let own = cx.session.workspace_id();
        let retried = journal.dead_letters().filter(|letter| letter.is_retried);
        let retried = retried.filter_map(|letter| InboundMessage::read(letter.activity()?, own));
        retried.for_each(|message| {
            let is_suspect = journal.attempts(message.id()).is_open();
            schedule.push(message, is_suspect);
        });
        Self {
            feed: Feed::new(journal.cursor().cloned(), &options),
            watch: Watch::new(options.watch),
            outbox,
            schedule,
            uploads: Uploads::default(),
            joined: BTreeMap::new(),
            saves: Saves::new(Slot::Inbox, options.durable),
            after_save: VecDeque::new(),
            beginning: 0,
            offers: VecDeque::new(),
            running: BTreeMap::new(),
            answered: BTreeSet::new(),
            cancelled: Vec::new(),
            cursor_at: cx.now.mono,
            drain_until: None,
            write_until: None,
            has_saved_last: false,
            has_given_up: false,
            wishes: Wishes::default(),
            failures: Failures::new(cx),
            is_held: false,
            pushed_since: None,
            unfit: None,
            events: VecDeque::new(),
            options,
            journal,
            ids,
        }
    }

    /// Reads no further messages, and waits for the handlers that run, for at most the configured time.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>) {
        if self.drain_until.is_some() {
            return;
        }
        self.drain_until = Some(cx.now.mono + self.options.drain);
        self.watch.stop();
        self.feed.stop(cx);
        self.take_back_offers();
    }

    /// Cancels everything at once.
    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.drain(cx);
        self.drain_until = Some(cx.now.mono);
        self.write_until.get_or_insert(cx.now.mono + LAST_WRITE);
        self.outbox.cancel(cx);
    }

    /// Returns until when a loop that must end at once waits for a write of the journal: the lock stays taken until that
    /// is over, so that an agent that starts next would be refused.
    pub(super) fn last_write(&self, now: Time) -> Option<Time> {
        self.write_until.filter(|until| *until > now && !self.saves.is_idle())
    }

    /// Records that a heartbeat was answered, which the stream must show as well.
    pub(super) fn beaten(&mut self, now: Time, sent_at: Time) {
        self.watch.beaten(now, sent_at);
    }

    /// Takes what is asked of the loop. A heartbeat is asked for once nothing runs.
    pub(super) fn take_wishes(&mut self, can_beat: bool, can_poll: bool) -> Wishes {
        let beat = self.wishes.beat && can_beat && self.running.is_empty();
        let state = self.wishes.state && can_poll;
        let wishes = Wishes { beat, state, ..self.wishes };
        self.wishes =
            Wishes { beat: self.wishes.beat && !beat, state: self.wishes.state && !state, ..Wishes::default() };
        wishes
    }

    pub(super) fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    pub(super) fn leave_to_push(&mut self, since: Option<Time>) {
        self.pushed_since = since;
    }

    /// Returns the number of attempts under way.
    pub(super) fn running(&self) -> u32 {
        u32::try_from(self.running.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Result<()>> {
        loop {
            self.follow_saves(cx);
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            if let Some(id) = self.cancelled.pop() {
                return Step::Cancel(id);
            }
            if let Some(error) = self.unfit.take() {
                return Step::Done(Err(error));
            }
            self.take_orders(cx);
            if let Some((message, number)) = self.offers.pop_front() {
                return self.offer(cx, message, number);
            }
            let mut wake = None;
            match self.outbox.poll(cx) {
                OutboxStep::Step(step) => return pass(step),
                OutboxStep::Record(key, record) => {
                    self.record_reply(key, record);
                    continue;
                }
                OutboxStep::Idle(own) => wake = Wake::earliest(wake, own),
                OutboxStep::Empty => {}
            }
            match self.drain_until {
                None => match self.receive(cx) {
                    Received::Step(step) => return step,
                    Received::Again => continue,
                    Received::Idle(own) => wake = Wake::earliest(wake, own),
                },
                Some(until) => {
                    if let Some(step) = self.end_reading(cx) {
                        return step;
                    }
                    if until <= cx.now.mono && self.give_up(cx) {
                        continue;
                    }
                    let at = (until > cx.now.mono).then_some(until);
                    wake = Wake::earliest(wake, at.map(|at| Wake { at, why: "handlers are awaited no longer" }));
                }
            }
            if let Some((id, effect)) = self.saves.start(cx, &mut self.journal) {
                return Step::Start(id, effect);
            }
            if self.is_drained(cx) {
                if std::mem::replace(&mut self.has_saved_last, true) {
                    return Step::Done(Ok(()));
                }
                self.save_last(cx);
                continue;
            }
            return Step::Idle(Wake::earliest(wake, self.saves.wake()));
        }
    }
}

/// The result of a look for messages.
enum Received {
    Step(Step<Result<()>>),
    /// Something has changed: look again.
    Again,
    Idle(Option<Wake>),
}

/// Messages on their way in.
impl Work {
    fn receive(&mut self, cx: &mut Cx<'_>) -> Received {
        let mut wake = None;
        match self.watch.poll(cx) {
            WatchStep::Step(step) => return Received::Step(pass(step)),
            WatchStep::Woke(woke) => {
                self.woke(cx, woke);
                return Received::Again;
            }
            WatchStep::Idle(own) => wake = Wake::earliest(wake, own),
        }
        self.feed.set_live(cx, self.watch.is_live(), self.watch.is_silent(cx.now.mono));
        let is_left = self.is_left_to_push(cx);
        self.feed.pause(self.is_held || is_left || self.is_enough_waiting() || self.journal.is_full());
        match self.feed.poll(cx, &|row| self.journal.is_done(row)) {
            FeedStep::Step(step) => return Received::Step(pass(step)),
            FeedStep::Rows(rows) => {
                self.save_cursor(cx, true);
                rows.into_iter().for_each(|row| self.take_row(cx, row));
                return Received::Again;
            }
            FeedStep::Failed { failures, error } => {
                self.feed_failed(cx, failures, &error);
                return Received::Again;
            }
            FeedStep::Recovered { failures } => {
                self.events.push_back(self.failures.recovered(cx, Repeated::Read, failures));
                return Received::Again;
            }
            FeedStep::Idle(own) => wake = Wake::earliest(wake, own),
        }
        while let Some(message) = self.uploads.take_alone(cx.now.mono) {
            self.wait_for_turn(message);
        }
        let is_begun = self.begin_attempts(cx);
        self.save_cursor(cx, false);
        if is_begun {
            return Received::Again;
        }
        let waits = [
            (self.uploads.wake(), "a file without a message"),
            (self.ready_at(cx), "offer a message"),
            (self.last_read_at(), "read the feed for the last time"),
        ];
        for (at, why) in waits {
            let at = at.filter(|at| *at > cx.now.mono);
            wake = Wake::earliest(wake, at.map(|at| Wake { at, why }));
        }
        Received::Idle(wake)
    }

    /// Returns whether the messages go to the agent's own server, and the feed has shown what came before. The platform shows
    /// rows late, so that the last read begins once all of them must be visible.
    fn is_left_to_push(&mut self, cx: &Cx<'_>) -> bool {
        let Some(last) = self.last_read_at() else { return false };
        let is_read = self.feed.read_at().is_some_and(|at| at >= last);
        if !is_read && last <= cx.now.mono {
            self.feed.wake_at_rest(cx.now.mono);
        }
        is_read
    }

    /// Returns when the last read of the feed is due, if messages go to the agent's own server.
    fn last_read_at(&self) -> Option<Time> {
        self.pushed_since.map(|since| since + self.options.trail)
    }

    fn take_row(&mut self, cx: &mut Cx<'_>, row: ActivityRow) {
        let id = row.id.clone();
        if self.journal.is_done(&id) {
            return self.feed.finished(&id);
        }
        if self.schedule.contains(&id) {
            return;
        }
        if self.outbox.echo(cx, &row) {
            return self.feed.finished(&id);
        }
        let own = cx.session.workspace_id();
        match form::read(row, own, &|file| self.journal.is_own_file(file)) {
            Form::Message(mut message) => {
                let is_known = message.duplicate_key().is_some_and(|key| self.journal.is_known_message(key));
                if is_known || self.pushed(cx, &message) == Some(Pushed::Handled) {
                    return self.feed.finished(&id);
                }
                let files = self.uploads.join(&mut message);
                if !files.is_empty() {
                    self.joined.insert(id, files);
                }
                self.wait_for_turn(message);
            }
            Form::Upload(attachment, alone) => {
                if let Some(row) = self.uploads.add(cx.now.mono, attachment, alone) {
                    self.done(row);
                }
            }
            Form::Notice | Form::Skipped(_) => self.feed.finished(&id),
        }
    }

    /// Returns what a push has made of a message. One that no push has is the inbox's from then on.
    fn pushed(&self, cx: &mut Cx<'_>, message: &InboundMessage) -> Option<Pushed> {
        let key = message.delivery_key()?;
        let pushed = cx.session.claims.pushed(key);
        if pushed.is_none() {
            cx.session.claims.inbox_holds(key);
        }
        pushed
    }

    /// Has a message wait for its turn with the handler.
    fn wait_for_turn(&mut self, message: InboundMessage) {
        let is_suspect = self.journal.attempts(message.id()).is_open();
        self.schedule.push(message, is_suspect);
    }

    /// Does and records what calls of the agent have ordered.
    fn take_orders(&mut self, cx: &mut Cx<'_>) {
        self.keep_own_files(cx);
        self.take_retried(cx);
        for (row, end) in std::mem::take(&mut cx.session.orders.replied) {
            if self.journal.later(&row).is_some() {
                self.journal.record(Record::ReplyEnded { row, n: 0, end });
            } else if self.schedule.contains(&row) {
                self.answered.insert(row);
            }
        }
    }

    /// Offers the dead letters again that the application asks for.
    fn take_retried(&mut self, cx: &mut Cx<'_>) {
        for row in std::mem::take(&mut cx.session.orders.retried) {
            let own = cx.session.workspace_id();
            let letter = self.journal.dead_letter(&row).filter(|_| !self.schedule.contains(&row));
            let message = letter.and_then(|letter| InboundMessage::read(letter.activity()?, own));
            if let Some(message) = message {
                self.journal.record(Record::Retried { row });
                self.wait_for_turn(message);
            }
        }
    }

    /// Saves the cursor, if it has moved. `is_first` says that rows of a first read came, before which the cursor must be
    /// known.
    fn save_cursor(&mut self, cx: &Cx<'_>, is_first: bool) {
        let saved = self.journal.cursor();
        // While the disk refuses everything, newer cursors only make the journal longer.
        let is_due =
            if is_first { saved.is_none() } else { self.cursor_at <= cx.now.mono && self.saves.failures() == 0 };
        if !is_due {
            return;
        }
        let Some(position) = self.feed.cursor().filter(|cursor| Some(cursor) != saved) else { return };
        self.cursor_at = cx.now.mono + CURSOR_EVERY;
        self.record(Record::Cursor { position: position.clone() }, AfterSave::Cursor(position));
    }

    fn is_enough_waiting(&self) -> bool {
        self.schedule.len() + self.uploads.len() >= MAX_WAITING
            || self.schedule.bytes() + self.uploads.bytes() >= MAX_WAITING_BYTES
    }

    fn feed_failed(&mut self, cx: &mut Cx<'_>, failures: u32, error: &Error) {
        self.wishes.register |= error.kind() == ErrorKind::Unauthorized;
        self.events.push_back(self.failures.failed(cx, Repeated::Read, failures, error));
    }

    fn woke(&mut self, cx: &mut Cx<'_>, woke: Woke) {
        if woke.feed {
            self.feed.wake(cx.now.mono);
        }
        self.wishes.state |= woke.state;
        self.wishes.beat |= woke.request;
    }
}

/// The end of reading.
impl Work {
    /// Returns the steps by which the reads and the stream are given up.
    fn end_reading(&mut self, cx: &mut Cx<'_>) -> Option<Step<Result<()>>> {
        if let WatchStep::Step(step) = self.watch.poll(cx) {
            return Some(pass(step));
        }
        loop {
            match self.feed.poll(cx, &|row| self.journal.is_done(row)) {
                FeedStep::Step(step) => return Some(pass(step)),
                FeedStep::Rows(_) | FeedStep::Failed { .. } | FeedStep::Recovered { .. } => {}
                FeedStep::Idle(_) => return None,
            }
        }
    }

    /// Awaits handlers and replies no longer. Returns whether there is something to do for it.
    fn give_up(&mut self, cx: &mut Cx<'_>) -> bool {
        let is_first = !std::mem::replace(&mut self.has_given_up, true);
        if is_first {
            self.outbox.cancel(cx);
        }
        let is_left = !self.running.is_empty();
        self.leave_attempts();
        is_first || is_left
    }

    /// Saves what is left to save: the cursor, and once more what the disk has refused.
    fn save_last(&mut self, cx: &Cx<'_>) {
        self.saves.try_again(cx.now.mono);
        self.cursor_at = cx.now.mono;
        self.save_cursor(cx, false);
    }
}

/// Attempts of the handler.
impl Work {
    fn ready_at(&self, cx: &Cx<'_>) -> Option<Time> {
        self.schedule.wake(cx.now.mono)
    }

    /// Begins attempts while there is room. Returns whether one has begun.
    fn begin_attempts(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut is_begun = false;
        // A reply may have 4 MB, and as many messages may wait as fill the journal many times over.
        while !self.is_held
            && !self.journal.is_full()
            && self.running.len() + self.beginning + self.offers.len() < self.options.concurrency
            && let Some(message) = self.schedule.take(cx.now.mono)
        {
            let pushed = self.pushed(cx, &message);
            if pushed == Some(Pushed::Running) {
                self.schedule.put_off(message.id(), cx.now.mono + PUSHED);
                continue;
            }
            is_begun = true;
            if pushed == Some(Pushed::Handled) || self.is_repeated(&message) {
                self.schedule.remove(message.id());
                self.feed.finished(message.id());
                self.finish_files(message.id());
                continue;
            }
            let begun = self.journal.attempts(message.id()).begun;
            if begun >= self.options.attempts {
                // The process died in the last one.
                self.bury(cx, &message, begun, "the process ended during the last attempt");
                continue;
            }
            self.beginning += 1;
            let (row, attempt) = (message.id().clone(), begun + 1);
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

    fn offer(&mut self, cx: &mut Cx<'_>, message: InboundMessage, number: u32) -> Step<Result<()>> {
        let (message, flag) = message.for_attempt(number);
        let id = cx.session.next_effect();
        self.running.insert(id, Attempt { message: message.clone(), number, flag });
        Step::Start(id, Effect::Handle(Handle { message }))
    }

    fn handled(&mut self, cx: &mut Cx<'_>, attempt: Attempt, handled: Handled) {
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
        self.finish(cx, &message, Record::handled(&message, reply), outgoing);
    }

    /// Records that a message needs no further attempt. The next one of its conversation may begin: its first record is
    /// saved together with this one, or after it.
    fn finish(&mut self, cx: &mut Cx<'_>, message: &InboundMessage, record: Record, reply: Option<OutgoingReply>) {
        if let Some(key) = message.delivery_key() {
            cx.session.claims.inbox_handled(key);
        }
        self.schedule.remove(message.id());
        self.answered.remove(message.id());
        self.finish_files(message.id());
        self.record(record, AfterSave::Finished(message.id().clone(), reply.map(Box::new)));
    }

    /// Finishes the files of a message: after a restart they would be messages of their own, since nobody would name
    /// them.
    fn finish_files(&mut self, message: &ActivityId) {
        self.joined.remove(message).unwrap_or_default().into_iter().for_each(|row| self.done(row));
    }

    /// Records that a row needs nothing more which was no message of its own.
    fn done(&mut self, row: ActivityId) {
        self.record(Record::done(std::slice::from_ref(&row)), AfterSave::Finished(row, None));
    }

    fn failed(&mut self, cx: &mut Cx<'_>, attempt: &Attempt, fault: Fault) {
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
        let doubled = retry::BASE.saturating_mul(1 << (number - 1).min(10)).min(MAX_BACKOFF);
        let wait = retry::jitter(&mut cx.session.rng, doubled / 2, doubled);
        self.schedule.acquit(message.id());
        self.schedule.put_off(message.id(), cx.now.mono + wait);
        self.journal.record(Record::failed(message.id(), number, &error.to_string()));
    }

    /// Keeps a message that the handler could not handle as a dead letter.
    fn bury(&mut self, cx: &mut Cx<'_>, message: &InboundMessage, attempts: u32, why: &str) {
        let event = Event::DeadLetter { message: message.id().clone(), attempts, why: why.to_owned() };
        self.after_save.push_back((self.saves.next_batch(), AfterSave::Buried(event)));
        self.finish(cx, message, Record::dead(message, attempts, why), None);
    }

    /// Takes back the attempts that have not started, so that they do not count.
    fn take_back_offers(&mut self) {
        for (batch, then) in std::mem::take(&mut self.after_save) {
            match then {
                AfterSave::Offer(message, number) => self.offers.push_back((message, number)),
                AfterSave::Finished(..) | AfterSave::Buried(_) | AfterSave::Marked(_) | AfterSave::Cursor(_) => {
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
    fn leave_attempts(&mut self) {
        for (id, attempt) in std::mem::take(&mut self.running) {
            attempt.flag.set();
            self.cancelled.push(id);
            self.uncount(&attempt.message, attempt.number, Time::ZERO);
        }
    }

    /// Takes an attempt back, so that it does not count. The message is offered again at this time.
    fn uncount(&mut self, message: &InboundMessage, number: u32, ready_at: Time) {
        self.schedule.put_off(message.id(), ready_at);
        self.journal.record(Record::Interrupted { row: message.id().clone(), attempt: number });
    }
}

/// The journal.
impl Work {
    fn record(&mut self, record: Record, then: AfterSave) {
        self.after_save.push_back((self.saves.next_batch(), then));
        self.journal.record(record);
    }

    fn record_reply(&mut self, key: ReplyKey, record: ReplyRecord) {
        let is_mark = matches!(record, ReplyRecord::Marked(_));
        let batch = self.saves.next_batch();
        self.journal.record(record.of(key.clone()));
        if is_mark {
            self.after_save.push_back((batch, AfterSave::Marked(key)));
        }
    }

    /// Records the files that the agent uploaded. Their rows may have come before the answer to the upload.
    fn keep_own_files(&mut self, cx: &mut Cx<'_>) {
        for file in std::mem::take(&mut cx.session.orders.own_files) {
            if let Some(row) = self.uploads.remove(&file) {
                self.feed.finished(&row);
            }
            self.journal.record(Record::OwnFile { file_id: file.to_string() });
        }
    }

    /// Does what waited for the saved batches.
    fn follow_saves(&mut self, cx: &Cx<'_>) {
        while self.after_save.front().is_some_and(|(batch, _)| self.saves.is_saved(*batch)) {
            match self.after_save.pop_front() {
                Some((_, AfterSave::Offer(message, number))) => {
                    self.beginning -= 1;
                    self.offers.push_back((message, number));
                }
                Some((_, AfterSave::Finished(row, reply))) => {
                    self.feed.finished(&row);
                    if let Some(reply) = reply {
                        self.outbox.push(cx, *reply);
                    }
                }
                Some((_, AfterSave::Buried(event))) => self.events.push_back(event),
                Some((_, AfterSave::Marked(key))) => self.outbox.recorded(cx, &key),
                Some((_, AfterSave::Cursor(position))) => self.feed.saved(&position),
                None => {}
            }
        }
    }

    /// Returns whether a draining inbox has nothing left to do.
    fn is_drained(&self, cx: &Cx<'_>) -> bool {
        let Some(until) = self.drain_until else { return false };
        let is_flushed = self.outbox.is_flushed(cx.now.mono) || until <= cx.now.mono;
        self.running.is_empty() && is_flushed && self.saves.is_idle()
    }
}

impl Work {
    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let outcome = match self.saves.feed(cx, id, outcome) {
            Ok(Saved::Well(0)) => return Ok(()),
            Ok(Saved::Well(failures)) => {
                self.events.push_back(self.failures.recovered(cx, Repeated::Save, failures));
                return Ok(());
            }
            Ok(Saved::Failed(failures, fault)) => {
                self.not_saved(cx, failures, fault);
                return Ok(());
            }
            Err(outcome) => outcome,
        };
        if let Some(attempt) = self.running.remove(&id) {
            match outcome {
                Outcome::Handled(handled) => self.handled(cx, attempt, handled),
                Outcome::Failed(fault) => self.failed(cx, &attempt, fault),
                other => {
                    self.running.insert(id, attempt);
                    return Err(other);
                }
            }
            return Ok(());
        }
        let Err(outcome) = self.outbox.feed(cx, id, outcome) else { return Ok(()) };
        let Err(outcome) = self.watch.feed(cx, id, outcome) else { return Ok(()) };
        self.feed.feed(cx, id, outcome)
    }

    /// Handles an append that failed: what waits for it goes on waiting.
    fn not_saved(&mut self, cx: &mut Cx<'_>, failures: u32, fault: Fault) {
        let is_unsupported = is_unsupported(&fault);
        let error = Error::from_fault("save the inbox", fault);
        if is_unsupported {
            self.unfit =
                Some(error.remedy("use another store for an agent that receives messages, or give this one `append`"));
            return;
        }
        self.events.push_back(self.failures.failed(cx, Repeated::Save, failures, &error));
    }
}
