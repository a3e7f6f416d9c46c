//! Files that others hand over to the agent's server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use molecule_core::effect::FileDest;

use crate::environment::seed;
use crate::file::{Saving, TOUCHED_EVERY, ensure_directory, sweep_unfinished, sync_directory};
use crate::store::StoreError;

/// The directory of files that were handed over. It is made for the first of them.
#[derive(Debug, Clone)]
pub struct Uploads {
    directory: PathBuf,
}

/// Files that are handed over together. They get their names when they are [kept](Self::keep), and are removed when this is
/// dropped before. What a process that is killed leaves has no name of a file either, and is removed by the next one.
///
/// Every call may block on the disk.
pub struct Batch {
    directory: PathBuf,
    current: Option<(Saving, u64)>,
    /// Files that the disk has, without their names.
    complete: Vec<Saving>,
    /// Files that have their names, while the others get theirs.
    named: Vec<PathBuf>,
    touched: Instant,
    touched_every: Duration,
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
        Ok(Batch {
            directory: self.directory.clone(),
            current: None,
            complete: Vec::new(),
            named: Vec::new(),
            touched: Instant::now(),
            touched_every: TOUCHED_EVERY,
        })
    }

    /// Removes what processes left that were killed in the middle of files.
    pub(crate) fn sweep(&self) {
        sweep_unfinished(&self.directory);
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
        self.touch();
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
        file.write(bytes)?;
        self.touch();
        Ok(())
    }

    /// The files that are complete wait for the others, perhaps for longer than what a crash left is let alone.
    fn touch(&mut self) {
        if self.touched.elapsed() >= self.touched_every {
            self.complete.iter().for_each(Saving::touch);
            self.touched = Instant::now();
        }
    }

    /// Completes the file. Returns the path that it has once it is kept, and its length in bytes.
    ///
    /// # Errors
    /// If the disk failed.
    pub fn complete(&mut self) -> Result<(PathBuf, u64), StoreError> {
        let Some((mut file, _)) = self.current.take() else { return Err(none_begun()) };
        file.close()?;
        let (path, bytes) = (file.path().to_owned(), file.bytes());
        self.complete.push(file);
        Ok((path, bytes))
    }

    /// Keeps all files that are complete: they get their names, and the disk has these.
    ///
    /// # Errors
    /// If the disk failed: none of them is kept.
    pub fn keep(mut self) -> Result<(), StoreError> {
        for mut file in std::mem::take(&mut self.complete) {
            file.name()?;
            self.named.push(file.path().to_owned());
        }
        sync_directory(&self.directory)?;
        self.named.clear();
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for path in &self.named {
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
    use std::sync::Arc;

    use molecule_core::effect::HostOp;

    use super::*;
    use crate::host::Host;
    use crate::memory::MemoryStore;

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
        batch.keep().unwrap();
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

    /// Begins two files, of which one is complete.
    fn half_a_form(uploads: &Uploads) -> (Batch, PathBuf) {
        let mut batch = uploads.begin().unwrap();
        batch.create("a", 100).unwrap();
        batch.write(b"one").unwrap();
        let (path, _) = batch.complete().unwrap();
        batch.create("b", 100).unwrap();
        (batch, path)
    }

    /// Makes everything in the directory look so old that a crash may have left it.
    fn age(uploads: &Uploads) {
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        for entry in fs::read_dir(&uploads.directory).unwrap() {
            let file = fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
            file.set_modified(old).unwrap();
        }
    }

    fn count(uploads: &Uploads) -> usize {
        fs::read_dir(&uploads.directory).unwrap().count()
    }

    #[test]
    fn a_process_that_is_killed_in_the_middle_leaves_no_file_that_is_complete_and_the_next_one_removes_the_rest() {
        let uploads = uploads();
        let kept = store(&uploads, "kept", b"content");
        let (batch, path) = half_a_form(&uploads);
        // As if it were killed: nothing is removed.
        std::mem::forget(batch);
        assert!(!path.exists(), "it has its name before all files are there");
        assert_eq!(uploads.path(&uploads.uri(&path)), None);
        assert_eq!(count(&uploads), 3);
        let host = Host::new(Arc::new(MemoryStore::default())).with_uploads(uploads.directory.clone());
        host.perform(HostOp::Prepare);
        assert_eq!(count(&uploads), 3, "another process may be writing what is young");
        age(&uploads);
        host.perform(HostOp::Prepare);
        assert_eq!(fs::read(&kept).unwrap(), b"content");
        assert_eq!(count(&uploads), 1, "the unfinished ones are removed");
        remove(&uploads);
    }

    #[test]
    fn files_that_wait_long_for_the_others_are_not_taken_for_what_a_crash_left() {
        let uploads = uploads();
        let (mut batch, path) = half_a_form(&uploads);
        batch.touched_every = Duration::ZERO;
        age(&uploads);
        batch.write(b"two").unwrap();
        uploads.sweep();
        let (other, _) = batch.complete().unwrap();
        batch.keep().unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"one".to_vec(), b"two".to_vec()));
        remove(&uploads);
    }

    #[test]
    fn files_of_which_one_cannot_get_its_name_are_not_kept() {
        let uploads = uploads();
        let (mut batch, first) = half_a_form(&uploads);
        batch.write(b"two").unwrap();
        let (second, _) = batch.complete().unwrap();
        fs::write(&second, b"in the way").unwrap();
        assert_eq!(batch.keep().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!first.exists(), "a form is stored as a whole or not at all");
        assert_eq!((count(&uploads), fs::read(&second).unwrap()), (1, b"in the way".to_vec()));
        remove(&uploads);
    }
}
