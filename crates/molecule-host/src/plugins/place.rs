//! The plugins directory: looked at before each act, and made where it is missing.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use molecule_core::proto::PluginName;

use super::dir::{Dir, Kind, Mode};
use super::name::RECEIPTS;
use crate::file::{self, Wanted};
use crate::store::StoreError;

/// Where an agent's plugins are: a private directory, in the agent's own unless its author chose another place.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// The path of what has this name in the directory, for people.
    pub(super) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(name.as_ref())
    }

    /// The directory, if it is there; an error if it is not private, or others may put another one in its place.
    pub(super) fn open(&self) -> Result<Option<Dir>, StoreError> {
        if !self.has_above()? {
            return Ok(None);
        }
        judged(Dir::open_path(&self.0), &self.0)
    }

    /// The directory, which is made if it is missing, with what is missing above it.
    pub(super) fn ensure(&self) -> Result<Dir, StoreError> {
        if let Some(dir) = self.open()? {
            return Ok(dir);
        }
        let (Some(above), Some(name)) = (self.0.parent(), self.0.file_name()) else {
            return Err(failed(&self.0, "created", io::ErrorKind::InvalidInput.into()));
        };
        if !self.has_above()? {
            file::ensure_directory(above)?;
        }
        let made = Dir::open_above(above).and_then(|above| make(&above, name));
        made.map_err(|error| failed(&self.0, "created", error))?;
        self.open()?.ok_or_else(|| failed(&self.0, "created", io::ErrorKind::NotFound.into()))
    }

    /// Whether there is a directory for it to be in.
    fn has_above(&self) -> Result<bool, StoreError> {
        let Some(above) = self.0.parent() else { return Ok(true) };
        match fs::metadata(above) {
            Ok(metadata) => file::judge_above(above, &metadata).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(above, "looked at", error)),
        }
    }

    /// The directory of receipts, if it is there; an error if it is not private.
    pub(super) fn receipts(&self, dir: &Dir) -> Result<Option<Dir>, StoreError> {
        judged(dir.open(OsStr::new(RECEIPTS)), &self.path(RECEIPTS))
    }

    /// The directory of receipts, which is made if it is missing.
    pub(super) fn ensure_receipts(&self, dir: &Dir) -> Result<Dir, StoreError> {
        if let Some(receipts) = self.receipts(dir)? {
            return Ok(receipts);
        }
        let path = self.path(RECEIPTS);
        make(dir, OsStr::new(RECEIPTS)).map_err(|error| failed(&path, "created", error))?;
        self.receipts(dir)?.ok_or_else(|| failed(&path, "created", io::ErrorKind::NotFound.into()))
    }

    /// Whether the plugin is there; an error if something else has its name.
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

/// Makes a private directory; one that another process has just made is as good.
fn make(dir: &Dir, name: &OsStr) -> io::Result<()> {
    match dir.make(name, Mode::Private) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn judged(opened: io::Result<Dir>, path: &Path) -> Result<Option<Dir>, StoreError> {
    let dir = match opened {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            // A link cannot be opened at all; what it is says more than the error.
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

/// Refuses an opened file that is no private one.
pub(super) fn judge_file(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    file::judge(path, metadata, Wanted::File)
}

/// The sentence for a file that could not be opened: what stands there says more than the error.
pub(super) fn not_opened(path: &Path, error: io::Error) -> StoreError {
    let judged = fs::symlink_metadata(path).map(|metadata| judge_file(path, &metadata));
    match judged {
        Ok(Err(refused)) => refused,
        Ok(Ok(())) | Err(_) => failed(path, "opened", error),
    }
}

fn refused(path: &Path, why: &str, remedy: &str) -> StoreError {
    StoreError::new(io::ErrorKind::PermissionDenied, format!("{} is refused: {why}; {remedy}", path.display()))
}

/// The sentence for an error of the operating system.
pub(super) fn failed(path: &Path, act: &str, error: io::Error) -> StoreError {
    let remedy = remedy(error.kind());
    let sentence = format!("{} cannot be {act}: {error}; {remedy}", path.display());
    StoreError::new(error.kind(), sentence).with_source(error)
}

/// What helps against an error of the operating system in the plugins directory.
pub(super) fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room there, or choose another place with MOLECULE_HOME"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or choose another place with MOLECULE_HOME"
        }
        io::ErrorKind::NotADirectory => {
            "a part of the path is no directory: move it away, or choose another place with MOLECULE_HOME"
        }
        _ => "check that its directory exists and works, or choose another place with MOLECULE_HOME",
    }
}
