//! Appends to a slot's file: each takes place as a whole, or leaves the file as it was.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use molecule_core::effect::{Durability, Slot};

use super::guard::{failed, open_private};
use super::system;
use crate::store::{StoreError, check_room};

/// The appends of one store, one at a time.
#[derive(Default)]
pub(super) struct Appends {
    /// Whether this store has flushed the directory's entries. A process that was killed may have left a new file whose
    /// entry is not on the disk yet.
    is_directory_synced: Mutex<bool>,
}

impl Appends {
    /// Appends to the slot's file, or creates it with mode 0600.
    pub(super) fn append(
        &self,
        directory: &Path,
        slot: Slot,
        content: &[u8],
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.append_with(directory, slot, content, durability, system::sync_directory)
    }

    /// The same with another function to sync the directory.
    fn append_with(
        &self,
        directory: &Path,
        slot: Slot,
        content: &[u8],
        durability: Durability,
        sync_directory: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut is_directory_synced = self.is_directory_synced.lock().unwrap_or_else(PoisonError::into_inner);
        let path = directory.join(slot.file_name());
        let target = Target::open(&path)?;
        let appended = check_room(path.display(), slot, target.length, content.len()).and_then(|()| {
            target.write(content, durability).map_err(|error| failed(&path, "appended to", error))?;
            if target.is_new || !*is_directory_synced {
                sync_directory(directory).map_err(|error| failed(directory, "written to disk", error))?;
            }
            Ok(())
        });
        match appended {
            Ok(()) => *is_directory_synced = true,
            // If this fails too, a first part of the content stays at the end.
            Err(_) => drop(target.undo(&path)),
        }
        appended
    }
}

/// A file to which an append goes.
struct Target {
    file: File,
    /// Its length before the append.
    length: u64,
    is_new: bool,
}

impl Target {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let existing = || open_private(path, File::options().append(true));
        if let Some((file, length)) = existing()? {
            return Ok(Self { file, length, is_new: false });
        }
        match system::create_new(path) {
            Ok(file) => Ok(Self { file, length: 0, is_new: true }),
            // Another process was first, or it is a link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match existing()? {
                Some((file, length)) => Ok(Self { file, length, is_new: false }),
                None => Err(failed(path, "opened", error)),
            },
            Err(error) => Err(failed(path, "created", error)),
        }
    }

    fn write(&self, content: &[u8], durability: Durability) -> io::Result<()> {
        (&self.file).write_all(content)?;
        if durability == Durability::Sync { self.file.sync_data() } else { Ok(()) }
    }

    fn undo(&self, path: &Path) -> io::Result<()> {
        if self.is_new {
            return fs::remove_file(path);
        }
        // Not every system lets a handle shorten the file that may only append to it.
        self.file.set_len(self.length).or_else(|_| File::options().write(true).open(path)?.set_len(self.length))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::environment::seed;

    fn in_directory(test: impl FnOnce(&Path)) {
        let directory = std::env::temp_dir().join(format!("molecule-append-{:016x}", seed()));
        fs::create_dir(&directory).unwrap();
        test(&directory);
        fs::remove_dir_all(directory).unwrap();
    }

    const FAILS: fn(&Path) -> io::Result<()> = |_| Err(io::ErrorKind::StorageFull.into());

    /// A power cut takes a new file whose entry is not on the disk, with everything that was flushed into it.
    #[test]
    fn the_directory_is_synced_for_a_new_file_and_at_the_first_append_of_a_process() {
        in_directory(|directory| {
            let synced = |appends: &Appends, slot| {
                let mut synced = false;
                let sync = |_: &Path| {
                    synced = true;
                    Ok(())
                };
                appends.append_with(directory, slot, b"x", Durability::Sync, sync).unwrap();
                synced
            };
            let first = Appends::default();
            assert!(synced(&first, Slot::Inbox), "it is new");
            assert!(!synced(&first, Slot::Inbox));
            assert!(synced(&first, Slot::ReplyKey), "it is new");
            let next = Appends::default();
            assert!(synced(&next, Slot::Inbox), "nobody knows whether the last process came so far");
            assert!(!synced(&next, Slot::Inbox));
        });
    }

    #[test]
    fn an_append_that_fails_after_it_was_written_is_taken_back() {
        in_directory(|directory| {
            let file = directory.join(Slot::Inbox.file_name());
            let appends = Appends::default();
            let error = appends.append_with(directory, Slot::Inbox, b"one", Durability::Sync, FAILS).unwrap_err();
            assert!(error.to_string().contains("cannot be written to disk"), "{error}");
            assert!(!file.exists(), "the file is as it was: not there");
            fs::write(&file, "before").unwrap();
            appends.append_with(directory, Slot::Inbox, b"one", Durability::None, FAILS).unwrap_err();
            assert_eq!(fs::read(&file).unwrap(), b"before");
            appends.append(directory, Slot::Inbox, b" one", Durability::None).unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"before one");
        });
    }
}
