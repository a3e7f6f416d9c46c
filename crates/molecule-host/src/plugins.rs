//! The directory of an agent's plugins, and the acts on it.

mod dir;
mod durable;
mod hash;
mod lock;
mod name;
mod place;
mod receipt;
mod removal;
mod setup;
mod stage;
mod staging;
mod swap;
mod sweep;
mod unpacking;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molecule_core::effect::plugin::{Committed, Found, Listed, PluginOp, PluginResult, StageId};
use molecule_core::effect::{Fault, LockId};
use molecule_core::plugin::Durability;
use molecule_core::proto::PluginName;
use molecule_core::unpack::UnpackPolicy;

use self::dir::Kind;
use self::name::Left;
pub use self::place::ChosenBy;
use self::place::{Place, failed};
use self::stage::Stage;
pub use self::unpacking::Unpacking;
use crate::cancel::Cancel;
use crate::store::StoreError;

/// The directory of an agent's plugins, and its stages.
///
/// Clones share the stages. When the last clone is dropped, the stages that were neither committed nor discarded are
/// removed.
#[derive(Clone)]
pub struct Plugins(Arc<Shared>);

struct Shared {
    place: Place,
    stages: Mutex<Stages>,
}

#[derive(Default)]
struct Stages {
    made: u64,
    kept: BTreeMap<StageId, Stage>,
}

impl Plugins {
    /// Creates a handle for the plugins in this directory, which is in the agent's own unless the author chose another
    /// one. It touches no file yet.
    pub fn new(directory: PathBuf, chosen_by: ChosenBy) -> Self {
        Self(Arc::new(Shared { place: Place::new(directory, chosen_by), stages: Mutex::default() }))
    }

    /// Performs an act. It waits for the disk and for a `setup.sh`, never for a lock. A taken lock is passed to `keep`;
    /// it is released when its owner drops it. Setting the flag ends a `setup.sh`; no other act checks the flag.
    ///
    /// # Errors
    /// [`StoreError::locked`] if the lock is held, and any other error if the act failed.
    pub fn perform(
        &self,
        op: PluginOp,
        cancel: &Cancel,
        keep: impl FnOnce(Box<dyn Send>) -> LockId,
    ) -> Result<PluginResult, StoreError> {
        let place = self.place();
        Ok(match op {
            PluginOp::Look(plugin) => PluginResult::Looked { exists: self.look(&plugin)? },
            PluginOp::Lock(plugin) => PluginResult::Locked(keep(lock::take(place, &plugin)?)),
            PluginOp::Sweep(plugin) => PluginResult::Swept(sweep::sweep(place, &plugin)?),
            PluginOp::Commit(stage, durability) => PluginResult::Committed(self.commit(stage, durability)?),
            PluginOp::Discard(stage) => {
                self.remove_stage(stage)?;
                PluginResult::Discarded
            }
            PluginOp::WriteReceipt(plugin, content, durability) => {
                receipt::write(place, &plugin, &content, durability)?;
                PluginResult::ReceiptWritten
            }
            PluginOp::Setup(plugin, plan) => PluginResult::SetUp(setup::run(place, &plugin, &plan, cancel)?),
            PluginOp::Hash(plugin) => PluginResult::Hashed(hash::hash(place, &plugin)?),
            PluginOp::List => PluginResult::Listed(self.list()?),
            PluginOp::Remove(plugin) => PluginResult::Removed { existed: self.remove(&plugin)? },
        })
    }

    /// Creates a staging directory for the plugin, into which its archive is unpacked. The caller holds the plugin's
    /// lock.
    ///
    /// # Errors
    /// A fault of the kind `Host` if the directory cannot be created.
    pub fn stage(&self, plugin: &PluginName, policy: &UnpackPolicy) -> Result<Unpacking, Fault> {
        Ok(Unpacking::start(self, plugin, policy)?)
    }

    /// Removes a stage that is no longer needed; a stage that is gone already changes nothing.
    pub fn discard(&self, stage: StageId) {
        // The next sweep removes what cannot be removed now.
        let _ = self.remove_stage(stage);
    }

    fn place(&self) -> &Place {
        &self.0.place
    }

    fn keep_stage(&self, stage: Stage) -> StageId {
        let mut stages = self.stages();
        stages.made += 1;
        let id = StageId(stages.made);
        stages.kept.insert(id, stage);
        id
    }

    /// Puts a stage in its plugin's place. The next sweep removes the earlier version.
    fn commit(&self, id: StageId, durability: Durability) -> Result<Committed, StoreError> {
        // The stage is taken out of the table, so that the table is not locked while this waits for the disk.
        let Some(mut stage) = self.stages().kept.remove(&id) else {
            let sentence =
                format!("{} has no such stage any more; install the plugin again", self.place().path("").display());
            return Err(StoreError::new(io::ErrorKind::NotFound, sentence));
        };
        let committed = stage.commit(durability);
        if committed.is_err() {
            self.stages().kept.insert(id, stage);
        }
        committed
    }

    fn remove_stage(&self, id: StageId) -> Result<(), StoreError> {
        let stage = self.stages().kept.remove(&id);
        stage.map_or(Ok(()), Stage::remove)
    }

    fn look(&self, plugin: &PluginName) -> Result<bool, StoreError> {
        let place = self.place();
        let Some(dir) = place.open()? else { return Ok(false) };
        if place.holds(&dir, plugin)? || receipt::exists(place, &dir, plugin)? {
            return Ok(true);
        }
        let entries = dir.entries().map_err(|error| failed(&place.path(""), "read", error))?;
        let owners =
            entries.iter().filter(|(_, kind)| *kind == Kind::Directory).filter_map(|(name, _)| Left::parse(name));
        Ok(owners.into_iter().any(|(_, owner)| owner == *plugin))
    }

    fn list(&self) -> Result<Listed, StoreError> {
        let place = self.place();
        let Some(dir) = place.open()? else { return Ok(Listed::default()) };
        let entries = dir.entries().map_err(|error| failed(&place.path(""), "read", error))?;
        let directories = || entries.iter().filter(|(_, kind)| *kind == Kind::Directory).map(|(name, _)| name);
        let mut names: Vec<PluginName> = directories().filter_map(|name| name.to_str()?.parse().ok()).collect();
        names.sort();
        let left: BTreeSet<PluginName> = directories().filter_map(|name| Left::parse(name)).map(|(_, it)| it).collect();
        // A receipt that cannot be read hides no plugin, not even its own.
        let found = names.into_iter().map(|name| {
            let receipt = receipt::read(place, &dir, &name).map_err(|error| error.to_string());
            Found { path: place.path(name.as_str()).into_path(), name, receipt }
        });
        Ok(Listed { found: found.collect(), left: left.into_iter().collect() })
    }

    /// Removes the plugin at once; the next sweep removes any of its files that remain.
    fn remove(&self, plugin: &PluginName) -> Result<bool, StoreError> {
        let place = self.place();
        let Some(dir) = place.open()? else { return Ok(false) };
        let existed = place.holds(&dir, plugin)?;
        let path = place.path(plugin.as_str());
        let mut garbage = Left::Staging.name(plugin);
        if existed {
            match dir.rename(OsStr::new(plugin.as_str()), &garbage) {
                // A directory in a lower layer of an overlay cannot be renamed, so it is removed in its place.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => garbage = plugin.as_str().into(),
                renamed => renamed.map_err(|error| failed(&path, "removed", error))?,
            }
        }
        receipt::remove(place, &dir, plugin)?;
        removal::remove(&dir, &garbage).map_err(|error| failed(&place.path(&garbage), "removed", error))?;
        Ok(existed)
    }

    fn stages(&self) -> MutexGuard<'_, Stages> {
        self.0.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
