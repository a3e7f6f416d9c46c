//! The swap: a stage takes its plugin's place as a whole, atomically if the system can do that, else almost so.

mod copy;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::ffi::OsStr;
use std::io;

use molecule_core::effect::plugin::Displaced;
use molecule_core::proto::PluginName;

use super::dir::Dir;
use super::name::Left;
use super::place::{At, Place, failed};
use super::receipt::{self, Backup};
use super::removal;
use crate::store::StoreError;

/// The most attempts, if the plugin appears or disappears each time between a check and the act that follows.
const TRIES: u32 = 5;

/// Puts the stage of this name in the plugin's place. Returns whether there was an earlier version, which is now
/// garbage for the next sweep. After an error the earlier version is in its place with its receipt, unless the error is
/// [`Displaced`].
///
/// A receipt must never outlive its version, whatever happens in between. It is therefore renamed first, to a backup
/// name that identifies its version. After a crash a sweep restores it for that version or removes it.
pub(super) fn swap(
    renames: &impl Renames,
    place: &Place,
    dir: &Dir,
    stage: &OsStr,
    plugin: &PluginName,
) -> Result<bool, StoreError> {
    let backup = receipt::back_up(renames, place, dir, stage, plugin)?;
    let swap = Swap { renames, place, dir, stage, plugin, backup };
    let swapped = swap.swap();
    match &swapped {
        Ok(_) => swap.backup.iter().for_each(|backup| backup.remove(renames)),
        // A later sweep that restores the earlier version also finds its receipt.
        Err(error) if error.source().is_some_and(|source| source.is::<Displaced>()) => {}
        Err(_) => swap.give_receipt_back(),
    }
    swapped
}

/// The operands of a swap.
struct Swap<'a, R> {
    renames: &'a R,
    place: &'a Place,
    dir: &'a Dir,
    stage: &'a OsStr,
    plugin: &'a PluginName,
    backup: Option<Backup>,
}

impl<R: Renames> Swap<'_, R> {
    /// Replaces the plugin in the first of these ways that the file system supports:
    ///
    /// 1. It exchanges the two directories atomically (Linux, macOS). The plugin exists at every moment.
    /// 2. It renames the earlier version and then the stage, and renames the earlier version back if the stage cannot
    ///    be renamed. For microseconds there is no plugin; after a crash in between the next sweep restores the earlier
    ///    version.
    /// 3. If a directory cannot be renamed at all (a lower layer of an overlay), it copies the earlier version and
    ///    removes the original, and restores it from the copy if the stage cannot be renamed. The time depends on the
    ///    size of the copy; after a crash the next sweep puts the copy in place.
    fn swap(&self) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            if self.place.holds(self.dir, self.plugin)? {
                match self.renames.exchange(self.dir, self.stage, self.target()) {
                    Ok(()) => return Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if is_unable(&error) => return self.make_room().map(|()| true),
                    Err(error) => return Err(failed(&self.path(), "replaced", error)),
                }
            } else {
                let moved = match self.renames.rename_new(self.dir, self.stage, self.target()) {
                    Err(error) if is_unable(&error) => self.rename(self.stage, self.target()),
                    moved => moved,
                };
                match moved {
                    Ok(()) => return Ok(false),
                    Err(error) if is_taken(&error) => {}
                    Err(error) => return Err(failed(&self.path(), "created", error)),
                }
            }
        }
        Err(failed(&self.path(), "replaced", io::Error::other("it comes and goes")))
    }

    /// Renames the earlier version and puts the stage in its place; renames it back if that fails.
    fn make_room(&self) -> Result<(), StoreError> {
        let old = Left::Old.name(self.plugin);
        match self.rename(self.target(), &old) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => return self.replace_by_copy(),
            Err(error) => return Err(failed(&self.path(), "moved to make room for the new version", error)),
        }
        match self.rename(self.stage, self.target()) {
            Ok(()) => {
                // Its name alone marks it as garbage too, now that its place is taken.
                let _ = self.give_up(&old);
                Ok(())
            }
            Err(error) => Err(self.rolled_back(&old, error)),
        }
    }

    /// Copies the earlier version and puts the stage in its place; restores it from the copy if that fails.
    fn replace_by_copy(&self) -> Result<(), StoreError> {
        let (half, keep) = (Left::Staging.name(self.plugin), Left::Keep.name(self.plugin));
        let copied = copy::copy(self.dir, self.target(), &half);
        let kept = copied.and_then(|()| self.rename(&half, &keep)).and_then(|()| self.dir.sync());
        if let Err(error) = kept {
            let _ = removal::remove(self.dir, &half);
            let _ = removal::remove(self.dir, &keep);
            return Err(failed(&self.path(), "copied to make room for the new version", error));
        }
        let removed = removal::remove(self.dir, self.target());
        match removed.and_then(|()| self.rename(self.stage, self.target())) {
            Ok(()) => self.give_up(&keep).map_err(|error| self.comes_back(&keep, &error)),
            Err(error) => {
                // The rest of the earlier version is only an obstacle for the copy now.
                let _ = removal::remove(self.dir, self.target());
                Err(self.rolled_back(&keep, error))
            }
        }
    }

    /// Renames the earlier version to a name that marks it as garbage.
    fn give_up(&self, earlier: &OsStr) -> io::Result<()> {
        self.rename(earlier, &Left::Staging.name(self.plugin))
    }

    /// Restores the earlier version after `error`. Its receipt comes first: the version may be a copy, which a sweep
    /// could not match with the receipt.
    fn rolled_back(&self, earlier: &OsStr, error: io::Error) -> StoreError {
        self.give_receipt_back();
        match self.rename(earlier, self.target()) {
            Ok(()) => failed(&self.path(), "replaced", error),
            Err(second) => {
                let (path, earlier) = (self.path(), self.place.path(earlier));
                let sentence = format!(
                    "{} cannot be replaced: {error}; its earlier version was moved to {} and could not be put back at once \
                     ({second}); {}",
                    path.display(),
                    earlier.display(),
                    path.remedy(error.kind()),
                );
                StoreError::new(error.kind(), sentence).with_source(Displaced(earlier.into_path()))
            }
        }
    }

    /// The error if the new version is in its place, but the copy of the earlier one keeps the name with which a sweep
    /// restores it.
    fn comes_back(&self, keep: &OsStr, error: &io::Error) -> StoreError {
        let (path, keep) = (self.path(), self.place.path(keep));
        let sentence = format!(
            "{} was replaced, but the copy of its earlier version, {}, cannot be renamed: {error}; {}",
            path.display(),
            keep.display(),
            path.remedy(error.kind()),
        );
        StoreError::new(error.kind(), sentence).with_source(Displaced(keep.into_path()))
    }

    fn give_receipt_back(&self) {
        self.backup.iter().for_each(|backup| backup.put_back(self.renames));
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.renames.rename(self.dir, from, to)
    }

    fn target(&self) -> &OsStr {
        OsStr::new(self.plugin.as_str())
    }

    fn path(&self) -> At {
        self.place.path(self.target())
    }
}

/// The renames of the operating system, and the removal that completes one; tests replace them.
pub(super) trait Renames {
    fn exchange(&self, dir: &Dir, one: &OsStr, other: &OsStr) -> io::Result<()>;
    fn rename_new(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()>;
    fn rename(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()>;
    fn remove_file(&self, dir: &Dir, name: &OsStr) -> io::Result<()>;
}

/// The renames of this system.
pub(super) struct System;

impl Renames for System {
    fn exchange(&self, dir: &Dir, one: &OsStr, other: &OsStr) -> io::Result<()> {
        dir.exchange(one, other)
    }

    fn rename_new(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        dir.rename_new(from, to)
    }

    fn remove_file(&self, dir: &Dir, name: &OsStr) -> io::Result<()> {
        dir.remove_file(name)
    }

    #[cfg(not(windows))]
    fn rename(&self, dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        dir.rename(from, to)
    }

    /// An open file in a directory, such as one of a virus scanner, blocks the directory's rename for a moment.
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

/// Returns whether the system or this file system does not support the rename.
fn is_unable(error: &io::Error) -> bool {
    // The errors are EINVAL, ENOSYS and ENOTSUP, EPERM, EXDEV.
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
