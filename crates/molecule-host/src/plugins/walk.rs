//! A tree, visited with one directory open at a time, however deep it is, and without following a link.

use std::ffi::{OsStr, OsString};
use std::io;

use super::dir::{Dir, Id, Kind};

/// A visit of everything below a directory. Where a directory has gone elsewhere meanwhile, the visit ends with an error.
pub(super) struct Walk {
    here: Dir,
    levels: Vec<Level>,
    force: bool,
}

struct Level {
    /// What it is called in the directory above it; the root has no name.
    name: OsString,
    id: Id,
    left: Vec<(OsString, Kind)>,
}

/// What the visit has come to.
pub(super) enum Step {
    /// Something that is no directory.
    Entry(OsString, Kind),
    /// A directory of this name, which is now [`Walk::here`].
    Enter(OsString),
    /// The end of a directory of this name; [`Walk::here`] is the one that it is in.
    Leave(OsString),
    /// A directory that cannot be entered.
    Closed(OsString, io::Error),
}

impl Walk {
    /// A visit that leaves everything as it is.
    pub(super) fn new(root: Dir) -> io::Result<Self> {
        Self::start(root, false)
    }

    /// A visit that opens directories whose mode keeps this user out of them.
    pub(super) fn forced(root: Dir) -> io::Result<Self> {
        Self::start(root, true)
    }

    fn start(root: Dir, force: bool) -> io::Result<Self> {
        let level = Level { name: OsString::new(), id: root.id()?, left: root.entries()? };
        Ok(Self { here: root, levels: vec![level], force })
    }

    /// The directory that the visit is in.
    pub(super) fn here(&self) -> &Dir {
        &self.here
    }

    /// The components from the root to here.
    pub(super) fn path(&self) -> impl Iterator<Item = &OsStr> {
        self.levels.iter().skip(1).map(|level| level.name.as_os_str())
    }

    /// The next step, or `None` at the end.
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

/// Opens a directory, with force also one whose mode keeps this user out.
pub(super) fn open(parent: &Dir, name: &OsStr, force: bool) -> io::Result<Dir> {
    match parent.open(name) {
        Err(error) if force && error.kind() == io::ErrorKind::PermissionDenied => {
            parent.unlock(name).map_err(|_| error)?;
            parent.open(name)
        }
        Ok(dir) => {
            if force && !dir.is_unlocked()? {
                // If it is another user's, what is tried in it says so.
                let _ = parent.unlock(name);
            }
            Ok(dir)
        }
        Err(error) => Err(error),
    }
}
