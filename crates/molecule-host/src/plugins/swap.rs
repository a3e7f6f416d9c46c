//! A stage takes its plugin's place, as a whole: at once where the system can do that, else as nearly so as it can.

mod copy;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use molecule_core::proto::PluginName;

use super::dir::Dir;
use super::name::Left;
use super::place::{Place, failed, remedy};
use super::removal;
use crate::store::StoreError;

/// How often the plugin may come or go between a look and the act that follows it.
const TRIES: u32 = 5;

/// Gives the stage of this name the plugin's place. Tells whether there was an earlier version, which is garbage now, for the
/// next sweep. After an error the earlier version is where it was, unless the error says otherwise.
///
/// 1. The two change places at once (Linux, macOS). There is no moment without the plugin.
/// 2. Where the file system cannot, the earlier version makes room first and comes back if the stage cannot follow. For
///    microseconds there is no plugin; after a crash in them the next sweep puts the earlier version back.
/// 3. Where a directory cannot even be renamed (a layer below an overlay), the earlier version is copied, removed, and comes
///    back from the copy if the stage cannot follow. This takes as long as the copy is large; after a crash the next sweep
///    puts the copy in place.
pub(super) fn swap(
    renames: &impl Renames,
    place: &Place,
    dir: &Dir,
    stage: &OsStr,
    plugin: &PluginName,
) -> Result<bool, StoreError> {
    let target = OsStr::new(plugin.as_str());
    let path = place.path(target);
    for _ in 0..TRIES {
        if place.holds(dir, plugin)? {
            match renames.exchange(dir, stage, target) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if is_unable(&error) => return make_room(renames, place, dir, stage, plugin).map(|()| true),
                Err(error) => return Err(failed(&path, "replaced", error)),
            }
        } else {
            let moved = match renames.rename_new(dir, stage, target) {
                Err(error) if is_unable(&error) => renames.rename(dir, stage, target),
                moved => moved,
            };
            match moved {
                Ok(()) => return Ok(false),
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(failed(&path, "created", error)),
            }
        }
    }
    Err(failed(&path, "replaced", io::Error::other("it comes and goes")))
}

/// The renames of the operating system; tests put others in their place.
pub(super) trait Renames {
    fn exchange(&self, dir: &Dir, one: &OsStr, other: &OsStr) -> io::Result<()>;
    fn rename_new(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()>;
    fn rename(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()>;
}

/// Those of this system.
pub(super) struct System;

impl Renames for System {
    fn exchange(&self, dir: &Dir, one: &OsStr, other: &OsStr) -> io::Result<()> {
        dir.exchange(one, other)
    }

    fn rename_new(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        dir.rename_new(from, to)
    }

    #[cfg(not(windows))]
    fn rename(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        dir.rename(from, to)
    }

    /// A file that somebody has open in it, such as a virus scanner, holds a directory for a moment.
    #[cfg(windows)]
    fn rename(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        const SHARING_VIOLATION: i32 = 32;
        let mut pause = std::time::Duration::from_millis(10);
        for _ in 1..10 {
            match dir.rename(from, to) {
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied
                        || error.raw_os_error() == Some(SHARING_VIOLATION) =>
                {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                renamed => return renamed,
            }
        }
        dir.rename(from, to)
    }
}

/// Whether the system, or this file system, has no such rename.
fn is_unable(error: &io::Error) -> bool {
    // EINVAL, ENOSYS and ENOTSUP, EPERM, EXDEV.
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::CrossesDevices
    )
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

/// The earlier version steps aside, and back if the stage cannot take its place.
fn make_room(
    renames: &impl Renames,
    place: &Place,
    dir: &Dir,
    stage: &OsStr,
    plugin: &PluginName,
) -> Result<(), StoreError> {
    let target = OsStr::new(plugin.as_str());
    let path = place.path(target);
    let old = Left::Old.name(plugin);
    match renames.rename(dir, target, &old) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            return replace_by_copy(renames, place, dir, stage, plugin);
        }
        Err(error) => return Err(failed(&path, "moved to make room for the new version", error)),
    }
    match renames.rename(dir, stage, target) {
        Ok(()) => {
            // Under its name it is garbage, too, now that its place is taken.
            let _ = give_up(renames, dir, plugin, &old);
            Ok(())
        }
        Err(error) => Err(rolled_back(renames, place, dir, plugin, &old, error)),
    }
}

/// The earlier version steps aside as a copy of itself, and back if the stage cannot take its place.
fn replace_by_copy(
    renames: &impl Renames,
    place: &Place,
    dir: &Dir,
    stage: &OsStr,
    plugin: &PluginName,
) -> Result<(), StoreError> {
    let target = OsStr::new(plugin.as_str());
    let path = place.path(target);
    let (half, keep) = (Left::Staging.name(plugin), Left::Keep.name(plugin));
    let kept =
        copy::copy(dir, target, &half).and_then(|()| renames.rename(dir, &half, &keep)).and_then(|()| dir.sync());
    if let Err(error) = kept {
        let _ = removal::remove(dir, &half);
        let _ = removal::remove(dir, &keep);
        return Err(failed(&path, "copied to make room for the new version", error));
    }
    let replaced = removal::remove(dir, target).and_then(|()| renames.rename(dir, stage, target));
    match replaced {
        Ok(()) => give_up(renames, dir, plugin, &keep).map_err(|error| comes_back(&path, &place.path(&keep), error)),
        Err(error) => {
            // What is left of it is only in the way of the copy now.
            let _ = removal::remove(dir, target);
            Err(rolled_back(renames, place, dir, plugin, &keep, error))
        }
    }
}

/// Says by its name that the earlier version is garbage.
fn give_up(renames: &impl Renames, dir: &Dir, plugin: &PluginName, earlier: &OsStr) -> io::Result<()> {
    renames.rename(dir, earlier, &Left::Staging.name(plugin))
}

/// Brings the earlier version back after `error`.
fn rolled_back(
    renames: &impl Renames,
    place: &Place,
    dir: &Dir,
    plugin: &PluginName,
    earlier: &OsStr,
    error: io::Error,
) -> StoreError {
    let path = place.path(plugin.as_str());
    match renames.rename(dir, earlier, OsStr::new(plugin.as_str())) {
        Ok(()) => failed(&path, "replaced", error),
        Err(second) => {
            let sentence = format!(
                "{} cannot be replaced: {error}; the earlier version is whole in {} and could not be put back ({second}), \
                 which the next install of the plugin tries again; {}",
                path.display(),
                place.path(earlier).display(),
                remedy(error.kind()),
            );
            StoreError::new(error.kind(), sentence).with_source(error)
        }
    }
}

/// The new version is in its place, and what brings the earlier one back cannot be taken away.
fn comes_back(path: &Path, keep: &Path, error: io::Error) -> StoreError {
    let sentence = format!(
        "{} was replaced, but the copy of its earlier version, {}, cannot be renamed: {error}; the next install of the plugin \
         puts it back first; {}",
        path.display(),
        keep.display(),
        remedy(error.kind()),
    );
    StoreError::new(error.kind(), sentence).with_source(error)
}
