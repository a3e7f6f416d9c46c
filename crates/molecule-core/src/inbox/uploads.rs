//! Files that a person has uploaded: each belongs to a message that names it, or becomes a message of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use molecule_proto::{ActivityId, FileId, Time};

use super::attachment::Attachment;
use super::message::InboundMessage;

/// How long a file waits for the message that names it. Both rows are made by one act of the sender.
const GRACE: Duration = Duration::from_secs(5);

/// The most files that are remembered as named by a message.
const MAX_NAMED: usize = 1_000;

/// The files without a message yet.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    waiting: BTreeMap<FileId, Upload>,
    /// How many files have waited.
    arrivals: u64,
    /// Files that a message has named, whose rows may still come.
    named: BTreeSet<FileId>,
    named_in_order: VecDeque<FileId>,
}

#[derive(Debug)]
struct Upload {
    attachment: Attachment,
    /// The file as a message of its own.
    alone: InboundMessage,
    until: Time,
    /// Its place in the order of the feed. The ids of files are random.
    arrival: u64,
}

impl Uploads {
    /// Takes a file's row. Returns the row's id if a message has named the file already, so that the row needs nothing
    /// more.
    pub(super) fn add(&mut self, now: Time, attachment: Attachment, alone: InboundMessage) -> Option<ActivityId> {
        let row = alone.id().clone();
        let Some(file) = attachment.file_id().cloned() else { return Some(row) };
        if self.named.contains(&file) {
            return Some(row);
        }
        self.arrivals += 1;
        let upload = Upload { attachment, alone, until: now + GRACE, arrival: self.arrivals };
        let replaced = self.waiting.insert(file, upload);
        replaced.map(|earlier| earlier.alone.id().clone())
    }

    /// Completes the attachments of a message by the files' own rows, and returns the ids of those rows.
    pub(super) fn join(&mut self, message: &mut InboundMessage) -> Vec<ActivityId> {
        let files: Vec<_> = message.attachments().iter().filter_map(|named| named.file_id().cloned()).collect();
        let mut rows = Vec::new();
        for file in files {
            if let Some(upload) = self.waiting.remove(&file) {
                message.add_upload(upload.attachment);
                rows.push(upload.alone.id().clone());
            }
            if self.named.insert(file.clone()) {
                self.named_in_order.push_back(file);
            }
            if self.named_in_order.len() > MAX_NAMED
                && let Some(oldest) = self.named_in_order.pop_front()
            {
                self.named.remove(&oldest);
            }
        }
        rows
    }

    /// Removes a file that is the agent's own, and returns the id of its row.
    pub(super) fn remove(&mut self, file: &FileId) -> Option<ActivityId> {
        self.waiting.remove(file).map(|upload| upload.alone.id().clone())
    }

    /// Removes the first file that no message has named in time, as a message of its own.
    pub(super) fn take_alone(&mut self, now: Time) -> Option<InboundMessage> {
        let late = self.waiting.iter().filter(|(_, upload)| upload.until <= now);
        let late = late.min_by_key(|(_, upload)| upload.arrival);
        let file = late.map(|(file, _)| file.clone())?;
        self.waiting.remove(&file).map(|upload| upload.alone)
    }

    /// The number of files that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes of their rows.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.values().map(|upload| upload.alone.json().len()).sum()
    }

    pub(super) fn wake(&self) -> Option<Time> {
        self.waiting.values().map(|upload| upload.until).min()
    }
}
