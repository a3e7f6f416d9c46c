//! The journal of the inbox: bytes to state, and state to bytes. It is pure, so that any store can hold it.
//!
//! Each thing that a process must not forget, also if it is killed at any instant, is a [`Record`], which is appended to the
//! slot. The first line says which format this is; `line.rs` has the form of the others. A record that this version does not know is skipped.
//!
//! * Every attempt of a handler is recorded before it starts, so that one that killed its process counts.
//! * A message is done in the same record that holds its whole reply.
//! * A last record that is torn is dropped: its append had not ended. A file in which anything else is not as it was written
//!   is [`Damaged`]; everything that can be read of it stays known.
//! * What the journal remembers is bounded: of rows, ids of messages and own uploads it knows the last 10,000, each in a few
//!   bytes; dead letters have at most 16 MiB. Replies that are not sent yet are never dropped, so the inbox reads no
//!   further while they are [many](Journal::is_full).

pub(crate) mod line;
mod record;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;
use molecule_proto::{ActivityId, ActivityRow, UnixTime};
use zeroize::Zeroizing;

use self::line::Line;
pub(crate) use self::record::{HandlerReply, Record};
use self::state::State;
pub(crate) use self::state::{MAX_DEAD, MAX_DEAD_BYTES, MAX_DONE};
use crate::effect::Durability;
use crate::inbox::feed::Position;
use crate::inbox::saves::Appended;
use crate::inbox::stored_reply::StoredReply;
use crate::session::key::Key;
use crate::session::notices::Mark;

/// The first line of every journal.
const HEADER: &[u8] = b"molecule-inbox 1";

/// What the first line of any version begins with.
const MAGIC: &[u8] = b"molecule-inbox ";

/// A journal that has grown by less than this, in bytes, is not compacted.
const MIN_GROWTH: u64 = 256 * 1024;

/// A journal that has grown by this, in bytes, is compacted, however large it was, and also while there is more to write.
const MAX_GROWTH: u64 = 8 * 1024 * 1024;

/// The bytes of unsent replies and dead letters at which the inbox hands out no further messages. A slot holds twice as
/// much, and a message that is being handled may add 4 MB.
const FULL: usize = 32 * 1024 * 1024;

/// The journal: the state, and the records that are not in the slot yet.
///
/// `Debug` shows numbers, and no content.
pub struct Journal {
    state: State,
    waiting: Vec<u8>,
    durability: Durability,
    /// The length of the slot's content, with every batch that was taken.
    length: u64,
    /// The length after the last compaction.
    compacted: u64,
}

/// The attempts to handle a message. One that was begun and neither failed nor ended may have killed its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// The number of the last attempt that began.
    pub(crate) begun: u32,
    /// The number of the last attempt whose handler failed.
    pub(crate) failed: u32,
    /// The handler's wishes for another try, which count as no attempts.
    pub(crate) put_off: Option<PutOff>,
}

/// The wishes of a handler to be offered a message again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PutOff {
    /// When the first one came, by this machine's clock.
    pub(crate) since: UnixTime,
    /// How many came.
    pub(crate) times: u32,
}

impl Attempts {
    /// Returns whether the last attempt has no end: it runs, or its process ended during it.
    pub(crate) fn is_open(self) -> bool {
        self.begun > self.failed
    }
}

/// A reply that is not at its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnsentReply {
    pub(crate) row: ActivityId,
    /// The reply's number among those to the message.
    pub(crate) n: u32,
    pub(crate) reply: StoredReply,
    /// The mark of a reply that may have been sent, though no answer came.
    pub(crate) mark: Option<Mark>,
    /// The reply's length as JSON.
    bytes: usize,
}

/// A dead letter as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredLetter {
    pub(crate) row: ActivityId,
    /// The whole row as JSON text.
    letter: String,
    pub(crate) attempts: u32,
    /// Why the last attempt failed.
    pub(crate) why: String,
    /// Whether it is given to the handler again, and waits for its end.
    pub(crate) is_retried: bool,
}

impl StoredLetter {
    /// The whole row; `None` if a later version has written it in a way that this one cannot read.
    pub(crate) fn activity(&self) -> Option<ActivityRow> {
        serde_json::from_str(&self.letter).ok()
    }

    fn bytes(&self) -> usize {
        self.letter.len() + self.why.len()
    }
}

/// A journal in which something is not as it was written.
#[derive(Debug)]
pub struct Damaged {
    why: String,
    salvaged: Journal,
}

impl Damaged {
    /// Returns a journal with everything that could be read. Its first batch is all of that, for the empty slot that setting
    /// the damaged content aside leaves.
    pub fn salvaged(self) -> Journal {
        self.salvaged
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Journal {
    /// Makes the journal of an inbox that starts for the first time.
    pub(crate) fn started(at: UnixTime) -> Self {
        let mut journal = Self::empty();
        journal.record(Record::Started { at });
        journal
    }

    fn empty() -> Self {
        Self { state: State::new(), waiting: Vec::new(), durability: Durability::None, length: 0, compacted: 0 }
    }

    /// Reads the content of a slot.
    ///
    /// # Errors
    /// [`Damaged`] if a part of it is not as it was written, or if a version with another format has written it.
    pub fn read(content: &[u8]) -> Result<Self, Damaged> {
        let mut lines = content.split(|byte| *byte == b'\n').map(line::without_zeros).enumerate();
        let mut journal = Self { length: content.len() as u64, ..Self::empty() };
        // Before the header there may only be parts of it, which appends that failed have left.
        let head = lines.by_ref().map(|(_, line)| line).find(|line| *line == HEADER || !HEADER.starts_with(line));
        match head {
            None => {
                // Nothing was stored yet, and the next append begins with the header again.
                journal.length = 0;
                return Ok(journal);
            }
            Some(HEADER) => {}
            Some(other) => {
                let why = if other.starts_with(MAGIC) {
                    "it has the format of another version; use that one, or go on without it"
                } else {
                    "its first line is not that of a journal"
                };
                return Err(journal.damaged(why.to_owned()));
            }
        }
        let mut damaged = None;
        for (number, line) in lines {
            match line::read(line) {
                Line::Whole(record) => {
                    // What this version cannot read, a later one has written.
                    if let Ok(record) = serde_json::from_slice(record) {
                        journal.state.apply(record);
                    }
                }
                Line::Torn => {}
                Line::Damaged if line == HEADER => {}
                Line::Damaged => {
                    damaged.get_or_insert(number + 1);
                }
            }
        }
        match damaged {
            None => Ok(journal),
            Some(line) => Err(journal.damaged(format!("line {line} is not as it was written"))),
        }
    }

    fn damaged(self, why: String) -> Damaged {
        let mut salvaged = Self { state: self.state, ..Self::empty() };
        salvaged.waiting = salvaged.whole();
        salvaged.durability = Durability::Sync;
        Damaged { why, salvaged }
    }

    /// Changes the state, and keeps the record for the next batch.
    pub(crate) fn record(&mut self, record: Record) {
        self.durability = self.durability.max(record.durability());
        if self.length == 0 && self.waiting.is_empty() {
            write_header(&mut self.waiting);
        }
        write_record(&mut self.waiting, &record);
        self.state.apply(record);
    }

    /// Takes everything that was recorded since the last batch, to be appended to the slot, with the durability that the
    /// most important record wants. If the append fails, the same bytes are to be appended again before any others.
    pub fn batch(&mut self) -> Option<(Bytes, Durability)> {
        if self.waiting.is_empty() {
            return None;
        }
        self.length += self.waiting.len() as u64;
        Some((std::mem::take(&mut self.waiting).into(), std::mem::take(&mut self.durability)))
    }

    /// Returns shorter content of the same state, to replace the slot's, if that pays. While something is recorded that is
    /// in no batch yet, it waits for that, up to a length: it then contains those records, and to append them once more
    /// changes nothing. If the replacement fails, the journal is as good as before.
    pub fn compacted(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let growth = self.length.saturating_sub(self.compacted);
        let least = if self.waiting.is_empty() { self.compacted.clamp(MIN_GROWTH, MAX_GROWTH) } else { MAX_GROWTH };
        if growth < least {
            return None;
        }
        let whole = self.whole();
        self.length = whole.len() as u64;
        self.compacted = self.length;
        Some(Zeroizing::new(whole))
    }

    /// The whole state as the content of a slot.
    pub fn whole(&self) -> Vec<u8> {
        let mut content = Vec::new();
        write_header(&mut content);
        self.state.records().iter().for_each(|record| write_record(&mut content, record));
        content
    }
}

impl Appended for Journal {
    fn batch(&mut self) -> Option<(Bytes, Durability)> {
        Self::batch(self)
    }

    fn compacted(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        Self::compacted(self)
    }
}

/// The state.
impl Journal {
    /// The position from which the feed is read.
    pub(crate) fn cursor(&self) -> Option<&Position> {
        self.state.cursor.as_ref()
    }

    /// The attempts to handle a message that is not done.
    pub(crate) fn attempts(&self, row: &ActivityId) -> Attempts {
        self.state.attempts.get(Key::of_row(row)).copied().unwrap_or_default()
    }

    /// The messages that were offered to the handler and are not done, in the order of their first attempts.
    pub(crate) fn attempted(&self) -> impl Iterator<Item = (ActivityId, Attempts)> {
        self.state.attempts.iter().map(|(key, attempts)| (key.row(), *attempts))
    }

    /// The messages whose replies are put off, with where these go.
    pub(crate) fn put_off_replies(&self) -> impl Iterator<Item = (ActivityId, &StoredReply)> {
        self.state.later.iter().map(|(key, reply)| (key.row(), reply))
    }

    /// Returns whether the row needs nothing from the feed: it was handled, or is a dead letter.
    pub(crate) fn is_done(&self, row: &ActivityId) -> bool {
        self.state.is_done(row)
    }

    /// Returns whether a message with this id is done, under whatever row.
    pub(crate) fn is_known_message(&self, message_id: &str) -> bool {
        self.state.is_known_message(message_id)
    }

    /// The keys of the messages that are done.
    pub(crate) fn known_messages(&self) -> impl Iterator<Item = Key> {
        self.state.known_messages()
    }

    /// Returns whether the agent uploaded this file itself.
    pub(crate) fn is_own_file(&self, file_id: &str) -> bool {
        self.state.is_own_file(file_id)
    }

    /// The replies that are not at their end, those to one message in their order.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &UnsentReply> {
        self.state.replies()
    }

    /// What is needed to send a reply that was put off; `None` if there is no such reply, or no longer.
    pub(crate) fn later(&self, row: &ActivityId) -> Option<&StoredReply> {
        self.state.later.get(Key::of_row(row))
    }

    /// The dead letters, the oldest first. One that is [given again](StoredLetter::is_retried) stays among them until its end,
    /// since no feed may show its row any more.
    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = &StoredLetter> {
        self.state.dead_letters()
    }

    /// A dead letter, by its row.
    pub(crate) fn dead_letter(&self, row: &ActivityId) -> Option<&StoredLetter> {
        self.state.dead_letter(row)
    }

    /// Returns whether so much is stored already that no further message should be handled before some of it is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.state.reply_bytes + self.state.dead_bytes > FULL
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unsent, dead) = (self.unsent().count(), self.dead_letters().count());
        write!(f, "Journal({} bytes, {} to append, ", self.length, self.waiting.len())?;
        write!(f, "{unsent} replies to send, {dead} dead letters)")
    }
}

fn write_header(buffer: &mut Vec<u8>) {
    buffer.push(b'\n');
    buffer.extend_from_slice(HEADER);
}

fn write_record(buffer: &mut Vec<u8>, record: &Record) {
    line::write(buffer, &serde_json::to_vec(record).expect("a record is JSON"));
}
