//! The list of what is in the inbox.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use molecule_proto::{ActivityId, ActivityRow, UnixTime, WorkspaceId};
use serde::Serialize;

use super::feed::Position;
use super::form::{self, Form};
use super::journal::{Damaged, Journal};
use super::message::InboundMessage;
use super::sender::Sender;
use super::stored_reply::StoredReply;
use crate::call::Call;
use crate::config::inbox::Backlog;
use crate::effect::Slot;
use crate::endpoint::{ActivityFeed, ActivityPage};
use crate::error::{Error, Result};
use crate::flow::{Flow, Line, Parting, machine_of_flow};

const OPERATION: &str = "list the inbox";

/// The rows of the feed that are looked through, the newest ones.
const ROWS: u32 = 500;

/// What is in the inbox, as `agent.inbox_entries()` lists it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InboxListing {
    /// The messages that need something, the oldest first.
    pub entries: Vec<InboxEntry>,
    /// Why the feed could not be read. Messages that wait there are not listed then.
    pub feed_failed: Option<Error>,
    /// Whether the feed has more rows than were looked through (500), so that older messages may wait there.
    pub is_cut: bool,
}

/// A message that needs something.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InboxEntry {
    /// The message's id.
    pub id: ActivityId,
    /// What it needs.
    pub state: InboxState,
    /// Who wrote it, as far as that is known.
    pub sender: Option<Sender>,
    /// When the platform received it, as far as that is known.
    pub received_at: Option<UnixTime>,
    /// The message; `None` if neither the journal nor the newest rows of the feed have it.
    pub message: Option<InboundMessage>,
    /// How many attempts to handle it have begun. Those that the handler [put off](crate::TryAgain) do not count.
    pub attempts: u32,
    /// Why a dead letter is one, in a sentence.
    pub why: Option<String>,
}

/// What a message in the inbox needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InboxState {
    /// It waits for its first attempt.
    Waiting,
    /// The handler has it. If no loop runs, the process ended during the attempt, and the next loop offers it again.
    Running,
    /// An attempt failed, or the handler asked for another try. It is offered again.
    OfferedAgain,
    /// It is handled, and its reply was put off ([`Reply::later`](crate::Reply::later)).
    ReplyLater,
    /// It is handled, and its reply is not delivered yet.
    Replying,
    /// It is a dead letter.
    Dead,
    /// It is a dead letter that is offered again.
    Retried,
}

impl std::fmt::Display for InboxState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::OfferedAgain => "offered again",
            Self::ReplyLater => "reply later",
            Self::Replying => "replying",
            Self::Dead => "dead",
            Self::Retried => "retried",
        })
    }
}

/// Lists what is in the inbox: from the journal in the agent's store, and from the newest rows of the feed
/// (`GET /workspaces/:self/activity`). It takes no lock and changes nothing, so that it works beside a running loop.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct ListInbox(Flow<Result<InboxListing>>);

impl ListInbox {
    /// Makes the list.
    pub fn new() -> Self {
        Self(Flow::new(OPERATION, |line| async move { list(&line).await }))
    }
}

impl Default for ListInbox {
    fn default() -> Self {
        Self::new()
    }
}

machine_of_flow!(ListInbox, Result<InboxListing>);

async fn list(line: &Line) -> Result<InboxListing> {
    // The feed comes first: what is handled meanwhile is done in the journal.
    let feed = ActivityFeed::new().limit(ROWS).peer_info();
    let page = line.run("read the feed", Call::new(feed), Parting::give_up()).await;
    line.check()?;
    let stored = line.load("load the inbox", Slot::Inbox).await?;
    let stored = stored.map_err(|fault| Error::from_fault(OPERATION, fault))?;
    let (own, backlog) = line.with(|cx| (cx.session.workspace_id().clone(), cx.session.config().inbox.backlog));
    let (page, feed_failed) = match page {
        Ok(page) => (page, None),
        Err(error) => (ActivityPage::default(), Some(error)),
    };
    let is_cut = page.is_cut || page.rows.len() + page.unreadable.len() + page.unplaced >= ROWS as usize;
    let read = move || {
        let journal = stored.map(|stored| Journal::read(&stored.bytes).unwrap_or_else(Damaged::salvaged));
        entries(journal.as_ref(), page, &own, backlog)
    };
    let entries = line.decode("read the inbox", read).await?.map_err(|fault| Error::from_fault(OPERATION, fault))?;
    Ok(InboxListing { entries, feed_failed, is_cut })
}

/// Puts together what the journal and the feed say.
fn entries(journal: Option<&Journal>, page: ActivityPage, own: &WorkspaceId, backlog: Backlog) -> Vec<InboxEntry> {
    let since = Since::new(journal, &page, backlog);
    let is_own = |file: &str| journal.is_some_and(|journal| journal.is_own_file(file));
    let mut messages: BTreeMap<ActivityId, InboundMessage> = BTreeMap::new();
    let mut list = List { entries: BTreeMap::new(), own };
    for row in page.rows {
        let (is_done, is_new) = (journal.is_some_and(|journal| journal.is_done(&row.id)), since.has(&row));
        // A file that belongs to a message is listed with that message alone.
        if let Form::Message(message) = form::read(row, own, &is_own) {
            let is_known =
                message.duplicate_key().is_some_and(|key| journal.is_some_and(|journal| journal.is_known_message(key)));
            if is_new && !is_done && !is_known {
                list.add(message.id().clone(), InboxState::Waiting, 0);
            }
            messages.insert(message.id().clone(), message);
        }
    }
    if let Some(journal) = journal {
        list.of_journal(journal);
    }
    let mut all: Vec<_> = list.entries.into_values().collect();
    for entry in &mut all {
        if entry.message.is_none() {
            entry.message = messages.remove(&entry.id);
        }
        if let Some(message) = &entry.message {
            entry.sender = Some(message.sender().clone());
            entry.received_at = Some(message.received_at());
        }
    }
    all.sort_by(|one, other| (one.received_at, &one.id).cmp(&(other.received_at, &other.id)));
    all
}

struct List<'a> {
    entries: BTreeMap<ActivityId, InboxEntry>,
    own: &'a WorkspaceId,
}

impl List<'_> {
    fn add(&mut self, id: ActivityId, state: InboxState, attempts: u32) -> &mut InboxEntry {
        let entry =
            InboxEntry { id: id.clone(), state, sender: None, received_at: None, message: None, attempts, why: None };
        match self.entries.entry(id) {
            Entry::Vacant(place) => place.insert(entry),
            Entry::Occupied(mut place) => {
                place.insert(entry);
                place.into_mut()
            }
        }
    }

    fn of_journal(&mut self, journal: &Journal) {
        for (id, attempts) in journal.attempted() {
            let state = if attempts.is_open() { InboxState::Running } else { InboxState::OfferedAgain };
            self.add(id, state, attempts.begun);
        }
        for (id, reply) in journal.put_off_replies() {
            self.add(id, InboxState::ReplyLater, 0).address(reply);
        }
        for unsent in journal.unsent() {
            self.add(unsent.row.clone(), InboxState::Replying, 0).address(&unsent.reply);
        }
        for letter in journal.dead_letters() {
            let state = if letter.is_retried { InboxState::Retried } else { InboxState::Dead };
            let message = letter.activity().and_then(|row| InboundMessage::read(row, self.own));
            let entry = self.add(letter.row.clone(), state, letter.attempts);
            (entry.message, entry.why) = (message, Some(letter.why.clone()));
        }
    }
}

impl InboxEntry {
    fn address(&mut self, reply: &StoredReply) {
        (self.sender, self.received_at) = (Some(reply.to.clone()), Some(reply.received_at));
    }
}

/// From where on the rows of the feed may wait.
enum Since {
    /// Those behind this row, and those beside it that are not done.
    Cursor(UnixTime, ActivityId),
    /// Those of this time and later.
    Time(UnixTime),
    All,
    /// None: a first start takes no old message.
    Never,
}

impl Since {
    fn new(journal: Option<&Journal>, page: &ActivityPage, backlog: Backlog) -> Self {
        match (journal.and_then(Journal::cursor), backlog) {
            (Some(Position::Row { id, created_at, .. }), _) => Self::Cursor(*created_at, id.clone()),
            (Some(Position::Beginning), _) | (None, Backlog::All) => Self::All,
            (None, Backlog::FromNow) => Self::Never,
            (None, Backlog::Since(age)) => {
                let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                let now = page.date.map_or(i64::MIN, UnixTime::as_secs);
                Self::Time(UnixTime::from_secs(now.saturating_sub(age)))
            }
        }
    }

    fn has(&self, row: &ActivityRow) -> bool {
        match self {
            Self::Cursor(time, id) => row.created_at >= *time && row.id != *id,
            Self::Time(time) => row.created_at >= *time,
            Self::All => true,
            Self::Never => false,
        }
    }
}
