//! What is recorded in the journal, and what follows once it is saved.

use super::{AfterSave, Work};
use crate::inbox::journal::Record;
use crate::inbox::outbox::{ReplyKey, ReplyRecord};
use crate::machine::Cx;

impl Work {
    pub(super) fn record(&mut self, record: Record, then: AfterSave) {
        self.after_save.push_back((self.saves.next_batch(), then));
        self.journal.record(record);
    }

    pub(super) fn record_reply(&mut self, key: ReplyKey, record: ReplyRecord) {
        let is_mark = matches!(record, ReplyRecord::Marked(_));
        let batch = self.saves.next_batch();
        self.journal.record(record.of(key.clone()));
        if is_mark {
            self.after_save.push_back((batch, AfterSave::Marked(key)));
        }
    }

    /// Records the files that the agent uploaded. Their rows may have come before the answer to the upload.
    pub(super) fn keep_own_files(&mut self, cx: &mut Cx<'_>) {
        for file in std::mem::take(&mut cx.session.orders.own_files) {
            if let Some(row) = self.uploads.remove(&file) {
                self.feed.finished(&row);
            }
            self.journal.record(Record::OwnFile { file_id: file.to_string() });
        }
    }

    /// Does what waited for the saved batches.
    pub(super) fn follow_saves(&mut self, cx: &mut Cx<'_>) {
        while self.after_save.front().is_some_and(|(batch, _)| self.saves.is_saved(*batch)) {
            match self.after_save.pop_front() {
                Some((_, AfterSave::Offer(message, number))) => {
                    self.beginning -= 1;
                    self.offers.push_back((message, number));
                }
                Some((_, AfterSave::Finished(row, key, reply))) => {
                    self.feed.finished(&row);
                    if let Some(key) = key {
                        cx.session.claims.inbox_saved(key);
                    }
                    if let Some(reply) = reply {
                        self.outbox.push(cx, *reply);
                    }
                }
                Some((_, AfterSave::Told(event))) => self.events.push_back(event),
                Some((_, AfterSave::Marked(key))) => self.outbox.recorded(cx, &key),
                Some((_, AfterSave::Cursor(position))) => self.feed.saved(&position),
                None => {}
            }
        }
    }

    /// Has the pushes of handled messages answered, although the disk refuses the records: a caller must not wait for a full
    /// disk.
    pub(super) fn release_pushes(&mut self, cx: &mut Cx<'_>) {
        for (_, then) in &self.after_save {
            if let AfterSave::Finished(_, Some(key), _) = then {
                cx.session.claims.inbox_saved(*key);
            }
        }
    }

    /// Returns whether a draining inbox has nothing left to do.
    pub(super) fn is_drained(&self, cx: &Cx<'_>) -> bool {
        let Some(until) = self.drain_until else { return false };
        let is_flushed = self.outbox.is_flushed(cx.now.mono) || until <= cx.now.mono;
        self.running.is_empty() && is_flushed && self.saves.is_idle()
    }
}
