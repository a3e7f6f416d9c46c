//! The files and directories of an archive so far, so that nothing is made twice, and the sink that makes them.

use std::collections::BTreeSet;
use std::io;

use sha2::{Digest as _, Sha256};

use super::name::EntryPath;
use super::{Sink, TakenBy, UnpackError};
use crate::{EntryRef, InstallLimits, Line, Refusal, Rule, Tree, escaped};

const MANIFEST: &str = "plugin.yaml";

/// The sink, and all files and directories that it made.
#[derive(Debug)]
pub(super) struct Made<S> {
    sink: S,
    pub(super) tree: Tree,
    directories: BTreeSet<String>,
    open: Option<Open>,
    pub(super) bytes: u64,
    pub(super) manifest: Option<Vec<u8>>,
    count: Count,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    number: u64,
    path: EntryPath,
    executable: bool,
    hash: Sha256,
    is_manifest: bool,
}

/// The figures that the limits bound.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Entries of the archive.
    pub(super) entries: u64,
    /// Directories for which the archive has no entry.
    left_out: u64,
    /// Bytes of all names.
    names: u64,
}

impl Count {
    /// Counts an entry of the archive.
    pub(super) fn entry(&mut self, name: usize, limits: &InstallLimits) -> Result<(), Refusal> {
        self.entries += 1;
        self.judge(name, limits)
    }

    /// Counts a directory for which the archive has no entry.
    fn left_out(&mut self, name: usize, limits: &InstallLimits) -> Result<(), Refusal> {
        self.left_out += 1;
        self.judge(name, limits)
    }

    fn judge(&mut self, name: usize, limits: &InstallLimits) -> Result<(), Refusal> {
        if self.entries + self.left_out > limits.max_entries {
            let detail = format!("the archive has more than {} entries", limits.max_entries);
            return Err(Refusal::new(Rule::Entries, detail));
        }
        self.names = self.names.saturating_add(name as u64);
        if self.names > limits.max_names_bytes {
            let detail = format!("the names in the archive have more than {} bytes", limits.max_names_bytes);
            return Err(Refusal::new(Rule::NamesBytes, detail));
        }
        Ok(())
    }
}

/// Why something was not made.
pub(super) enum Unmade {
    Refused(Refusal),
    Failed(io::Error),
}

impl From<Refusal> for Unmade {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Unmade {
    pub(super) fn at(self, entry: EntryRef) -> UnpackError {
        match self {
            Self::Refused(refusal) => UnpackError::Refused(refusal.at(entry)),
            Self::Failed(error) => UnpackError::Sink { entry: Some(entry), error },
        }
    }
}

impl<S> Made<S> {
    pub(super) fn new(sink: S) -> Self {
        Self {
            sink,
            tree: Tree::new(),
            directories: BTreeSet::new(),
            open: None,
            bytes: 0,
            manifest: None,
            count: Count::default(),
        }
    }

    pub(super) fn count(&mut self) -> &mut Count {
        &mut self.count
    }

    pub(super) fn entries(&self) -> u64 {
        self.count.entries
    }

    pub(super) fn directories(&self) -> u64 {
        self.directories.len() as u64
    }

    pub(super) fn into_parts(self) -> (Tree, Option<Vec<u8>>, S) {
        (self.tree, self.manifest, self.sink)
    }
}

impl<S: Sink> Made<S> {
    /// Makes a directory and those above it, unless they exist.
    pub(super) fn directory(&mut self, path: &EntryPath, limits: &InstallLimits) -> Result<(), Unmade> {
        self.parents(path, limits)?;
        if self.directories.contains(path.as_str()) {
            return Ok(());
        }
        if self.tree.get(path.as_str()).is_some() {
            return Err(directory_over_file(path).into());
        }
        self.make(path)
    }

    /// Begins a file, and makes the directories above it.
    pub(super) fn begin(
        &mut self,
        path: EntryPath,
        executable: bool,
        size: u64,
        limits: &InstallLimits,
    ) -> Result<(), Unmade> {
        let is_manifest = path.as_str() == MANIFEST;
        if is_manifest && size > limits.max_manifest_bytes {
            let detail = format!("it has {size} bytes, more than {}", limits.max_manifest_bytes);
            return Err(Refusal::new(Rule::ManifestBytes, detail).into());
        }
        self.parents(&path, limits)?;
        if self.directories.contains(path.as_str()) {
            return Err(Refusal::new(Rule::FileOverDirectory, "there is a directory of that name").into());
        }
        if self.tree.get(path.as_str()).is_some() {
            return Err(Refusal::new(Rule::Duplicate, "there is a file of that name").into());
        }
        self.sink.begin(&path, executable).map_err(|error| self.failed(error, &path))?;
        if is_manifest {
            self.manifest = Some(Vec::new());
        }
        self.open = Some(Open { number: self.count.entries, path, executable, hash: Sha256::new(), is_manifest });
        Ok(())
    }

    /// Adds to the file that was begun.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), UnpackError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.hash.update(piece);
        if open.is_manifest {
            self.manifest.get_or_insert_default().extend_from_slice(piece);
        }
        self.bytes += piece.len() as u64;
        self.sink.write(piece).map_err(|error| open.failed(error))
    }

    /// Ends the file that was begun.
    pub(super) fn end(&mut self) -> Result<(), UnpackError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.sink.end().map_err(|error| open.failed(error))?;
        let line = Line { sha256: open.hash.finalize().into(), executable: open.executable };
        self.tree.insert(open.path.into_string(), line);
        Ok(())
    }

    /// Makes the directories above a path that are not there yet.
    fn parents(&mut self, path: &EntryPath, limits: &InstallLimits) -> Result<(), Unmade> {
        let text = path.as_str();
        // The walk goes up and ends at the first directory that exists: all above it exist as well.
        let mut there = text.rfind('/');
        while let Some(end) = there.filter(|end| !self.directories.contains(&text[..*end])) {
            there = text[..end].rfind('/');
        }
        let begin = there.map_or(0, |end| end + 1);
        for (at, _) in text[begin..].match_indices('/') {
            let parent = path.up_to(begin + at);
            if self.tree.get(parent.as_str()).is_some() {
                return Err(directory_over_file(&parent).into());
            }
            self.count.left_out(parent.as_str().len(), limits)?;
            self.make(&parent)?;
        }
        Ok(())
    }

    fn make(&mut self, path: &EntryPath) -> Result<(), Unmade> {
        self.sink.directory(path).map_err(|error| self.failed(error, path))?;
        self.directories.insert(path.as_str().to_owned());
        Ok(())
    }

    /// The meaning of the sink's error. `AlreadyExists` for a name that is new here means that the file system takes two names for
    /// one.
    fn failed(&self, error: io::Error, path: &EntryPath) -> Unmade {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Unmade::Failed(error);
        }
        let told = error.get_ref().and_then(|error| error.downcast_ref::<TakenBy>()).map(|TakenBy(name)| {
            match path.parent() {
                Some(parent) => format!("{parent}/{name}"),
                None => name.clone(),
            }
        });
        let other = told.or_else(|| self.likeness(path)).map(|other| escaped(other.as_bytes()));
        let other = other.map_or("another name in the archive".to_owned(), |other| format!("`{other}`"));
        let name = escaped(path.as_str().as_bytes());
        Unmade::Refused(Refusal::new(Rule::Collision, format!("the file system takes `{name}` for {other}")))
    }

    /// The name that the file system most likely does not distinguish from the path, for a sink that does not say it.
    /// It is one that differs only by case, or else the only other name in the same directory.
    fn likeness(&self, path: &EntryPath) -> Option<String> {
        let known = || self.tree.files().map(|(path, _)| path).chain(self.directories.iter().map(String::as_str));
        let lower = path.as_str().to_lowercase();
        let alike = known().find(|known| known.to_lowercase() == lower);
        let only = || {
            let mut beside = known().filter(|known| known.rsplit_once('/').map(|(parent, _)| parent) == path.parent());
            beside.next().filter(|_| beside.next().is_none())
        };
        alike.or_else(only).map(|known| known.to_owned())
    }
}

impl Open {
    fn failed(&self, error: io::Error) -> UnpackError {
        UnpackError::Sink { entry: Some(EntryRef::new(self.number, self.path.as_str().as_bytes())), error }
    }
}

fn directory_over_file(path: &EntryPath) -> Refusal {
    let name = escaped(path.as_str().as_bytes());
    Refusal::new(Rule::DirectoryOverFile, format!("`{name}` is a file, and here a directory"))
}
