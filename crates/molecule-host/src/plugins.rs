//! The plugins of an agent, as directories.

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

use molecule_core::effect::{Fault, LockId};
use molecule_core::plugin::Durability;
use molecule_core::plugin::act::{Committed, Found, Listed, PluginOp, PluginResult, StageId};
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

/// The directory of an agent's plugins, and what is staged in it.
///
/// Clones share the stages. When the last clone is dropped, the stages that were neither committed nor discarded are removed.
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
    /// The plugins in this directory, which is in the agent's own unless its author chose another. Touches no file yet.
    pub fn new(directory: PathBuf, chosen_by: ChosenBy) -> Self {
        Self(Arc::new(Shared { place: Place::new(directory, chosen_by), stages: Mutex::default() }))
    }

    /// Performs an act; waits for the disk and for a `setup.sh`, never for a lock. A lock that was taken goes to `keep`, and
    /// is given back when what that was given is dropped. A raised flag ends a `setup.sh`; no other act looks at it.
    ///
    /// # Errors
    /// [`StoreError::locked`] if a lock is held, and any other if the act failed.
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

    /// A new staging directory for the plugin, to unpack its archive into. The plugin's lock is held.
    ///
    /// # Errors
    /// A fault of the kind `Host` if the directory cannot be made.
    pub fn stage(&self, plugin: &PluginName, policy: &UnpackPolicy) -> Result<Unpacking, Fault> {
        Ok(Unpacking::start(self, plugin, policy)?)
    }

    /// Removes a stage that nobody takes any more; one that is gone already changes nothing.
    pub fn discard(&self, stage: StageId) {
        // What cannot be removed, the next sweep removes.
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

    /// Puts a stage in its plugin's place. The earlier version stays for the next sweep.
    fn commit(&self, id: StageId, durability: Durability) -> Result<Committed, StoreError> {
        // Taken out, so that nothing waits for the disk with the table locked.
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
        // One receipt that cannot be read hides no other plugin, nor its own.
        let found = names.into_iter().map(|name| {
            let receipt = receipt::read(place, &dir, &name).map_err(|error| error.to_string());
            Found { path: place.path(name.as_str()).into_path(), name, receipt }
        });
        Ok(Listed { found: found.collect(), left: left.into_iter().collect() })
    }

    /// The plugin is gone at once, whatever stays of its files for the next sweep.
    fn remove(&self, plugin: &PluginName) -> Result<bool, StoreError> {
        let place = self.place();
        let Some(dir) = place.open()? else { return Ok(false) };
        let existed = place.holds(&dir, plugin)?;
        let path = place.path(plugin.as_str());
        let mut garbage = Left::Staging.name(plugin);
        if existed {
            match dir.rename(OsStr::new(plugin.as_str()), &garbage) {
                // A layer below an overlay: there is no other way than to remove it where it is.
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
