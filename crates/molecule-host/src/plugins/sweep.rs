//! What crashes left in the plugins directory is put back or removed.

use std::ffi::{OsStr, OsString};
use std::io;

use molecule_core::plugin::act::Swept;
use molecule_core::proto::PluginName;

use super::dir::{Dir, Kind};
use super::name::Left;
use super::place::{Place, failed};
use super::receipt::{self, Sweeping};
use super::removal;
use crate::store::StoreError;

/// Puts back an earlier version of the plugin that lost its place, with its receipt, and removes halves of it. The plugin's lock is held, so
/// nothing of this is at work any more, however young it is.
///
/// Only directories whose names say that they are this plugin's are touched. What cannot be removed stays under a name that
/// the next sweep knows; it keeps no install from going on.
pub(super) fn sweep(place: &Place, plugin: &PluginName) -> Result<Swept, StoreError> {
    let Some(dir) = place.open()? else { return Ok(Swept::default()) };
    let left = left_overs(&dir, plugin).map_err(|error| failed(&place.path(""), "read", error))?;
    let mut swept = Swept::default();
    let names = |wanted: Left| left.iter().filter(move |(left, _)| *left == wanted).map(|(_, name)| name);
    for name in names(Left::Keep).chain(names(Left::Old)) {
        let restored = put_back(place, &dir, plugin, name)?;
        swept.restored |= restored;
        swept.removed += u32::from(!restored && throw_away(&dir, plugin, name).is_ok());
    }
    swept.installed = place.holds(&dir, plugin)?;
    if !swept.installed {
        receipt::remove(place, &dir, plugin)?;
    }
    // Before the stages go, some of which tell what was replaced.
    let stages: Vec<OsString> = names(Left::Staging).cloned().collect();
    let sweeping = Sweeping { installed: swept.installed, restored: swept.restored, stages: &stages };
    receipt::sweep(place, &dir, plugin, &sweeping)?;
    for name in &stages {
        swept.removed += u32::from(removal::remove(&dir, name).is_ok());
    }
    Ok(swept)
}

fn left_overs(dir: &Dir, plugin: &PluginName) -> io::Result<Vec<(Left, OsString)>> {
    let directories = dir.entries()?.into_iter().filter(|(_, kind)| *kind == Kind::Directory);
    let mut ours: Vec<(Left, OsString)> = directories
        .filter_map(|(name, _)| Left::parse(&name).filter(|(_, owner)| owner == plugin).map(|(left, _)| (left, name)))
        .collect();
    ours.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(ours)
}

/// Gives an earlier version its place again if that is empty, or if what is there is half of something.
fn put_back(place: &Place, dir: &Dir, plugin: &PluginName, name: &OsStr) -> Result<bool, StoreError> {
    let target = OsStr::new(plugin.as_str());
    let path = place.path(target);
    if place.holds(dir, plugin)? {
        match Left::parse(name) {
            Some((Left::Keep, _)) => removal::remove(dir, target).map_err(|error| failed(&path, "removed", error))?,
            Some((Left::Old | Left::Staging, _)) | None => return Ok(false),
        }
    }
    dir.rename(name, target).map_err(|error| failed(&path, "put back in its place", error))?;
    Ok(true)
}

/// Removes a whole version; its name says first that it is none any more.
pub(super) fn throw_away(dir: &Dir, plugin: &PluginName, name: &OsStr) -> io::Result<()> {
    let half = Left::Staging.name(plugin);
    dir.rename(name, &half)?;
    removal::remove(dir, &half)
}
