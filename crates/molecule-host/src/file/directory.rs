//! The agent's directory: it is checked before each act, and created if it is missing.

use std::fs;
use std::io;
use std::path::Path;

use super::guard::{Kind, failed, judge};
use super::system;
use crate::store::StoreError;

/// Returns whether the directory exists; an error if it is not private.
pub(super) fn check(directory: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(directory) {
        Ok(metadata) => judge(directory, &metadata, Kind::Directory).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(directory, "opened", error)),
    }
}

/// Creates the directory and its parents if they are missing. Existing directories keep their modes.
pub(crate) fn ensure(directory: &Path) -> Result<(), StoreError> {
    if check(directory)? {
        return Ok(());
    }
    make(directory).map_err(|error| failed(directory, "created", error))?;
    // Another process, also one of another user, may have created it first.
    if check(directory)? {
        return Ok(());
    }
    Err(failed(directory, "created", io::Error::from(io::ErrorKind::NotFound)))
}

/// Creates a private directory and its missing parents.
pub(crate) fn make(directory: &Path) -> io::Result<()> {
    match make_one(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = directory.parent() else { return Err(error) };
            make(parent)?;
            make_one(directory)
        }
        made => made,
    }
}

fn make_one(directory: &Path) -> io::Result<()> {
    match system::make_directory(directory) {
        Ok(()) => directory.parent().map_or(Ok(()), system::sync_directory),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
