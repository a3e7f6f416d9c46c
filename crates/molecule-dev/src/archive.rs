//! A log as it lies on the disk, whether a server runs on it or not.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::export;
use crate::log::{self, Reader, Start, Store};
use crate::world::check;

/// A log that is read, and not continued. What a server writes to it meanwhile is not seen.
#[derive(Debug)]
pub struct Archive(Reader);

impl Archive {
    /// Reads a log. A last line without its end is left out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] if it is no log, or a line of it is not readable, and the errors of reading the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut store = Store::memory();
        store.append(&std::fs::read(path).map_err(named)?)?;
        match log::replay(store, |_, _, _, _| {}).map_err(named)? {
            Start::Replayed(replayed) => Ok(Self(replayed.log.reader()?)),
            Start::Empty(_) => Err(named(io::Error::new(ErrorKind::InvalidData, "it is empty, and no log"))),
        }
    }

    /// Writes the log, with its credentials, or with placeholders in their place. Either replays.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn export(&mut self, writer: &mut dyn Write, blank: bool) -> io::Result<()> {
        export::copy(&mut self.0, writer, blank)
    }

    /// A Rust test that repeats what happened, up to a line; see [`World::export_test`](crate::World::export_test).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a line that the log does not have.
    pub fn export_test(&mut self, to: Option<u64>) -> io::Result<String> {
        if let Some(line) = to {
            check(line, &self.0)?;
        }
        export::test(&mut self.0, to)
    }

    /// Writes the log up to a line into a new file, which `molecule dev --file` then opens.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a line that the log does not have, [`ErrorKind::AlreadyExists`] if there is such a file,
    /// and the errors of writing.
    pub fn fork(&mut self, line: u64, path: &Path) -> io::Result<()> {
        check(line, &self.0)?;
        self.0.copy_to(Some(line), &mut Store::create(path)?)
    }
}
