//! One compare-and-set of one key, until its outcome is known.
//!
//! An answer that does not come says nothing: the write may be stored, may be stored later, or never. A read tells:
//!
//! - It shows the nonce of one of the attempts: that attempt is stored, and nothing counts from a later moment than its start.
//! - It shows the revision that the write expects: no attempt is stored *yet*. The next attempt expects the same revision, so
//!   that of all attempts one at most is ever stored.
//! - It shows anything else: another writer was first, and no attempt can be stored any more.
//!
//! A lost race is read as well: it may have been lost to an earlier attempt of one's own.

use molecule_proto::{Now, Time};

use super::record::Record;
use super::store::{Cas, Revision, StoreEntry};

/// A try to write, known by its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) nonce: u64,
    /// When its request was given to the driver.
    pub(super) start: Now,
}

#[derive(Debug)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) record: Record,
    pub(super) expected: Option<Revision>,
    attempts: Vec<Attempt>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Puts at this moment.
    Put(Time),
    /// Reads at this moment.
    Read(Time),
    /// An operation is in flight.
    Waits,
}

/// What is to be done next for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Put,
    Read,
}

/// What a read says of a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    Done(Revision, Attempt),
    /// It is not stored yet, and will be tried again.
    Open,
    /// Another writer was first.
    Superseded,
}

impl Write {
    pub(super) fn new(key: String, record: Record, expected: Option<Revision>, now: Time) -> Self {
        Self { key, record, expected, attempts: Vec::new(), phase: Phase::Put(now) }
    }

    pub(super) fn next(&self, now: Time) -> Option<Next> {
        match self.phase {
            Phase::Put(at) if at <= now => Some(Next::Put),
            Phase::Read(at) if at <= now => Some(Next::Read),
            Phase::Put(_) | Phase::Read(_) | Phase::Waits => None,
        }
    }

    pub(super) fn put(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
        self.phase = Phase::Waits;
    }

    pub(super) fn reads(&mut self) {
        self.phase = Phase::Waits;
    }

    /// The read failed.
    pub(super) fn read_again(&mut self, at: Time) {
        self.phase = Phase::Read(at);
    }

    /// Takes the answer of the last attempt; `Some` if it is stored.
    pub(super) fn answered(&mut self, cas: Cas, now: Time) -> Option<(Revision, Attempt)> {
        match cas {
            Cas::Done(revision) => self.attempts.last().map(|attempt| (revision, *attempt)),
            Cas::Lost | Cas::Unknown => {
                self.phase = Phase::Read(now);
                None
            }
        }
    }

    pub(super) fn is_mine(&self, nonce: u64) -> bool {
        self.attempts.iter().any(|attempt| attempt.nonce == nonce)
    }

    pub(super) fn resolve(&mut self, entry: Option<&StoreEntry>, again: Time) -> Resolved {
        let nonce = entry.and_then(|entry| super::record::nonce(&entry.value));
        let mine = self.attempts.iter().find(|attempt| Some(attempt.nonce) == nonce);
        match (entry, mine) {
            (Some(entry), Some(mine)) => Resolved::Done(entry.revision, *mine),
            (entry, _) if entry.map(|entry| entry.revision) == self.expected => {
                self.phase = Phase::Put(again);
                Resolved::Open
            }
            _ => Resolved::Superseded,
        }
    }
}
