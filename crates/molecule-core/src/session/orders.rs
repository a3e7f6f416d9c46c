//! What calls of the agent have to be recorded in the inbox's journal. Only the loop writes it while one runs.

use std::sync::{Arc, Weak};

use molecule_proto::{ActivityId, FileId};

use crate::event::ReplyEnd;

/// The most own files that are remembered where the journal cannot be written.
const MAX_OWN_FILES: usize = 1_000;

/// The most replies of which the same is remembered.
const MAX_REPLIED: usize = 1_000;

/// The orders that are not recorded yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    /// The dead letters that are to be offered again.
    pub(crate) retried: Vec<ActivityId>,
    /// The files that the agent has uploaded.
    pub(crate) own_files: Vec<FileId>,
    /// The messages that the application has answered by itself, and how that ended.
    pub(crate) replied: Vec<(ActivityId, ReplyEnd)>,
    /// The loop that records them, if one has the agent's lock.
    recorder: Weak<Recorder>,
}

/// A loop that has the agent's lock and records orders, for as long as it exists.
#[derive(Debug)]
pub(crate) struct Recorder;

impl Orders {
    pub(crate) fn is_empty(&self) -> bool {
        self.retried.is_empty() && self.own_files.is_empty() && self.replied.is_empty()
    }

    /// Says that a loop records orders from now on, as long as it keeps what is returned.
    pub(crate) fn recorder(&mut self) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder);
        self.recorder = Arc::downgrade(&recorder);
        recorder
    }

    pub(crate) fn has_recorder(&self) -> bool {
        self.recorder.strong_count() > 0
    }

    pub(crate) fn retry(&mut self, row: &ActivityId) {
        if !self.retried.contains(row) {
            self.retried.push(row.clone());
        }
    }

    pub(crate) fn keep_own_files(&mut self, ids: &[FileId]) {
        self.own_files.extend_from_slice(ids);
        let excess = self.own_files.len().saturating_sub(MAX_OWN_FILES);
        self.own_files.drain(..excess);
    }

    pub(crate) fn replied(&mut self, row: ActivityId, end: ReplyEnd) {
        self.replied.push((row, end));
        let excess = self.replied.len().saturating_sub(MAX_REPLIED);
        self.replied.drain(..excess);
    }

    /// Removes what was recorded.
    pub(crate) fn recorded(&mut self, recorded: &Self) {
        self.retried.retain(|row| !recorded.retried.contains(row));
        self.own_files.retain(|file| !recorded.own_files.contains(file));
        self.replied.retain(|reply| !recorded.replied.contains(reply));
    }
}
