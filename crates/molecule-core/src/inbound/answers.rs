//! The answers that were given, kept for whoever sends a message again, and their journal: bytes to state, and state to
//! bytes.
//!
//! The lines have the form of the inbox's journal, and a record is a line of words. A record that this version does not know is skipped. What is kept is
//! bounded by number and by bytes: the oldest answers go first.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use molecule_proto::RpcError;
use zeroize::Zeroizing;

use super::answer::Settled;
use crate::config::server::ServerLimits;
use crate::effect::Durability;
use crate::inbox::journal::line::{self, Line};
use crate::inbox::saves::Appended;
use crate::session::key::Key;
use crate::session::recent::Recent;

/// The first line of every journal of answers.
const HEADER: &[u8] = b"molecule-answers 1";

/// The most messages that are remembered as cut.
const MOST_CUT: usize = 10_000;

/// What whoever sends a message again is told whose answer was too large.
const NOT_KEPT: &str = "the message was handled before, and its answer was too large to be kept";

/// A journal that has grown by less than this, in bytes, is not compacted. Each call adds to it, and a compaction writes every
/// answer once more.
const MIN_GROWTH: u64 = 2 * 1024 * 1024;
/// A journal that has grown by this, in bytes, is compacted, however large it was, and also while there is more to write.
const MAX_GROWTH: u64 = 8 * 1024 * 1024;

/// The answers that are kept.
#[derive(Debug)]
pub(super) struct Answers {
    kept: Recent<Kept>,
    /// The bytes of these answers.
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// The messages that were cut without an answer. A second cut would lose them.
    cut: Recent<()>,
    waiting: Vec<u8>,
    durability: Durability,
    /// The length of the slot's content, with every batch that was taken.
    length: u64,
    /// The length after the last compaction.
    compacted: u64,
}

/// An answer that is kept, as its line in the journal: it is written there at once, and again whenever the journal is
/// compacted.
struct Kept {
    status: StatusCode,
    is_rpc: bool,
    line: Bytes,
    /// Where the body begins in it.
    body: usize,
}

impl Kept {
    fn new(key: Key, settled: &Settled) -> Self {
        let Settled { status, is_rpc, ref body } = *settled;
        let mut line = Vec::with_capacity(body.len() + LONGEST_HEAD);
        write_record(&mut line, &Record::Answered { key, status, is_rpc, body });
        let body = line.len() - body.len();
        Self { status, is_rpc, line: line.into(), body }
    }

    /// The bytes of the answer.
    fn length(&self) -> usize {
        self.line.len() - self.body
    }
}

impl fmt::Debug for Kept {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({}, {} bytes)", self.status, self.length())
    }
}

/// More bytes than a line has before the body of an answer.
const LONGEST_HEAD: usize = 96;

/// What the journal holds.
enum Record<'a> {
    /// A message was handled, and this is its answer.
    Answered { key: Key, status: StatusCode, is_rpc: bool, body: &'a [u8] },
    /// A message was cut without an answer.
    Cut { key: Key },
}

/// A journal in which a line is not as it was written, and everything that could be read of it.
#[derive(Debug)]
pub(super) struct Damaged(pub(super) Answers);

impl Answers {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        Self {
            kept: Recent::new(usize::MAX),
            bytes: 0,
            most: limits.kept_answers,
            most_bytes: limits.kept_bytes,
            cut: Recent::new(MOST_CUT),
            waiting: Vec::new(),
            durability: Durability::None,
            length: 0,
            compacted: 0,
        }
    }

    /// Reads the content of a slot.
    ///
    /// # Errors
    /// [`Damaged`] if a part of it is not as it was written, or if a version with another format has written it.
    pub(super) fn read(limits: &ServerLimits, content: &[u8]) -> Result<Self, Damaged> {
        let mut answers = Self { length: content.len() as u64, ..Self::new(limits) };
        let mut lines = content.split(|byte| *byte == b'\n').map(line::without_zeros);
        // Before the header there may only be parts of it, which appends that failed have left.
        match lines.find(|line| *line == HEADER || !HEADER.starts_with(line)) {
            None => {
                answers.length = 0;
                return Ok(answers);
            }
            Some(HEADER) => {}
            Some(_) => return Err(answers.damaged()),
        }
        let mut is_damaged = false;
        for line in lines {
            match line::read(line) {
                Line::Whole(record) => {
                    // What this version cannot read, a later one has written.
                    if let Some(record) = read_record(record) {
                        answers.apply(record);
                    }
                }
                Line::Torn => {}
                Line::Damaged => is_damaged |= line != HEADER,
            }
        }
        if is_damaged { Err(answers.damaged()) } else { Ok(answers) }
    }

    fn damaged(mut self) -> Damaged {
        self.waiting = self.whole();
        (self.durability, self.length) = (Durability::Sync, 0);
        Damaged(self)
    }

    fn apply(&mut self, record: Record<'_>) {
        match record {
            Record::Answered { key, status, is_rpc, body } => {
                self.insert(key, Kept::new(key, &Settled { status, is_rpc, body: Bytes::copy_from_slice(body) }));
            }
            Record::Cut { key } => self.cut.insert(key, ()),
        }
    }

    fn insert(&mut self, key: Key, answer: Kept) {
        self.bytes += answer.length();
        self.cut.remove(key);
        if let Some(before) = self.kept.replace(key, answer) {
            self.bytes -= before.length();
        }
        while (self.kept.len() > self.most || self.bytes > self.most_bytes)
            && let Some(oldest) = self.kept.remove_oldest()
        {
            self.bytes -= oldest.length();
        }
    }

    /// Keeps the answer to a message. One that alone is more than is kept is told again as an error: the handler must not
    /// run a second time.
    pub(super) fn keep(&mut self, key: Key, settled: &Settled) {
        let too_large = || Settled::error(&RpcError::new(RpcError::INTERNAL, NOT_KEPT));
        let is_too_large = settled.body.len() > self.most_bytes / 2;
        let answer = if is_too_large { Kept::new(key, &too_large()) } else { Kept::new(key, settled) };
        self.begin();
        self.waiting.extend_from_slice(&answer.line);
        self.durability = Durability::Sync;
        self.insert(key, answer);
    }

    /// Returns the answer to a message that was handled.
    pub(super) fn get(&self, key: Key) -> Option<Settled> {
        let Kept { status, is_rpc, line, body } = self.kept.get(key)?;
        Some(Settled { status: *status, is_rpc: *is_rpc, body: line.slice(*body..) })
    }

    /// Returns whether the answer to a message is kept.
    pub(super) fn has(&self, key: Key) -> bool {
        self.kept.contains(key)
    }

    /// Records that a message is cut without an answer. Returns whether it was cut before.
    pub(super) fn cut(&mut self, key: Key) -> bool {
        if self.cut.contains(key) {
            return true;
        }
        self.record(&Record::Cut { key });
        self.cut.insert(key, ());
        false
    }

    /// The messages whose answers are kept, the oldest first.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.kept.iter().map(|(key, _)| key)
    }

    fn record(&mut self, record: &Record<'_>) {
        self.begin();
        write_record(&mut self.waiting, record);
    }

    /// Has the journal begin with its header.
    fn begin(&mut self) {
        if self.length == 0 && self.waiting.is_empty() {
            write_header(&mut self.waiting);
        }
    }

    /// The whole state as the content of a slot.
    fn whole(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.kept.iter().map(|(_, answer)| answer.line.len()).sum());
        write_header(&mut content);
        self.kept.iter().for_each(|(_, answer)| content.extend_from_slice(&answer.line));
        self.cut.iter().for_each(|(key, ())| write_record(&mut content, &Record::Cut { key }));
        content
    }
}

impl Appended for Answers {
    fn batch(&mut self) -> Option<(Bytes, Durability)> {
        if self.waiting.is_empty() {
            return None;
        }
        self.length += self.waiting.len() as u64;
        Some((std::mem::take(&mut self.waiting).into(), std::mem::take(&mut self.durability)))
    }

    fn compacted(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let growth = self.length.saturating_sub(self.compacted);
        let least =
            if self.waiting.is_empty() { (2 * self.compacted).clamp(MIN_GROWTH, MAX_GROWTH) } else { MAX_GROWTH };
        if growth < least {
            return None;
        }
        let whole = self.whole();
        self.length = whole.len() as u64;
        self.compacted = self.length;
        Some(Zeroizing::new(whole))
    }
}

fn write_header(buffer: &mut Vec<u8>) {
    buffer.push(b'\n');
    buffer.extend_from_slice(HEADER);
}

/// Writes a record: `answered <key> <status> <rpc or whole> <body>` or `cut <key>`. A body is JSON, which has no line feed,
/// so that it stands as it is.
fn write_record(buffer: &mut Vec<u8>, record: &Record<'_>) {
    match record {
        Record::Answered { key, status, is_rpc, body } => {
            let form = if *is_rpc { RPC } else { WHOLE };
            let head = format!("{ANSWERED} {key} {} {form} ", status.as_u16());
            line::write_pieces(buffer, &[head.as_bytes(), body]);
        }
        Record::Cut { key } => line::write(buffer, format!("{CUT} {key}").as_bytes()),
    }
}

const ANSWERED: &str = "answered";
const CUT: &str = "cut";
const RPC: &str = "rpc";
const WHOLE: &str = "whole";

/// Reads a record; `None` for one that this version does not know.
fn read_record(text: &[u8]) -> Option<Record<'_>> {
    let mut words = text.splitn(5, |byte| *byte == b' ');
    let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
    match word()? {
        ANSWERED => {
            let key = Key::read(word()?)?;
            let status = StatusCode::from_u16(word()?.parse().ok()?).ok()?;
            let is_rpc = match word()? {
                RPC => true,
                WHOLE => false,
                _ => return None,
            };
            Some(Record::Answered { key, status, is_rpc, body: words.next()? })
        }
        CUT => Some(Record::Cut { key: Key::read(word()?)? }),
        _ => None,
    }
}
