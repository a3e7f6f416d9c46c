//! The messages that wait for the handler: one at a time for each conversation, in the order of the feed.

use std::collections::{BTreeMap, VecDeque};

use molecule_proto::{ActivityId, Time};

use super::message::InboundMessage;
use super::sender::Conversation;

/// The messages that wait or are being handled.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    lines: BTreeMap<Conversation, VecDeque<Waiting>>,
    /// The conversations in the order of their turns, so that none starves beside busy ones.
    turns: VecDeque<Conversation>,
    conversations: BTreeMap<ActivityId, Conversation>,
}

#[derive(Debug)]
struct Waiting {
    message: InboundMessage,
    /// The message is not offered before this time.
    ready_at: Time,
    /// Whether the message is being offered to the handler.
    is_taken: bool,
}

impl Schedule {
    /// Adds a message behind the others of its conversation.
    pub(super) fn push(&mut self, message: InboundMessage) {
        let conversation = message.conversation().clone();
        self.conversations.insert(message.id().clone(), conversation.clone());
        let line = self.lines.entry(conversation.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(conversation);
        }
        line.push_back(Waiting { message, ready_at: Time::ZERO, is_taken: false });
    }

    /// Takes the next message whose conversation is free, and keeps its place until [`remove`](Self::remove) or
    /// [`put_off`](Self::put_off).
    pub(super) fn take(&mut self, now: Time) -> Option<InboundMessage> {
        let at = self.turns.iter().position(|conversation| {
            self.lines.get(conversation).and_then(VecDeque::front).is_some_and(|first| first.is_ready(now))
        })?;
        let conversation = self.turns.remove(at)?;
        let first = self.lines.get_mut(&conversation)?.front_mut()?;
        first.is_taken = true;
        let message = first.message.clone();
        self.turns.push_back(conversation);
        Some(message)
    }

    /// Removes a message that needs no further attempt. The next one of its conversation is free then.
    pub(super) fn remove(&mut self, row: &ActivityId) {
        let Some(conversation) = self.conversations.remove(row) else { return };
        let Some(line) = self.lines.get_mut(&conversation) else { return };
        line.retain(|waiting| waiting.message.id() != row);
        if line.is_empty() {
            self.lines.remove(&conversation);
            self.turns.retain(|turn| *turn != conversation);
        }
    }

    /// Offers a message again, at this time. The others of its conversation wait for it.
    pub(super) fn put_off(&mut self, row: &ActivityId, ready_at: Time) {
        let line = self.conversations.get(row).and_then(|conversation| self.lines.get_mut(conversation));
        if let Some(waiting) = line.and_then(|line| line.iter_mut().find(|waiting| waiting.message.id() == row)) {
            (waiting.ready_at, waiting.is_taken) = (ready_at, false);
        }
    }

    /// Returns when the next message is ready that waits for a time alone.
    pub(super) fn wake(&self, now: Time) -> Option<Time> {
        let firsts = self.lines.values().filter_map(VecDeque::front);
        firsts.filter(|first| !first.is_taken).map(|first| first.ready_at.max(now)).min()
    }

    pub(super) fn contains(&self, row: &ActivityId) -> bool {
        self.conversations.contains_key(row)
    }

    /// The number of messages that wait or are being handled.
    pub(super) fn len(&self) -> usize {
        self.conversations.len()
    }
}

impl Waiting {
    fn is_ready(&self, now: Time) -> bool {
        !self.is_taken && self.ready_at <= now
    }
}
