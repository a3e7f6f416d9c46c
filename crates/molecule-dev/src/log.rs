//! The log: a header, and a line for everything that happened. It is the state, since the model is deterministic.
//!
//! A line's number is its number in the file: the header is line 1.

mod delta;
mod header;
mod line;
mod replay;
mod store;

pub(crate) use header::Header;
pub(crate) use line::{Entry, Note};
pub use replay::{Mismatch, Opened};
pub(crate) use replay::{Start, replay};
pub(crate) use store::{Held, Store};

use std::io;

use delta::Bases;

/// A log that is open for writing.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) header: Header,
    store: Store,
    bases: Bases,
    /// The number of the last line.
    line: u64,
    /// Where each block of lines starts.
    blocks: Vec<u64>,
}

/// The number of lines in a block of the index.
const BLOCK: u64 = 64;

impl Log {
    /// Begins a log with its header.
    pub(crate) fn begin(header: Header, mut store: Store) -> io::Result<Self> {
        store.append(header.line().as_bytes())?;
        store.sync()?;
        Ok(Self { header, store, bases: Bases::default(), line: 1, blocks: vec![0] })
    }

    /// The number of the last line.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Appends an entry, and returns its line.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<u64> {
        let mut text = self.bases.write(self.line + 1, entry)?;
        text.push('\n');
        let at = self.store.len();
        self.store.append(text.as_bytes())?;
        self.note_line(at);
        Ok(self.line)
    }

    /// Counts a line that starts at a byte.
    fn note_line(&mut self, at: u64) {
        if self.line % BLOCK == 0 {
            self.blocks.push(at);
        }
        self.line += 1;
    }

    /// Calls a function with each entry of a range of lines, in order, until it returns `false`.
    pub(crate) fn each(
        &mut self,
        lines: std::ops::RangeInclusive<u64>,
        mut see: impl FnMut(u64, Entry) -> bool,
    ) -> io::Result<()> {
        let (first, last) = (*lines.start().max(&2), *lines.end().min(&self.line));
        if first > last {
            return Ok(());
        }
        let mut cache = delta::Cache::default();
        let block = (first - 1) / BLOCK;
        let mut number = block * BLOCK;
        let mut at = self.blocks[usize::try_from(block).unwrap_or(usize::MAX)];
        while number < last {
            let text = self.store.line_at(at)?;
            at += text.len() as u64;
            number += 1;
            if number < first {
                continue;
            }
            let entry = line::parse(text.trim_ascii_end())
                .and_then(|raw| cache.entry(number, raw, |base| self.full(base)))
                .map_err(|why| unreadable(number, &why))?;
            if !see(number, entry) {
                break;
            }
        }
        Ok(())
    }

    /// The entry of one line.
    pub(crate) fn entry(&mut self, line: u64) -> io::Result<Entry> {
        let mut found = None;
        self.each(line..=line, |_, entry| {
            found = Some(entry);
            false
        })?;
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("the log has no line {line}")))
    }

    /// The request of a line that is written in full.
    fn full(&self, line: u64) -> Result<http::Request<bytes::Bytes>, String> {
        let block = (line - 1) / BLOCK;
        let mut at = *self.blocks.get(usize::try_from(block).unwrap_or(usize::MAX)).ok_or("its base is missing")?;
        for _ in block * BLOCK + 1..line {
            at += self.store.line_at(at).map_err(|error| error.to_string())?.len() as u64;
        }
        let text = self.store.line_at(at).map_err(|error| error.to_string())?;
        line::parse(text.trim_ascii_end())?.request().ok_or_else(|| "its base is no request".to_owned())
    }

    /// Writes what the operating system still holds to the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.store.sync()
    }

    /// The whole text of a range of lines, the header included if the range has line 1.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

fn unreadable(line: u64, why: &str) -> io::Error {
    let text = format!("line {line} of the log is not readable: {why}; start with --fresh to set the file aside");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
