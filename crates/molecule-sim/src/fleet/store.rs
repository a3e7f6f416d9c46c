//! The simulated store: a history of writes, of which the newest of each key counts.

use std::collections::BTreeMap;

use bytes::Bytes;
use molecule_core::fleet::{Cas, Revision, StoreEntry};

#[derive(Debug, Clone)]
struct Written {
    at: u64,
    entry: StoreEntry,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    history: Vec<Written>,
    latest: BTreeMap<String, usize>,
    sequence: Revision,
    counts_each_key: bool,
}

impl Store {
    pub(super) fn new(counts_each_key: bool) -> Self {
        Self { counts_each_key, ..Self::default() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&StoreEntry> {
        self.latest.get(key).map(|at| &self.history[*at].entry)
    }

    pub(super) fn list(&self, prefix: &str) -> Vec<StoreEntry> {
        let matching = self.latest.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        matching.map(|(_, at)| self.history[*at].entry.clone()).collect()
    }

    /// A copy of the present state, for stale reads.
    pub(super) fn snapshot(&self) -> BTreeMap<String, StoreEntry> {
        self.latest.iter().map(|(key, at)| (key.clone(), self.history[*at].entry.clone())).collect()
    }

    pub(super) fn put(&mut self, now: u64, key: &str, value: Bytes, expected: Option<Revision>) -> Cas {
        let current = self.get(key).map(|entry| entry.revision);
        if current != expected {
            return Cas::Lost;
        }
        Cas::Done(self.write(now, key, value))
    }

    fn write(&mut self, now: u64, key: &str, value: Bytes) -> Revision {
        self.sequence += 1;
        let revision = match self.counts_each_key {
            true => self.get(key).map_or(0, |entry| entry.revision) + 1,
            false => self.sequence,
        };
        self.latest.insert(key.to_owned(), self.history.len());
        self.history.push(Written { at: now, entry: StoreEntry { key: key.to_owned(), revision, value } });
        revision
    }

    /// The entry of a key before its present one, which a watch may repeat.
    pub(super) fn before(&self, key: &str) -> Option<&StoreEntry> {
        let last = *self.latest.get(key)?;
        self.history[..last].iter().rev().find(|written| written.entry.key == key).map(|written| &written.entry)
    }

    /// Forgets everything that was written after that moment, and then writes other keys.
    pub(super) fn go_back(&mut self, to: u64, now: u64, fill: u8) {
        self.history.retain(|written| written.at <= to);
        self.latest = self.history.iter().enumerate().map(|(at, written)| (written.entry.key.clone(), at)).collect();
        self.sequence = match self.counts_each_key {
            true => 0,
            false => self.history.last().map_or(0, |written| written.entry.revision),
        };
        for number in 0..fill {
            self.write(now, &format!("x.{number}"), Bytes::from_static(b"{}"));
        }
    }
}
