//! Files that become another file or nothing: how content is replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::guard::failed;
use super::system;
use crate::environment::seed;
use crate::store::StoreError;
use molecule_core::effect::Slot;

/// What the trial file is named after.
const PROBE: &str = ".probe";

/// More than any token, and more than what a file system keeps beside the name of a file.
const PROBE_BYTES: [u8; 8 * 1024] = [b'#'; 8 * 1024];

/// After this a temporary file is nobody's any more: a write takes moments.
const LEFT_OVER: Duration = Duration::from_secs(10 * 60);

/// Replaces the file `target` in the directory as a whole, with mode 0600, and waits until the disk has it.
pub(super) fn replace(directory: &Path, target: &str, content: &[u8]) -> Result<(), StoreError> {
    replace_with(directory, target, content, system::sync_directory)
}

/// The same with another way to have the directory's entries on the disk.
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
    sync_directory(directory).map_err(|error| failed(directory, "written to disk", error))
}

/// Writes a trial file and removes it, so that a full or read-only disk shows before anything depends on it.
pub(super) fn probe(directory: &Path) -> Result<(), StoreError> {
    let temporary = Temporary::create(directory, PROBE)?;
    temporary.write(&PROBE_BYTES).map_err(|error| failed(directory, "written to", error))
}

/// Removes what crashes left of earlier writes. What cannot be removed stays: it is in nobody's way.
pub(super) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(is_temporary);
        if ours && entry.metadata().is_ok_and(|metadata| is_left_over(&metadata)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Of the directory entry itself, which is not followed if it is a link.
fn is_left_over(metadata: &fs::Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    metadata.is_file() && system::fault(metadata).is_none() && age.is_some_and(|age| age > LEFT_OVER)
}

/// Whether [`temporary_name`] makes such names.
fn is_temporary(file_name: &str) -> bool {
    Slot::ALL.iter().map(|slot| slot.file_name()).chain([PROBE]).any(|target| {
        let between = file_name.strip_prefix(target).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".tmp"));
        between.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

fn temporary_name(target: &str) -> String {
    format!("{target}.{:016x}.tmp", seed())
}

/// A file that goes when this is dropped, unless it was renamed.
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
        // Closed first, because an open file cannot be renamed everywhere.
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

    /// A rename that is not on the disk yet is lost with a power cut, and the token with it.
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
        // Who cannot wait for the disk does not say that the token is stored.
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
