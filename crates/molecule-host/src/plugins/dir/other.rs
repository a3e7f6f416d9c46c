//! Directories by path, for systems that have no operations relative to an open directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{Kind, Mode};

/// A directory. Names are single components.
#[derive(Debug)]
pub(in crate::plugins) struct Dir(PathBuf);

/// The identity of a directory. On this system only its path identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugins) struct Id {
    pub(in crate::plugins) device: u64,
}

impl Dir {
    /// Opens a directory by its path, whose last component must not be a link.
    pub(in crate::plugins) fn open_path(path: &Path) -> io::Result<Self> {
        if kind_of(&fs::symlink_metadata(path)?) != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // The canonical form has no limit of length, and none of its names means a device.
        Ok(Self(fs::canonicalize(path)?))
    }

    /// Opens a directory by its path, whose last component may be a link.
    pub(in crate::plugins) fn open_above(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::canonicalize(path)?))
    }

    pub(in crate::plugins) fn open(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.0.join(name);
        if kind_of(&fs::symlink_metadata(&path)?) != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(path))
    }

    /// The parent directory.
    pub(in crate::plugins) fn parent(&self) -> io::Result<Self> {
        let parent = self.0.parent().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(parent.to_owned()))
    }

    pub(in crate::plugins) fn id(&self) -> io::Result<Id> {
        Ok(Id { device: 0 })
    }

    /// The number of an entry that stays the same through every rename; this system has none.
    pub(in crate::plugins) fn mark(&self, _: &OsStr) -> io::Result<Option<u64>> {
        Ok(None)
    }

    pub(in crate::plugins) fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(&self.0)
    }

    pub(in crate::plugins) fn kind(&self, name: &OsStr) -> io::Result<Kind> {
        Ok(kind_of(&fs::symlink_metadata(self.0.join(name))?))
    }

    /// All entries, in no order.
    pub(in crate::plugins) fn entries(&self) -> io::Result<Vec<(OsString, Kind)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            entries.push((entry.file_name(), kind_of(&entry.metadata()?)));
        }
        Ok(entries)
    }

    /// The other name under which the file system has the entry of this name; here the two differ only in case.
    pub(in crate::plugins) fn other_name(&self, name: &OsStr) -> io::Result<Option<OsString>> {
        let lower = name.to_string_lossy().to_lowercase();
        let others = self.entries()?.into_iter().map(|(other, _)| other);
        Ok(others.filter(|other| other != name).find(|other| other.to_string_lossy().to_lowercase() == lower))
    }

    /// Creates a directory; an error if the name exists.
    pub(in crate::plugins) fn make(&self, name: &OsStr, _: Mode) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    /// Creates a file for writing; an error if the name exists.
    pub(in crate::plugins) fn create(&self, name: &OsStr, _: Mode) -> io::Result<File> {
        File::create_new(self.0.join(name))
    }

    /// Opens a file for reading.
    pub(in crate::plugins) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        self.no_link(name)?;
        File::open(self.0.join(name))
    }

    /// Opens a file for locking, and creates it if it is missing.
    pub(in crate::plugins) fn open_lock(&self, name: &OsStr) -> io::Result<File> {
        self.no_link(name)?;
        File::options().read(true).write(true).create(true).truncate(false).open(self.0.join(name))
    }

    fn no_link(&self, name: &OsStr) -> io::Result<()> {
        match self.kind(name) {
            Ok(Kind::Link) => Err(io::Error::other("it is a link")),
            Ok(Kind::File | Kind::Directory | Kind::Other) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns whether the name is still this file's. It always is, because an open file cannot be removed on this
    /// system.
    pub(in crate::plugins) fn still_names(&self, _: &OsStr, _: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(in crate::plugins) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        let path = self.0.join(name);
        // This system removes a link to a directory like a directory.
        fs::remove_file(&path).or_else(|error| fs::remove_dir(&path).map_err(|_| error))
    }

    /// Removes an empty directory.
    pub(in crate::plugins) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    /// Does nothing: on this system modes do not keep this user out.
    pub(in crate::plugins) fn unlock(&self, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// Returns whether this user may read, write and enter it, according to its mode.
    pub(in crate::plugins) fn is_unlocked(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Renames an entry; a file that has the new name is replaced.
    pub(in crate::plugins) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    /// Renames an entry to a name that does not exist.
    pub(in crate::plugins) fn rename_new(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Exchanges two names atomically.
    pub(in crate::plugins) fn exchange(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Copies a link from another directory; the copy has the same target.
    pub(in crate::plugins) fn copy_link(&self, _: &Self, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Does nothing: directories cannot be synced on this system, and the file system's journal keeps their entries.
    pub(in crate::plugins) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Waits until the content of a file is on the disk.
    pub(in crate::plugins) fn sync_file(&self, name: &OsStr) -> io::Result<()> {
        File::options().write(true).open(self.0.join(name))?.sync_all()
    }

    /// Waits until everything that was written to the file system is on the disk; returns `false` if the system has no
    /// such operation.
    pub(in crate::plugins) fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// Whether [`is_executable`] is meaningful on this system.
pub(in crate::plugins) const TELLS_EXECUTABLES: bool = false;

/// Returns `false`: this system does not mark executable files.
pub(in crate::plugins) fn is_executable(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn kind_of(metadata: &Metadata) -> Kind {
    if metadata.is_symlink() {
        Kind::Link
    } else if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_file() {
        Kind::File
    } else {
        Kind::Other
    }
}
