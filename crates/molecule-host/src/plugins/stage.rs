//! A staging directory: it is created beside the plugins, filled, and then put in a plugin's place or removed.

use std::ffi::{OsStr, OsString};
use std::io;

use molecule_core::effect::plugin::Committed;
use molecule_core::plugin::Durability;
use molecule_core::proto::PluginName;

use super::dir::{Dir, Mode};
use super::name::Left;
use super::place::{At, Place, failed};
use super::swap::{self, System};
use super::{durable, removal};
use crate::store::StoreError;

/// A directory in the plugins directory. It is removed when this is dropped, unless it has become a plugin.
pub(super) struct Stage {
    place: Place,
    dir: Dir,
    plugin: PluginName,
    /// Its name; `None` once it is no longer a stage.
    name: Option<OsString>,
}

impl Stage {
    /// Creates an empty stage that only this user can enter. It stays private as a plugin, because an archive does not
    /// decide what others may read.
    pub(super) fn make(place: &Place, plugin: &PluginName) -> Result<(Self, Dir), StoreError> {
        let dir = place.ensure()?;
        let name = Left::Staging.name(plugin);
        let made = dir.make(&name, Mode::Private).and_then(|()| dir.open(&name));
        let stage = Self { place: place.clone(), dir, plugin: plugin.clone(), name: Some(name) };
        match made {
            Ok(root) => Ok((stage, root)),
            Err(error) => Err(failed(&stage.path(), "created", error)),
        }
    }

    /// Puts the stage in the plugin's place. The earlier version becomes garbage, which the next sweep removes.
    ///
    /// With `Sync` the files are on the disk before the rename, and the rename is synced together with the receipt that
    /// follows. An error means that the plugin is unchanged.
    pub(super) fn commit(&mut self, durability: Durability) -> Result<Committed, StoreError> {
        let path = self.place.path(self.plugin.as_str());
        let Some(name) = &self.name else {
            return Err(failed(&path, "replaced", io::Error::other("its stage has been put there already")));
        };
        let replaced = self.swap_in(name, durability)?;
        self.name = None;
        Ok(Committed { replaced, path: path.into_path() })
    }

    fn swap_in(&self, name: &OsStr, durability: Durability) -> Result<bool, StoreError> {
        if durability == Durability::Sync {
            durable::sync_tree(&self.dir, name).map_err(|error| failed(&self.path(), "written to disk", error))?;
        }
        swap::swap(&System, &self.place, &self.dir, name, &self.plugin)
    }

    /// Removes the stage.
    pub(super) fn remove(mut self) -> Result<(), StoreError> {
        let Some(name) = self.name.take() else { return Ok(()) };
        removal::remove(&self.dir, &name).map_err(|error| failed(&self.place.path(&name), "removed", error))
    }

    /// Its path, for error texts.
    pub(super) fn path(&self) -> At {
        self.place.path(self.name.as_deref().unwrap_or_default())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // There is no caller to report to; the next sweep tries again.
            let _ = removal::remove(&self.dir, &name);
        }
    }
}
