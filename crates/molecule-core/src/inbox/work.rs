//! The open inbox: it reads the feed, offers messages to the handler, and sends the replies.

mod attempts;
mod left_to_push;
mod receiving;
mod saving;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use molecule_proto::{ActivityId, Time, Wake};

use self::left_to_push::LeftToPush;
pub(crate) use self::left_to_push::{PUSHED_WITHIN, READ_BESIDE_PUSHES};
use self::receiving::Received;
use super::Wishes;
use super::failures::{Failures, Repeated};
use super::feed::{Feed, Position};
use super::journal::Journal;
use super::message::{CancelFlag, InboundMessage};
use super::open::Opened;
use super::outbox::{Outbox, OutboxStep, OutgoingReply, ReplyKey};
use super::reply_id::ReplyIds;
use super::saves::{Batch, Saved, Saves, is_unsupported};
use super::schedule::Schedule;
use super::uploads::Uploads;
use super::watch::Watch;
use crate::config::inbox::InboxOptions;
use crate::effect::{EffectId, Fault, Outcome, Slot};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::machine::{Cx, Step, pass};
use crate::session::key::Key;

/// The number of waiting messages at which the feed is read no further.
pub(crate) const MAX_WAITING: usize = 1_000;

/// The longest wait before a message is offered again.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(5 * 60);

/// How long after its handler's first wish for another try a message is a dead letter.
pub(crate) const PUT_OFF_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// How long a loop that ends at once waits for the write that is under way: half of the time in which it must end.
const LAST_WRITE: Duration = Duration::from_millis(50);

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
    left_to_push: LeftToPush,
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
    /// The row needs nothing more; its reply goes out, if there is one. Whoever pushed the same message is answered.
    Finished(ActivityId, Option<Key>, Option<Box<OutgoingReply>>),
    /// The application is told: that the message is a dead letter, which it can list, or that it is done.
    Told(Event),
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
        let mut schedule = Schedule::new(options.hand_over);
        let own = cx.session.workspace_id();
        let retried = journal.dead_letters().filter(|letter| letter.is_retried);
        let retried = retried.filter_map(|letter| InboundMessage::read(letter.activity()?, own));
        retried.for_each(|message| {
            let is_suspect = !options.hand_over && journal.attempts(message.id()).is_open();
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
            left_to_push: LeftToPush::default(),
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
        if self.options.hand_over {
            // They return when others are done with their messages, which may be days from now.
            self.leave_attempts();
        }
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
        let beat = self.wishes.beat && can_beat && self.running() == 0;
        let state = self.wishes.state && can_poll;
        let wishes = Wishes { beat, state, ..self.wishes };
        self.wishes =
            Wishes { beat: self.wishes.beat && !beat, state: self.wishes.state && !state, ..Wishes::default() };
        wishes
    }

    pub(super) fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Returns the number of attempts under way, as work of the agent: a message that is handed on waits for somebody else.
    pub(super) fn running(&self) -> u32 {
        let running = if self.options.hand_over { 0 } else { self.running.len() };
        u32::try_from(running).unwrap_or(u32::MAX)
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
        self.release_pushes(cx);
        self.events.push_back(self.failures.failed(cx, Repeated::Save, failures, &error));
    }
}
