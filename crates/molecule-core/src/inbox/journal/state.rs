//! The state that the records of a journal add up to.

use std::collections::BTreeMap;

use molecule_proto::{ActivityId, UnixTime};

use super::record::{HandlerReply, Record};
use super::{Attempts, PutOff, StoredLetter, UnsentReply};
use crate::inbox::feed::Position;
use crate::inbox::stored_reply::StoredReply;
use crate::session::key::Key;
use crate::session::recent::Recent;

/// The most rows, and ids of messages, that are known as done. A feed shows a row again for half a minute, or after it lost
/// the reader's cursor.
pub(crate) const MAX_DONE: usize = 10_000;

/// The most messages whose replies are put off.
pub(super) const MAX_LATER: usize = 10_000;

/// The most messages whose attempts are counted. There are rarely more than run at once.
pub(super) const MAX_ATTEMPTED: usize = 10_000;

/// The most own uploads that are known.
pub(super) const MAX_OWN_FILES: usize = 10_000;

/// The most dead letters, and the most bytes of them. Beyond either the oldest are dropped.
pub(crate) const MAX_DEAD: usize = 1_000;
pub(crate) const MAX_DEAD_BYTES: usize = 16 * 1024 * 1024;

/// The most entries in one record of a compaction.
const CHUNK: usize = 500;

/// The state. Every record changes it by one call of [`apply`](Self::apply), also when the journal is read.
#[derive(Clone, PartialEq)]
pub(super) struct State {
    pub(super) started: Option<UnixTime>,
    pub(super) cursor: Option<Position>,
    pub(super) attempts: Recent<Attempts>,
    /// Rows that need nothing from the feed any more: they were handled, or are dead letters.
    done: Recent<()>,
    messages: Recent<()>,
    replies: BTreeMap<(Key, u32), UnsentReply>,
    /// The bytes of all replies, as JSON.
    pub(super) reply_bytes: usize,
    pub(super) later: Recent<StoredReply>,
    dead: Recent<StoredLetter>,
    /// The bytes of all dead letters, as JSON.
    pub(super) dead_bytes: usize,
    own_files: Recent<()>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            started: None,
            cursor: None,
            attempts: Recent::new(MAX_ATTEMPTED),
            done: Recent::new(MAX_DONE),
            messages: Recent::new(MAX_DONE),
            replies: BTreeMap::new(),
            reply_bytes: 0,
            later: Recent::new(MAX_LATER),
            dead: Recent::new(MAX_DEAD),
            dead_bytes: 0,
            own_files: Recent::new(MAX_OWN_FILES),
        }
    }

    /// Applies a record. One that the state already contains changes nothing: after an append that seemed to have failed,
    /// the same records may stand in the file twice.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Started { at } => {
                self.started.get_or_insert(at);
            }
            Record::Begun { row, attempt } => {
                if self.is_open(&row) {
                    let attempts = self.attempts.get(Key::of_row(&row)).copied().unwrap_or_default();
                    let begun = attempts.begun.max(attempt);
                    self.attempts.insert(Key::of_row(&row), Attempts { begun, ..attempts });
                }
            }
            Record::Interrupted { row, attempt } => self.interrupted(&row, attempt),
            Record::PutOff { row, attempt, since, times } => {
                if self.is_open(&row) {
                    let attempts = self.attempts.get(Key::of_row(&row)).copied().unwrap_or_default();
                    let put_off = Some(PutOff { since, times });
                    self.attempts.insert(Key::of_row(&row), Attempts { put_off, ..attempts });
                    self.interrupted(&row, attempt);
                }
            }
            Record::Failed { row, attempt, why: _ } => {
                // It also says that the attempt began.
                if self.is_open(&row) {
                    let before = self.attempts.get(Key::of_row(&row)).copied().unwrap_or_default();
                    let (begun, failed) = (before.begun.max(attempt), before.failed.max(attempt));
                    self.attempts.insert(Key::of_row(&row), Attempts { begun, failed, ..before });
                }
            }
            Record::Handled { row, message_id, reply } => {
                if self.is_open(&row) {
                    self.close(&row, message_id);
                    if self.dead.remove(Key::of_row(&row)).is_some() {
                        self.dead_changed();
                    }
                    match reply {
                        HandlerReply::None => {}
                        HandlerReply::Now(reply) => self.reply(row, 0, reply),
                        HandlerReply::Later(reply) => self.later.insert(Key::of_row(&row), reply),
                    }
                }
            }
            Record::Reply { row, n, reply } => self.reply(row, n, reply),
            Record::Attached { row, n, files } => {
                let key = (Key::of_row(&row), n);
                if let Some(reply) = self.replies.get_mut(&key) {
                    let mark = reply.mark;
                    let attached = StoredReply { files, ..reply.reply.clone() };
                    self.reply(row, n, attached);
                    if let Some(reply) = self.replies.get_mut(&key) {
                        reply.mark = mark;
                    }
                }
            }
            Record::Marked { row, n, mark } => {
                if let Some(reply) = self.replies.get_mut(&(Key::of_row(&row), n)) {
                    reply.mark = Some(mark);
                }
            }
            Record::ReplyEnded { row, n, end: _ } => {
                if n == 0 {
                    self.later.remove(Key::of_row(&row));
                }
                if let Some(ended) = self.replies.remove(&(Key::of_row(&row), n)) {
                    self.reply_bytes -= ended.bytes;
                }
            }
            Record::Dead { row, message_id, letter, attempts, why } => {
                if self.is_open(&row) {
                    self.close(&row, message_id);
                    let letter = StoredLetter { row, letter, attempts, why, is_retried: false };
                    self.dead.insert(Key::of_row(&letter.row), letter);
                    self.dead_changed();
                }
            }
            Record::Retried { row } => {
                if let Some(letter) = self.dead.get_mut(Key::of_row(&row)) {
                    letter.is_retried = true;
                    self.attempts.remove(Key::of_row(&row));
                }
            }
            Record::OwnFile { file_id } => self.own_files.insert(Key::of_text(&file_id), ()),
            Record::Cursor { position } => self.cursor = Some(position),
            Record::Later { row, reply } => self.later.insert(Key::of_row(&row), reply),
            Record::Done { rows } => rows.into_iter().for_each(|row| self.done.insert(row, ())),
            Record::Messages { ids } => ids.into_iter().for_each(|id| self.messages.insert(id, ())),
            Record::OwnFiles { ids } => ids.into_iter().for_each(|id| self.own_files.insert(id, ())),
        }
    }

    /// Returns whether an attempt or an end of this message says something new: it is not done, or it is a dead letter that
    /// was given again.
    fn is_open(&self, row: &ActivityId) -> bool {
        let key = Key::of_row(row);
        self.dead.get(key).map_or(!self.done.contains(key), |letter| letter.is_retried)
    }

    fn close(&mut self, row: &ActivityId, message_id: Option<String>) {
        self.attempts.remove(Key::of_row(row));
        self.done.insert(Key::of_row(row), ());
        if let Some(id) = message_id {
            self.messages.insert(Key::of_text(&id), ());
        }
    }

    fn interrupted(&mut self, row: &ActivityId, attempt: u32) {
        let key = Key::of_row(row);
        let Some(attempts) = self.attempts.get_mut(key) else { return };
        // An attempt that has failed counts, whatever is said of it later.
        if attempts.begun == attempt && attempts.failed < attempt {
            attempts.begun = attempt.saturating_sub(1);
            if attempts.begun == 0 && attempts.put_off.is_none() {
                self.attempts.remove(key);
            }
        }
    }

    fn reply(&mut self, row: ActivityId, n: u32, reply: StoredReply) {
        let bytes = serde_json::to_vec(&reply).map_or(0, |json| json.len());
        let unsent = UnsentReply { row, n, reply, mark: None, bytes };
        self.reply_bytes += bytes;
        if let Some(before) = self.replies.insert((Key::of_row(&unsent.row), n), unsent) {
            self.reply_bytes -= before.bytes;
        }
    }

    pub(super) fn is_done(&self, row: &ActivityId) -> bool {
        let key = Key::of_row(row);
        self.done.contains(key) || self.dead.contains(key) || self.later.contains(key)
    }

    pub(super) fn known_messages(&self) -> impl Iterator<Item = Key> {
        self.messages.iter().map(|(key, ())| key)
    }

    pub(super) fn is_known_message(&self, id: &str) -> bool {
        self.messages.contains(Key::of_text(id))
    }

    pub(super) fn is_own_file(&self, id: &str) -> bool {
        self.own_files.contains(Key::of_text(id))
    }

    pub(super) fn replies(&self) -> impl Iterator<Item = &UnsentReply> {
        self.replies.values()
    }

    pub(super) fn dead_letters(&self) -> impl Iterator<Item = &StoredLetter> {
        self.dead.iter().map(|(_, letter)| letter)
    }

    pub(super) fn dead_letter(&self, row: &ActivityId) -> Option<&StoredLetter> {
        self.dead.get(Key::of_row(row))
    }

    fn dead_changed(&mut self) {
        self.dead_bytes = self.dead_letters().map(StoredLetter::bytes).sum();
        while self.dead.len() > 1 && self.dead_bytes > MAX_DEAD_BYTES {
            self.dead_bytes -= self.dead.remove_oldest().map_or(0, |oldest| oldest.bytes());
        }
    }

    /// The records that make this state from nothing, each as small as its content allows. The cursor comes last: without
    /// the others it would pass what they tell.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.started.map(|at| Record::Started { at }));
        records.extend(chunks(keys(&self.own_files), |ids| Record::OwnFiles { ids }));
        for ((_, n), reply) in &self.replies {
            let (row, n) = (reply.row.clone(), *n);
            records.push(Record::Reply { row: row.clone(), n, reply: reply.reply.clone() });
            records.extend(reply.mark.map(|mark| Record::Marked { row, n, mark }));
        }
        records.extend(self.later.iter().map(|(row, reply)| Record::Later { row: row.row(), reply: reply.clone() }));
        for (_, dead) in self.dead.iter() {
            let StoredLetter { row, letter, attempts, why, is_retried } = dead.clone();
            records.push(Record::Dead { row: row.clone(), message_id: None, letter, attempts, why });
            records.extend(is_retried.then_some(Record::Retried { row }));
        }
        // These come after the dead letters, which are done too: they say in which order.
        records.extend(chunks(keys(&self.done), |rows| Record::Done { rows }));
        records.extend(chunks(keys(&self.messages), |ids| Record::Messages { ids }));
        for (row, attempts) in self.attempts.iter() {
            let row = row.row();
            records.push(Record::Begun { row: row.clone(), attempt: attempts.begun });
            let failed = (attempts.failed > 0).then(|| Record::failed(&row, attempts.failed, ""));
            records.extend(failed);
            let put_off = |PutOff { since, times }| Record::PutOff { row, attempt: 0, since, times };
            records.extend(attempts.put_off.map(put_off));
        }
        records.extend(self.cursor.clone().map(|position| Record::Cursor { position }));
        records
    }
}

#[cfg(test)]
impl State {
    /// Returns whether both states know the same, in whatever order they came to know it.
    pub(super) fn knows_what(&self, other: &Self) -> bool {
        let rest = |state: &Self| (state.started, state.cursor.clone(), state.replies.clone());
        rest(self) == rest(other)
            && self.attempts.has_entries_of(&other.attempts)
            && self.done.has_entries_of(&other.done)
            && self.messages.has_entries_of(&other.messages)
            && self.later.has_entries_of(&other.later)
            && self.dead.has_entries_of(&other.dead)
            && self.own_files.has_entries_of(&other.own_files)
    }
}

fn keys<V>(entries: &Recent<V>) -> Vec<Key> {
    entries.iter().map(|(key, _)| key).collect()
}

fn chunks<T: Clone>(all: Vec<T>, record: impl Fn(Vec<T>) -> Record) -> Vec<Record> {
    all.chunks(CHUNK).map(|chunk| record(chunk.to_vec())).collect()
}
