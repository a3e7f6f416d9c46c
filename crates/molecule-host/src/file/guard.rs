//! The checks that refuse files and directories, and their error texts.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::system;
use crate::store::StoreError;

/// The expected kind of a path.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    File,
    Directory,
}

/// Opens a private file, and returns it with its length; `None` if nothing exists at the path.
///
/// It follows no link, and does not wait for a pipe.
pub(super) fn open_private(path: &Path, options: &mut OpenOptions) -> Result<Option<(File, u64)>, StoreError> {
    let file = match system::open(path, options) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            // A link or a socket cannot be opened, and its kind says more than the error.
            judge_file(path)?;
            return Err(failed(path, "opened", error));
        }
    };
    let metadata = file.metadata().map_err(|error| failed(path, "looked at", error))?;
    judge(path, &metadata, Kind::File)?;
    Ok(Some((file, metadata.len())))
}

/// Returns whether a private file exists at the path; an error if it is anything else.
pub(super) fn judge_file(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => judge(path, &metadata, Kind::File).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path, "looked at", error)),
    }
}

/// Refuses links, other kinds of files, another user's files, and files that others may write to.
pub(crate) fn judge(path: &Path, metadata: &Metadata, kind: Kind) -> Result<(), StoreError> {
    let shown = path.display();
    match kind {
        Kind::File if metadata.is_symlink() => {
            return Err(refused(path, "it is a link", "put a file of this user's there instead, or remove it"));
        }
        Kind::Directory if metadata.is_symlink() => {
            return Err(refused(path, "it is a link", "put a directory of this user's there instead, or remove it"));
        }
        Kind::File if !metadata.is_file() => {
            return Err(refused(path, "it is no regular file", "remove it, or move it away"));
        }
        Kind::Directory if !metadata.is_dir() => {
            return Err(refused(path, "it is no directory", "remove it, or move it away"));
        }
        Kind::File | Kind::Directory => {}
    }
    let Some(fault) = system::fault(metadata) else { return Ok(()) };
    let act = act_against(&fault, kind, &shown.to_string());
    let remedy = match fault {
        system::Fault::Foreign { .. } => format!("move it away, or run `{act}` if its content is to be trusted"),
        system::Fault::Writable { .. } => format!("run `{act}` if its content is to be trusted{}", by_whom(&fault)),
    };
    Err(refused(path, &fault.to_string(), &remedy))
}

/// The command that corrects the fault.
fn act_against(fault: &system::Fault, kind: Kind, shown: &str) -> String {
    match (fault, kind) {
        (system::Fault::Foreign { us, .. }, _) => format!("chown {us} {shown}"),
        (system::Fault::Writable { .. }, Kind::File) => format!("chmod 600 {shown}"),
        (system::Fault::Writable { .. }, Kind::Directory) => format!("chmod 700 {shown}"),
    }
}

/// A hint at who most likely made it writable for its group.
fn by_whom(fault: &system::Fault) -> &'static str {
    match fault {
        system::Fault::Writable { mode } if mode & 0o020 != 0 && mode & 0o002 == 0 => {
            " (Kubernetes does this to a volume with `fsGroup`: set `fsGroupChangePolicy: OnRootMismatch`)"
        }
        system::Fault::Writable { .. } | system::Fault::Foreign { .. } => "",
    }
}

/// Refuses all of these paths in one error, so that a user can correct them together; `None` if at most one is at
/// fault.
pub(super) fn judge_all<'a>(paths: impl Iterator<Item = (&'a Path, Kind)>) -> Option<StoreError> {
    let (mut whats, mut acts, mut hint) = (Vec::new(), Vec::new(), "");
    for (path, kind) in paths {
        let Ok(metadata) = fs::symlink_metadata(path) else { continue };
        let is_kind = match kind {
            Kind::File => metadata.is_file(),
            Kind::Directory => metadata.is_dir(),
        };
        let Some(fault) = system::fault(&metadata).filter(|_| is_kind) else { continue };
        let shown = path.display().to_string();
        whats.push(format!("{shown} is refused: {fault}"));
        acts.push(act_against(&fault, kind, &shown));
        hint = if hint.is_empty() { by_whom(&fault) } else { hint };
    }
    if whats.len() < 2 {
        return None;
    }
    let sentence =
        format!("{}; run `{}` if all their content is to be trusted{hint}", whats.join(", "), acts.join(" && "));
    Some(StoreError::new(io::ErrorKind::PermissionDenied, sentence))
}

/// Refuses a parent directory in which another user, except root, could replace our directory. Links to the parent are
/// allowed.
pub(crate) fn judge_above(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    if !metadata.is_dir() {
        return Err(refused(path, "it is no directory", "remove it, or move it away"));
    }
    let Some(fault) = system::fault_above(metadata) else { return Ok(()) };
    let remedy = match fault {
        system::Fault::Foreign { .. } => "choose a place in a directory of this user's".to_owned(),
        system::Fault::Writable { .. } => format!("run `chmod go-w {}`, or choose another place", path.display()),
    };
    Err(refused(path, &fault.to_string(), &remedy))
}

fn refused(path: &Path, why: &str, remedy: &str) -> StoreError {
    StoreError::new(io::ErrorKind::PermissionDenied, format!("{} is refused: {why}; {remedy}", path.display()))
}

/// The error text for an error of the operating system.
pub(super) fn failed(path: &Path, act: &str, error: io::Error) -> StoreError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room there, or choose another place with storage(…) or MOLECULE_HOME"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, choose another place with storage(…) or MOLECULE_HOME, or keep the token in memory"
        }
        io::ErrorKind::NotADirectory => {
            "a part of the path is no directory: move it away, or choose another place with storage(…) or MOLECULE_HOME"
        }
        _ => "check that its directory exists and works, or choose another place with storage(…) or MOLECULE_HOME",
    };
    let sentence = format!("{} cannot be {act}: {error}; {remedy}", path.display());
    StoreError::new(error.kind(), sentence).with_source(error)
}
