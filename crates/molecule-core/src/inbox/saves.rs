//! The appends to the journal. Records that are made while one append is under way go into the next one.

use std::time::Duration;

use bytes::Bytes;
use molecule_proto::{Time, Wake};
use zeroize::Zeroizing;

use crate::effect::{Durability, Effect, EffectId, Fault, FaultKind, HostOp, HostResult, Outcome, Slot};
use crate::machine::Cx;

/// A journal: records that are appended to a slot in batches, and shorter content of the same state now and then.
pub(crate) trait Appended {
    /// Takes everything that was recorded since the last batch. If the append fails, the same bytes are to be appended
    /// again before any others.
    fn batch(&mut self) -> Option<(Bytes, Durability)>;

    /// Returns shorter content of the same state, to replace the slot's, where that pays.
    fn compacted(&mut self) -> Option<Zeroizing<Vec<u8>>>;
}

/// The number of a batch of records, in the order of their appends.
pub(crate) type Batch = u64;

/// The longest wait after appends that failed.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The appends to the journal.
#[derive(Debug)]
pub(crate) struct Saves {
    slot: Slot,
    /// Whether a power cut may lose nothing that is saved.
    is_durable: bool,
    state: State,
    /// The number of batches that were taken from the journal.
    taken: Batch,
    /// The number of batches that are saved.
    saved: Batch,
    failures: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Free,
    Appending(EffectId, Bytes, Durability),
    /// The append failed, and follows again at this time. At the end of the clock's range there is none.
    Waiting(Option<Time>, Bytes, Durability),
    Compacting(EffectId),
}

/// What the end of an append means.
#[derive(Debug)]
pub(crate) enum Saved {
    /// It went well, after so many failures in a row.
    Well(u32),
    /// The append failed this often in a row. The records are kept, and saved later.
    Failed(u32, Fault),
}

impl Saves {
    pub(crate) fn new(slot: Slot, is_durable: bool) -> Self {
        Self { slot, is_durable, state: State::Free, taken: 0, saved: 0, failures: 0 }
    }

    /// Returns the number of the batch that takes the records that the journal holds now.
    pub(crate) fn next_batch(&self) -> Batch {
        self.taken + 1
    }

    /// Returns whether a batch is saved.
    pub(crate) fn is_saved(&self, batch: Batch) -> bool {
        batch <= self.saved
    }

    /// Starts the next append, if there is something to save and none is under way.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>, journal: &mut impl Appended) -> Option<(EffectId, Effect)> {
        let (bytes, durability) = match std::mem::take(&mut self.state) {
            State::Free => {
                if let Some(compaction) = self.compact(cx, journal) {
                    return Some(compaction);
                }
                let (bytes, durability) = journal.batch()?;
                self.taken += 1;
                (bytes, if self.is_durable { durability } else { Durability::None })
            }
            State::Waiting(Some(at), bytes, durability) if at <= cx.now.mono => (bytes, durability),
            state @ (State::Appending(..) | State::Waiting(..) | State::Compacting(_)) => {
                self.state = state;
                return None;
            }
        };
        let id = cx.session.next_effect();
        self.state = State::Appending(id, bytes.clone(), durability);
        Some((id, Effect::Host(HostOp::Append(self.slot, bytes, durability))))
    }

    /// Replaces the journal by a shorter one of the same content, where that pays.
    fn compact(&mut self, cx: &mut Cx<'_>, journal: &mut impl Appended) -> Option<(EffectId, Effect)> {
        let content = journal.compacted()?;
        let id = cx.session.next_effect();
        self.state = State::Compacting(id);
        Some((id, Effect::Host(HostOp::Replace(self.slot, content))))
    }

    /// Takes the outcome of an append.
    pub(crate) fn feed(&mut self, cx: &Cx<'_>, id: EffectId, outcome: Outcome) -> Result<Saved, Outcome> {
        match (std::mem::take(&mut self.state), outcome) {
            (State::Appending(own, ..), Outcome::Host(HostResult::Appended)) if own == id => {
                self.saved = self.taken;
                Ok(Saved::Well(std::mem::take(&mut self.failures)))
            }
            (State::Appending(own, bytes, durability), Outcome::Failed(fault)) if own == id => {
                self.failures = self.failures.saturating_add(1);
                let wait = Duration::from_secs(1).saturating_mul(1 << (self.failures - 1).min(6)).min(MAX_WAIT);
                let at = Some(cx.now.mono + wait).filter(|at| *at > cx.now.mono);
                self.state = State::Waiting(at, bytes, durability);
                Ok(Saved::Failed(self.failures, fault))
            }
            // A journal that was not compacted is the longer one.
            (State::Compacting(own), Outcome::Host(HostResult::Replaced) | Outcome::Failed(_)) if own == id => {
                Ok(Saved::Well(0))
            }
            (state, outcome) => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    /// Returns how often an append has failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Tries again at once what the disk has refused.
    pub(crate) fn try_again(&mut self, now: Time) {
        if let State::Waiting(at, ..) = &mut self.state {
            *at = Some(now);
        }
    }

    /// Returns whether everything is saved, except for records that the disk refuses.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Free | State::Waiting(..))
    }

    pub(crate) fn wake(&self) -> Option<Wake> {
        match self.state {
            State::Waiting(Some(at), ..) => Some(Wake { at, why: "save a journal" }),
            State::Free | State::Appending(..) | State::Waiting(None, ..) | State::Compacting(_) => None,
        }
    }
}

/// Returns whether a store cannot append at all.
pub(crate) fn is_unsupported(fault: &Fault) -> bool {
    fault.kind == FaultKind::Host(std::io::ErrorKind::Unsupported)
}
