//! A stranger's file, which is saved where the application wants it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use molecule_core::effect::FileDest;

use super::system;
use super::temporary::{LEFT_OVER, is_left_over};
use crate::environment::seed;
use crate::store::StoreError;

/// The beginning and the end of an unfinished file's name, with 16 hexadecimal digits between them.
const UNFINISHED: (&str, &str) = (".molecule-", ".part");

/// How often an unfinished file that waits for others is [touched](Saving::touch).
pub(crate) const TOUCHED_EVERY: Duration = Duration::from_secs(LEFT_OVER.as_secs() / 10);

/// A file that is written piece by piece. It has another name until all of it is on the disk, and is removed when this
/// is dropped before.
pub(crate) struct Saving {
    /// `None` once it is closed.
    file: Option<File>,
    /// Empty once it has the name that was asked for.
    unfinished: PathBuf,
    target: PathBuf,
    replace: bool,
    bytes: u64,
}

impl Saving {
    /// Makes the unfinished file, beside the one that was asked for.
    pub(crate) fn start(dest: &FileDest) -> Result<Self, StoreError> {
        let target = target(dest)?;
        if !dest.replace && fs::symlink_metadata(&target).is_ok() {
            return Err(taken(&target));
        }
        let directory = parent(&target);
        sweep(directory);
        let (start, end) = UNFINISHED;
        let unfinished = directory.join(format!("{start}{:016x}{end}", seed()));
        let file = system::create_new(&unfinished).map_err(|error| failed(&target, "created", error))?;
        Ok(Self { file: Some(file), unfinished, target, replace: dest.replace, bytes: 0 })
    }

    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        let written = match &mut self.file {
            Some(file) => file.write_all(piece),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        written.map_err(|error| failed(&self.target, "written", error))?;
        self.bytes += piece.len() as u64;
        Ok(())
    }

    /// The number of bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The path that the file has once it is [named](Self::name).
    pub(crate) fn path(&self) -> &Path {
        &self.target
    }

    /// Gives the file its name, once the disk has all of it. Returns its path.
    pub(crate) fn finish(mut self) -> Result<PathBuf, StoreError> {
        self.close()?;
        self.name()?;
        system::sync_directory(parent(&self.target)).map_err(|error| failed(&self.target, "written", error))?;
        Ok(std::mem::take(&mut self.target))
    }

    /// Ends the writing, and waits until the disk has the content.
    pub(crate) fn close(&mut self) -> Result<(), StoreError> {
        // Not every system can rename an open file.
        let file = self.file.take();
        let synced = file.as_ref().map_or(Err(io::ErrorKind::NotFound.into()), File::sync_all);
        synced.map_err(|error| failed(&self.target, "written", error))
    }

    /// Gives a [closed](Self::close) file its name. The disk has the name once the directory is synced.
    pub(crate) fn name(&mut self) -> Result<(), StoreError> {
        let named = if self.replace {
            fs::rename(&self.unfinished, &self.target)
        } else {
            system::rename_new(&self.unfinished, &self.target)
        };
        match named {
            Ok(()) => self.unfinished = PathBuf::new(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(&self.target)),
            Err(error) => return Err(failed(&self.target, "created", error)),
        }
        Ok(())
    }

    /// Makes a closed file without its name young again, so that nobody takes it for one that a crash left.
    pub(crate) fn touch(&self) {
        let opened = File::options().write(true).open(&self.unfinished);
        let _ = opened.and_then(|file| file.set_modified(SystemTime::now()));
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        drop(self.file.take());
        if !self.unfinished.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// The path of the file: the one that was asked for, or its own name in the directory that was.
fn target(dest: &FileDest) -> Result<PathBuf, StoreError> {
    let path = &dest.path;
    if path.is_dir() {
        return Ok(path.join(&dest.name));
    }
    let ends_as_directory = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    if ends_as_directory || path.file_name().is_none() {
        let sentence = format!("{} is no directory; make it first, or give a file", path.display());
        return Err(StoreError::new(io::ErrorKind::NotFound, sentence));
    }
    Ok(path.clone())
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Removes the unfinished files that crashes left in a directory.
pub(crate) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(is_unfinished);
        if is_ours && entry.metadata().is_ok_and(|metadata| is_left_over(&metadata)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_unfinished(name: &str) -> bool {
    let (start, end) = UNFINISHED;
    let id = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    id.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn taken(target: &Path) -> StoreError {
    let sentence =
        format!("{} exists already; save to another path, or replace it with DownloadTo::replace()", target.display());
    StoreError::new(io::ErrorKind::AlreadyExists, sentence)
}

fn failed(target: &Path, act: &str, error: io::Error) -> StoreError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room there, or save to another place"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or save to another place"
        }
        io::ErrorKind::NotFound => "make its directory first",
        _ => "check its directory, or save to another place",
    };
    let sentence = format!("{} cannot be {act}: {error}; {remedy}", target.display());
    StoreError::new(error.kind(), sentence).with_source(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn directory() -> PathBuf {
        let directory = std::env::temp_dir().join(format!("molecule-saving-{:016x}", seed()));
        fs::create_dir(&directory).unwrap();
        directory
    }

    fn to(path: impl Into<PathBuf>) -> FileDest {
        FileDest { path: path.into(), name: "own.txt".to_owned(), max_bytes: 100, replace: false }
    }

    fn save(dest: &FileDest, content: &[u8]) -> Result<PathBuf, StoreError> {
        let mut saving = Saving::start(dest)?;
        saving.write(content)?;
        saving.finish()
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    }

    #[test]
    fn a_file_has_its_name_once_it_is_complete_and_is_private_from_the_start() {
        let directory = directory();
        let mut saving = Saving::start(&to(&directory)).unwrap();
        saving.write(b"half").unwrap();
        assert!(!directory.join("own.txt").exists());
        #[cfg(unix)]
        assert_eq!(mode(&saving.unfinished), 0o600);
        saving.write(b" and half").unwrap();
        let path = saving.finish().unwrap();
        assert_eq!(path, directory.join("own.txt"));
        assert_eq!(fs::read(&path).unwrap(), b"half and half");
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let directory = directory();
        let mut saving = Saving::start(&to(&directory)).unwrap();
        saving.write(b"half").unwrap();
        drop(saving);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_exists_is_kept_unless_the_application_replaces_it() {
        let directory = directory();
        let dest = to(directory.join("a.txt"));
        save(&dest, b"first").unwrap();
        let error = save(&dest, b"second").unwrap_err();
        assert!(error.to_string().contains("exists already; save to another path"), "{error}");
        // It came while the body was received.
        let late = to(directory.join("b.txt"));
        let mut saving = Saving::start(&late).unwrap();
        saving.write(b"mine").unwrap();
        fs::write(&late.path, b"theirs").unwrap();
        assert_eq!(saving.finish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&late.path).unwrap(), b"theirs");
        save(&FileDest { replace: true, ..dest.clone() }, b"second").unwrap();
        assert_eq!(fs::read(&dest.path).unwrap(), b"second");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        fs::remove_dir_all(directory).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let directory = directory();
        fs::write(directory.join("victim"), b"precious").unwrap();
        std::os::unix::fs::symlink("victim", directory.join("own.txt")).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.join("dangling")).unwrap();
        for dest in [to(&directory), to(directory.join("dangling"))] {
            assert_eq!(save(&dest, b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        save(&FileDest { replace: true, ..to(&directory) }, b"x").unwrap();
        assert_eq!(fs::read(directory.join("victim")).unwrap(), b"precious");
        assert!(!fs::symlink_metadata(directory.join("own.txt")).unwrap().is_symlink());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let directory = directory();
        let missing = directory.join("missing");
        let error = save(&to(missing.join("a.txt")), b"x").unwrap_err();
        assert!(error.to_string().contains("make its directory first"), "{error}");
        let error = save(&to(format!("{}/", missing.display())), b"x").unwrap_err();
        assert!(error.to_string().contains("is no directory; make it first"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else() {
        let directory = directory();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        let names = [".molecule-0123456789abcdef.part", ".molecule-x.part", "0123456789abcdef.part"];
        for name in names {
            let file = File::create(directory.join(name)).unwrap();
            file.set_modified(old).unwrap();
        }
        let fresh = ".molecule-fedcba9876543210.part";
        File::create(directory.join(fresh)).unwrap();
        save(&to(&directory), b"x").unwrap();
        let left = |name| directory.join(name).exists();
        assert_eq!((names.map(left), left(fresh)), ([false, true, true], true));
        fs::remove_dir_all(directory).unwrap();
    }
}
