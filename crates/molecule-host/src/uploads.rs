//! Files that others hand over to the agent's server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use molecule_core::effect::FileDest;

use crate::environment::seed;
use crate::file::{Saving, ensure_directory};
use crate::store::StoreError;

/// The directory of files that were handed over. It is made for the first of them.
#[derive(Debug, Clone)]
pub struct Uploads {
    directory: PathBuf,
}

/// Files that are handed over together. They are removed when this is dropped, unless they are [kept](Self::keep).
///
/// Every call may block on the disk.
pub struct Batch {
    directory: PathBuf,
    current: Option<(Saving, u64)>,
    complete: Vec<PathBuf>,
}

impl Uploads {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Begins files that are handed over together.
    ///
    /// # Errors
    /// If the directory cannot be made, or is not private.
    pub fn begin(&self) -> Result<Batch, StoreError> {
        ensure_directory(&self.directory)?;
        Ok(Batch { directory: self.directory.clone(), current: None, complete: Vec::new() })
    }

    /// The URI of a file in the directory: `file://` and its path, percent-encoded.
    pub fn uri(&self, path: &Path) -> String {
        let mut uri = "file://".to_owned();
        // The path is absolute. On Windows it begins with a drive, before which a URI has a slash.
        let path = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        if !path.starts_with('/') {
            uri.push('/');
        }
        for byte in path.bytes() {
            match byte {
                b'/' | b':' | b'.' | b'_' | b'-' | b'~' => uri.push(byte.into()),
                byte if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
                byte => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        uri
    }

    /// The file that such a URI names, if it is one of the directory: anybody may write a URI into a message.
    pub fn path(&self, uri: &str) -> Option<PathBuf> {
        let name = uri.rsplit('/').next()?;
        let mut bytes = Vec::with_capacity(name.len());
        let mut rest = name.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                byte => byte,
            });
        }
        let path = self.directory.join(String::from_utf8(bytes).ok()?);
        let is_one = self.uri(&path) == uri && path.parent() == Some(&*self.directory);
        let is_file = || fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        (is_one && is_file()).then_some(path)
    }
}

impl Batch {
    /// Begins a file of at most this many bytes. Its name is made of this one, which must be one safe component of a path, and
    /// of digits that no other file has.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(&mut self, name: &str, max_bytes: u64) -> Result<(), StoreError> {
        let name = format!("{:016x}-{name}", seed());
        let dest = FileDest { path: self.directory.join(&name), name, max_bytes, replace: false };
        self.current = Some((Saving::start(&dest)?, max_bytes));
        Ok(())
    }

    /// Writes the next bytes of the file.
    ///
    /// # Errors
    /// If the disk failed, or the file is longer than it may be.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some((file, max_bytes)) = &mut self.current else { return Err(none_begun()) };
        if file.bytes() + bytes.len() as u64 > *max_bytes {
            return Err(StoreError::new(io::ErrorKind::FileTooLarge, "the file is too large"));
        }
        file.write(bytes)
    }

    /// Completes the file. Returns its path and its length in bytes.
    ///
    /// # Errors
    /// If the disk failed.
    pub fn complete(&mut self) -> Result<(PathBuf, u64), StoreError> {
        let Some((file, _)) = self.current.take() else { return Err(none_begun()) };
        let bytes = file.bytes();
        let path = file.finish()?;
        self.complete.push(path.clone());
        Ok((path, bytes))
    }

    /// Keeps all files that are complete.
    pub fn keep(mut self) {
        self.complete.clear();
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for path in &self.complete {
            let _ = fs::remove_file(path);
        }
    }
}

fn none_begun() -> StoreError {
    StoreError::new(io::ErrorKind::NotFound, "no file was begun")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn uploads() -> Uploads {
        let home = std::env::temp_dir().join(format!("molecule-uploads-{:016x}", seed()));
        Uploads::new(home.join("up loads"))
    }

    fn store(uploads: &Uploads, name: &str, content: &[u8]) -> PathBuf {
        let mut batch = uploads.begin().unwrap();
        batch.create(name, 100).unwrap();
        batch.write(content).unwrap();
        let (path, size) = batch.complete().unwrap();
        assert_eq!(size, content.len() as u64);
        batch.keep();
        path
    }

    fn remove(uploads: &Uploads) {
        fs::remove_dir_all(uploads.directory.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_is_private_and_found_again_by_its_uri_alone() {
        let uploads = uploads();
        let path = store(&uploads, "żółw 100%.txt", b"hello");
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&uploads.directory).unwrap().permissions().mode() & 0o777, 0o700);
        }
        let uri = uploads.uri(&path);
        assert!(uri.starts_with("file:///") && uri.contains("up%20loads/") && uri.ends_with("100%25.txt"), "{uri}");
        assert_eq!(uploads.path(&uri), Some(path.clone()));
        assert_ne!(store(&uploads, "żółw 100%.txt", b"other"), path, "no other file has its name");
        let outside = uploads.directory.parent().unwrap().join("x");
        fs::write(&outside, b"secret").unwrap();
        let above = format!("{}/../x", uploads.uri(&uploads.directory));
        for uri in [
            uploads.uri(&outside).as_str(),
            &above,
            "file:///etc/passwd",
            "",
            "file://",
            &format!("{uri}%0"),
            &uri[7..],
        ] {
            assert_eq!(uploads.path(uri), None, "{uri}");
        }
        remove(&uploads);
    }

    #[test]
    fn what_is_not_kept_is_removed_and_so_is_what_is_too_long() {
        let uploads = uploads();
        let mut batch = uploads.begin().unwrap();
        batch.create("a", 100).unwrap();
        batch.write(b"one").unwrap();
        batch.complete().unwrap();
        batch.create("b", 4).unwrap();
        batch.write(b"two").unwrap();
        assert_eq!(batch.write(b"two").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        drop(batch);
        assert_eq!(fs::read_dir(&uploads.directory).unwrap().count(), 0);
        remove(&uploads);
    }
}
