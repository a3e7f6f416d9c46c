//! A map that keeps the entries that were added last.

use std::collections::{BTreeMap, VecDeque};

use crate::session::key::Key;

/// A map with at most `most` entries: the one that was added first goes first. An entry that is added again counts as new.
#[derive(Debug, Clone)]
pub(crate) struct Recent<V> {
    most: usize,
    added: u64,
    entries: BTreeMap<Key, (u64, V)>,
    /// By the order in which they were added. One whose number is not that of its entry was removed or replaced.
    order: VecDeque<(u64, Key)>,
}

/// How many places of removed entries are kept at least before the order is cleaned.
const SLACK: usize = 64;

impl<V> Recent<V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, added: 0, entries: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Adds an entry, or replaces it.
    pub(crate) fn insert(&mut self, key: Key, value: V) {
        self.replace(key, value);
    }

    /// Adds an entry. Returns the one that it replaces.
    pub(crate) fn replace(&mut self, key: Key, value: V) -> Option<V> {
        self.added += 1;
        self.order.push_back((self.added, key));
        let before = self.entries.insert(key, (self.added, value));
        while self.len() > self.most {
            self.remove_oldest();
        }
        if self.order.len() > 2 * self.entries.len() + SLACK {
            let entries = &self.entries;
            self.order.retain(|(number, key)| entries.get(key).is_some_and(|(own, _)| own == number));
        }
        before.map(|(_, value)| value)
    }

    pub(crate) fn remove_oldest(&mut self) -> Option<V> {
        loop {
            let (number, key) = self.order.pop_front()?;
            if self.entries.get(&key).is_some_and(|(own, _)| *own == number) {
                return self.remove(key);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<V> {
        self.entries.remove(&key).map(|(_, value)| value)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        self.entries.contains_key(&key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries in the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &V)> {
        self.order.iter().filter_map(|(number, key)| {
            let (own, value) = self.entries.get(key)?;
            (own == number).then_some((*key, value))
        })
    }
}

#[cfg(test)]
impl<V: PartialEq> Recent<V> {
    /// Returns whether both have the same entries, in whatever order they were added.
    pub(crate) fn has_entries_of(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<V: PartialEq> PartialEq for Recent<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_that_was_added_first_goes_first() {
        let key = |number: u8| Key::of_text(&number.to_string());
        let mut recent = Recent::new(3);
        (1..=3).for_each(|number| assert_eq!(recent.replace(key(number), number), None));
        assert_eq!(recent.replace(key(1), 10), Some(1));
        recent.insert(key(4), 4);
        assert_eq!(recent.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [3, 10, 4]);
        assert!(!recent.contains(key(2)));
        assert_eq!(recent.remove(key(1)), Some(10));
        assert_eq!(recent.remove(key(1)), None);
        assert_eq!(recent.remove_oldest(), Some(3));
        assert_eq!((recent.len(), recent.get(key(4))), (1, Some(&4)));
    }

    #[test]
    fn entries_that_are_added_and_removed_again_leave_nothing() {
        let key = |number: u16| Key::of_text(&number.to_string());
        let mut recent = Recent::new(10);
        for number in 0..10_000 {
            recent.insert(key(number), number);
            recent.insert(key(number), number + 1);
            assert_eq!(recent.remove(key(number)), Some(number + 1));
        }
        assert!(recent.order.len() <= 2 * SLACK && recent.len() == 0);
        (0..20).for_each(|number| recent.insert(key(number), number));
        assert_eq!(recent.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
    }
}
