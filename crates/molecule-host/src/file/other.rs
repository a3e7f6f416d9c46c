//! Systems without owners and modes of Unix: their user directories are private by themselves.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::guard::Kind;

/// Why a file or a directory is not private; here it never shows.
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

/// What makes it unfit, if anything does.
pub(super) fn fault(_: &Metadata) -> Option<Fault> {
    None
}

/// There is nothing to take from others.
pub(super) fn make_private(_: &Path, _: Kind) -> Option<String> {
    None
}

/// What makes it unfit to hold something private of ours, if anything does.
pub(super) fn fault_above(_: &Metadata) -> Option<Fault> {
    None
}

/// Makes one directory.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Creates a file; an error if anything stands there.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Opens what is no link.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("it is a link"));
    }
    options.open(path)
}

/// Directories cannot be synced here; the file system's journal keeps their entries.
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
