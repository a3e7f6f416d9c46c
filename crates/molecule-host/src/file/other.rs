//! Systems without Unix owners and modes: a user's directories are private there by default.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::guard::Kind;

/// Why a file or a directory is not private; this system never reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the sentences about them are written once, for every system")]
pub(super) enum Fault {
    Foreign { owner: u32, us: u32 },
    Writable { mode: u32 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not private")
    }
}

/// The fault that makes a file or directory unusable; none on this system.
pub(super) fn fault(_: &Metadata) -> Option<Fault> {
    None
}

/// Does nothing, because others have no access.
pub(super) fn make_private(_: &Path, _: Kind) -> Option<String> {
    None
}

/// The fault that makes a parent directory unusable; none on this system.
pub(super) fn fault_above(_: &Metadata) -> Option<Fault> {
    None
}

/// Creates one directory.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Creates a file; an error if anything exists at the path.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Renames a file to a name that does not exist; `AlreadyExists` if it does.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Opens a file that is not a link.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("it is a link"));
    }
    options.open(path)
}

/// Does nothing: a handle that may only read cannot flush here. The next durable append flushes the whole file.
pub(super) fn sync_file(_: &File) -> io::Result<()> {
    Ok(())
}

/// Does nothing: directories cannot be synced on this system, and the file system's journal keeps their entries.
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
