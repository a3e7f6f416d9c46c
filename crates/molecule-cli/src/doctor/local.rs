//! What can be wrong on this machine.

use std::io::ErrorKind;
use std::path::Path;

use molecule_async::extend::Slot;

use super::{Level, Report};
use crate::exit::Failure;
use crate::settings::{Settings, Workspace};

/// The free bytes below which a disk is too full: a journal and a plugin need room.
const LITTLE: u64 = 64 * 1024 * 1024;

pub(super) fn check(settings: &Settings, workspace: &Workspace, report: &mut Report) {
    report.add("workspace", Level::Note, format!("{} at {}", workspace.id(), workspace.platform()));
    let store = match settings.store(workspace) {
        Ok(Some(store)) => store,
        Ok(None) => {
            let remedy = "set MOLECULE_HOME to a private directory, unless something else keeps the token";
            report.advise("store", Level::Warning, "nothing is kept on a disk: each start is a first start", remedy);
            return token(workspace, None, report);
        }
        Err(failure) => return report.fail("store", failure),
    };
    let directory = settings.directory_of(workspace.id());
    match store.prepare() {
        Ok(()) => report.add("store", Level::Ok, format!("{} can be written", directory.display())),
        Err(error) => report.fail("store", Failure::new(crate::exit::ERROR, error.to_string())),
    }
    permissions(&directory, report);
    room(&directory, report);
    match store.lock() {
        Ok(_) => report.add("lock", Level::Ok, "no agent of this workspace runs on this machine"),
        Err(error) if error.is_locked() => report.add("lock", Level::Note, error.to_string()),
        Err(error) => report.advise("lock", Level::Warning, error.to_string(), "two agents might run at once here"),
    }
    let stored = match store.load(Slot::Token) {
        Ok(stored) => stored.map(|stored| stored.place),
        Err(error) => {
            report.fail("token", Failure::new(crate::exit::UNAUTHORIZED, error.to_string()));
            return;
        }
    };
    token(workspace, stored, report);
}

fn token(workspace: &Workspace, stored: Option<String>, report: &mut Report) {
    match (workspace.token_place(), stored) {
        (Some(place), None) => report.add("token", Level::Ok, format!("given by {place}, and not stored yet")),
        (Some(place), Some(stored)) => report.add("token", Level::Ok, format!("given by {place}; also in {stored}")),
        (None, Some(stored)) => report.add("token", Level::Ok, format!("stored in {stored}")),
        (None, None) => {
            let remedy = "give the one that the platform showed when the workspace was created: MOLECULE_WORKSPACE_TOKEN, or \
                          --token-file; or have it rotated";
            report.advise("token", Level::Warning, "none is given, and none is stored", remedy);
        }
    }
}

/// Others must not read the agent's directory.
#[cfg(unix)]
fn permissions(directory: &Path, report: &mut Report) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let found = match directory.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => {
            let message = format!("{} cannot be looked at: {error}", directory.display());
            return report.fail("permissions", Failure::new(crate::exit::ERROR, message));
        }
    };
    let mode = found.permissions().mode() & 0o777;
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        let message = format!("{} belongs to user {}, and this is user {own}", directory.display(), found.uid());
        report.advise("permissions", Level::Fault, message, "run as its owner, or name another MOLECULE_HOME");
    } else if mode & 0o077 != 0 {
        let message = format!("{} has mode {mode:o}: others may read the token", directory.display());
        report.advise("permissions", Level::Warning, message, format!("chmod 700 {}", directory.display()));
    } else {
        report.add("permissions", Level::Ok, format!("{} is private", directory.display()));
    }
}

#[cfg(not(unix))]
fn permissions(_: &Path, _: &mut Report) {}

#[cfg(unix)]
fn room(directory: &Path, report: &mut Report) {
    // The directory may not exist yet.
    let Some(existing) = directory.ancestors().find(|path| path.exists()) else { return };
    let Ok(disk) = rustix::fs::statvfs(existing) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let shown = format!("{} MiB are free at {}", free / (1024 * 1024), existing.display());
    match free < LITTLE {
        true => report.advise("disk", Level::Warning, shown, "make room: a token that cannot be stored is lost"),
        false => report.add("disk", Level::Ok, shown),
    }
}

#[cfg(not(unix))]
fn room(_: &Path, _: &mut Report) {}
