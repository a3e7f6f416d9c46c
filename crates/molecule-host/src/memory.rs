//! The store in memory, whose content is lost with the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molecule_core::effect::{Durability, Slot, Stored};
use zeroize::Zeroizing;

use crate::store::{Store, StoreError, check_room};

/// The place that error texts name.
const PLACE: &str = "the agent's memory";

/// Slots in memory, wiped when they are replaced or dropped.
#[derive(Default)]
pub(crate) struct MemoryStore {
    slots: Mutex<BTreeMap<Slot, Zeroizing<Vec<u8>>>>,
    locked: Arc<AtomicBool>,
}

impl MemoryStore {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<Slot, Zeroizing<Vec<u8>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        Ok(self.slots().get(&slot).map(|content| Stored::new(content.clone(), PLACE)))
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        self.slots().insert(slot, Zeroizing::new(content.to_vec()));
        Ok(())
    }

    /// Memory ends with its process, whatever the durability.
    fn append(&self, slot: Slot, content: &[u8], _: Durability) -> Result<(), StoreError> {
        let mut slots = self.slots();
        check_room(PLACE, slot, slots.get(&slot).map_or(0, |stored| stored.len() as u64), content.len())?;
        slots.entry(slot).or_default().extend_from_slice(content);
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    /// Drops the content: memory has no second place in which anybody would look for it.
    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        match self.slots().remove(&slot) {
            Some(_) => Ok(format!("nowhere: it was dropped from {PLACE}")),
            None => Err(StoreError::new(
                io::ErrorKind::NotFound,
                format!("{PLACE} holds nothing that could be set aside; register again"),
            )),
        }
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(StoreError::locked(format!(
                "another loop of this agent is running: it holds the lock in {PLACE}; stop it first"
            )));
        }
        Ok(Box::new(Held(Arc::clone(&self.locked))))
    }
}

/// The guard of the lock.
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
