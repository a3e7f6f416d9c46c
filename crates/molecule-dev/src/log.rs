//! The log: a header, and a line for everything that happened. It is the state, since the model is deterministic.
//!
//! A line's number is its number in the file: the header is line 1.

mod delta;
mod header;
mod line;
mod reader;
mod repeats;
mod replay;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use header::Header;
pub(crate) use line::{About, Entry, Note, Reads};
pub(crate) use reader::Reader;
pub(crate) use repeats::{Repeats, Verdict};
pub use replay::{Mismatch, Opened};
pub(crate) use replay::{Start, replay};
pub(crate) use store::{Held, Store};

use std::io;

use delta::Bases;
use reader::Index;

/// A log that is open for writing.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) header: Header,
    store: Store,
    bases: Bases,
    index: Index,
}

impl Log {
    /// Begins a log with its header.
    pub(crate) fn begin(header: Header, mut store: Store) -> io::Result<Self> {
        store.append(header.line().as_bytes())?;
        store.sync()?;
        Ok(Self { header, store, bases: Bases::default(), index: Index::default() })
    }

    /// The number of the last line.
    pub(crate) fn line(&self) -> u64 {
        self.index.last()
    }

    /// Appends an entry, and returns its line.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<u64> {
        let line = self.line() + 1;
        let mut text = self.bases.write(line, entry)?;
        text.push('\n');
        let at = self.store.len();
        self.store.append(text.as_bytes())?;
        self.index.add(at);
        Ok(line)
    }

    /// A reader of the lines so far.
    pub(crate) fn reader(&self) -> io::Result<Reader> {
        Ok(Reader::new(self.header.clone(), self.store.source()?, self.index.clone()))
    }

    /// Writes what the operating system still holds to the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.store.sync()
    }

    #[cfg(test)]
    pub(crate) fn fill(&mut self) {
        self.store.fill();
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

fn unreadable(line: u64, why: &str) -> io::Error {
    let text = format!("line {line} of the log is not readable: {why}; start with --fresh to set the file aside");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
