//! A reply in the outbox.

use std::time::Duration;

use molecule_proto::{ActivityId, Time, UnixTime, WorkspaceId};

use super::content::Content;
use super::flight::Prepared;
use crate::error::Result;
use crate::inbox::journal::UnsentReply;
use crate::inbox::message::InboundMessage;
use crate::inbox::reply::Reply;
use crate::inbox::reply_id::ReplyIds;
use crate::inbox::sender::Sender;
use crate::inbox::stored_reply::StoredReply;
use crate::machine::{Cx, Now};
use crate::session::Dialect;
use crate::session::notices::{Mark, Words};

/// How long a reply is tried.
pub(crate) const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long and how often a process tries a reply at least, however old it is: its age depends on a clock that may be
/// wrong.
const LEAST_TRIED: Duration = Duration::from_secs(600);
const LEAST_TRIES: u32 = 3;

/// The most times that a notice is sent in doubt where the feed cannot show whether it arrived.
const MAX_BLIND: u32 = 2;

/// Where April's server cuts the summary of a notice. A cut within a character leaves no row (April contract section
/// 6.3).
const APRIL_CUT: usize = 80;

/// Names a reply: the row of the message that it answers, and its number among the replies to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReplyKey {
    pub(crate) row: ActivityId,
    pub(crate) n: u32,
}

/// A reply that is in the journal and is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutgoingReply {
    pub(crate) key: ReplyKey,
    /// The id of the message to a peer, the same in every process.
    pub(crate) id: String,
    pub(crate) reply: StoredReply,
    /// The mark of a notice that an earlier process may have sent.
    pub(crate) mark: Option<Mark>,
}

/// Who gets a reply. The replies to one recipient are sent one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recipient {
    /// The people at the workspace's chat.
    People,
    Peer(WorkspaceId),
}

/// A reply in the outbox.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) key: ReplyKey,
    /// What is sent, or why it cannot be.
    pub(super) content: Result<Content>,
    since: UnixTime,
    /// The words of a notice.
    pub(super) words: Option<Words>,
    pub(super) state: State,
    pub(super) mark: Option<Mark>,
    pub(super) failures: u32,
    /// The peer may have the reply already, so the later ones to it go first.
    pub(super) may_have_arrived: bool,
    /// How often the notice was sent in doubt.
    pub(super) doubts: u32,
    /// The last error, or why the notice may have arrived.
    pub(super) why: String,
    pushed_at: Time,
    age: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A notice without a mark.
    Unmarked,
    /// The mark is being recorded.
    Marking,
    /// The reply is sent at this time.
    Ready(Time),
    InFlight,
    /// The notice may have arrived, since this time.
    Doubt(Time),
}

impl Item {
    pub(super) fn new(now: Now, reply: OutgoingReply) -> Self {
        let OutgoingReply { key, id, reply, mark } = reply;
        let content = Content::of(&reply, &id);
        let (words, state) = match (&content, mark) {
            (Ok(Content::Notice(notice)), None) => (Some(Words::of(notice)), State::Unmarked),
            (Ok(Content::Notice(notice)), Some(_)) => (Some(Words::of(notice)), State::Doubt(now.mono)),
            (Ok(Content::Message { .. } | Content::Unprepared { .. }) | Err(_), _) => (None, State::Ready(now.mono)),
        };
        let doubts = u32::from(mark.is_some());
        let why = mark.map_or("", |_| "the process ended while it was being sent").to_owned();
        let (since, age) = (reply.received_at, now.unix.since(reply.replied_at));
        Self {
            key,
            content,
            since,
            words,
            state,
            mark,
            failures: 0,
            may_have_arrived: false,
            doubts,
            why,
            pushed_at: now.mono,
            age,
        }
    }

    /// Takes the files of the reply, which are ready to be sent.
    pub(super) fn prepare(&mut self, now: Time, prepared: Prepared) {
        if let Ok(Content::Unprepared { reply, id }) = &self.content {
            self.content = Content::prepared(reply, id, prepared);
        }
        (self.words, self.state) = match &self.content {
            Ok(Content::Notice(notice)) => (Some(Words::of(notice)), State::Unmarked),
            Ok(_) | Err(_) => (None, State::Ready(now)),
        };
    }

    /// Marks a notice that is sent after `waiting` others with the same words. `None` if it has a mark already, or needs
    /// none.
    pub(super) fn mark(&mut self, cx: &Cx<'_>, waiting: usize) -> Option<Mark> {
        let words = self.words.filter(|_| self.state == State::Unmarked)?;
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let mark = cx.session.notices.mark(words, Some(self.since), waiting);
        (self.mark, self.state) = (Some(mark), State::Marking);
        Some(mark)
    }

    /// Returns whether the feed shows this notice.
    pub(super) fn is_shown(&self, cx: &Cx<'_>) -> bool {
        match (self.words, self.mark) {
            (Some(words), Some(mark)) => cx.session.notices.shows(words, mark),
            (Some(_), None) | (None, _) => false,
        }
    }

    /// Returns whether the reply has been tried for long enough.
    pub(super) fn is_given_up(&self, now: Time) -> bool {
        let tried = now.since(self.pushed_at);
        self.age + tried >= GIVEN_UP_AFTER && tried >= LEAST_TRIED && self.failures >= LEAST_TRIES
    }

    /// Returns whether another try could show the notice to the user once more without anybody knowing: the server
    /// keeps no row of it, and it was sent twice in doubt.
    pub(super) fn is_blind(&self, dialect: Option<Dialect>) -> bool {
        let Ok(Content::Notice(notice)) = &self.content else { return false };
        let is_cut = notice.message.len() > APRIL_CUT && !notice.message.is_char_boundary(APRIL_CUT);
        is_cut && dialect != Some(Dialect::Current) && self.doubts >= MAX_BLIND
    }
}

impl OutgoingReply {
    /// Makes the handler's reply to a message, its number 0.
    ///
    /// # Errors
    /// Why it must not be sent, in a sentence.
    pub(crate) fn of_handler(
        now: UnixTime,
        message: &InboundMessage,
        reply: Reply,
        ids: &ReplyIds,
    ) -> Result<Self, String> {
        reply.check().map_err(|error| error.to_string())?;
        let reply = StoredReply::new(now, message, reply);
        if let Some(why) = reply.refusal() {
            return Err(why.to_owned());
        }
        Ok(Self::stored(ids, ReplyKey { row: message.id().clone(), n: 0 }, reply, None))
    }

    /// Makes a reply that the journal has and that is not at its end.
    pub(crate) fn unsent(ids: &ReplyIds, unsent: &UnsentReply) -> Self {
        let key = ReplyKey { row: unsent.row.clone(), n: unsent.n };
        Self::stored(ids, key, unsent.reply.clone(), unsent.mark)
    }

    /// Makes a reply that is in the journal.
    pub(crate) fn stored(ids: &ReplyIds, key: ReplyKey, reply: StoredReply, mark: Option<Mark>) -> Self {
        Self { id: ids.id(&key.row, key.n), key, reply, mark }
    }

    pub(super) fn recipient(&self) -> Recipient {
        match &self.reply.to {
            Sender::Peer { id, .. } => Recipient::Peer(id.clone()),
            Sender::User | Sender::Channel(_) | Sender::Platform(_) | Sender::Own | Sender::Unknown => {
                Recipient::People
            }
        }
    }
}
