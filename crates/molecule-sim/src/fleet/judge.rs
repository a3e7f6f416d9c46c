//! What must hold in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use molecule_core::fleet::PartId;

/// An invariant that broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetBroken {
    /// Its name.
    pub name: &'static str,
    /// What happened.
    pub why: String,
    /// When, in milliseconds.
    pub at_ms: u64,
}

impl fmt::Display for FleetBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken after {} ms: {}: {}", self.at_ms, self.name, self.why)
    }
}

/// The judge of one run.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) broken: Option<FleetBroken>,
    /// The last epoch under which each part was run, and by which process.
    epochs: BTreeMap<PartId, (u64, u64)>,
    /// How often parts were begun.
    pub(super) gains: u64,
    /// Whether epochs are compared: a store that goes back and a calendar clock that does are too much for any epoch.
    compares_epochs: bool,
}

impl Judge {
    pub(super) fn new(compares_epochs: bool) -> Self {
        Self { compares_epochs, ..Self::default() }
    }

    fn breaks(&mut self, name: &'static str, at: u64, why: impl FnOnce() -> String) {
        if self.broken.is_none() {
            self.broken = Some(FleetBroken { name, why: why(), at_ms: at / 1_000_000 });
        }
    }

    /// A process was told to run a part.
    pub(super) fn gained(&mut self, at: u64, part: &PartId, epoch: u64, process: u64) {
        self.gains += 1;
        let last = self.epochs.insert(part.clone(), (epoch, process));
        let is_later = last.is_none_or(|(last, by)| epoch > last || (epoch == last && by == process));
        if !is_later && self.compares_epochs {
            self.breaks("epochs grow", at, || format!("{part} was begun under epoch {epoch} after {last:?}"));
        }
    }

    /// These processes may send for a part at this moment.
    pub(super) fn acts(&mut self, at: u64, part: &PartId, processes: &[u64]) {
        if processes.len() > 1 {
            self.breaks("one pair of hands", at, || format!("{part} is run by the processes {processes:?}"));
        }
    }

    /// A process was fenced whose renewals had been stored at this moment, in shares of the TTL ago.
    pub(super) fn fenced(&mut self, at: u64, member: &str, renewed_ago: f64) {
        // 1.1 TTL on a clock that is 10 % fast.
        if renewed_ago < 0.99 {
            self.breaks("no needless fence", at, || {
                format!("{member} was fenced {renewed_ago:.2} TTL after its renewal")
            });
        }
    }

    pub(super) fn handled_all(&mut self, at: u64, unhandled: &BTreeSet<u64>) {
        if let Some(row) = unhandled.first() {
            self.breaks("every message is handled", at, || {
                format!("row {row} and {} more were not", unhandled.len() - 1)
            });
        }
    }

    pub(super) fn runs(&mut self, at: u64, part: &PartId, is_run: bool) {
        if !is_run {
            self.breaks("everything is run soon", at, || format!("nobody runs {part} 2 TTL after the last fault"));
        }
    }
}
