//! The replies that are to be sent: to peers through the platform, to people as notices.
//!
//! A reply is in the journal before it comes here, under an id that is the same in every process. The platform keeps
//! one message of an id, so a message to a peer is sent again after every failure that may pass. A notice has no id on
//! the wire. Its mark is recorded before it is sent, and where it may have arrived, the feed's own row of it tells. Only
//! if no row is visible after the time within which rows become visible, it is sent again. So at most one notice is
//! seen twice after a crash, and only if its row became visible too late. On April's server a notice whose 80th byte
//! lies within a character leaves no row: it is sent at most twice in doubt, and then given up.
//!
//! The outbox has no journal. It asks for records ([`OutboxStep::Record`]) and is told once a mark is durable
//! ([`Outbox::recorded`]).

mod content;
mod flight;
mod item;
mod look;
mod looks;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use molecule_proto::{ActivityRow, Time};

use crate::call::retry::{CAP as HELD_AT_MOST, jitter};
use crate::effect::{EffectId, Outcome};
use crate::event::{Event, ReplyEnd};
use crate::inbox::attachment::OutgoingFile;
use crate::inbox::journal::Record;
use crate::machine::{Cx, Step, Wake, pass};
use crate::session::notices::{Mark, NoticeRow};
use content::Content;
use flight::{Flight, Prepared};
pub(crate) use item::{GIVEN_UP_AFTER, OutgoingReply, ReplyKey};
use item::{Item, Recipient, State};
use looks::Looks;
use verdict::{RARELY, Verdict};

/// The most replies on their way at once.
const MAX_FLIGHTS: usize = 8;

/// The most notices that are marked before their turn, so that one append marks several.
const MARKED_AHEAD: usize = 16;

/// The next step of the outbox.
#[derive(Debug)]
pub(crate) enum OutboxStep {
    /// A step of the machine: never `Idle` or `Done`.
    Step(Step<()>),
    /// Record this in the journal, then poll again at once. [`Outbox::recorded`] follows once a mark is durable.
    Record(ReplyKey, ReplyRecord),
    /// The outbox waits for an outcome, for a mark to be durable, or for the wake.
    Idle(Option<Wake>),
    /// No reply is left; after a cancel, none is on its way.
    Empty,
}

/// A fact about a reply, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplyRecord {
    /// The files of the reply are uploaded. It must be durable before the notice is sent, and is if the mark is.
    Attached(Vec<OutgoingFile>),
    /// The notice is about to be sent. It must be durable.
    Marked(Mark),
    /// The reply came to its end.
    Ended(ReplyEnd),
}

impl ReplyRecord {
    /// The record of the journal.
    pub(crate) fn of(self, key: ReplyKey) -> Record {
        let ReplyKey { row, n } = key;
        match self {
            Self::Attached(files) => Record::Attached { row, n, files },
            Self::Marked(mark) => Record::Marked { row, n, mark },
            Self::Ended(end) => Record::ReplyEnded { row, n, end },
        }
    }
}

/// The replies that are to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    lines: BTreeMap<Recipient, VecDeque<Item>>,
    /// The replies on their way: the first of their lines.
    flights: BTreeMap<Recipient, Flight>,
    /// When the first replies of the other lines are sent.
    due: BTreeSet<(Time, Recipient)>,
    looks: Looks,
    steps: VecDeque<OutboxStep>,
    /// Until when a scarce rate budget holds replies back, once it has.
    held_until: Option<Time>,
    is_cancelled: bool,
}

impl Outbox {
    /// Makes an empty outbox. `trail` is the time within which rows of the feed become visible.
    pub(crate) fn new(trail: Duration) -> Self {
        Self {
            lines: BTreeMap::new(),
            flights: BTreeMap::new(),
            due: BTreeSet::new(),
            looks: Looks::new(trail),
            steps: VecDeque::new(),
            held_until: None,
            is_cancelled: false,
        }
    }

    /// Adds a reply that is in the journal, behind the others to its recipient that have not arrived. A reply that is
    /// here already is not added again.
    pub(crate) fn push(&mut self, cx: &Cx<'_>, reply: OutgoingReply) {
        let to = reply.recipient();
        let line = self.lines.entry(to.clone()).or_default();
        if line.iter().any(|item| item.key == reply.key) {
            return;
        }
        let at = line.iter().position(|item| item.may_have_arrived && item.state != State::InFlight);
        let at = at.unwrap_or(line.len());
        if at == 0
            && let Some(Item { state: State::Ready(when), .. }) = line.front()
        {
            self.due.remove(&(*when, to.clone()));
        }
        line.insert(at, Item::new(cx.now, reply));
        if at == 0 {
            self.first_changed(cx.now.mono, &to);
        }
    }

    /// Returns the last error of a reply that is left.
    pub(crate) fn why(&self, key: &ReplyKey) -> Option<&str> {
        let item = self.lines.values().flatten().find(|item| item.key == *key)?;
        (!item.why.is_empty()).then_some(&item.why)
    }

    /// Returns whether everything is sent that can be sent now: what is left waits for another try, or for the feed.
    pub(crate) fn is_flushed(&self, now: Time) -> bool {
        let is_due = self.due.first().is_some_and(|(at, _)| *at <= now);
        let is_first_marked = |line: &VecDeque<Item>| {
            line.front().is_none_or(|first| !matches!(first.state, State::Unmarked | State::Marking))
        };
        self.steps.is_empty() && self.flights.is_empty() && !is_due && self.lines.values().all(is_first_marked)
    }

    /// The mark of this notice is durable.
    pub(crate) fn recorded(&mut self, cx: &Cx<'_>, key: &ReplyKey) {
        let Some(line) = self.lines.get_mut(&Recipient::People) else { return };
        let Some(at) = line.iter().position(|item| item.key == *key && item.state == State::Marking) else { return };
        line[at].state = State::Ready(cx.now.mono);
        if at == 0 {
            self.first_changed(cx.now.mono, &Recipient::People);
        }
    }

    /// Takes a row of the feed. Returns whether it shows a notice of the agent itself, which is no message to it.
    pub(crate) fn echo(&mut self, cx: &mut Cx<'_>, row: &ActivityRow) -> bool {
        let Some(row) = NoticeRow::read(row) else { return false };
        if cx.session.notices.see(row).is_some() {
            self.review(cx);
        }
        true
    }

    /// Cancels what is on its way and sends nothing more. What is left is sent by the next process.
    pub(crate) fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.is_cancelled = true;
        self.flights.values_mut().for_each(|flight| flight.cancel(cx));
        self.looks.cancel(cx);
    }

    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> OutboxStep {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            let mut wake = match self.poll_flights(cx) {
                Polled::Step(step) => return OutboxStep::Step(step),
                Polled::Changed => continue,
                Polled::Idle(wake) => wake,
            };
            match self.looks.poll(cx) {
                Polled::Step(step) => return OutboxStep::Step(step),
                Polled::Changed => {
                    self.review(cx);
                    continue;
                }
                Polled::Idle(own) => wake = Wake::earliest(wake, own),
            }
            if self.is_cancelled {
                let is_over = self.flights.is_empty() && self.looks.is_free();
                return if is_over { OutboxStep::Empty } else { OutboxStep::Idle(wake) };
            }
            if self.mark_ahead(cx) || self.start_due(cx) || self.look(cx) {
                continue;
            }
            if self.lines.is_empty() && self.looks.is_free() {
                return OutboxStep::Empty;
            }
            return OutboxStep::Idle(Wake::earliest(wake, self.next_due(cx)));
        }
    }

    pub(crate) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let mut outcome = outcome;
        for flight in self.flights.values_mut() {
            match flight.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(back) => outcome = back,
            }
        }
        self.looks.feed(cx, id, outcome)
    }
}

/// The state of a child machine, or of several, after a poll.
enum Polled {
    Step(Step<()>),
    /// A machine has ended: poll again.
    Changed,
    Idle(Option<Wake>),
}

impl Outbox {
    fn poll_flights(&mut self, cx: &mut Cx<'_>) -> Polled {
        let mut wake = None;
        let mut ended = None;
        for (to, flight) in &mut self.flights {
            match flight.poll(cx) {
                Step::Done(verdict) => {
                    ended = Some((to.clone(), verdict));
                    break;
                }
                Step::Idle(own) => wake = Wake::earliest(wake, own),
                other => return Polled::Step(pass(other)),
            }
        }
        let Some((to, verdict)) = ended else { return Polled::Idle(wake) };
        self.flights.remove(&to);
        self.settle(cx, &to, verdict);
        Polled::Changed
    }

    /// Marks the next notices.
    fn mark_ahead(&mut self, cx: &mut Cx<'_>) -> bool {
        if cx.session.notices.ready_at() > cx.now.mono {
            return false;
        }
        let Some(line) = self.lines.get_mut(&Recipient::People) else { return false };
        for at in 0..line.len().min(MARKED_AHEAD) {
            let (before, rest) = line.make_contiguous().split_at_mut(at);
            let item = &mut rest[0];
            // Whether an earlier notice is sent once more decides which rows come before this one's.
            if matches!(item.state, State::Doubt(_)) {
                break;
            }
            let waiting = before.iter().filter(|earlier| earlier.words == item.words).count();
            if let Some(mark) = item.mark(cx, waiting) {
                self.steps.push_back(OutboxStep::Record(item.key.clone(), ReplyRecord::Marked(mark)));
            }
        }
        !self.steps.is_empty()
    }

    /// Sends the next reply that is due.
    fn start_due(&mut self, cx: &mut Cx<'_>) -> bool {
        let now = cx.now.mono;
        if self.flights.len() >= MAX_FLIGHTS || self.due.first().is_none_or(|(at, _)| *at > now) {
            return false;
        }
        match self.held_until {
            // A budget that stays scarce does not hold replies back for ever.
            Some(until) if until > now => return false,
            // A 429 has named another time meanwhile.
            Some(_) => {
                self.held_until = cx.session.rate.hold_after_limit(now);
                if self.held_until.is_some() {
                    return false;
                }
            }
            None => {
                self.held_until = cx.session.rate.hold_others(now, now + HELD_AT_MOST);
                if self.held_until.is_some() {
                    return false;
                }
            }
        }
        let Some((_, to)) = self.due.pop_first() else { return false };
        let Some(item) = self.lines.get_mut(&to).and_then(VecDeque::front_mut) else { return true };
        // At the end of the clock's range no wait ends, and the next process tries again.
        if item.failures > 0 && now + Duration::from_nanos(1) == now {
            return true;
        }
        let flight = match &item.content {
            Ok(Content::Message { to, message }) => Flight::message(to, message.clone()),
            Ok(Content::Notice(notice)) => Ok(Flight::notice(notice.clone())),
            Ok(Content::Unprepared { reply, .. }) => Ok(Flight::prepare(reply)),
            Err(error) => Err(error.clone()),
        };
        item.state = State::InFlight;
        match flight {
            Ok(flight) => drop(self.flights.insert(to, flight)),
            Err(error) => self.end(cx, &to, 0, ReplyEnd::Refused(error.to_string())),
        }
        true
    }

    /// Looks at the feed if the first notice may have arrived.
    fn look(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(line) = self.lines.get(&Recipient::People) else { return false };
        let Some(State::Doubt(from)) = line.front().map(|first| first.state) else { return false };
        let in_doubt = line.iter().filter(|item| matches!(item.state, State::Doubt(_)));
        let since = in_doubt.filter_map(|item| item.mark.map(|mark| mark.since)).min();
        self.looks.start_due(cx.now.mono, from, since.unwrap_or_default())
    }

    fn next_due(&self, cx: &Cx<'_>) -> Option<Wake> {
        let now = cx.now.mono;
        let is_full = self.flights.len() >= MAX_FLIGHTS;
        let due =
            self.due.first().filter(|_| !is_full).map(|(at, _)| self.held_until.map_or(*at, |held| held.max(*at)));
        let due = due.filter(|at| *at > now).map(|at| Wake { at, why: "send a reply" });
        let first = self.lines.get(&Recipient::People).and_then(VecDeque::front).map(|first| first.state);
        let look = match first {
            Some(State::Doubt(from)) => self.looks.next(from),
            Some(State::Unmarked) => Some(Wake {
                at: cx.session.notices.ready_at(),
                why: "a notice can be told from those of earlier processes",
            }),
            _ => None,
        };
        Wake::earliest(due, look.filter(|wake| wake.at > now))
    }

    /// Takes what became of the first reply to a recipient.
    fn settle(&mut self, cx: &mut Cx<'_>, to: &Recipient, verdict: Verdict) {
        let now = cx.now.mono;
        let Some(item) = self.lines.get_mut(to).and_then(VecDeque::front_mut) else { return };
        match verdict {
            Verdict::End(end) => self.end(cx, to, 0, end),
            Verdict::Prepared(prepared) => {
                if let Prepared::Uploaded(files) = &prepared {
                    let record = ReplyRecord::Attached(files.clone());
                    self.steps.push_back(OutboxStep::Record(item.key.clone(), record));
                }
                item.prepare(now, prepared);
                self.first_changed(now, to);
            }
            Verdict::Again { after, cap, why } => self.try_again(cx, to, after, cap, why),
            Verdict::MayHaveArrived(why) => {
                item.may_have_arrived = true;
                self.try_again(cx, to, None, RARELY, why);
            }
            Verdict::Doubt { after, why } => {
                item.failures = item.failures.saturating_add(1);
                item.doubts = item.doubts.saturating_add(1);
                (item.state, item.why) = (State::Doubt(now), why);
                self.looks.wait_until(now + after.unwrap_or_default());
                self.first_changed(now, to);
                self.review(cx);
            }
            // It is sent by the next process, or was and is looked for.
            Verdict::Cancelled => {
                item.state = match to {
                    Recipient::People if item.words.is_some() => State::Doubt(now),
                    Recipient::People | Recipient::Peer(_) => State::Ready(now),
                };
                self.first_changed(now, to);
            }
        }
    }

    /// Ends the notices in doubt that the feed shows, and sends the first one again if it shows that none arrived.
    fn review(&mut self, cx: &mut Cx<'_>) {
        let to = Recipient::People;
        loop {
            let Some(line) = self.lines.get_mut(&to) else { return };
            let shown = line.iter().position(|item| matches!(item.state, State::Doubt(_)) && item.is_shown(cx));
            if let Some(at) = shown {
                self.end(cx, &to, at, ReplyEnd::Delivered);
                continue;
            }
            let Some(first) = line.front_mut() else { return };
            let State::Doubt(from) = first.state else { return };
            if !self.looks.shows_all(from) {
                return;
            }
            if first.is_blind(cx.session.dialect) || first.is_given_up(cx.now.mono) {
                let why = format!("it is unknown whether the user has it: {}", first.why);
                self.end(cx, &to, 0, ReplyEnd::GivenUp(why));
                continue;
            }
            first.state = State::Ready(cx.now.mono);
            return self.first_changed(cx.now.mono, &to);
        }
    }

    /// Removes a reply that came to its end.
    fn end(&mut self, cx: &mut Cx<'_>, to: &Recipient, at: usize, end: ReplyEnd) {
        let Some(line) = self.lines.get_mut(to) else { return };
        let Some(item) = line.remove(at) else { return };
        if line.is_empty() {
            self.lines.remove(to);
        }
        if let (ReplyEnd::Delivered, Some(words), Some(mark)) = (&end, item.words, item.mark) {
            cx.session.notices.sent(words, mark);
        }
        let message = item.key.row.clone();
        self.steps.push_back(OutboxStep::Record(item.key, ReplyRecord::Ended(end.clone())));
        self.steps.push_back(OutboxStep::Step(Step::Event(Event::ReplyEnded { message, end })));
        if at == 0 {
            self.first_changed(cx.now.mono, to);
        }
    }

    /// Plans another try of the first reply to a recipient, unless it has been tried for long enough.
    fn try_again(&mut self, cx: &mut Cx<'_>, to: &Recipient, after: Option<Duration>, cap: Duration, why: String) {
        let now = cx.now.mono;
        let Some(item) = self.lines.get_mut(to).and_then(VecDeque::front_mut) else { return };
        item.failures = item.failures.saturating_add(1);
        if item.is_given_up(now) {
            return self.end(cx, to, 0, ReplyEnd::GivenUp(why));
        }
        let wait = backoff(cx, item.failures, cap).max(after.unwrap_or_default());
        (item.state, item.why) = (State::Ready(now + wait), why);
        if item.may_have_arrived {
            self.yield_first(to);
        }
        self.first_changed(now, to);
    }

    /// Moves the first reply to a recipient behind those that are sent sooner.
    fn yield_first(&mut self, to: &Recipient) {
        let Some(line) = self.lines.get_mut(to) else { return };
        let Some(first) = line.pop_front() else { return };
        let is_later = |item: &Item| match (item.state, first.state) {
            (State::Ready(theirs), State::Ready(own)) => item.may_have_arrived && theirs > own,
            _ => false,
        };
        let at = line.iter().position(is_later).unwrap_or(line.len());
        line.insert(at, first);
    }

    /// Plans what follows for the first reply to a recipient.
    fn first_changed(&mut self, now: Time, to: &Recipient) {
        let Some(first) = self.lines.get(to).and_then(VecDeque::front) else { return };
        match first.state {
            State::Ready(at) => drop(self.due.insert((at, to.clone()))),
            State::Doubt(_) => self.looks.begin(now),
            State::Unmarked | State::Marking | State::InFlight => {}
        }
    }
}

/// Returns the wait after this many failures in a row: about 1 s, doubled each time, up to `cap`.
fn backoff(cx: &mut Cx<'_>, failures: u32, cap: Duration) -> Duration {
    let most = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(16)).min(cap);
    jitter(&mut cx.session.rng, most / 2, most)
}

#[cfg(test)]
mod tests;
