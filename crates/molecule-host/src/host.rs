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
use crate::order::{self, HostAct, Leftovers, Write};
use crate::plugins::{ChosenBy, Plugins, Unpacking};
use crate::receiving::Receiving;
use crate::store::{Store, StoreError};
use crate::uploading::read_file;
use crate::uploads::Uploads;

/// Performs the host acts of one agent on its store, and holds the locks that it took.
///
/// Clones share the store and the locks. When the last clone is dropped, every lock is released.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    plugins: Option<Plugins>,
    uploads: Option<Uploads>,
    locks: Mutex<Locks>,
    leftovers: Arc<Leftovers>,
}

#[derive(Default)]
struct Locks {
    taken: u64,
    held: BTreeMap<LockId, Box<dyn Send>>,
    /// The agent's own lock among them.
    agent: Option<LockId>,
    /// The number of writes that have begun and are not over.
    writing: u32,
    /// The number among the machines that have left writes, once this one is over.
    left: Option<u64>,
    /// Locks that are given back once the writes are over.
    late: Vec<Box<dyn Send>>,
}

impl Host {
    /// Creates the host of the agent with this store. It has no directory for plugins.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let (locks, leftovers) = (Mutex::default(), Arc::default());
        Self::of(Shared { store, plugins: None, uploads: None, locks, leftovers })
    }

    /// Creates a host on the same store with this directory for plugins, which is created by the first install.
    #[must_use]
    pub fn with_plugins(&self, directory: PathBuf, chosen_by: ChosenBy) -> Self {
        Self::of(Shared { plugins: Some(Plugins::new(directory, chosen_by)), ..self.beside() })
    }

    /// Creates a host on the same store with this directory for files that the platform hands over, which is created by
    /// the first of them.
    #[must_use]
    pub fn with_uploads(&self, directory: PathBuf) -> Self {
        Self::of(Shared { uploads: Some(Uploads::new(directory)), ..self.beside() })
    }

    fn of(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// What a host on the same store has, with no lock taken.
    fn beside(&self) -> Shared {
        let Shared { store, plugins, uploads, leftovers, locks: _ } = &*self.0;
        let (store, leftovers, locks) = (Arc::clone(store), Arc::clone(leftovers), Mutex::default());
        Shared { store, plugins: plugins.clone(), uploads: uploads.clone(), locks, leftovers }
    }

    /// Creates a host on the same store with separate locks. The driver of a machine drops it with the machine, so that
    /// no lock outlives the run that took it, however the run ended.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::of(self.beside())
    }

    /// Whether acts on the store wait for nothing.
    pub fn is_in_memory(&self) -> bool {
        self.0.store.is_in_memory()
    }

    /// The directory of files that the platform hands over; `None` if the agent's own files are in no directory.
    pub fn uploads(&self) -> Option<Uploads> {
        self.0.uploads.clone()
    }

    /// Performs an act. It waits for the disk and for a `setup.sh`, never for a lock. A failure is an outcome too.
    pub fn perform(&self, op: HostOp) -> Outcome {
        self.begin(op).perform(&Cancel::default())
    }

    /// Begins an act, which is performed on any thread. The driver of a machine begins an act when its machine asks for
    /// it: if the machine ends before a write of its has been performed, the agent's lock stays taken until that is over,
    /// and what is read later waits for it.
    pub fn begin(&self, op: HostOp) -> HostAct {
        let order = order::of(self, &op);
        HostAct { host: self.clone(), op, order }
    }

    pub(crate) fn act(&self, op: HostOp, cancel: &Cancel) -> Outcome {
        let is_of_a_file = matches!(op, HostOp::ReadFile(..));
        match self.result_of(op, cancel) {
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

    /// Releases the agent's own lock, if it is held, once no write is under way any more. The driver of the machine is
    /// gone, but its acts may still be running and hold clones of this host.
    pub fn give_the_lock_back(&self) {
        let lock = self.locks().agent;
        match lock {
            Some(lock) => self.release(lock),
            None => self.locks().leave(&self.0.leftovers),
        }
    }

    /// Counts a write that begins.
    pub(crate) fn writes(&self) -> Write {
        self.locks().writing += 1;
        Write(self.clone())
    }

    /// Counts a write that is over. The last one that the machine has left gives the agent's lock back.
    pub(crate) fn written(&self) {
        let mut locks = self.locks();
        locks.writing -= 1;
        if locks.writing > 0 {
            return;
        }
        let (late, left) = (std::mem::take(&mut locks.late), locks.left.take());
        drop(locks);
        late.into_iter().for_each(give_back);
        if let Some(left) = left {
            self.0.leftovers.remove(left);
        }
    }

    pub(crate) fn leftovers(&self) -> &Leftovers {
        &self.0.leftovers
    }

    fn plugins(&self) -> Result<&Plugins, StoreError> {
        self.0.plugins.as_ref().ok_or_else(|| {
            StoreError::new(
                io::ErrorKind::Unsupported,
                "there is no directory for plugins, since the agent's own files are in none; choose one with plugins_dir(…)",
            )
        })
    }

    fn result_of(&self, op: HostOp, cancel: &Cancel) -> Result<HostResult, StoreError> {
        let store = &self.0.store;
        Ok(match op {
            HostOp::Prepare => {
                let said = survived("made private", || Ok(store.make_private()))?;
                survived("prepared", || store.prepare())?;
                if let Some(uploads) = &self.0.uploads {
                    uploads.sweep();
                }
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

    /// Releases a lock; an id that was released already, or is unknown, changes nothing. The agent's own lock is kept
    /// until the writes under it are over.
    fn release(&self, id: LockId) {
        let mut locks = self.locks();
        let lock = locks.held.remove(&id);
        let is_agents = locks.agent.take_if(|agent| *agent == id).is_some();
        if is_agents {
            locks.leave(&self.0.leftovers);
        }
        if is_agents && locks.writing > 0 {
            locks.late.extend(lock);
            return;
        }
        drop(locks);
        lock.into_iter().for_each(give_back);
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Locks {
    /// Notes that the machine is over, if it leaves a write.
    fn leave(&mut self, leftovers: &Leftovers) {
        if self.writing > 0 && self.left.is_none() {
            self.left = Some(leftovers.enter());
        }
    }
}

/// Gives a lock back, while the table of locks is free: a store's own `Drop` may take long. A panic in it has no one to be
/// reported to.
fn give_back(lock: Box<dyn Send>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(lock)));
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
