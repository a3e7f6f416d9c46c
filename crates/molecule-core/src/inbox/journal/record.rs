//! The records of the journal.

use molecule_proto::{ActivityId, UnixTime};
use serde::{Deserialize, Serialize};

use crate::effect::Durability;
use crate::event::ReplyEnd;
use crate::inbox::attachment::OutgoingFile;
use crate::inbox::feed::Position;
use crate::inbox::message::InboundMessage;
use crate::inbox::stored_reply::StoredReply;
use crate::session::key::Key;
use crate::session::notices::Mark;

/// The most bytes of a reason that are stored.
const MAX_WHY: usize = 1_000;

/// One thing that the journal remembers. Each says what is now so, and changes nothing if it is read a second time.
///
/// Rows are messages of the feed. `n` is the number of a reply among those to its message; the handler's is number 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// The inbox started for the first time.
    Started { at: UnixTime },
    /// An attempt to handle a message begins. Attempts are counted from 1.
    Begun { row: ActivityId, attempt: u32 },
    /// The attempt was given up, because the agent stops. It does not count.
    Interrupted { row: ActivityId, attempt: u32 },
    /// The handler asked for another try, for the time that `times` says. The attempt does not count.
    PutOff { row: ActivityId, attempt: u32, since: UnixTime, times: u32 },
    /// The handler failed.
    Failed { row: ActivityId, attempt: u32, why: String },
    /// The message was handled. `message_id` is the text by which another row of the same message is told, the message's
    /// `duplicate_key()`.
    Handled { row: ActivityId, message_id: Option<String>, reply: HandlerReply },
    /// The files of a reply were uploaded: these take the place of those of this machine.
    Attached { row: ActivityId, n: u32, files: Vec<OutgoingFile> },
    /// A reply that has no id on the wire is about to be sent.
    Marked { row: ActivityId, n: u32, mark: Mark },
    /// A reply needs nothing more.
    ReplyEnded { row: ActivityId, n: u32, end: ReplyEnd },
    /// The message is a dead letter. `letter` is the whole row as JSON text, since the feed may not show it again.
    Dead { row: ActivityId, message_id: Option<String>, letter: String, attempts: u32, why: String },
    /// A dead letter is given to the handler again, with no attempt counted.
    Retried { row: ActivityId },
    /// A file that the agent uploaded itself.
    OwnFile { file_id: String },
    /// The feed is read from here on.
    Cursor { position: Position },

    /// Messages that need nothing from the feed any more, from the oldest to the newest: files that belong to a message
    /// which was handled, and in a compaction all that are known.
    Done { rows: Vec<Key> },

    // The rest is written by compactions alone.
    /// A reply that is not at its end.
    Reply { row: ActivityId, n: u32, reply: StoredReply },
    /// A reply that is put off, with what is needed to send it.
    Later { row: ActivityId, reply: StoredReply },
    /// The ids of messages that are known.
    Messages { ids: Vec<Key> },
    /// Files that the agent uploaded itself.
    OwnFiles { ids: Vec<Key> },
}

/// What a handler replied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HandlerReply {
    /// There is nothing to say.
    None,
    /// This is to be sent, as the message's reply with number 0.
    Now(StoredReply),
    /// The reply is put off. This is one without content, which says where it goes.
    Later(StoredReply),
}

impl Record {
    /// The record of an attempt that failed. The reason is cut to a length that is fit to be stored.
    pub(crate) fn failed(row: &ActivityId, attempt: u32, why: &str) -> Self {
        Self::Failed { row: row.clone(), attempt, why: cut(why) }
    }

    /// The record of a message that was handled.
    pub(crate) fn handled(message: &InboundMessage, reply: HandlerReply) -> Self {
        let (row, message_id) = (message.id().clone(), message.duplicate_key().map(str::to_owned));
        Self::Handled { row, message_id, reply }
    }

    /// The record of rows that need nothing more, and were no messages of their own.
    pub(crate) fn done(rows: &[ActivityId]) -> Self {
        Self::Done { rows: rows.iter().map(Key::of_row).collect() }
    }

    /// The record of a dead letter. The reason is cut to a length that is fit to be stored.
    pub(crate) fn dead(message: &InboundMessage, attempts: u32, why: &str) -> Self {
        let (row, message_id) = (message.id().clone(), message.duplicate_key().map(str::to_owned));
        Self::Dead { row, message_id, letter: message.json().to_owned(), attempts, why: cut(why) }
    }

    /// Whether a power failure may take the record. It may where the feed or the peer tells again what is missing. Of the
    /// attempts of a message it takes at most the first one: with each later beginning, all before it is saved.
    pub(super) fn durability(&self) -> Durability {
        match self {
            Self::Begun { attempt: 2.., .. } => Durability::Sync,
            Self::Begun { .. }
            | Self::Interrupted { .. }
            | Self::PutOff { .. }
            | Self::Failed { .. }
            | Self::ReplyEnded { .. } => Durability::None,
            Self::Started { .. }
            | Self::Handled { .. }
            | Self::Reply { .. }
            | Self::Attached { .. }
            | Self::Marked { .. }
            | Self::Dead { .. }
            | Self::Retried { .. }
            | Self::OwnFile { .. }
            | Self::Cursor { .. }
            | Self::Later { .. }
            | Self::Done { .. }
            | Self::Messages { .. }
            | Self::OwnFiles { .. } => Durability::Sync,
        }
    }
}

fn cut(why: &str) -> String {
    let most = (0..=why.len().min(MAX_WHY)).rev().find(|at| why.is_char_boundary(*at)).unwrap_or_default();
    why[..most].to_owned()
}
