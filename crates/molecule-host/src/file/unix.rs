//! The checks of Unix owners and modes, and the flags of `open`.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
use rustix::{fs::CWD, fs::RenameFlags, io::Errno};

use super::guard::Kind;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
const OTHERS_WRITE: u32 = 0o022;
const OTHERS: u32 = 0o077;

/// With this bit on a directory, only the owner of an entry may rename or remove it.
const STICKY: u32 = 0o1000;

const ROOT: u32 = 0;

/// Why a file or a directory is not private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Foreign { owner: u32, us: u32 },
    Writable { mode: u32 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { owner, us } => write!(f, "it belongs to user {owner}, and this process is user {us}"),
            Self::Writable { mode } => write!(f, "others may write to it (mode {mode:04o})"),
        }
    }
}

/// The fault that makes a file or directory unusable, if there is one.
pub(super) fn fault(metadata: &Metadata) -> Option<Fault> {
    fault_of(metadata.uid(), metadata.mode() & 0o7777, geteuid().as_raw())
}

/// Removes others' right to read one of our files, and returns a sentence about it; `None` if there was nothing to do.
/// A file that others can write to is left unchanged, because its content may be theirs.
pub(super) fn make_private(path: &Path, kind: Kind) -> Option<String> {
    let (flags, wanted) = match kind {
        Kind::File => (flags(), FILE_MODE),
        Kind::Directory => (flags() | OFlags::DIRECTORY.bits().cast_signed(), DIRECTORY_MODE),
    };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let mode = metadata.mode() & 0o7777;
    let is_kind = match kind {
        Kind::File => metadata.is_file(),
        Kind::Directory => metadata.is_dir(),
    };
    if !is_kind || fault(&metadata).is_some() || mode & OTHERS == 0 {
        return None;
    }
    let shown = path.display();
    match file.set_permissions(Permissions::from_mode(mode & !OTHERS)) {
        Ok(()) => Some(format!(
            "others could read {shown} (mode {mode:04o}), which is this user's alone now (mode {wanted:04o})"
        )),
        Err(error) => Some(format!(
            "others can read {shown} (mode {mode:04o}), which cannot be changed: {error}; run `chmod {wanted:o} {shown}`"
        )),
    }
}

/// The fault that makes a parent directory unusable, if there is one: others can replace its entries.
pub(super) fn fault_above(metadata: &Metadata) -> Option<Fault> {
    fault_above_of(metadata.uid(), metadata.mode() & 0o7777, geteuid().as_raw())
}

fn fault_above_of(owner: u32, mode: u32, us: u32) -> Option<Fault> {
    if owner != us && owner != ROOT {
        Some(Fault::Foreign { owner, us })
    } else if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        Some(Fault::Writable { mode })
    } else {
        None
    }
}

fn fault_of(owner: u32, mode: u32, us: u32) -> Option<Fault> {
    if owner != us {
        Some(Fault::Foreign { owner, us })
    } else if mode & OTHERS_WRITE != 0 {
        Some(Fault::Writable { mode })
    } else {
        None
    }
}

/// Creates one directory that only this user can enter, whatever the umask is.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIRECTORY_MODE).create(path)?;
    // A umask can only have removed bits, and hardly any does.
    if fs::symlink_metadata(path)?.mode() & 0o777 == DIRECTORY_MODE {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE))
}

/// Creates a file that only this user can open, whatever the umask is; an error if anything exists at the path.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).custom_flags(flags()).open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

/// Renames a file to a name that does not exist; `AlreadyExists` if it does.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems, such as NFS, cannot do this.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        renamed => return Ok(renamed?),
    }
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Opens a file that is not a link.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(flags()).open(path)
}

/// The flags with which `open` follows no link, does not wait for a pipe, and adopts no controlling terminal.
fn flags() -> i32 {
    // The bits are those of the operating system; `open` takes them as an `int`.
    (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

/// Waits until the content of a file that is open for reading is on the disk.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Waits until the directory's entries are on the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Some file systems cannot do this, and a parent of our directory may not be readable.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_and_ours_alone_to_write_is_fit() {
        for mode in [0o600, 0o400, 0o644, 0o755, 0o700] {
            assert_eq!(fault_of(1000, mode, 1000), None, "{mode:o}");
        }
        for mode in [0o620, 0o602, 0o666, 0o777, 0o1777, 0o770] {
            assert_eq!(fault_of(1000, mode, 1000), Some(Fault::Writable { mode }), "{mode:o}");
        }
        for (owner, us) in [(1000, 0), (0, 1000)] {
            assert_eq!(fault_of(owner, 0o600, us), Some(Fault::Foreign { owner, us }));
        }
    }

    #[test]
    fn above_ours_only_we_and_root_may_put_things_in_its_place() {
        for (owner, mode) in [(1000, 0o700), (1000, 0o755), (0, 0o755), (0, 0o1777), (1000, 0o1770)] {
            assert_eq!(fault_above_of(owner, mode, 1000), None, "{owner} {mode:o}");
        }
        for mode in [0o770, 0o707, 0o777] {
            assert_eq!(fault_above_of(1000, mode, 1000), Some(Fault::Writable { mode }), "{mode:o}");
            assert_eq!(fault_above_of(0, mode, 1000), Some(Fault::Writable { mode }), "{mode:o}");
        }
        for (owner, us) in [(1001, 1000), (1000, 0)] {
            assert_eq!(fault_above_of(owner, 0o755, us), Some(Fault::Foreign { owner, us }));
        }
    }
}
