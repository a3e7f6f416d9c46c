//! Which messages a push handles and which ones the inbox handles: the same message may come both ways, and its handler
//! runs once.

use std::collections::BTreeSet;

use crate::session::key::Key;
use crate::session::recent::Recent;

/// The most messages of either side that are remembered.
const MOST: usize = 10_000;

/// The messages that one side has, so that the other leaves them alone.
#[derive(Debug)]
pub(crate) struct Claims {
    /// The messages that a push handles, at most as many as the server takes.
    running: BTreeSet<Key>,
    /// The messages that a push has handled.
    pushed: Recent<()>,
    /// The messages that the running inbox has begun with, until their ends are saved. What only waits there is a push's, if
    /// one comes.
    held: BTreeSet<Key>,
    /// The messages that the inbox has handled in this process.
    handled: Recent<()>,
    /// The messages that the inbox had handled before it began, by the keys of its journal.
    journaled: BTreeSet<Key>,
}

/// The state of a message that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Its handler runs.
    Running,
    /// It was handled: its answer is kept.
    Handled,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            running: BTreeSet::new(),
            pushed: Recent::new(MOST),
            held: BTreeSet::new(),
            handled: Recent::new(MOST),
            journaled: BTreeSet::new(),
        }
    }
}

/// The side of the pushes.
impl Claims {
    /// Claims a message for a push, unless the inbox has it. `is_inbox_running` says whether what waits there will be
    /// handled. Returns whether the push has it now.
    pub(crate) fn push(&mut self, key: Key, is_inbox_running: bool) -> bool {
        if (is_inbox_running && self.held.contains(&key)) || self.handled.contains(key) {
            return false;
        }
        self.running.insert(key);
        true
    }

    /// Returns whether the inbox has begun with a message, and its end is not saved.
    pub(crate) fn is_held(&self, key: Key) -> bool {
        self.held.contains(&key)
    }

    /// Returns whether it is known of any message that the inbox had handled it before it began.
    pub(crate) fn knows_handled(&self) -> bool {
        !self.journaled.is_empty()
    }

    /// Returns whether the inbox had handled a message before it began, by the text that its journal knows it by.
    pub(crate) fn is_handled(&self, duplicate_key: &str) -> bool {
        self.journaled.contains(&Key::of_text(duplicate_key))
    }

    /// Records that a push has handled a message, in this process or an earlier one.
    pub(crate) fn push_handled(&mut self, key: Key) {
        self.running.remove(&key);
        self.pushed.insert(key, ());
    }

    /// Gives a message up that a push did not handle.
    pub(crate) fn push_left(&mut self, key: Key) {
        self.running.remove(&key);
    }
}

/// The side of the inbox.
impl Claims {
    /// Begins anew: what an earlier inbox held is held no longer. `journaled` are the messages that the inbox has handled,
    /// by the keys of its journal.
    pub(crate) fn inbox_begins(&mut self, journaled: impl Iterator<Item = Key>) {
        self.held.clear();
        self.journaled = journaled.collect();
    }

    /// Returns what a push has made of a message; `None` if none has it.
    pub(crate) fn pushed(&self, key: Key) -> Option<Pushed> {
        match self.pushed.contains(key) {
            true => Some(Pushed::Handled),
            false => self.running.contains(&key).then_some(Pushed::Running),
        }
    }

    /// Claims a message for the inbox, whose handler is about to get it.
    pub(crate) fn inbox_holds(&mut self, key: Key) {
        self.held.insert(key);
    }

    /// Records that the inbox has handled a message. A push of it still waits, until its record is saved.
    pub(crate) fn inbox_handled(&mut self, key: Key) {
        self.handled.insert(key, ());
    }

    /// Records that the next process will know that the inbox has handled a message.
    pub(crate) fn inbox_saved(&mut self, key: Key) {
        self.held.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::of_text(text)
    }

    #[test]
    fn a_message_has_one_side_at_a_time() {
        let mut claims = Claims::default();
        claims.inbox_holds(key("inbox"));
        assert!(!claims.push(key("inbox"), true));
        assert!(claims.push(key("inbox"), false), "no inbox runs that would handle it");
        assert!(claims.push(key("push"), true));
        assert_eq!(claims.pushed(key("push")), Some(Pushed::Running));
        claims.push_left(key("push"));
        assert_eq!(claims.pushed(key("push")), None);
        assert!(claims.push(key("push"), true));
        claims.push_handled(key("push"));
        claims.push_left(key("push"));
        assert_eq!(claims.pushed(key("push")), Some(Pushed::Handled));
    }

    #[test]
    fn what_the_inbox_handled_is_not_handled_by_a_push_also_when_the_inbox_is_gone() {
        let mut claims = Claims::default();
        claims.inbox_holds(key("a"));
        claims.inbox_handled(key("a"));
        assert!(claims.is_held(key("a")), "its end is not saved");
        claims.inbox_saved(key("a"));
        assert!(!claims.is_held(key("a")));
        claims.inbox_begins(std::iter::empty());
        assert!(!claims.push(key("a"), false));
        claims.inbox_holds(key("b"));
        claims.inbox_begins(std::iter::empty());
        assert!(claims.push(key("b"), true));
    }
}
