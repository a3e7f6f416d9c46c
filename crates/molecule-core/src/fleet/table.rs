//! What a member has seen of the store: the last revision of each key, when it came, and the signs that the store went back.

use std::collections::{BTreeMap, BTreeSet};

use molecule_proto::Time;

use super::record::{ClaimRecord, MemberRecord};
use super::store::Revision;

/// A value that was seen.
#[derive(Debug, Clone)]
pub(super) struct Seen<R> {
    pub(super) revision: Revision,
    pub(super) record: R,
    /// When this revision was received first.
    pub(super) at: Time,
    /// The number of operations that had been started then.
    order: u64,
}

/// How an entry came.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    /// A read that was started as this operation. It shows everything that was seen before it.
    Read(u64),
    /// A watch, which may repeat old entries.
    Watch,
    /// A write of one's own that was confirmed.
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing that was not known, or something older that a watch repeats.
    Known,
    New,
    /// The store has an older state than before.
    WentBack,
}

/// The keys of one kind.
#[derive(Debug)]
pub(super) struct Table<K, R>(BTreeMap<K, Seen<R>>);

pub(super) trait Nonce {
    fn nonce(&self) -> u64;
}

impl Nonce for MemberRecord {
    fn nonce(&self) -> u64 {
        self.nonce
    }
}

impl Nonce for ClaimRecord {
    fn nonce(&self) -> u64 {
        self.nonce
    }
}

impl<K: Ord + Clone, R: Nonce> Table<K, R> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn get(&self, key: &K) -> Option<&Seen<R>> {
        self.0.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Seen<R>)> {
        self.0.iter()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes an entry; `order` is the number of operations that have been started.
    pub(super) fn see(&mut self, key: &K, revision: Revision, record: R, by: By, order: u64, at: Time) -> Sight {
        let Some(seen) = self.0.get(key) else {
            self.0.insert(key.clone(), Seen { revision, record, at, order });
            return Sight::New;
        };
        if revision == seen.revision {
            // Two values of one revision: the store went back, and the number was given once more.
            return if record.nonce() == seen.record.nonce() { Sight::Known } else { Sight::WentBack };
        }
        if revision > seen.revision {
            self.0.insert(key.clone(), Seen { revision, record, at, order });
            return Sight::New;
        }
        match by {
            // A read that began before the newer revision was seen may show the older one.
            By::Read(started) if seen.order < started => Sight::WentBack,
            // Of a write of one's own, a watch may have shown the next one before its answer came.
            By::Read(_) | By::Watch | By::Write => Sight::Known,
        }
    }

    /// Returns whether this is the last revision that was seen.
    pub(super) fn is_last(&self, key: &K, revision: Revision) -> bool {
        self.0.get(key).is_some_and(|seen| seen.revision == revision)
    }

    /// Returns whether a listing that was started as this operation lacks a key that had been seen before: keys are never
    /// deleted.
    pub(super) fn lacks(&self, listed: &BTreeSet<K>, started: u64) -> bool {
        self.0.iter().any(|(key, seen)| seen.order < started && !listed.contains(key))
    }

    /// The same for a read of one key that found nothing.
    pub(super) fn knew(&self, key: &K, started: u64) -> bool {
        self.0.get(key).is_some_and(|seen| seen.order < started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nonce: u64) -> ClaimRecord {
        ClaimRecord { member: None, member_epoch: 1, epoch: 1, nonce }
    }

    #[test]
    fn a_watch_that_repeats_is_no_sign_and_a_read_that_shows_less_is() {
        let mut table = Table::new();
        let at = Time::ZERO;
        assert_eq!(table.see(&1, 5, record(50), By::Watch, 10, at), Sight::New);
        assert_eq!(table.see(&1, 4, record(40), By::Watch, 11, at), Sight::Known);
        assert_eq!(table.see(&1, 5, record(50), By::Read(11), 12, at), Sight::Known);
        assert_eq!(table.see(&1, 4, record(40), By::Read(10), 12, at), Sight::Known, "begun before");
        assert_eq!(table.see(&1, 4, record(40), By::Read(11), 12, at), Sight::WentBack);
        assert_eq!(table.see(&1, 5, record(51), By::Watch, 12, at), Sight::WentBack, "another value of the revision");
        assert!(table.lacks(&BTreeSet::new(), 11) && !table.lacks(&BTreeSet::new(), 10));
        assert!(!table.lacks(&[1].into(), 11) && table.knew(&1, 11) && !table.knew(&2, 11));
    }
}
