//! The sync of a directory tree to the disk.

use std::ffi::OsStr;
use std::io;

use super::dir::{Dir, Kind};
use super::walk::{Step, Walk};

/// Waits until the directory and everything in it are on the disk.
pub(super) fn sync_tree(parent: &Dir, name: &OsStr) -> io::Result<()> {
    let root = parent.open(name)?;
    if root.sync_file_system()? {
        return Ok(());
    }
    root.sync()?;
    let mut walk = Walk::new(root)?;
    while let Some(step) = walk.next()? {
        match step {
            Step::Entry(name, Kind::File) => walk.here().sync_file(&name)?,
            Step::Enter(_) => walk.here().sync()?,
            Step::Entry(_, Kind::Directory | Kind::Link | Kind::Other) | Step::Leave(_) => {}
            Step::Closed(_, error) => return Err(error),
        }
    }
    Ok(())
}
