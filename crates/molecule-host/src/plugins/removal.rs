//! Trees that go away.

use std::ffi::OsStr;
use std::io;

use super::dir::Dir;
use super::walk::{self, Step, Walk};

/// Removes a directory with all that is in it: links themselves, never what they lead to, and nothing on another file
/// system. What is not there counts as removed.
///
/// Whatever can be removed is, and the error is the first one. The depth of the tree costs neither stack nor descriptors.
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
            // An empty one needs no entering.
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
