//! The host, which performs the host acts of both drivers.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Response;
use molecule_core::effect::plugin::PluginResult;
use molecule_core::effect::{Dest, Fault, FaultKind, HostOp, HostResult, LockId, Outcome, Sent};
use molecule_core::proto::PluginName;
use molecule_core::unpack::UnpackPolicy;

use crate::cancel::Cancel;
use crate::plugins::{ChosenBy, Plugins, Unpacking};
use crate::receiving::Receiving;
use crate::store::{Store, StoreError};
use crate::uploading::read_file;

/// Performs the host acts of one agent on its store, and holds the locks that it took.
///
/// Clones share the store and the locks. When the last clone is dropped, every lock is released.
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
    /// The agent's own lock among them.
    agent: Option<LockId>,
}

impl Host {
    /// Creates the host of the agent with this store. It has no directory for plugins.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::of(store, None)
    }

    /// Creates a host on the same store with this directory for plugins, which is created by the first install.
    #[must_use]
    pub fn with_plugins(&self, directory: PathBuf, chosen_by: ChosenBy) -> Self {
        Self::of(Arc::clone(&self.0.store), Some(Plugins::new(directory, chosen_by)))
    }

    fn of(store: Arc<dyn Store>, plugins: Option<Plugins>) -> Self {
        Self(Arc::new(Shared { store, plugins, locks: Mutex::default() }))
    }

    /// Creates a host on the same store with separate locks. The driver of a machine drops it with the machine, so that
    /// no lock outlives the run that took it, however the run ended.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::of(Arc::clone(&self.0.store), self.0.plugins.clone())
    }

    /// Performs an act. It waits for the disk and for a `setup.sh`, never for a lock. A failure is an outcome too.
    pub fn perform(&self, op: HostOp) -> Outcome {
        self.perform_until(op, &Cancel::default())
    }

    /// Performs an act that may take long: once the flag is set, a `setup.sh` is ended.
    pub fn perform_until(&self, op: HostOp, cancel: &Cancel) -> Outcome {
        let is_of_a_file = matches!(op, HostOp::ReadFile(..));
        match self.act(op, cancel) {
            Ok(result) => Outcome::Host(result),
            Err(error) if is_of_a_file => Outcome::Failed(Fault::with_source(Sent::No, FaultKind::File, error)),
            Err(error) => Outcome::Failed(error.into()),
        }
    }

    /// Creates a staging directory for a plugin, into which its archive is unpacked.
    ///
    /// # Errors
    /// A fault of the kind `Host` if there is no directory for plugins, or it cannot be written.
    pub fn stage(&self, name: &PluginName, policy: &UnpackPolicy) -> Result<Unpacking, Fault> {
        self.plugins()?.stage(name, policy)
    }

    /// Starts to receive the body after this head into its destination.
    ///
    /// # Errors
    /// The errors of [`stage`](Self::stage), a fault of the kind `Archive` if the head announces an archive that cannot be
    /// accepted, and for a file `Host`, `TooLarge` and those of [`FileDest::admits`](molecule_core::effect::FileDest::admits).
    pub fn receive(&self, dest: Dest, head: Response<()>) -> Result<Receiving, Fault> {
        Receiving::start(self, dest, head)
    }

    /// Undoes an outcome that is not delivered: it releases a lock, and removes a stage or a saved file. Nothing else needs to be
    /// undone, and loaded content is wiped when it is dropped.
    pub fn dispose(&self, outcome: Outcome) {
        match outcome {
            Outcome::Host(HostResult::Locked(id) | HostResult::Plugin(PluginResult::Locked(id))) => self.release(id),
            Outcome::Staged(stage, _) => {
                if let Some(plugins) = &self.0.plugins {
                    plugins.discard(stage);
                }
            }
            // A file that replaced another one stays: the earlier one is gone in any case.
            Outcome::Saved(saved) if !saved.may_have_replaced => {
                let _ = std::fs::remove_file(saved.path);
            }
            Outcome::Host(
                HostResult::Prepared
                | HostResult::SetRight(_)
                | HostResult::Loaded(_)
                | HostResult::Replaced
                | HostResult::Appended
                | HostResult::FileRead(_)
                | HostResult::SetAside(_)
                | HostResult::Unlocked
                | HostResult::Plugin(_),
            )
            | Outcome::Saved(_)
            | Outcome::Progress(_)
            | Outcome::Handled(_)
            | Outcome::Part(_)
            | Outcome::Decoded(_)
            | Outcome::Response(_)
            | Outcome::Failed(_) => {}
        }
    }

    /// Releases the agent's own lock, if it is held. The driver of the loop is gone, but its acts may still be running
    /// and hold clones of this host.
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
            HostOp::Append(slot, content, durability) => {
                survived("written", || store.append(slot, &content, durability))?;
                HostResult::Appended
            }
            HostOp::SetAside(slot) => HostResult::SetAside(survived("set aside", || store.set_aside(slot))?),
            HostOp::ReadFile(path, max_bytes) => HostResult::FileRead(read_file(&path, max_bytes)?.into()),
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

    /// Releases a lock; an id that was released already, or is unknown, changes nothing.
    fn release(&self, id: LockId) {
        let lock = self.locks().held.remove(&id);
        // The lock is dropped while the table is unlocked, because a store's own `Drop` may take long. A panic in it
        // has no one to be reported to.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(lock)));
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Performs an act of a store that an author may have written: its panic is an error. The panic's value can be
/// anything, so the error does not quote it.
fn survived<T>(act: &str, perform: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(perform)).unwrap_or_else(|_| {
        let sentence = format!(
            "the agent's store panicked while it was {act}; its own message is on standard error, and the store has to be mended"
        );
        Err(StoreError::new(io::ErrorKind::Other, sentence))
    })
}
