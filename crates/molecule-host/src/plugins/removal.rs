//! The removal of a directory tree.

use std::ffi::OsStr;
use std::io;

use super::dir::Dir;
use super::walk::{self, Step, Walk};

/// Removes a directory and everything in it. It removes links but never their targets, and nothing on another file
/// system. A missing directory counts as removed.
///
/// It removes as much as possible and returns the first error. A deep tree uses no more stack or descriptors than a
/// flat one.
pub(super) fn remove(parent: &Dir, name: &OsStr) -> io::Result<()> {
    let root = match walk::open(parent, name, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        root => root?,
    };
    let mut first = Ok(());
    let mut walk = Walk::forced(root)?;
    while let Some(step) = walk.next()? {
        let removed = match step {
            Step::Entry(name, _) => gone(walk.here().remove_file(&name)),
            Step::Enter(_) => Ok(()),
            Step::Leave(name) => gone(walk.here().remove_dir(&name)),
            // An empty directory can be removed without being entered.
            Step::Closed(name, error) => gone(walk.here().remove_dir(&name).map_err(|_| error)),
        };
        first = first.and(removed);
    }
    first.and(gone(parent.remove_dir(name)))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
