//! One act at a time on a plugin, among all processes of this machine.

use std::fs::{File, TryLockError};

use molecule_core::proto::PluginName;

use super::name;
use super::place::{Place, failed, judge_file, not_opened};
use crate::store::StoreError;

/// How often the file may be taken away between its opening and its locking.
const TRIES: u32 = 10;

/// Takes the plugin's lock, without waiting. Dropping what is returned gives it back, and so does the end of the process.
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
        // A lock on a file that has been removed keeps nobody out who opens the name.
        if dir.still_names(&name, &file).map_err(|error| failed(&path, "looked at", error))? {
            return Ok(Box::new(Held(file)));
        }
    }
    Err(failed(&path, "locked", std::io::Error::other("it is removed again and again")))
}

/// The lock while it is held. Its file stays.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing is not enough while a child that is just being started has a copy of the handle. An error changes
        // nothing: the operating system gives the lock back with the last handle.
        let _ = self.0.unlock();
    }
}
