//! The store that writes each slot to a private file.

mod append;
mod directory;
mod guard;
#[cfg(not(unix))]
mod other;
mod saving;
mod temporary;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use molecule_core::effect::{Durability, Slot, Stored};
use zeroize::Zeroizing;

pub(crate) use self::directory::{ensure as ensure_directory, make as make_directory};
pub(crate) use self::guard::{Kind as Wanted, judge, judge_above};

use self::append::Appends;
use self::guard::{failed, judge_all, judge_file, open_private};
pub(crate) use self::saving::{Saving, TOUCHED_EVERY, sweep as sweep_unfinished};
pub(crate) use self::temporary::sync as sync_directory;
use crate::store::{Store, StoreError};

/// The file on which the agent's lock is taken.
const LOCK: &str = ".lock";

/// The most damaged files with the same second in their name.
const MAX_ASIDE: u32 = 100;

/// The store in one workspace's directory. Each method checks the directory and the file again.
pub(crate) struct FileStore {
    directory: PathBuf,
    appends: Appends,
}

impl FileStore {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, appends: Appends::default() }
    }

    fn path(&self, slot: Slot) -> PathBuf {
        self.directory.join(slot.file_name())
    }
}

impl Store for FileStore {
    fn make_private(&self) -> Vec<String> {
        self.paths().filter_map(|(path, kind)| system::make_private(&path, kind)).collect()
    }

    fn prepare(&self) -> Result<(), StoreError> {
        self.prepare_now().map_err(|error| self.all_that_is_refused(error))
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        self.load_now(slot).map_err(|error| self.all_that_is_refused(error))
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        self.replace_now(slot, content).map_err(|error| self.all_that_is_refused(error))
    }

    fn append(&self, slot: Slot, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        self.append_now(slot, content, durability).map_err(|error| self.all_that_is_refused(error))
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        self.set_aside_now(slot).map_err(|error| self.all_that_is_refused(error))
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.lock_now().map_err(|error| self.all_that_is_refused(error))
    }
}

impl FileStore {
    /// The directory, and all files in it that belong to the agent.
    fn paths(&self) -> impl Iterator<Item = (PathBuf, Wanted)> {
        let files = Slot::ALL.iter().map(|slot| slot.file_name()).chain([LOCK]);
        let files = files.map(|name| (self.directory.join(name), Wanted::File));
        std::iter::once((self.directory.clone(), Wanted::Directory)).chain(files)
    }

    /// Returns an error unchanged, except a refusal: that becomes one refusal of everything in the directory that is
    /// refused.
    fn all_that_is_refused(&self, error: StoreError) -> StoreError {
        if error.kind() != io::ErrorKind::PermissionDenied || error.is_of_system() {
            return error;
        }
        let paths: Vec<_> = self.paths().collect();
        judge_all(paths.iter().map(|(path, kind)| (path.as_path(), *kind))).unwrap_or(error)
    }
}

/// The acts of the store. Each returns its first error.
impl FileStore {
    fn prepare_now(&self) -> Result<(), StoreError> {
        directory::ensure(&self.directory)?;
        for slot in Slot::ALL {
            let path = self.path(*slot);
            let opened = open_private(&path, File::options().read(true))?;
            // A process that was killed may have left records that a power failure would take back,
            if let (Slot::Inbox | Slot::Answers, Some((file, _))) = (slot, opened) {
                system::sync_file(&file).map_err(|error| failed(&path, "written to disk", error))?;
            }
        }
        temporary::sweep(&self.directory);
        temporary::probe(&self.directory)?;
        // and a rename, if it was killed before its sync.
        temporary::sync(&self.directory)
    }

    fn load_now(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        if !directory::check(&self.directory)? {
            return Ok(None);
        }
        let path = self.path(slot);
        let Some((file, length)) = open_private(&path, File::options().read(true))? else {
            return Ok(None);
        };
        // The buffer has room for everything from the start, because a buffer that grows leaves an unwiped copy behind.
        let most = slot.max_content();
        let room = usize::try_from(length.min(most)).unwrap_or_default() + 64;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(&path, "read", error))?;
        if bytes.len() as u64 > most {
            let sentence =
                format!("{} holds more than {most} bytes, which no agent stores there; move it away", path.display());
            return Err(StoreError::new(io::ErrorKind::InvalidData, sentence));
        }
        Ok(Some(Stored::new(bytes, path.display().to_string())))
    }

    fn replace_now(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        directory::ensure(&self.directory)?;
        let path = self.path(slot);
        // A rename does not follow a link, but it would replace the owner's link by a file.
        judge_file(&path)?;
        temporary::replace(&self.directory, slot.file_name(), content)
    }

    fn append_now(&self, slot: Slot, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        directory::ensure(&self.directory)?;
        self.appends.append(&self.directory, slot, content, durability)
    }

    fn set_aside_now(&self, slot: Slot) -> Result<String, StoreError> {
        directory::check(&self.directory)?;
        let path = self.path(slot);
        if !judge_file(&path)? {
            return Err(failed(&path, "set aside", io::Error::from(io::ErrorKind::NotFound)));
        }
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        for count in 1..=MAX_ASIDE {
            let suffix = if count == 1 { String::new() } else { format!("-{count}") };
            let aside = self.directory.join(format!("{}.damaged-{seconds}{suffix}", slot.file_name()));
            // An empty file reserves the name, so that the rename replaces only that file.
            match system::create_new(&aside) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&aside, "created", error)),
            }
            if let Err(error) = fs::rename(&path, &aside) {
                // Only the empty file would be lost.
                let _ = fs::remove_file(&aside);
                return Err(failed(&path, "set aside", error));
            }
            system::sync_directory(&self.directory)
                .map_err(|error| failed(&self.directory, "written to disk", error))?;
            return Ok(aside.display().to_string());
        }
        let sentence = format!("{} cannot be set aside: too many were already; move it away", path.display());
        Err(StoreError::new(io::ErrorKind::AlreadyExists, sentence))
    }

    fn lock_now(&self) -> Result<Box<dyn Send>, StoreError> {
        directory::ensure(&self.directory)?;
        let path = self.directory.join(LOCK);
        let file = match system::create_new(&path) {
            // The file is opened for writing, because network file systems require that for an exclusive lock.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let opened = open_private(&path, File::options().read(true).write(true))?;
                opened.map(|(file, _)| file).ok_or(io::Error::from(io::ErrorKind::NotFound))
            }
            created => created,
        };
        let file = file.map_err(|error| failed(&path, "opened", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(Held(file))),
            Err(TryLockError::WouldBlock) => Err(StoreError::locked(format!(
                "another agent of this workspace is running: it holds the lock {}; stop it first",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(&path, "locked", error)),
        }
    }
}

/// The guard of the lock. The file stays: after a removal, another process could lock a new file of the same name.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the file is not enough while a child process that is just starting has a copy of the handle. An error
        // changes nothing: the operating system releases the lock with the last handle.
        let _ = self.0.unlock();
    }
}
