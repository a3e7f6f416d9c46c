//! Receipts: what the core wants to know of a plugin later, beside the plugins and never in one.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};

use molecule_core::plugin::Durability;
use molecule_core::proto::PluginName;

use super::dir::{Dir, Mode};
use super::name::{self, RECEIPTS};
use super::place::{Place, failed, judge_file, not_opened};
use crate::store::StoreError;

/// The most bytes that are read of a receipt: one of the largest plugin has half of that.
const MOST: u64 = 16 * 1024 * 1024;

/// Replaces the plugin's receipt as a whole. With `Sync` the disk has it in the end, and the plugin's own place as well, so
/// that nothing of an install is left to be written.
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
    // A rename would not follow a link, but it would put a file where its owner wanted the link.
    open(&receipts, &target, place)?;
    let synced = durability == Durability::Sync;
    let written = write_new(&receipts, &temporary, content, synced).and_then(|()| receipts.rename(&temporary, &target));
    written.map_err(|error| {
        // Nothing but half of a receipt is lost with it, and the next sweep removes what is left of it.
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

/// Whether anything has the name of the plugin's receipt.
pub(super) fn exists(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<bool, StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(false) };
    let target = name::receipt(plugin);
    match receipts.kind(&target) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(&place.path(RECEIPTS).join(&target), "looked at", error)),
    }
}

/// The plugin's receipt, if it has one.
pub(super) fn read(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(None) };
    let target = name::receipt(plugin);
    let Some(file) = open(&receipts, &target, place)? else { return Ok(None) };
    let path = place.path(RECEIPTS).join(&target);
    let mut content = Vec::new();
    file.take(MOST + 1).read_to_end(&mut content).map_err(|error| failed(&path, "read", error))?;
    if content.len() as u64 > MOST {
        let sentence = format!("{} holds more than {MOST} bytes, so it is no receipt; remove it", path.display());
        return Err(StoreError::new(io::ErrorKind::InvalidData, sentence));
    }
    Ok(Some(content))
}

/// A receipt whose plugin is about to be replaced: it has another name, and is removed with the next sweep.
pub(super) struct Aside {
    receipts: Dir,
    target: OsString,
    temporary: OsString,
}

/// Takes the plugin's receipt away for a while, if it has one.
pub(super) fn set_aside(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<Option<Aside>, StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(None) };
    let (target, temporary) = (name::receipt(plugin), name::temporary_receipt(plugin));
    match receipts.rename(&target, &temporary) {
        Ok(()) => Ok(Some(Aside { receipts, target, temporary })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&place.path(RECEIPTS).join(&target), "set aside", error)),
    }
}

impl Aside {
    /// The plugin stayed. Without its receipt it is one that nothing is known about, which is no harm done.
    pub(super) fn put_back(&self) {
        let _ = self.receipts.rename(&self.temporary, &self.target);
    }

    /// The plugin was replaced. What cannot be removed, the next sweep removes.
    pub(super) fn remove(&self) {
        let _ = self.receipts.remove_file(&self.temporary);
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

/// Removes what crashes left of writes of the plugin's receipt. What cannot be removed stays: it is in nobody's way.
pub(super) fn sweep(place: &Place, dir: &Dir, plugin: &PluginName) -> Result<(), StoreError> {
    let Some(receipts) = place.receipts(dir)? else { return Ok(()) };
    let entries = receipts.entries().map_err(|error| failed(&place.path(RECEIPTS), "read", error))?;
    for (name, _) in entries.iter().filter(|(name, _)| name::is_temporary_receipt(name, plugin)) {
        let _ = receipts.remove_file(name);
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
