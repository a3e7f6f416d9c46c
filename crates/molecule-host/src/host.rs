//! The performer of host acts, which both drivers use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molecule_core::effect::{HostOp, HostResult, LockId, Outcome};

use crate::store::{Store, StoreError};

/// Performs the host acts of one agent on its store, and keeps the locks that were taken.
///
/// Clones share the store and the locks. When the last clone is dropped, every lock is given back.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    locks: Mutex<Locks>,
}

#[derive(Default)]
struct Locks {
    taken: u64,
    held: BTreeMap<LockId, Box<dyn Send>>,
}

impl Host {
    /// A host for the agent whose store this is.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Shared { store, locks: Mutex::default() }))
    }

    /// A host on the same store with locks of its own. Whoever drives a machine drops it with the machine, so that no lock
    /// outlives the run that took it, however that ended.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::new(Arc::clone(&self.0.store))
    }

    /// Performs an act; waits for the disk, never for a lock. A failure is an outcome too.
    pub fn perform(&self, op: HostOp) -> Outcome {
        match self.act(op) {
            Ok(result) => Outcome::Host(result),
            Err(error) => Outcome::Failed(error.into()),
        }
    }

    /// Undoes an outcome that nobody takes any more: a lock is given back. Nothing else needs undoing, and what was
    /// loaded is wiped as it is dropped.
    pub fn dispose(&self, outcome: Outcome) {
        match outcome {
            Outcome::Host(HostResult::Locked(id)) => self.release(id),
            Outcome::Host(
                HostResult::Prepared
                | HostResult::Loaded(_)
                | HostResult::Replaced
                | HostResult::SetAside(_)
                | HostResult::Unlocked,
            )
            | Outcome::Response(_)
            | Outcome::Failed(_) => {}
        }
    }

    fn act(&self, op: HostOp) -> Result<HostResult, StoreError> {
        let store = &self.0.store;
        Ok(match op {
            HostOp::Prepare => {
                store.prepare()?;
                HostResult::Prepared
            }
            HostOp::Load(slot) => HostResult::Loaded(store.load(slot)?),
            HostOp::Replace(slot, content) => {
                store.replace(slot, &content)?;
                HostResult::Replaced
            }
            HostOp::SetAside(slot) => HostResult::SetAside(store.set_aside(slot)?),
            HostOp::Lock => HostResult::Locked(self.keep(store.lock()?)),
            HostOp::Unlock(id) => {
                self.release(id);
                HostResult::Unlocked
            }
        })
    }

    fn keep(&self, lock: Box<dyn Send>) -> LockId {
        let mut locks = self.locks();
        locks.taken += 1;
        let id = LockId(locks.taken);
        locks.held.insert(id, lock);
        id
    }

    /// Gives a lock back; one that was given back already, or never taken, changes nothing.
    fn release(&self, id: LockId) {
        let lock = self.locks().held.remove(&id);
        // Dropped here, with the table free: a store's own `Drop` may take its time.
        drop(lock);
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
