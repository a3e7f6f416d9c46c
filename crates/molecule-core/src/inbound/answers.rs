//! The answers that were given, kept for whoever sends a message again, and their journal: bytes to state, and state to
//! bytes.
//!
//! The lines have the form of the inbox's journal, and a record is a line of words. A record that this version does not know is skipped. What is kept is
//! bounded by number and by bytes: the oldest answers go first.

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
    kept: Recent<Settled>,
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
                self.insert(key, Settled { status, is_rpc, body: Bytes::copy_from_slice(body) });
            }
            Record::Cut { key } => self.cut.insert(key, ()),
        }
    }

    fn insert(&mut self, key: Key, settled: Settled) {
        self.bytes += settled.body.len();
        self.cut.remove(key);
        if let Some(before) = self.kept.replace(key, settled) {
            self.bytes -= before.body.len();
        }
        while (self.kept.len() > self.most || self.bytes > self.most_bytes)
            && let Some(oldest) = self.kept.remove_oldest()
        {
            self.bytes -= oldest.body.len();
        }
    }

    /// Keeps the answer to a message. One that alone is more than is kept is told again as an error: the handler must not
    /// run a second time.
    pub(super) fn keep(&mut self, key: Key, settled: &Settled) {
        let too_large = || Settled::error(&RpcError::new(RpcError::INTERNAL, NOT_KEPT));
        let settled = if settled.body.len() > self.most_bytes / 2 { too_large() } else { settled.clone() };
        let Settled { status, is_rpc, ref body } = settled;
        self.record(&Record::Answered { key, status, is_rpc, body });
        self.durability = Durability::Sync;
        self.insert(key, settled);
    }

    /// Returns the answer to a message that was handled.
    pub(super) fn get(&self, key: Key) -> Option<&Settled> {
        self.kept.get(key)
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
        if self.length == 0 && self.waiting.is_empty() {
            write_header(&mut self.waiting);
        }
        write_record(&mut self.waiting, record);
    }

    /// The whole state as the content of a slot.
    fn whole(&self) -> Vec<u8> {
        let mut content = Vec::new();
        write_header(&mut content);
        for (key, settled) in self.kept.iter() {
            let Settled { status, is_rpc, ref body } = *settled;
            write_record(&mut content, &Record::Answered { key, status, is_rpc, body });
        }
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
    let text = match record {
        Record::Answered { key, status, is_rpc, body } => {
            let form = if *is_rpc { RPC } else { WHOLE };
            let head = format!("{ANSWERED} {key} {} {form} ", status.as_u16());
            [head.as_bytes(), body].concat()
        }
        Record::Cut { key } => format!("{CUT} {key}").into_bytes(),
    };
    line::write(buffer, &text);
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
