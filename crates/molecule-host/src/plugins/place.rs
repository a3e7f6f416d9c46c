//! The plugins directory: it is checked before each act, and created if it is missing.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use molecule_core::proto::PluginName;

use super::dir::{Dir, Kind, Mode};
use super::name::RECEIPTS;
use crate::file::{self, Wanted};
use crate::store::StoreError;

/// The plugins directory of an agent: a private directory, in the agent's own unless the author chose another place.
#[derive(Debug, Clone)]
pub(super) struct Place(At);

/// The option that chose the plugins directory. Error texts name it, because it is the remedy for a wrong directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChosenBy {
    /// `MOLECULE_HOME`, or its default.
    Home,
    /// The author's `storage(…)`.
    Storage,
    /// The author's `plugins_dir(…)`.
    PluginsDir,
}

impl fmt::Display for ChosenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Home => "storage(…) or MOLECULE_HOME",
            Self::Storage => "storage(…)",
            Self::PluginsDir => "plugins_dir(…)",
        })
    }
}

/// A path in the directory for error texts, with the option that chose the directory.
#[derive(Debug, Clone)]
pub(super) struct At {
    path: PathBuf,
    chosen_by: ChosenBy,
}

impl At {
    fn is(&self, path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), chosen_by: self.chosen_by }
    }

    pub(super) fn join(&self, name: impl AsRef<Path>) -> Self {
        self.is(self.path.join(name.as_ref()))
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }

    /// The remedy for an error of the operating system at this path.
    pub(super) fn remedy(&self, kind: io::ErrorKind) -> String {
        let first = match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "make room there,"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "let this user write there,",
            io::ErrorKind::NotADirectory => "a part of the path is no directory: move it away,",
            _ => "check that its directory exists and works,",
        };
        format!("{first} or choose another place with {}", self.chosen_by)
    }
}

impl AsRef<Path> for At {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Deref for At {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Place {
    pub(super) fn new(directory: PathBuf, chosen_by: ChosenBy) -> Self {
        Self(At { path: directory, chosen_by })
    }

    /// The path of an entry, for error texts.
    pub(super) fn path(&self, name: impl AsRef<OsStr>) -> At {
        self.0.join(name.as_ref())
    }

    /// Opens the directory; `None` if it is missing. An error if it is not private, or if others may replace it.
    pub(super) fn open(&self) -> Result<Option<Dir>, StoreError> {
        if !self.has_above()? {
            return Ok(None);
        }
        judged(Dir::open_path(&self.0), &self.0)
    }

    /// Opens the directory, and creates it and its parents if they are missing.
    pub(super) fn ensure(&self) -> Result<Dir, StoreError> {
        if let Some(dir) = self.open()? {
            return Ok(dir);
        }
        let (Some(above), Some(name)) = (self.0.parent(), self.0.file_name()) else {
            return Err(failed(&self.0, "created", io::ErrorKind::InvalidInput.into()));
        };
        if !self.has_above()? {
            file::make_directory(above).map_err(|error| failed(&self.0.is(above), "created", error))?;
            // Another process, also one of another user, may have created it first.
            self.has_above()?;
        }
        let made = Dir::open_above(above).and_then(|above| make(&above, name));
        made.map_err(|error| failed(&self.0, "created", error))?;
        self.open()?.ok_or_else(|| failed(&self.0, "created", io::ErrorKind::NotFound.into()))
    }

    /// Returns whether its parent directory exists.
    fn has_above(&self) -> Result<bool, StoreError> {
        let Some(above) = self.0.parent() else { return Ok(true) };
        match fs::metadata(above) {
            Ok(metadata) => file::judge_above(above, &metadata).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&self.0.is(above), "looked at", error)),
        }
    }

    /// Opens the directory of receipts; `None` if it is missing. An error if it is not private.
    pub(super) fn receipts(&self, dir: &Dir) -> Result<Option<Dir>, StoreError> {
        judged(dir.open(OsStr::new(RECEIPTS)), &self.path(RECEIPTS))
    }

    /// Opens the directory of receipts, and creates it if it is missing.
    pub(super) fn ensure_receipts(&self, dir: &Dir) -> Result<Dir, StoreError> {
        if let Some(receipts) = self.receipts(dir)? {
            return Ok(receipts);
        }
        let path = self.path(RECEIPTS);
        make(dir, OsStr::new(RECEIPTS)).map_err(|error| failed(&path, "created", error))?;
        self.receipts(dir)?.ok_or_else(|| failed(&path, "created", io::ErrorKind::NotFound.into()))
    }

    /// Returns whether the plugin exists; an error if its name belongs to something else.
    pub(super) fn holds(&self, dir: &Dir, plugin: &PluginName) -> Result<bool, StoreError> {
        let path = self.path(plugin.as_str());
        match dir.kind(OsStr::new(plugin.as_str())) {
            Ok(Kind::Directory) => Ok(true),
            Ok(Kind::Link) => Err(refused(&path, "it is a link", "remove it, or move it away")),
            Ok(Kind::File | Kind::Other) => Err(refused(&path, "it is no directory", "remove it, or move it away")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&path, "looked at", error)),
        }
    }
}

/// Creates a private directory; a directory that another process has just created is accepted.
fn make(dir: &Dir, name: &OsStr) -> io::Result<()> {
    match dir.make(name, Mode::Private) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn judged(opened: io::Result<Dir>, path: &At) -> Result<Option<Dir>, StoreError> {
    let dir = match opened {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            // A link cannot be opened, and its kind says more than the error.
            if let Ok(metadata) = fs::symlink_metadata(path) {
                file::judge(path, &metadata, Wanted::Directory)?;
            }
            return Err(failed(path, "opened", error));
        }
    };
    let metadata = dir.metadata().map_err(|error| failed(path, "looked at", error))?;
    file::judge(path, &metadata, Wanted::Directory)?;
    Ok(Some(dir))
}

/// Refuses an open file that is not private.
pub(super) fn judge_file(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    file::judge(path, metadata, Wanted::File)
}

/// The error for a file that could not be opened. The kind of the file says more than the operating system's error.
pub(super) fn not_opened(path: &At, error: io::Error) -> StoreError {
    let judged = fs::symlink_metadata(path).map(|metadata| judge_file(path, &metadata));
    match judged {
        Ok(Err(refused)) => refused,
        Ok(Ok(())) | Err(_) => failed(path, "opened", error),
    }
}

fn refused(path: &Path, why: &str, remedy: &str) -> StoreError {
    StoreError::new(io::ErrorKind::PermissionDenied, format!("{} is refused: {why}; {remedy}", path.display()))
}

/// The error text for an error of the operating system.
pub(super) fn failed(path: &At, act: &str, error: io::Error) -> StoreError {
    let sentence = format!("{} cannot be {act}: {error}; {}", path.display(), path.remedy(error.kind()));
    StoreError::new(error.kind(), sentence).with_source(error)
}
