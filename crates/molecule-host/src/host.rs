//! The performer of host acts, which both drivers use.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Response;
use molecule_core::effect::{Dest, Fault, HostOp, HostResult, LockId, Outcome};
use molecule_core::plugin::act::PluginResult;
use molecule_core::proto::PluginName;
use molecule_core::unpack::UnpackPolicy;

use crate::cancel::Cancel;
use crate::plugins::{ChosenBy, Plugins, Unpacking};
use crate::receiving::Receiving;
use crate::store::{Store, StoreError};

/// Performs the host acts of one agent on its store, and keeps the locks that were taken.
///
/// Clones share the store and the locks. When the last clone is dropped, every lock is given back.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    plugins: Option<Plugins>,
    locks: Mutex<Locks>,
}

#[derive(Default)]
struct Locks {
    taken: u64,
    held: BTreeMap<LockId, Box<dyn Send>>,
    /// Which of them is the agent's own.
    agent: Option<LockId>,
}

impl Host {
    /// A host for the agent whose store this is. It has no place for plugins.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::of(store, None)
    }

    /// The same with this directory for plugins. It is made when the first one is installed.
    #[must_use]
    pub fn with_plugins(&self, directory: PathBuf, chosen_by: ChosenBy) -> Self {
        Self::of(Arc::clone(&self.0.store), Some(Plugins::new(directory, chosen_by)))
    }

    fn of(store: Arc<dyn Store>, plugins: Option<Plugins>) -> Self {
        Self(Arc::new(Shared { store, plugins, locks: Mutex::default() }))
    }

    /// A host on the same store with locks of its own. Whoever drives a machine drops it with the machine, so that no lock
    /// outlives the run that took it, however that ended.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::of(Arc::clone(&self.0.store), self.0.plugins.clone())
    }

    /// Performs an act; waits for the disk and for a `setup.sh`, never for a lock. A failure is an outcome too.
    pub fn perform(&self, op: HostOp) -> Outcome {
        self.perform_until(op, &Cancel::default())
    }

    /// The same for an act that may take long: once the flag is raised, a `setup.sh` is ended.
    pub fn perform_until(&self, op: HostOp, cancel: &Cancel) -> Outcome {
        match self.act(op, cancel) {
            Ok(result) => Outcome::Host(result),
            Err(error) => Outcome::Failed(error.into()),
        }
    }

    /// A new staging directory for a plugin, to unpack its archive into.
    ///
    /// # Errors
    /// A fault of the kind `Host` if there is no place for plugins, or it cannot be written.
    pub fn stage(&self, name: &PluginName, policy: &UnpackPolicy) -> Result<Unpacking, Fault> {
        self.plugins()?.stage(name, policy)
    }

    /// Lets the body that follows this head flow to its destination.
    ///
    /// # Errors
    /// As of [`stage`](Self::stage), and a fault of the kind `Archive` if the head announces what cannot be taken.
    pub fn receive(&self, dest: Dest, head: Response<()>) -> Result<Receiving, Fault> {
        Receiving::start(self, dest, head)
    }

    /// Undoes an outcome that nobody takes any more: a lock is given back, a stage removed. Nothing else needs undoing, and
    /// what was loaded is wiped as it is dropped.
    pub fn dispose(&self, outcome: Outcome) {
        match outcome {
            Outcome::Host(HostResult::Locked(id) | HostResult::Plugin(PluginResult::Locked(id))) => self.release(id),
            Outcome::Staged(stage, _) => {
                if let Some(plugins) = &self.0.plugins {
                    plugins.discard(stage);
                }
            }
            Outcome::Host(
                HostResult::Prepared
                | HostResult::SetRight(_)
                | HostResult::Loaded(_)
                | HostResult::Replaced
                | HostResult::SetAside(_)
                | HostResult::Unlocked
                | HostResult::Plugin(_),
            )
            | Outcome::Progress(_)
            | Outcome::Decoded(_)
            | Outcome::Response(_)
            | Outcome::Failed(_) => {}
        }
    }

    /// Gives the agent's own lock back, if it is held: whoever drove the loop is gone, though acts of it may still be under
    /// way and hold clones of this host.
    pub fn give_the_lock_back(&self) {
        let lock = self.locks().agent.take();
        if let Some(lock) = lock {
            self.release(lock);
        }
    }

    fn plugins(&self) -> Result<&Plugins, StoreError> {
        self.0.plugins.as_ref().ok_or_else(|| {
            StoreError::new(
                io::ErrorKind::Unsupported,
                "there is no directory for plugins, since the agent's own files are in none; choose one with plugins_dir(…)",
            )
        })
    }

    fn act(&self, op: HostOp, cancel: &Cancel) -> Result<HostResult, StoreError> {
        let store = &self.0.store;
        Ok(match op {
            HostOp::Prepare => {
                let said = survived("made private", || Ok(store.make_private()))?;
                survived("prepared", || store.prepare())?;
                if said.is_empty() { HostResult::Prepared } else { HostResult::SetRight(said) }
            }
            HostOp::Load(slot) => HostResult::Loaded(survived("read", || store.load(slot))?),
            HostOp::Replace(slot, content) => {
                survived("written", || store.replace(slot, &content))?;
                HostResult::Replaced
            }
            HostOp::SetAside(slot) => HostResult::SetAside(survived("set aside", || store.set_aside(slot))?),
            HostOp::Lock => {
                let lock = self.keep(survived("locked", || store.lock())?);
                self.locks().agent = Some(lock);
                HostResult::Locked(lock)
            }
            HostOp::Plugin(op) => HostResult::Plugin(self.plugins()?.perform(op, cancel, |lock| self.keep(lock))?),
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
        // Dropped here, with the table free: a store's own `Drop` may take its time. There is nobody to tell of a panic in it.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(lock)));
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Performs an act of a store that may be the author's own: its panic is an error. What it panicked with may be anything, so it
/// is not quoted.
fn survived<T>(act: &str, perform: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(perform)).unwrap_or_else(|_| {
        let sentence = format!(
            "the agent's store panicked while it was {act}; its own message is on standard error, and the store has to be mended"
        );
        Err(StoreError::new(io::ErrorKind::Other, sentence))
    })
}
