//! The lock of a plugin, which all processes of this machine share: one act at a time.

use std::fs::{File, TryLockError};

use molecule_core::proto::PluginName;

use super::name;
use super::place::{Place, failed, judge_file, not_opened};
use crate::store::StoreError;

/// The most attempts, if the file is removed each time between its opening and its locking.
const TRIES: u32 = 10;

/// Takes the plugin's lock, without waiting. It is released when the returned value is dropped, or when the process
/// ends.
pub(super) fn take(place: &Place, plugin: &PluginName) -> Result<Box<dyn Send>, StoreError> {
    let dir = place.ensure()?;
    let name = name::lock(plugin);
    let path = place.path(&name);
    for _ in 0..TRIES {
        let file = dir.open_lock(&name).map_err(|error| not_opened(&path, error))?;
        let metadata = file.metadata().map_err(|error| failed(&path, "looked at", error))?;
        judge_file(&path, &metadata)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::locked(format!(
                    "the plugin {plugin} is being installed or removed by another agent or process, which holds the lock {}; \
                     wait until it is done",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&path, "locked", error)),
        }
        // A lock on a removed file does not exclude others, who open a new file of that name.
        if dir.still_names(&name, &file).map_err(|error| failed(&path, "looked at", error))? {
            return Ok(Box::new(Held(file)));
        }
    }
    Err(failed(&path, "locked", std::io::Error::other("it is removed again and again")))
}

/// The guard of the lock. Its file stays.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the file is not enough while a child process that is just starting has a copy of the handle. An error
        // changes nothing: the operating system releases the lock with the last handle.
        let _ = self.0.unlock();
    }
}
