//! The walk of a directory tree, with one open directory at a time whatever its depth, and without following a link.

use std::ffi::{OsStr, OsString};
use std::io;

use super::dir::{Dir, Id, Kind};

/// A walk over everything below a directory. It ends with an error if a directory is moved away meanwhile.
pub(super) struct Walk {
    here: Dir,
    levels: Vec<Level>,
    force: bool,
}

struct Level {
    /// Its name in its parent directory; the root has no name.
    name: OsString,
    id: Id,
    left: Vec<(OsString, Kind)>,
}

/// A step of the walk.
pub(super) enum Step {
    /// An entry that is not a directory.
    Entry(OsString, Kind),
    /// The start of a directory with this name, which is now [`Walk::here`].
    Enter(OsString),
    /// The end of a directory with this name; [`Walk::here`] is its parent.
    Leave(OsString),
    /// A directory that cannot be entered.
    Closed(OsString, io::Error),
}

impl Walk {
    /// Starts a walk that changes nothing.
    pub(super) fn new(root: Dir) -> io::Result<Self> {
        Self::start(root, false)
    }

    /// Starts a walk that also enters directories whose mode does not allow this user to; it changes their mode.
    pub(super) fn forced(root: Dir) -> io::Result<Self> {
        Self::start(root, true)
    }

    fn start(root: Dir, force: bool) -> io::Result<Self> {
        let level = Level { name: OsString::new(), id: root.id()?, left: root.entries()? };
        Ok(Self { here: root, levels: vec![level], force })
    }

    /// The current directory of the walk.
    pub(super) fn here(&self) -> &Dir {
        &self.here
    }

    /// The components from the root to the current directory.
    pub(super) fn path(&self) -> impl Iterator<Item = &OsStr> {
        self.levels.iter().skip(1).map(|level| level.name.as_os_str())
    }

    /// The next step; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Step>> {
        let Some(level) = self.levels.last_mut() else { return Ok(None) };
        match level.left.pop() {
            Some((name, Kind::Directory)) => Ok(Some(match self.enter(name.clone()) {
                Ok(()) => Step::Enter(name),
                Err(error) => Step::Closed(name, error),
            })),
            Some((name, kind)) => Ok(Some(Step::Entry(name, kind))),
            None => self.leave(),
        }
    }

    fn enter(&mut self, name: OsString) -> io::Result<()> {
        let dir = open(&self.here, &name, self.force)?;
        let id = dir.id()?;
        if self.levels.first().is_some_and(|root| root.id.device != id.device) {
            return Err(io::Error::new(io::ErrorKind::CrossesDevices, "another file system is mounted there"));
        }
        let left = dir.entries()?;
        self.here = dir;
        self.levels.push(Level { name, id, left });
        Ok(())
    }

    fn leave(&mut self) -> io::Result<Option<Step>> {
        let Some(left) = self.levels.pop() else { return Ok(None) };
        let Some(above) = self.levels.last() else { return Ok(None) };
        let parent = self.here.parent()?;
        if parent.id()? != above.id {
            return Err(io::Error::other("a directory was moved away while it was visited"));
        }
        self.here = parent;
        Ok(Some(Step::Leave(left.name)))
    }
}

/// Opens a directory; with `force` also one whose mode does not allow this user to, after a change of its mode.
pub(super) fn open(parent: &Dir, name: &OsStr, force: bool) -> io::Result<Dir> {
    match parent.open(name) {
        Err(error) if force && error.kind() == io::ErrorKind::PermissionDenied => {
            parent.unlock(name).map_err(|_| error)?;
            parent.open(name)
        }
        Ok(dir) => {
            if force && !dir.is_unlocked()? {
                // If it belongs to another user, the operations in it return the error.
                let _ = parent.unlock(name);
            }
            Ok(dir)
        }
        Err(error) => Err(error),
    }
}
