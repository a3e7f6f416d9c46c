//! The unpacker's output: the files of a stage.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};

use molecule_core::unpack::{EntryPath, Sink, TakenBy};

use super::dir::{Dir, Mode};

/// The most directories that are open at once.
const OPEN: usize = 16;

/// The content of a stage. Files and directories are created below its root one component at a time, with the modes of
/// [`Mode`]. No other attribute in the archive is used.
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
        let (parent, name) = (self.parents.of(path.parent())?, OsStr::new(path.file_name()));
        parent.make(name, Mode::Plain).map_err(|error| taken(parent, name, error))
    }

    fn begin(&mut self, path: &EntryPath, executable: bool) -> io::Result<()> {
        let mode = if executable { Mode::Executable } else { Mode::Plain };
        let (parent, name) = (self.parents.of(path.parent())?, OsStr::new(path.file_name()));
        self.file = Some(parent.create(name, mode).map_err(|error| taken(parent, name, error))?);
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or(io::ErrorKind::NotFound)?.write_all(piece)
    }

    fn end(&mut self) -> io::Result<()> {
        // On most systems a failed close is not reported. Content that must be on the disk is synced before the commit.
        self.file = None;
        Ok(())
    }
}

/// The error for a name that exists already, with the name that the file system has: it may fold more than case.
fn taken(parent: &Dir, name: &OsStr, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::AlreadyExists {
        return error;
    }
    match parent.other_name(name) {
        Ok(Some(other)) => io::Error::new(error.kind(), TakenBy(other.to_string_lossy().into_owned())),
        Ok(None) | Err(_) => error,
    }
}

/// The most recently used directories of a stage. They stay open, so that creating a file needs only one `open`.
struct Parents {
    root: Dir,
    /// By path, the most recently used one last.
    open: Vec<(String, Dir)>,
}

impl Parents {
    /// The directory at this path, which was created before.
    fn of(&mut self, path: Option<&str>) -> io::Result<&Dir> {
        let Some(path) = path else { return Ok(&self.root) };
        if self.open.last().is_none_or(|(last, _)| last != path) {
            self.bring_forward(path)?;
        }
        let last = self.open.last().map(|(_, dir)| dir);
        Ok(last.unwrap_or(&self.root))
    }

    /// Moves the directory to the end. If it is not open, it is opened from its nearest open parent.
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
        // Opens the components below the open parent, or all components.
        let mut end = if known { from.len() } else { 0 };
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            let next = path[start..].find('/').map_or(path.len(), |length| start + length);
            let name = OsStr::new(&path[start..next]);
            let dir = match &path[..end] {
                "" => self.root.open(name)?,
                above => {
                    let above = self.open.iter().rfind(|(open, _)| open == above);
                    above.ok_or(io::ErrorKind::NotFound)?.1.open(name)?
                }
            };
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.open.push((path[..next].to_owned(), dir));
            end = next;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::environment::seed;
    use std::collections::BTreeSet;

    /// This test imitates a file system that treats two names as one: a hard link has both names.
    #[cfg(unix)]
    #[test]
    fn a_name_that_is_taken_is_told_with_the_other_one() {
        let place = std::env::temp_dir().join(format!("molecule-taken-{:016x}", seed()));
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("Straße"), "").unwrap();
        std::fs::hard_link(place.join("Straße"), place.join("STRASSE")).unwrap();
        std::fs::create_dir(place.join("lone")).unwrap();
        let dir = Dir::open_path(&place).unwrap();
        let error = |name: &str| {
            let name = OsStr::new(name);
            taken(&dir, name, dir.create(name, Mode::Plain).unwrap_err())
        };
        let told = |error: &io::Error| error.get_ref().and_then(|error| error.downcast_ref::<TakenBy>()).cloned();
        assert_eq!(told(&error("STRASSE")), Some(TakenBy("Straße".to_owned())));
        assert_eq!(told(&error("Straße")), Some(TakenBy("STRASSE".to_owned())));
        assert_eq!((told(&error("lone")), error("lone").kind()), (None, io::ErrorKind::AlreadyExists));
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn the_directories_used_last_are_open_once_and_few_are() {
        let place = std::env::temp_dir().join(format!("molecule-staging-{:016x}", seed()));
        let deep = vec!["d"; 40].join("/");
        std::fs::create_dir_all(place.join(&deep)).unwrap();
        for branch in 0..30 {
            std::fs::create_dir_all(place.join(format!("b{branch}/c"))).unwrap();
        }
        let mut parents = Parents { root: Dir::open_path(&place).unwrap(), open: Vec::new() };
        for round in 0..400_usize {
            let path = match round % 5 {
                0 => deep[..1 + 2 * (round % 40)].to_owned(),
                1 | 2 => format!("b{}/c", round % 30),
                3 => "b7".to_owned(),
                _ => "b7/c".to_owned(),
            };
            let here = parents.of(Some(&path)).unwrap().id().unwrap();
            assert_eq!(here, Dir::open_path(&place.join(&path)).unwrap().id().unwrap(), "{path}");
            let open: Vec<&String> = parents.open.iter().map(|(open, _)| open).collect();
            assert!(open.len() <= OPEN);
            assert_eq!(open.iter().collect::<BTreeSet<_>>().len(), open.len(), "{open:?}");
            assert_eq!(*open[open.len() - 1], path);
        }
        // The least recently used directory is closed.
        parents.of(Some("b7/c")).unwrap();
        for branch in 10..10 + OPEN / 2 {
            assert!(parents.open.iter().any(|(open, _)| open == "b7/c"), "{branch}");
            parents.of(Some(&format!("b{branch}/c"))).unwrap();
        }
        assert!(!parents.open.iter().any(|(open, _)| open == "b7/c"));
        std::fs::remove_dir_all(place).unwrap();
    }
}
