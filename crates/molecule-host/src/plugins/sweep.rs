//! The sweep of the plugins directory, which restores or removes what crashes left.

use std::ffi::{OsStr, OsString};
use std::io;

use molecule_core::effect::plugin::Swept;
use molecule_core::proto::PluginName;

use super::dir::{Dir, Kind};
use super::name::Left;
use super::place::{Place, failed};
use super::receipt::{self, Sweeping};
use super::removal;
use crate::store::StoreError;

/// Restores an earlier version of the plugin that lost its place, with its receipt, and removes incomplete ones. The
/// caller holds the plugin's lock, so that none of them is in use, however recent it is.
///
/// It touches only directories whose names mark them as this plugin's. A directory that cannot be removed stays under a
/// name that the next sweep recognises, and does not block an install.
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
    // This precedes the removal of the stages, because some of them show what was replaced.
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

/// Moves an earlier version back to its place, if the place is empty or its content is incomplete.
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

/// Removes a complete version, after a rename that marks it as incomplete.
pub(super) fn throw_away(dir: &Dir, plugin: &PluginName, name: &OsStr) -> io::Result<()> {
    let half = Left::Staging.name(plugin);
    dir.rename(name, &half)?;
    removal::remove(dir, &half)
}
