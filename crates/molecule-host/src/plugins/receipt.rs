//! Receipts: the core's records of installed plugins, which are stored beside the plugins and never inside one.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};

use molecule_core::effect::plugin::MAX_RECEIPT_BYTES;
use molecule_core::plugin::Durability;
use molecule_core::proto::PluginName;

use super::dir::{Dir, Mode};
use super::name::{self, RECEIPTS};
use super::place::{Place, failed, judge_file, not_opened};
use super::swap::Renames;
use crate::store::StoreError;

/// Replaces the plugin's receipt as a whole. With `Sync` it waits until the receipt and the plugin's own rename are on
/// the disk, so that the install is complete there.
pub(super) fn write(
    place: &Place,
    plugin: &PluginName,
    content: &[u8],
    durability: Durability,
) -> Result<(), StoreError> {
    let dir = place.ensure()?;
    let receipts = place.ensure_receipts(&dir)?;
    let (target, temporary) = (name::receipt(plugin), name::temporary_receipt(plugin));
    let path = place.path(RECEIPTS).join(&target);
    // A rename does not follow a link, but it would replace the owner's link by a file.
    open(&receipts, &target, place)?;
    let synced = durability == Durability::Sync;
    let written = write_new(&receipts, &temporary, content, synced).and_then(|()| receipts.rename(&temporary, &target));
    written.map_err(|error| {
        // Only an incomplete receipt is lost, and the next sweep removes its rest.
        let _ = receipts.remove_file(&temporary);
        failed(&path, "written", error)
    })?;
    if synced {
        receipts.sync().and_then(|()| dir.sync()).map_err(|error| failed(&path, "written to disk", error))?;
    }
    Ok(())
}

fn write_new(receipts: &Dir, temporary: &OsStr, content: &[u8], synced: bool) -> io::Result<()> {
    let mut file = receipts.create(temporary, Mode::Private)?;
    file.write_all(content)?;
    if synced { file.sync_all() } else { Ok(()) }
}

/// Returns whether the name of the plugin's receipt exists.
pub(super) fn exists(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<bool, StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(false) };
    let target = name::receipt(plugin);
    match receipts.kind(&target) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(&place.path(RECEIPTS).join(&target), "looked at", error)),
    }
}

/// Reads the plugin's receipt; `None` if it has none.
pub(super) fn read(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(None) };
    let target = name::receipt(plugin);
    let Some(file) = open(&receipts, &target, place)? else { return Ok(None) };
    let path = place.path(RECEIPTS).join(&target);
    let mut content = Vec::new();
    file.take(MAX_RECEIPT_BYTES + 1).read_to_end(&mut content).map_err(|error| failed(&path, "read", error))?;
    if content.len() as u64 > MAX_RECEIPT_BYTES {
        let sentence =
            format!("{} holds more than {MAX_RECEIPT_BYTES} bytes, so it is no receipt; remove it", path.display());
        return Err(StoreError::new(io::ErrorKind::InvalidData, sentence));
    }
    Ok(Some(content))
}

/// The receipt of a plugin that is being replaced, under a backup name that identifies its version.
pub(super) struct Backup {
    receipts: Dir,
    target: OsString,
    backup: OsString,
}

/// Renames the plugin's receipt to its backup name, so that this stage can take the plugin's place; `None` if there is
/// no receipt.
pub(super) fn back_up(
    renames: &impl Renames,
    place: &Place,
    dir: &Dir,
    stage: &OsStr,
    plugin: &PluginName,
) -> Result<Option<Backup>, StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(None) };
    let target = name::receipt(plugin);
    let mark = match dir.mark(OsStr::new(plugin.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        mark => mark.map_err(|error| failed(&place.path(plugin.as_str()), "looked at", error))?,
    };
    // A version without a mark has its receipt named by the stage: while the stage exists, nothing was replaced.
    let backup = name::receipt_backup(plugin, mark.or_else(|| name::id(stage)).unwrap_or_default());
    match renames.rename(&receipts, &target, &backup) {
        Ok(()) => Ok(Some(Backup { receipts, target, backup })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&place.path(RECEIPTS).join(&target), "set aside", error)),
    }
}

impl Backup {
    /// Restores the receipt of a plugin that was not replaced. If that fails, the next sweep restores it.
    pub(super) fn put_back(&self, renames: &impl Renames) {
        let _ = renames.rename(&self.receipts, &self.backup, &self.target);
    }

    /// Removes the receipt of a replaced version. If that fails, the next sweep removes it.
    pub(super) fn remove(&self, renames: &impl Renames) {
        let _ = renames.remove_file(&self.receipts, &self.backup);
    }
}

/// Removes the plugin's receipt, if it has one.
pub(super) fn remove(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<(), StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(()) };
    let target = name::receipt(plugin);
    match receipts.remove_file(&target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(&place.path(RECEIPTS).join(&target), "removed", error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The state of the plugin in a sweep.
pub(super) struct Sweeping<'a> {
    /// Whether the plugin is installed.
    pub(super) installed: bool,
    /// Whether the sweep has just restored it.
    pub(super) restored: bool,
    /// Its stages, before their removal.
    pub(super) stages: &'a [OsString],
}

/// Restores a receipt that a crash left under its backup name, if its version is installed. Removes every other receipt
/// that is incomplete or of another version. A file that cannot be moved or removed stays for the next sweep and does
/// no harm.
pub(super) fn sweep(place: &Place, dir: &Dir, plugin: &PluginName, swept: &Sweeping<'_>) -> Result<(), StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(()) };
    let path = place.path(plugin.as_str());
    let mark = match dir.mark(OsStr::new(plugin.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        mark => mark.map_err(|error| failed(&path, "looked at", error))?,
    };
    let is_its_own = |of: u64| {
        let unreplaced = || swept.stages.iter().any(|stage| name::id(stage) == Some(of));
        swept.installed && (swept.restored || mark.map_or_else(unreplaced, |mark| mark == of))
    };
    let entries = receipts.entries().map_err(|error| failed(&place.path(RECEIPTS), "read", error))?;
    for (name, _) in &entries {
        match name::mark_of_receipt(name, plugin) {
            Some(of) if is_its_own(of) && !exists(place, dir, plugin)? => {
                let _ = receipts.rename(name, &name::receipt(plugin));
            }
            Some(_) => drop(receipts.remove_file(name)),
            None if name::is_temporary_receipt(name, plugin) => drop(receipts.remove_file(name)),
            None => {}
        }
    }
    Ok(())
}

fn open(receipts: &Dir, target: &OsStr, place: &Place) -> Result<Option<std::fs::File>, StoreError> {
    let path = place.path(RECEIPTS).join(target);
    let file = match receipts.open_file(target) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(not_opened(&path, error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&path, "looked at", error))?;
    judge_file(&path, &metadata)?;
    Ok(Some(file))
}
