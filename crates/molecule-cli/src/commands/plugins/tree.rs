//! The directory of a plugin that an author writes.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use molecule_async::core::proto::printable;

use crate::exit::{self, Failure};

/// The directories that version control keeps in a tree. They are no part of a plugin.
const LEFT_OUT: [&str; 4] = [".git", ".hg", ".svn", ".jj"];

/// The most levels of directories that are walked. An installer takes fewer, and refuses the others with its rule.
const MOST_LEVELS: usize = 100;

/// A file or a directory of the plugin.
#[derive(Debug)]
pub(super) struct Entry {
    /// The path below the plugin's directory.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File { bytes: u64, is_executable: bool },
}

/// What a plugin's directory holds.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    /// Sorted by the bytes of their paths: each directory stands before what is in it.
    pub(super) entries: Vec<Entry>,
    /// The directories that are left out.
    pub(super) left_out: Vec<String>,
}

impl Tree {
    /// Walks a directory. What no installer makes, a link or a device, is a failure.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut tree = Self { root: root.to_owned(), entries: Vec::new(), left_out: Vec::new() };
        let found = fs::metadata(root).map_err(|error| failed(root, &error))?;
        if !found.is_dir() {
            return Err(Failure::usage(format!("{} is no directory; give the plugin's own", shown(root))));
        }
        tree.walk(Path::new(""), MOST_LEVELS)?;
        tree.entries.sort_by(|one, other| bytes(&one.path).cmp(bytes(&other.path)));
        Ok(tree)
    }

    fn walk(&mut self, below: &Path, levels: usize) -> Result<(), Failure> {
        let directory = self.root.join(below);
        for entry in fs::read_dir(&directory).map_err(|error| failed(&directory, &error))? {
            let entry = entry.map_err(|error| failed(&directory, &error))?;
            let (name, path) = (entry.file_name(), below.join(entry.file_name()));
            let full = self.root.join(&path);
            let found = fs::symlink_metadata(&full).map_err(|error| failed(&full, &error))?;
            if found.is_dir() && LEFT_OUT.iter().any(|left_out| OsStr::new(left_out) == name) {
                self.left_out.push(shown(&path));
                continue;
            }
            let kind = kind(&full, &found)?;
            self.entries.push(Entry { path: path.clone(), kind });
            if kind == Kind::Directory {
                let Some(levels) = levels.checked_sub(1) else {
                    return Err(Failure::new(
                        exit::ERROR,
                        format!("{} is deeper than {MOST_LEVELS} directories; a plugin has at most 64", shown(&full)),
                    ));
                };
                self.walk(&path, levels)?;
            }
        }
        Ok(())
    }
}

fn kind(path: &Path, found: &Metadata) -> Result<Kind, Failure> {
    if found.is_dir() {
        return Ok(Kind::Directory);
    }
    if found.is_file() {
        return Ok(Kind::File { bytes: found.len(), is_executable: is_executable(found) });
    }
    let (what, remedy) = if found.is_symlink() {
        ("a link, and no installer makes one", "put the file itself there")
    } else {
        ("neither a file nor a directory", "remove it")
    };
    Err(Failure::new(exit::ERROR, format!("{} is {what}; {remedy}", shown(path))))
}

#[cfg(unix)]
fn is_executable(found: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

pub(super) fn shown(path: &Path) -> String {
    printable::line(&path.display().to_string())
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(exit::ERROR, format!("{}: {error}", shown(path)))
}
