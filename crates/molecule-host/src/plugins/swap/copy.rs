//! The copy of a directory tree, for directories that cannot be renamed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use crate::plugins::dir::{Dir, Kind, Mode, is_executable};
use crate::plugins::durable;
use crate::plugins::walk::{Step, Walk};

/// Copies the directory `from` to the new name `to` and waits until the copy is on the disk. Links are copied as links.
/// Entries that are neither file, directory nor link are omitted.
pub(super) fn copy(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    dir.make(to, Mode::Private)?;
    let mut there = dir.open(to)?;
    let mut walk = Walk::new(dir.open(from)?)?;
    while let Some(step) = walk.next()? {
        match step {
            Step::Entry(name, Kind::File) => copy_file(walk.here().open_file(&name)?, &there, &name)?,
            Step::Entry(name, Kind::Link) => there.copy_link(walk.here(), &name)?,
            Step::Entry(_, Kind::Directory | Kind::Other) => {}
            Step::Enter(name) => {
                there.make(&name, Mode::Plain)?;
                there = there.open(&name)?;
            }
            Step::Leave(_) => there = there.parent()?,
            Step::Closed(_, error) => return Err(error),
        }
    }
    durable::sync_tree(dir, to)
}

fn copy_file(mut from: File, there: &Dir, name: &OsStr) -> io::Result<()> {
    let mode = if is_executable(&from)? { Mode::Executable } else { Mode::Plain };
    let mut to = there.create(name, mode)?;
    io::copy(&mut from, &mut to).map(drop)
}
