//! Directories of systems where a directory cannot be held open to work in, by path.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{Kind, Mode};

/// A directory. Names are single components.
#[derive(Debug)]
pub(in crate::plugins) struct Dir(PathBuf);

/// Which directory it is. Nothing but its path says so here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugins) struct Id {
    pub(in crate::plugins) device: u64,
}

impl Dir {
    /// Opens a directory by its path, whose last component is no link.
    pub(in crate::plugins) fn open_path(path: &Path) -> io::Result<Self> {
        if kind_of(&fs::symlink_metadata(path)?) != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // In the long form, so that no path is too long and no name means a device.
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

    /// The directory that this one is in.
    pub(in crate::plugins) fn parent(&self) -> io::Result<Self> {
        let parent = self.0.parent().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(parent.to_owned()))
    }

    pub(in crate::plugins) fn id(&self) -> io::Result<Id> {
        Ok(Id { device: 0 })
    }

    /// A number that stays with a directory in it through every rename; this system has none.
    pub(in crate::plugins) fn mark(&self, _: &OsStr) -> io::Result<Option<u64>> {
        Ok(None)
    }

    pub(in crate::plugins) fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(&self.0)
    }

    pub(in crate::plugins) fn kind(&self, name: &OsStr) -> io::Result<Kind> {
        Ok(kind_of(&fs::symlink_metadata(self.0.join(name))?))
    }

    /// All names in it, in no order.
    pub(in crate::plugins) fn entries(&self) -> io::Result<Vec<(OsString, Kind)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            entries.push((entry.file_name(), kind_of(&entry.metadata()?)));
        }
        Ok(entries)
    }

    /// The name that is kept for what stands at this one, where that is another: names differ here by case alone.
    pub(in crate::plugins) fn other_name(&self, name: &OsStr) -> io::Result<Option<OsString>> {
        let lower = name.to_string_lossy().to_lowercase();
        let others = self.entries()?.into_iter().map(|(other, _)| other);
        Ok(others.filter(|other| other != name).find(|other| other.to_string_lossy().to_lowercase() == lower))
    }

    /// Makes a directory; an error if anything stands there.
    pub(in crate::plugins) fn make(&self, name: &OsStr, _: Mode) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    /// Creates a file to write to; an error if anything stands there.
    pub(in crate::plugins) fn create(&self, name: &OsStr, _: Mode) -> io::Result<File> {
        File::create_new(self.0.join(name))
    }

    /// Opens what should be a file, to be read.
    pub(in crate::plugins) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        self.no_link(name)?;
        File::open(self.0.join(name))
    }

    /// Opens what should be a file that a lock can be taken on, and makes it if it is missing.
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

    /// Whether the name stands for this very file: one that is open cannot be removed here.
    pub(in crate::plugins) fn still_names(&self, _: &OsStr, _: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(in crate::plugins) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        let path = self.0.join(name);
        // A link to a directory is a directory to whoever removes it here.
        fs::remove_file(&path).or_else(|error| fs::remove_dir(&path).map_err(|_| error))
    }

    /// Removes an empty directory.
    pub(in crate::plugins) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    /// There is nothing to unlock: modes do not keep this user out.
    pub(in crate::plugins) fn unlock(&self, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// Whether this user may read it, write to it and enter it, as far as its mode says.
    pub(in crate::plugins) fn is_unlocked(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Gives a name another name, and replaces a file that has it already.
    pub(in crate::plugins) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    /// Gives a name another name, which is free.
    pub(in crate::plugins) fn rename_new(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lets two names change what they stand for, at once.
    pub(in crate::plugins) fn exchange(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a link with the same target as another one elsewhere.
    pub(in crate::plugins) fn copy_link(&self, _: &Self, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Directories cannot be synced here; the file system's journal keeps their entries.
    pub(in crate::plugins) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Waits until the disk has the content of a file in it.
    pub(in crate::plugins) fn sync_file(&self, name: &OsStr) -> io::Result<()> {
        File::options().write(true).open(self.0.join(name))?.sync_all()
    }

    /// Waits until the disk has everything that was written to the file system; false where there is no such act.
    pub(in crate::plugins) fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// Whether this system has an answer to [`is_executable`].
pub(in crate::plugins) const TELLS_EXECUTABLES: bool = false;

/// Nothing says here whether a file may be executed.
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
