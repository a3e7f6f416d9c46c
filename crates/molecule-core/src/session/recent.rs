//! A map that keeps the entries that were added last.

use std::collections::BTreeMap;

use crate::session::key::Key;

/// A map with at most `most` entries: the one that was added first goes first. An entry that is added again counts as new.
#[derive(Debug, Clone)]
pub(crate) struct Recent<V> {
    most: usize,
    added: u64,
    entries: BTreeMap<Key, (u64, V)>,
    /// By the order in which they were added.
    order: BTreeMap<u64, Key>,
}

impl<V> Recent<V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, added: 0, entries: BTreeMap::new(), order: BTreeMap::new() }
    }

    /// Adds an entry, or replaces it.
    pub(crate) fn insert(&mut self, key: Key, value: V) {
        self.added += 1;
        if let Some((before, _)) = self.entries.insert(key, (self.added, value)) {
            self.order.remove(&before);
        }
        self.order.insert(self.added, key);
        while self.len() > self.most {
            self.remove_oldest();
        }
    }

    pub(crate) fn remove_oldest(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<V> {
        let (number, value) = self.entries.remove(&key)?;
        self.order.remove(&number);
        Some(value)
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
        self.order.values().filter_map(|key| Some((*key, self.get(*key)?)))
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
        (1..=3).for_each(|number| recent.insert(key(number), number));
        recent.insert(key(1), 10);
        recent.insert(key(4), 4);
        assert_eq!(recent.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [3, 10, 4]);
        assert!(!recent.contains(key(2)));
        assert_eq!(recent.remove(key(1)), Some(10));
        assert_eq!(recent.remove(key(1)), None);
        assert_eq!(recent.remove_oldest(), Some(3));
        assert_eq!((recent.len(), recent.get(key(4))), (1, Some(&4)));
    }
}
