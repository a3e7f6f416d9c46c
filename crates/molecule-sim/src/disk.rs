//! The disk of an agent's computer: written and synced content, and the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use molecule_core::effect::{Durability, HostOp, Slot, Stored};
use molecule_host::{Store, StoreError};

use crate::scenario::Mood;

/// One agent's disk. Clones share the same content, which outlives the processes that use it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    mood: Mood,
    /// Content that a process reads.
    written: BTreeMap<Slot, Vec<u8>>,
    /// Content that certainly survives a power failure.
    synced: BTreeMap<Slot, Vec<u8>>,
    /// The files that were handed over, by URI. Each was synced when it was complete.
    files: BTreeMap<String, Vec<u8>>,
    /// The slots that were only appended to since their last sync. Everything that was synced is still there.
    appended: BTreeSet<Slot>,
    /// The number of the lock that is held.
    locked: Option<u64>,
    locks: u64,
}

/// How far a disk operation got before its process crashed.
///
/// A replacement writes a temporary file, syncs it, renames it and syncs the directory; only the rename is visible to
/// readers. An append writes its bytes from the first to the last, and may sync the file then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteProgress {
    /// A replacement's temporary file exists, complete or not; nobody reads it.
    Temporary,
    /// A replacement's file was renamed, and the directory was not synced.
    Renamed,
    /// This many bytes of an append were written, and not synced.
    Written(usize),
    /// All steps are done.
    Synced,
}

impl WriteProgress {
    /// A random progress of an operation.
    pub fn random(op: &HostOp, rng: &mut Rng) -> Self {
        match op {
            HostOp::Append(_, content, _) if rng.u8(0..4) > 0 => Self::Written(rng.usize(0..=content.len())),
            HostOp::Append(..) => Self::Synced,
            _ => [Self::Temporary, Self::Renamed, Self::Synced][rng.usize(0..3)],
        }
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The condition of the disk.
    pub fn mood(&self) -> Mood {
        self.state().mood
    }

    /// Sets the condition of the disk.
    pub fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// The content of a slot as text: what a process would read, or (`synced`) what a power failure would leave.
    pub fn content(&self, slot: Slot, synced: bool) -> Option<String> {
        let state = self.state();
        let slots = if synced { &state.synced } else { &state.written };
        slots.get(&slot).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Removes a slot's content.
    pub(crate) fn remove(&self, slot: Slot) {
        let mut state = self.state();
        state.written.remove(&slot);
        state.synced.remove(&slot);
        state.appended.remove(&slot);
    }

    /// Writes a slot durably from outside the program, as its owner or another process would.
    pub fn put(&self, slot: Slot, content: &str) {
        self.state().keep(slot, content.as_bytes());
    }

    /// Stores a file that was handed over; returns its URI.
    pub(crate) fn put_file(&self, name: &str, content: Vec<u8>) -> Result<String, StoreError> {
        let mut state = self.state();
        state.writable()?;
        let uri = format!("file://{PLACE}/uploads/{name}");
        state.files.insert(uri.clone(), content);
        Ok(uri)
    }

    /// Removes a file that was handed over.
    pub(crate) fn remove_file(&self, uri: &str) {
        self.state().files.remove(uri);
    }

    /// The contents of the files that were handed over, by URI.
    pub fn files(&self) -> BTreeMap<String, String> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        self.state().files.iter().map(|(uri, content)| (uri.clone(), text(content))).collect()
    }

    /// Returns whether the lock is held.
    pub fn is_locked(&self) -> bool {
        self.state().locked.is_some()
    }

    /// Applies the part of an operation that was done when its process crashed.
    pub fn interrupted(&self, op: &HostOp, progress: WriteProgress) {
        let mut state = self.state();
        if state.writable().is_err() {
            return;
        }
        match (op, progress) {
            (HostOp::Replace(slot, content), WriteProgress::Renamed) => {
                state.written.insert(*slot, content.to_vec());
                state.appended.remove(slot);
            }
            (HostOp::Replace(slot, content), WriteProgress::Synced) => state.keep(*slot, content),
            (HostOp::Append(slot, content, _), WriteProgress::Written(bytes)) => {
                state.extend(*slot, &content[..bytes.min(content.len())], Durability::None);
            }
            (HostOp::Append(slot, content, durability), WriteProgress::Synced) => {
                state.extend(*slot, content, *durability);
            }
            // Nobody reads a temporary file, and a crash changes nothing in the middle of another operation.
            _ => {}
        }
    }

    /// Discards what was not synced, as a power failure does. Of bytes that were appended since the last sync it leaves
    /// a random first part, since the system may have written that by itself.
    pub fn lose_power(&self, rng: &mut Rng) {
        let mut state = self.state();
        for (slot, written) in std::mem::take(&mut state.written) {
            let synced = state.synced.get(&slot).map_or(&[][..], Vec::as_slice);
            let Some(appended) = written.strip_prefix(synced).filter(|appended| !appended.is_empty()) else { continue };
            if state.appended.contains(&slot) {
                let left = [synced, &appended[..rng.usize(0..=appended.len())]].concat();
                state.synced.insert(slot, left);
            }
        }
        state.written = state.synced.clone();
        state.appended.clear();
    }
}

impl DiskState {
    fn keep(&mut self, slot: Slot, content: &[u8]) {
        self.written.insert(slot, content.to_vec());
        self.synced.insert(slot, content.to_vec());
        self.appended.remove(&slot);
    }

    fn extend(&mut self, slot: Slot, content: &[u8], durability: Durability) {
        if self.written.get(&slot) == self.synced.get(&slot) {
            self.appended.insert(slot);
        }
        self.written.entry(slot).or_default().extend_from_slice(content);
        if durability == Durability::Sync {
            let written = self.written.get(&slot).cloned().unwrap_or_default();
            self.keep(slot, &written);
        }
    }

    fn readable(&self) -> Result<(), StoreError> {
        match self.mood {
            Mood::Fine | Mood::Full | Mood::ReadOnly => Ok(()),
            Mood::Broken => Err(failed(io::ErrorKind::NotADirectory, "read")),
        }
    }

    fn writable(&self) -> Result<(), StoreError> {
        match self.mood {
            Mood::Fine => Ok(()),
            Mood::Full => Err(failed(io::ErrorKind::StorageFull, "written to")),
            Mood::ReadOnly => Err(failed(io::ErrorKind::ReadOnlyFilesystem, "written to")),
            Mood::Broken => Err(failed(io::ErrorKind::NotADirectory, "written to")),
        }
    }
}

const PLACE: &str = "/home/agent/.molecule/sim";

fn failed(kind: io::ErrorKind, act: &str) -> StoreError {
    StoreError::new(kind, format!("{PLACE} cannot be {act}: {kind}; choose another place with MOLECULE_HOME"))
}

impl Store for Disk {
    fn prepare(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writable()?;
        state.synced = state.written.clone();
        state.appended.clear();
        Ok(())
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        let state = self.state();
        state.readable()?;
        let stored = |bytes: &Vec<u8>| Stored::new(bytes.clone(), format!("{PLACE}/{slot:?}"));
        Ok(state.written.get(&slot).map(stored))
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writable()?;
        state.keep(slot, content);
        Ok(())
    }

    fn append(&self, slot: Slot, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writable()?;
        let length = state.written.get(&slot).map_or(0, |written| written.len() as u64);
        if length.saturating_add(content.len() as u64) > slot.max_content() {
            return Err(failed(io::ErrorKind::FileTooLarge, "appended to"));
        }
        state.extend(slot, content, durability);
        Ok(())
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        let mut state = self.state();
        state.readable()?;
        if !state.written.contains_key(&slot) {
            return Err(failed(io::ErrorKind::NotFound, "set aside"));
        }
        // Renaming needs no space.
        if state.mood != Mood::Full {
            state.writable()?;
        }
        state.written.remove(&slot);
        state.synced.remove(&slot);
        state.appended.remove(&slot);
        Ok(format!("{PLACE}/{slot:?}.damaged"))
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        let mut state = self.state();
        // The lock file is empty and needs no space.
        if state.mood != Mood::Full {
            state.writable()?;
        }
        if state.locked.is_some() {
            return Err(StoreError::locked(format!(
                "another agent of this workspace is running: it holds the lock {PLACE}/.lock; stop it first"
            )));
        }
        state.locks += 1;
        state.locked = Some(state.locks);
        Ok(Box::new(LockGuard { disk: self.clone(), number: state.locks }))
    }
}

/// The held lock; dropping it releases the lock.
struct LockGuard {
    disk: Disk,
    number: u64,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.locked == Some(self.number) {
            state.locked = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn replace(content: &str) -> HostOp {
        HostOp::Replace(Slot::Token, content.as_bytes().to_vec().into())
    }

    #[test]
    fn a_power_failure_takes_what_was_not_synced_and_nothing_else() {
        let disk = Disk::default();
        disk.replace(Slot::Token, b"old").unwrap();
        let content = |synced| disk.content(Slot::Token, synced).unwrap();
        disk.interrupted(&replace("new"), WriteProgress::Temporary);
        assert_eq!(content(false), "old");
        disk.interrupted(&replace("new"), WriteProgress::Renamed);
        assert_eq!((content(false), content(true)), ("new".to_owned(), "old".to_owned()));
        disk.lose_power(&mut Rng::with_seed(1));
        assert_eq!(content(false), "old");
        disk.interrupted(&replace("new"), WriteProgress::Renamed);
        disk.prepare().unwrap();
        disk.lose_power(&mut Rng::with_seed(1));
        assert_eq!(content(false), "new", "a prepared store is durable");
        disk.interrupted(&replace("newer"), WriteProgress::Synced);
        disk.lose_power(&mut Rng::with_seed(1));
        assert_eq!(content(false), "newer");
    }

    fn append(content: &str, durability: Durability) -> HostOp {
        HostOp::Append(Slot::Inbox, content.as_bytes().to_vec().into(), durability)
    }

    #[test]
    fn a_crash_leaves_a_first_part_of_an_append_and_a_power_failure_a_first_part_of_what_was_not_synced() {
        let mut left = BTreeSet::new();
        for seed in 0..500 {
            let rng = &mut Rng::with_seed(seed);
            let disk = Disk::default();
            let content = |synced| disk.content(Slot::Inbox, synced).unwrap_or_default();
            disk.append(Slot::Inbox, b"a", Durability::None).unwrap();
            disk.append(Slot::Inbox, b"b", Durability::Sync).unwrap();
            assert_eq!(content(true), "ab", "a sync is one of the whole file");
            disk.append(Slot::Inbox, b"c", Durability::None).unwrap();
            let torn = append("defg", Durability::None);
            disk.interrupted(&torn, WriteProgress::random(&torn, rng));
            assert!("abcdefg".starts_with(&content(false)) && content(false).len() >= 3, "{}", content(false));
            assert_eq!(content(true), "ab");
            disk.lose_power(rng);
            assert!("abcdefg".starts_with(&content(false)) && content(false).len() >= 2, "{}", content(false));
            assert_eq!(content(false), content(true));
            left.insert(content(false));
        }
        assert_eq!(left.len(), 6, "each cut is met: {left:?}");
    }

    #[test]
    fn what_a_prepare_or_an_interrupted_append_has_synced_survives_a_power_failure() {
        let rng = &mut Rng::with_seed(1);
        let disk = Disk::default();
        disk.append(Slot::Inbox, b"one", Durability::None).unwrap();
        disk.prepare().unwrap();
        disk.interrupted(&append(" two", Durability::Sync), WriteProgress::Synced);
        disk.lose_power(rng);
        assert_eq!(disk.content(Slot::Inbox, false).unwrap(), "one two");
        // A rename that is not synced takes what was appended to the new file with it.
        let compacted = HostOp::Replace(Slot::Inbox, b"short".to_vec().into());
        disk.interrupted(&compacted, WriteProgress::Renamed);
        disk.append(Slot::Inbox, b"er", Durability::None).unwrap();
        assert_eq!(disk.content(Slot::Inbox, false).unwrap(), "shorter");
        disk.lose_power(rng);
        assert_eq!(disk.content(Slot::Inbox, false).unwrap(), "one two");
    }

    #[test]
    fn a_full_disk_keeps_what_it_has() {
        let disk = Disk::default();
        disk.replace(Slot::Token, b"old").unwrap();
        disk.set_mood(Mood::Full);
        assert_eq!(disk.prepare().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(disk.replace(Slot::Token, b"new").is_err());
        assert_eq!(disk.load(Slot::Token).unwrap().unwrap().bytes[..], *b"old");
    }

    #[test]
    fn the_lock_goes_with_its_holder() {
        let disk = Disk::default();
        let held = disk.lock().unwrap();
        assert!(disk.lock().is_err_and(|error| error.is_locked()));
        drop(held);
        assert!(disk.lock().is_ok());
    }
}
