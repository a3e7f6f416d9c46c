//! A staging directory: made beside the plugins, filled, put in a plugin's place or removed.

use std::ffi::{OsStr, OsString};
use std::io;

use molecule_core::plugin::Durability;
use molecule_core::plugin::act::Committed;
use molecule_core::proto::PluginName;

use super::dir::{Dir, Mode};
use super::name::Left;
use super::place::{At, Place, failed};
use super::swap::{self, System};
use super::{durable, removal};
use crate::store::StoreError;

/// A directory in the plugins directory that is removed when this is dropped, unless it has a plugin's place by then.
pub(super) struct Stage {
    place: Place,
    dir: Dir,
    plugin: PluginName,
    /// What it is called; `None` once it is no stage any more.
    name: Option<OsString>,
}

impl Stage {
    /// Makes an empty one, for this user alone. It stays private as a plugin: what others may read is not for an archive to
    /// say.
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

    /// Puts the stage in the plugin's place. An earlier version is garbage from then on, which the next sweep removes.
    ///
    /// With `Sync` the disk has the files first, and the place with the receipt that follows: an error means that the plugin is
    /// as it was.
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

    /// Removes it.
    pub(super) fn remove(mut self) -> Result<(), StoreError> {
        let Some(name) = self.name.take() else { return Ok(()) };
        removal::remove(&self.dir, &name).map_err(|error| failed(&self.place.path(&name), "removed", error))
    }

    /// Where it is, for people.
    pub(super) fn path(&self) -> At {
        self.place.path(self.name.as_deref().unwrap_or_default())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // Nobody is left to tell; the next sweep tries again.
            let _ = removal::remove(&self.dir, &name);
        }
    }
}
