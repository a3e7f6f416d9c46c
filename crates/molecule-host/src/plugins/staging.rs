//! What an unpacker writes to: the files of a stage.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};

use molecule_core::unpack::{EntryPath, Sink};

use super::dir::{Dir, Mode};

/// How many directories are held open.
const OPEN: usize = 16;

/// A stage that is being filled: files and directories are made one component at a time below its root, with the modes that
/// [`Mode`] names and nothing else of what the archive says of them.
pub(super) struct Staging {
    file: Option<File>,
    parents: Parents,
}

impl Staging {
    pub(super) fn new(root: Dir) -> Self {
        Self { file: None, parents: Parents { root, open: Vec::new() } }
    }
}

impl Sink for Staging {
    fn directory(&mut self, path: &EntryPath) -> io::Result<()> {
        self.parents.of(path.parent())?.make(OsStr::new(path.file_name()), Mode::Plain)
    }

    fn begin(&mut self, path: &EntryPath, executable: bool) -> io::Result<()> {
        let mode = if executable { Mode::Executable } else { Mode::Plain };
        self.file = Some(self.parents.of(path.parent())?.create(OsStr::new(path.file_name()), mode)?);
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or(io::ErrorKind::NotFound)?.write_all(piece)
    }

    fn end(&mut self) -> io::Result<()> {
        // A close that fails tells nobody on most systems; what must be on the disk is synced before the commit.
        self.file = None;
        Ok(())
    }
}

/// Directories of a stage that were used last, so that a file costs no more than its own opening.
struct Parents {
    root: Dir,
    /// By path, the one that was used last at the end.
    open: Vec<(String, Dir)>,
}

impl Parents {
    /// The directory at this path, which was made before.
    fn of(&mut self, path: Option<&str>) -> io::Result<&Dir> {
        let Some(path) = path else { return Ok(&self.root) };
        if self.open.last().is_none_or(|(last, _)| last != path) {
            self.bring_forward(path)?;
        }
        let last = self.open.last().map(|(_, dir)| dir);
        Ok(last.unwrap_or(&self.root))
    }

    /// Puts the directory at the end, and opens it first where it is not open: from the nearest one above it that is.
    fn bring_forward(&mut self, path: &str) -> io::Result<()> {
        if let Some(at) = self.open.iter().rposition(|(open, _)| open == path) {
            self.open[at..].rotate_left(1);
            return Ok(());
        }
        let mut from = path;
        while let Some((above, _)) = from.rsplit_once('/') {
            from = above;
            if self.open.iter().any(|(open, _)| open == above) {
                break;
            }
        }
        let known = self.open.iter().any(|(open, _)| open == from);
        // The names below the one that is open, or all of them.
        let mut end = if known { from.len() } else { 0 };
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            let next = path[start..].find('/').map_or(path.len(), |length| start + length);
            let above = if end == 0 { None } else { self.open.iter().rfind(|(open, _)| open == &path[..end]) };
            let dir = above.map_or(&self.root, |(_, dir)| dir).open(OsStr::new(&path[start..next]))?;
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.open.push((path[..next].to_owned(), dir));
            end = next;
        }
        Ok(())
    }
}
