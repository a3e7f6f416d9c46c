//! Temporary files, with which content is replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::guard::failed;
use super::system;
use crate::environment::seed;
use crate::store::StoreError;
use molecule_core::effect::Slot;

/// The beginning of the trial file's name.
const PROBE: &str = ".probe";

/// The content of the trial file: more than any token, and more than a file system stores inline with the file's
/// metadata.
const PROBE_BYTES: [u8; 8 * 1024] = [b'#'; 8 * 1024];

/// The age at which a temporary file counts as left over by a crash: a write takes moments.
pub(super) const LEFT_OVER: Duration = Duration::from_secs(10 * 60);

/// Replaces the file `target` in the directory as a whole, with mode 0600, and waits until the disk has it.
pub(super) fn replace(directory: &Path, target: &str, content: &[u8]) -> Result<(), StoreError> {
    replace_with(directory, target, content, system::sync_directory)
}

/// The same with another function to sync the directory.
fn replace_with(
    directory: &Path,
    target: &str,
    content: &[u8],
    sync_directory: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), StoreError> {
    let target_path = directory.join(target);
    let temporary = Temporary::create(directory, target)?;
    temporary.write(content).map_err(|error| failed(&target_path, "written", error))?;
    temporary.rename(&target_path).map_err(|error| failed(&target_path, "replaced", error))?;
    sync_with(directory, sync_directory)
}

/// Waits until the disk has the directory's entries.
pub(crate) fn sync(directory: &Path) -> Result<(), StoreError> {
    sync_with(directory, system::sync_directory)
}

fn sync_with(directory: &Path, sync_directory: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), StoreError> {
    sync_directory(directory).map_err(|error| failed(directory, "written to disk", error))
}

/// Writes a trial file and removes it, so that a full or read-only disk is detected before anything depends on it.
pub(super) fn probe(directory: &Path) -> Result<(), StoreError> {
    let temporary = Temporary::create(directory, PROBE)?;
    temporary.write(&PROBE_BYTES).map_err(|error| failed(directory, "written to", error))
}

/// Removes the temporary files that crashes left. A file that cannot be removed stays and does no harm.
pub(super) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(is_temporary);
        if ours && entry.metadata().is_ok_and(|metadata| is_left_over(&metadata)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Returns whether a directory entry is left over. The metadata is that of the entry itself, also if it is a link.
pub(super) fn is_left_over(metadata: &fs::Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    metadata.is_file() && system::fault(metadata).is_none() && age.is_some_and(|age| age > LEFT_OVER)
}

/// Returns whether a name has the form of [`temporary_name`].
fn is_temporary(file_name: &str) -> bool {
    Slot::ALL.iter().map(|slot| slot.file_name()).chain([PROBE]).any(|target| {
        let between = file_name.strip_prefix(target).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".tmp"));
        between.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

fn temporary_name(target: &str) -> String {
    format!("{target}.{:016x}.tmp", seed())
}

/// A file that is removed when this is dropped, unless it was renamed.
struct Temporary {
    file: Option<File>,
    path: PathBuf,
}

impl Temporary {
    fn create(directory: &Path, target: &str) -> Result<Self, StoreError> {
        let path = directory.join(temporary_name(target));
        let file = system::create_new(&path).map_err(|error| failed(directory, "written to", error))?;
        Ok(Self { file: Some(file), path })
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Err(io::ErrorKind::NotFound.into()) };
        file.write_all(content)?;
        file.sync_all()
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        // The file is closed first, because not every system can rename an open file.
        let file = self.file.take();
        drop(file);
        let renamed = fs::rename(&self.path, target);
        if renamed.is_ok() {
            self.path = PathBuf::new();
        }
        renamed
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(self.file.take());
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A power cut reverts a rename that is not on the disk yet, and the token is lost.
    #[test]
    fn the_directory_is_on_the_disk_after_the_rename_and_not_before() {
        let directory = std::env::temp_dir().join(format!("molecule-replace-{:016x}", seed()));
        fs::create_dir(&directory).unwrap();
        let target = Slot::Token.file_name();
        replace(&directory, target, b"old").unwrap();
        let mut synced = Vec::new();
        replace_with(&directory, target, b"new", |path| {
            assert_eq!(fs::read(path.join(target))?, b"new", "the rename comes first");
            synced.push(path.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(synced, [directory.as_path()]);
        // If the directory cannot be synced, the token is not reported as stored.
        let error = replace_with(&directory, target, b"newer", |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(error.to_string().contains("cannot be written to disk"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn only_our_own_names_are_temporary() {
        for target in [".auth_token", ".platform_inbound_secret", PROBE] {
            assert!(is_temporary(&temporary_name(target)));
        }
        for other in [
            ".auth_token",
            ".auth_token.tmp",
            ".auth_token.0123456789abcde.tmp",
            ".auth_token.0123456789abcdeg.tmp",
            ".auth_token.0123456789abcdef.tmp.bak",
            ".auth_token.damaged-1795383587",
            "notes.0123456789abcdef.tmp",
            ".lock",
        ] {
            assert!(!is_temporary(other), "{other}");
        }
    }
}
