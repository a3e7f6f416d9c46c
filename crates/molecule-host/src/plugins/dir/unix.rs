//! Directories by descriptor, for Unix.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, OFlags};

use super::{Kind, Mode};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The flags follow no link, do not wait for a pipe, and adopt no controlling terminal.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

const CREATE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open directory. Names are single components.
#[derive(Debug)]
pub(in crate::plugins) struct Dir(File);

/// The identity of a directory, independent of its name: file system and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugins) struct Id {
    pub(in crate::plugins) device: u64,
    inode: u64,
}

impl Dir {
    /// Opens a directory by its path, whose last component must not be a link.
    pub(in crate::plugins) fn open_path(path: &Path) -> io::Result<Self> {
        Ok(Self(File::from(fs::open(path, DIRECTORY, fs::Mode::empty())?)))
    }

    /// Opens a directory by its path, whose last component may be a link.
    pub(in crate::plugins) fn open_above(path: &Path) -> io::Result<Self> {
        Ok(Self(File::from(fs::open(path, DIRECTORY.difference(OFlags::NOFOLLOW), fs::Mode::empty())?)))
    }

    pub(in crate::plugins) fn open(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(File::from(fs::openat(&self.0, name, DIRECTORY, fs::Mode::empty())?)))
    }

    /// The parent directory.
    pub(in crate::plugins) fn parent(&self) -> io::Result<Self> {
        self.open(OsStr::new(".."))
    }

    pub(in crate::plugins) fn id(&self) -> io::Result<Id> {
        let stat = fs::fstat(&self.0)?;
        // The type of a device number differs between systems; the number is only compared.
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
        Ok(Id { device: stat.st_dev as u64, inode: stat.st_ino })
    }

    /// The number of an entry that stays the same through every rename, and that no other entry has: its inode.
    pub(in crate::plugins) fn mark(&self, name: &OsStr) -> io::Result<Option<u64>> {
        // The type of an inode number differs between systems.
        #[allow(clippy::unnecessary_cast)]
        Ok(Some(fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino as u64))
    }

    pub(in crate::plugins) fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    pub(in crate::plugins) fn kind(&self, name: &OsStr) -> io::Result<Kind> {
        let stat = fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(kind_of(FileType::from_raw_mode(stat.st_mode)))
    }

    /// All entries except `.` and `..`, in no order.
    pub(in crate::plugins) fn entries(&self) -> io::Result<Vec<(OsString, Kind)>> {
        let mut entries = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not return the type.
                FileType::Unknown => match self.kind(name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    kind => kind?,
                },
                told => kind_of(told),
            };
            entries.push((name.to_owned(), kind));
        }
        Ok(entries)
    }

    /// The other name under which the file system has the entry of this name: a file system may treat several names as
    /// one.
    pub(in crate::plugins) fn other_name(&self, name: &OsStr) -> io::Result<Option<OsString>> {
        let named = fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        for (other, _) in self.entries()? {
            let stat = fs::statat(&self.0, &other, AtFlags::SYMLINK_NOFOLLOW)?;
            if other != name && (stat.st_dev, stat.st_ino) == (named.st_dev, named.st_ino) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// Creates a directory; an error if the name exists.
    pub(in crate::plugins) fn make(&self, name: &OsStr, mode: Mode) -> io::Result<()> {
        let mode = match mode {
            Mode::Private => 0o700,
            Mode::Plain | Mode::Executable => 0o755,
        };
        Ok(fs::mkdirat(&self.0, name, fs::Mode::from_raw_mode(mode))?)
    }

    /// Creates a file for writing; an error if the name exists.
    pub(in crate::plugins) fn create(&self, name: &OsStr, mode: Mode) -> io::Result<File> {
        let mode = match mode {
            Mode::Private => 0o600,
            Mode::Plain => 0o644,
            Mode::Executable => 0o755,
        };
        Ok(File::from(fs::openat(&self.0, name, CREATE, fs::Mode::from_raw_mode(mode))?))
    }

    /// Opens a file for reading.
    pub(in crate::plugins) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        Ok(File::from(fs::openat(&self.0, name, READ, fs::Mode::empty())?))
    }

    /// Opens a file for locking, and creates it if it is missing.
    pub(in crate::plugins) fn open_lock(&self, name: &OsStr) -> io::Result<File> {
        // The file is opened for writing, because network file systems require that for an exclusive lock.
        let flags = READ.union(OFlags::RDWR).union(OFlags::CREATE);
        Ok(File::from(fs::openat(&self.0, name, flags, fs::Mode::from_raw_mode(0o600))?))
    }

    /// Returns whether the name is still this file's.
    pub(in crate::plugins) fn still_names(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let opened = fs::fstat(file)?;
        match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)),
            Err(error) if error == rustix::io::Errno::NOENT => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(in crate::plugins) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(in crate::plugins) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Lets this user read, write and enter a subdirectory whose mode does not allow it.
    pub(in crate::plugins) fn unlock(&self, name: &OsStr) -> io::Result<()> {
        // `chmod` follows links. Only this user could replace the directory by a link after this check.
        if self.kind(name)? != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(fs::chmodat(&self.0, name, fs::Mode::RWXU, AtFlags::empty())?)
    }

    /// Returns whether this user may read, write and enter it, according to its mode.
    pub(in crate::plugins) fn is_unlocked(&self) -> io::Result<bool> {
        Ok(fs::Mode::from_raw_mode(fs::fstat(&self.0)?.st_mode).contains(fs::Mode::RWXU))
    }

    /// Renames an entry; a file that has the new name is replaced.
    pub(in crate::plugins) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Renames an entry to a name that does not exist.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(in crate::plugins) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(fs::renameat_with(&self.0, from, &self.0, to, fs::RenameFlags::NOREPLACE)?)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    pub(in crate::plugins) fn rename_new(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Exchanges two names atomically.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(in crate::plugins) fn exchange(&self, one: &OsStr, other: &OsStr) -> io::Result<()> {
        Ok(fs::renameat_with(&self.0, one, &self.0, other, fs::RenameFlags::EXCHANGE)?)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    pub(in crate::plugins) fn exchange(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Copies a link from another directory; the copy has the same target.
    pub(in crate::plugins) fn copy_link(&self, from: &Self, name: &OsStr) -> io::Result<()> {
        let target = fs::readlinkat(&from.0, name, Vec::new())?;
        Ok(fs::symlinkat(target, &self.0, name)?)
    }

    /// Waits until its entries are on the disk.
    pub(in crate::plugins) fn sync(&self) -> io::Result<()> {
        match self.0.sync_all() {
            // Some file systems cannot do this.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            synced => synced,
        }
    }

    /// Waits until the content of a file is on the disk.
    pub(in crate::plugins) fn sync_file(&self, name: &OsStr) -> io::Result<()> {
        self.open_file(name)?.sync_all()
    }

    /// Waits until everything that was written to the file system is on the disk; returns `false` if the system has no
    /// such operation.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(in crate::plugins) fn sync_file_system(&self) -> io::Result<bool> {
        fs::syncfs(&self.0)?;
        Ok(true)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(in crate::plugins) fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// Whether [`is_executable`] is meaningful on this system.
pub(in crate::plugins) const TELLS_EXECUTABLES: bool = true;

/// Returns whether the owner may execute the file.
pub(in crate::plugins) fn is_executable(file: &File) -> io::Result<bool> {
    Ok(fs::Mode::from_raw_mode(fs::fstat(file)?.st_mode).contains(fs::Mode::XUSR))
}

fn kind_of(told: FileType) -> Kind {
    match told {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            Kind::Other
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::environment::seed;

    #[test]
    fn a_name_stands_for_a_file_until_that_is_removed_or_replaced() {
        let place = std::env::temp_dir().join(format!("molecule-dir-{:016x}", seed()));
        std::fs::create_dir(&place).unwrap();
        let dir = Dir::open_path(&place).unwrap();
        let (lock, other) = (OsStr::new("lock"), OsStr::new("other"));
        let file = dir.open_lock(lock).unwrap();
        assert!(dir.still_names(lock, &file).unwrap());
        dir.rename(lock, other).unwrap();
        assert!(!dir.still_names(lock, &file).unwrap());
        dir.open_lock(lock).unwrap();
        assert!(!dir.still_names(lock, &file).unwrap());
        assert!(dir.still_names(other, &file).unwrap());
        std::fs::remove_dir_all(place).unwrap();
    }
}
