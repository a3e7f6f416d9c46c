//! The messages that wait for the handler: one at a time for each conversation, in the order of the feed.

use std::collections::{BTreeMap, VecDeque};

use molecule_proto::{ActivityId, Time};

use super::message::InboundMessage;
use super::sender::Conversation;

/// The messages that wait or are being handled.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Whether messages do not wait for others of their conversation.
    is_side_by_side: bool,
    lines: BTreeMap<Conversation, Line>,
    /// The conversations of which no message is being handled, by their turns, so that none starves beside busy ones.
    free: BTreeMap<u64, Conversation>,
    /// The number of turns so far.
    turns: u64,
    conversations: BTreeMap<ActivityId, Conversation>,
    /// The number of suspects that are being handled.
    suspects: usize,
    /// The bytes of all messages.
    bytes: usize,
}

/// The messages of a conversation.
#[derive(Debug, Default)]
struct Line {
    /// When it is the conversation's turn.
    turn: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    message: InboundMessage,
    /// The message is not offered before this time.
    ready_at: Time,
    /// Whether the message is being offered to the handler.
    is_taken: bool,
    /// Whether a process ended while it was offered to the handler.
    is_suspect: bool,
}

impl Schedule {
    /// Makes an empty schedule. `is_side_by_side` says that messages do not wait for others of their conversation.
    pub(super) fn new(is_side_by_side: bool) -> Self {
        Self { is_side_by_side, ..Self::default() }
    }

    /// Adds a message behind the others of its conversation. `is_suspect` says that a process ended during its last attempt.
    /// One suspect is offered at a time: else a message that kills the process would take those beside it along, again and
    /// again, until they count as its like.
    pub(super) fn push(&mut self, message: InboundMessage, is_suspect: bool) {
        let conversation = match self.is_side_by_side {
            true => Conversation::Message(message.id().clone()),
            false => message.conversation().clone(),
        };
        self.bytes += message.json().len();
        self.conversations.insert(message.id().clone(), conversation.clone());
        let turn = self.turns;
        let line = self.lines.entry(conversation.clone()).or_insert_with(|| Line { turn, ..Line::default() });
        if line.waiting.is_empty() {
            self.turns += 1;
            self.free.insert(turn, conversation);
        }
        line.waiting.push_back(Waiting { message, ready_at: Time::ZERO, is_taken: false, is_suspect });
    }

    /// Takes the next message whose conversation is free, at most one suspect among them, and keeps its place until [`remove`](Self::remove) or
    /// [`put_off`](Self::put_off).
    pub(super) fn take(&mut self, now: Time) -> Option<InboundMessage> {
        let may_begin = |first: &Waiting| first.ready_at <= now && !(first.is_suspect && self.suspects > 0);
        let turn = self.firsts().find(|(_, first)| may_begin(first)).map(|(turn, _)| turn)?;
        let line = self.free.remove(&turn).and_then(|conversation| self.lines.get_mut(&conversation))?;
        line.turn = self.turns;
        self.turns += 1;
        let first = line.waiting.front_mut()?;
        first.is_taken = true;
        self.suspects += usize::from(first.is_suspect);
        Some(first.message.clone())
    }

    /// Removes a message that needs no further attempt. The next one of its conversation is free then.
    pub(super) fn remove(&mut self, row: &ActivityId) {
        self.give_back(row);
        let Some(conversation) = self.conversations.remove(row) else { return };
        let Some(line) = self.lines.get_mut(&conversation) else { return };
        let at = line.waiting.iter().position(|waiting| waiting.message.id() == row);
        if let Some(removed) = at.and_then(|at| line.waiting.remove(at)) {
            self.bytes -= removed.message.json().len();
        }
        if line.waiting.is_empty() {
            self.free.remove(&line.turn);
            self.lines.remove(&conversation);
        }
    }

    /// Offers a message again, at this time. The others of its conversation wait for it.
    pub(super) fn put_off(&mut self, row: &ActivityId, ready_at: Time) {
        self.give_back(row);
        if let Some(waiting) = self.get_mut(row) {
            waiting.ready_at = ready_at;
        }
    }

    /// Says that an attempt of the message has ended, and its process has not.
    pub(super) fn acquit(&mut self, row: &ActivityId) {
        let Some(waiting) = self.get_mut(row) else { return };
        if std::mem::take(&mut waiting.is_suspect) && waiting.is_taken {
            self.suspects -= 1;
        }
    }

    /// Returns when the next message is ready that waits for a time alone.
    pub(super) fn wake(&self, now: Time) -> Option<Time> {
        self.firsts().map(|(_, first)| first.ready_at.max(now)).min()
    }

    pub(super) fn contains(&self, row: &ActivityId) -> bool {
        self.conversations.contains_key(row)
    }

    /// The number of messages that wait or are being handled.
    pub(super) fn len(&self) -> usize {
        self.conversations.len()
    }

    /// The bytes of these messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first messages of the free conversations, by their turns.
    fn firsts(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        self.free
            .iter()
            .filter_map(|(turn, conversation)| Some((*turn, self.lines.get(conversation)?.waiting.front()?)))
    }

    /// Ends the attempt of a message, if there is one: its conversation is free.
    fn give_back(&mut self, row: &ActivityId) {
        let Some(waiting) = self.get_mut(row).filter(|waiting| waiting.is_taken) else { return };
        waiting.is_taken = false;
        let is_suspect = waiting.is_suspect;
        self.suspects -= usize::from(is_suspect);
        let Some(conversation) = self.conversations.get(row) else { return };
        if let Some(line) = self.lines.get(conversation) {
            self.free.insert(line.turn, conversation.clone());
        }
    }

    fn get_mut(&mut self, row: &ActivityId) -> Option<&mut Waiting> {
        let line = self.lines.get_mut(self.conversations.get(row)?)?;
        line.waiting.iter_mut().find(|waiting| waiting.message.id() == row)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use molecule_proto::{ActivityRow, ActivityType, UnixTime, WorkspaceId};

    use super::*;
    use crate::inbox::sender::Sender;

    fn message(number: u8, sender: Sender) -> InboundMessage {
        let (id, own) = (ActivityId::from_random([number; 16]), WorkspaceId::from_random([0; 16]));
        let row = ActivityRow::new(id, own, ActivityType::A2aReceive, UnixTime::from_secs(i64::from(number)));
        InboundMessage::from_row(row, sender, Vec::new())
    }

    fn peer(number: u8) -> Sender {
        Sender::Peer { id: WorkspaceId::from_random([number; 16]), name: None, role: None }
    }

    fn schedule(messages: impl IntoIterator<Item = (u8, Sender)>) -> Schedule {
        let mut schedule = Schedule::default();
        messages.into_iter().for_each(|(number, sender)| schedule.push(message(number, sender), false));
        schedule
    }

    /// Takes what is free now; returns the numbers of the messages.
    fn take_all(schedule: &mut Schedule, now: Time) -> Vec<u8> {
        let of = |message: InboundMessage| u8::try_from(message.received_at().as_secs()).unwrap_or_default();
        std::iter::from_fn(|| schedule.take(now)).map(of).collect()
    }

    fn row(number: u8) -> ActivityId {
        ActivityId::from_random([number; 16])
    }

    #[test]
    fn messages_of_one_conversation_come_one_after_another_in_their_order() {
        let mut schedule =
            schedule([(1, peer(7)), (2, peer(7)), (3, Sender::User), (4, Sender::User), (5, peer(7)), (6, peer(8))]);
        assert_eq!(take_all(&mut schedule, Time::ZERO), [1, 3, 6]);
        schedule.remove(&row(3));
        assert_eq!(take_all(&mut schedule, Time::ZERO), [4]);
        schedule.remove(&row(1));
        assert_eq!(take_all(&mut schedule, Time::ZERO), [2]);
        schedule.remove(&row(2));
        assert_eq!(take_all(&mut schedule, Time::ZERO), [5]);
        [4, 5, 6].iter().for_each(|number| schedule.remove(&row(*number)));
        assert_eq!(schedule.len(), 0);
        assert!(schedule.lines.is_empty() && schedule.free.is_empty() && schedule.suspects == 0, "{schedule:?}");
    }

    #[test]
    fn what_waits_is_counted_in_bytes() {
        let all: usize = (1..=3).map(|number| message(number, Sender::User).json().len()).sum();
        let mut schedule = schedule([(1, Sender::User), (2, Sender::User), (3, peer(7))]);
        assert_eq!(schedule.bytes(), all);
        take_all(&mut schedule, Time::ZERO);
        schedule.put_off(&row(1), Time::ZERO);
        assert_eq!(schedule.bytes(), all, "one that is being handled still counts");
        schedule.remove(&row(2));
        schedule.remove(&row(2));
        assert_eq!(schedule.bytes(), all - message(2, Sender::User).json().len());
        [1, 3].iter().for_each(|number| schedule.remove(&row(*number)));
        assert_eq!((schedule.bytes(), schedule.len()), (0, 0));
    }

    #[test]
    fn a_message_that_is_put_off_is_not_overtaken_by_its_conversation() {
        let mut schedule = schedule([(1, Sender::User), (2, Sender::User), (3, peer(7))]);
        assert_eq!(take_all(&mut schedule, Time::ZERO), [1, 3]);
        let later = Time::ZERO + Duration::from_secs(5);
        schedule.put_off(&row(1), later);
        assert_eq!(take_all(&mut schedule, Time::ZERO + Duration::from_secs(4)), [0; 0]);
        assert_eq!(schedule.wake(Time::ZERO), Some(later));
        assert_eq!(take_all(&mut schedule, later), [1]);
        assert_eq!(schedule.wake(later), None, "what runs waits for no time");
    }

    #[test]
    fn no_conversation_starves_beside_busy_ones() {
        let busy = (1..=10).map(|number| (number, peer(7)));
        let mut schedule = schedule(busy.chain([(11, Sender::User), (12, Sender::User)]));
        let mut order = Vec::new();
        while let Some(message) = schedule.take(Time::ZERO) {
            order.push(message.received_at().as_secs());
            schedule.remove(message.id());
        }
        assert_eq!(order[..4], [1, 11, 2, 12]);
    }

    #[test]
    fn messages_that_do_not_wait_for_each_other_come_in_the_order_of_the_feed() {
        let mut schedule = Schedule::new(true);
        for (number, sender) in [(1, Sender::User), (2, Sender::User), (3, peer(7)), (4, Sender::User)] {
            schedule.push(message(number, sender), false);
        }
        assert_eq!(take_all(&mut schedule, Time::ZERO), [1, 2, 3, 4]);
        schedule.put_off(&row(2), Time::ZERO);
        schedule.remove(&row(1));
        assert_eq!(take_all(&mut schedule, Time::ZERO), [2]);
        [2, 3, 4].iter().for_each(|number| schedule.remove(&row(*number)));
        assert!(schedule.lines.is_empty() && schedule.free.is_empty() && schedule.bytes() == 0, "{schedule:?}");
    }

    #[test]
    fn messages_that_a_process_ended_with_are_offered_one_at_a_time_beside_others() {
        let mut schedule = Schedule::default();
        for (number, sender, is_suspect) in [(1, Sender::User, true), (2, peer(7), true), (3, peer(8), false)] {
            schedule.push(message(number, sender), is_suspect);
        }
        assert_eq!(take_all(&mut schedule, Time::ZERO), [1, 3]);
        schedule.remove(&row(1));
        assert_eq!(take_all(&mut schedule, Time::ZERO), [2]);
        // It has failed, and its process lives.
        schedule.acquit(&row(2));
        schedule.push(message(4, Sender::User), true);
        assert_eq!(take_all(&mut schedule, Time::ZERO), [4]);
    }
}
