//! Reading lines of a log that is being written: nobody waits for a reader.

use std::io::{self, Read, Write};
use std::ops::RangeInclusive;

use bytes::Bytes;
use http::Request;

use super::delta::Bases;
use super::store::Source;
use super::{Entry, Header, line, unreadable};

/// The number of lines in a block of the index.
const BLOCK: u64 = 64;

/// Where lines start: the first one of each block.
#[derive(Debug, Clone)]
pub(super) struct Index {
    blocks: Vec<u64>,
    last: u64,
}

impl Default for Index {
    /// That of a log with its header alone.
    fn default() -> Self {
        Self { blocks: vec![0], last: 1 }
    }
}

impl Index {
    /// Adds a line that starts at a byte.
    pub(super) fn add(&mut self, at: u64) {
        if self.last.is_multiple_of(BLOCK) {
            self.blocks.push(at);
        }
        self.last += 1;
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The first line of the block of a line, and the byte at which it starts.
    fn block_of(&self, line: u64) -> (u64, u64) {
        let block = (line - 1) / BLOCK;
        let at = usize::try_from(block).ok().and_then(|block| self.blocks.get(block));
        (block * BLOCK + 1, at.copied().unwrap_or_default())
    }
}

/// Reads the lines that a log had when the reader was made.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) header: Header,
    source: Source,
    index: Index,
    len: u64,
}

impl Reader {
    pub(super) fn new(header: Header, source: Source, index: Index) -> Self {
        let len = source.len();
        Self { header, source, index, len }
    }

    /// The number of the last line.
    pub(crate) fn last(&self) -> u64 {
        self.index.last
    }

    /// Calls a function with each entry of a range of lines, in order, until it returns `false`.
    pub(crate) fn each(
        &mut self,
        lines: RangeInclusive<u64>,
        mut see: impl FnMut(u64, Entry) -> bool,
    ) -> io::Result<()> {
        let (first, last) = (*lines.start().max(&2), *lines.end().min(&self.index.last));
        if first > last {
            return Ok(());
        }
        let mut bases = Bases::default();
        let (mut number, mut at) = self.index.block_of(first);
        while number <= last {
            let text = self.source.line_at(at)?;
            at += text.len() as u64;
            if number >= first {
                let raw = line::parse(text.trim_ascii_end()).map_err(|why| unreadable(number, &why))?;
                let entry = bases.entry(number, raw, |base| self.full(base));
                if !see(number, entry.map_err(|why| unreadable(number, &why))?) {
                    break;
                }
            }
            number += 1;
        }
        Ok(())
    }

    /// Calls a function with each entry from a line backwards, until it returns `false`.
    pub(crate) fn each_back(&mut self, from: u64, mut see: impl FnMut(u64, Entry) -> bool) -> io::Result<()> {
        let mut last = from.min(self.index.last);
        while last >= 2 {
            let first = self.index.block_of(last).0;
            let mut block = Vec::new();
            self.each(first..=last, |number, entry| {
                block.push((number, entry));
                true
            })?;
            for (number, entry) in block.into_iter().rev() {
                if !see(number, entry) {
                    return Ok(());
                }
            }
            last = first - 1;
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
        found.ok_or_else(|| {
            let text = format!("the log has lines 2 to {}, not {line}", self.index.last);
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }

    /// The request of a line that is written in full.
    fn full(&mut self, line: u64) -> Result<Request<Bytes>, String> {
        let (mut number, mut at) = self.index.block_of(line);
        loop {
            let text = self.source.line_at(at).map_err(|error| error.to_string())?;
            if number == line {
                return line::parse(text.trim_ascii_end())?
                    .request()
                    .ok_or_else(|| "its base is no request".to_owned());
            }
            number += 1;
            at += text.len() as u64;
        }
    }

    /// Copies the lines up to one, with the header, as they are.
    pub(crate) fn copy_to(&mut self, line: Option<u64>, writer: &mut dyn Write) -> io::Result<()> {
        let end = match line.filter(|line| *line < self.index.last) {
            None => self.len,
            Some(line) => {
                let (mut number, mut at) = self.index.block_of(line + 1);
                while number <= line {
                    at += self.source.line_at(at)?.len() as u64;
                    number += 1;
                }
                at
            }
        };
        io::copy(&mut self.source.rewound()?.take(end), writer).map(drop)
    }
}
