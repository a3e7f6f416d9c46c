//! The start of the inbox: its journal, and the key of the replies' ids.

use std::io::ErrorKind;

use super::journal::Journal;
use super::reply_id::ReplyIds;
use super::reply_key::stored_reply_ids;
use crate::effect::{FaultKind, HostOp, HostResult, Slot};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, machine_of_flow};

const OPERATION: &str = "run agent loop";

/// Opens the inbox: loads its journal and the key of the replies' ids, and makes what is not there yet.
#[derive(Debug)]
pub(super) struct Open(Flow<Result<Opened>>);

/// The state that outlives the process.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) ids: ReplyIds,
}

impl Open {
    pub(super) fn new() -> Self {
        Self(Flow::new(OPERATION, |line| async move {
            let journal = load_journal(&line).await?;
            warn_of_memory(&line, &journal);
            let ids = load_key(&line).await?;
            Ok(Opened { journal, ids })
        }))
    }
}

machine_of_flow!(Open, Result<Opened>);

/// Loads the journal. A damaged one, or one that is too large, is set aside with a warning: it must not keep the agent from
/// working.
async fn load_journal(line: &Line) -> Result<Journal> {
    let stored = match line.load("load the inbox", Slot::Inbox).await? {
        Ok(stored) => stored,
        Err(fault) if fault.kind == FaultKind::Host(ErrorKind::FileTooLarge) => {
            let error = Error::from_fault(OPERATION, fault);
            let place = set_aside(line).await?;
            line.tell(Event::Warning(format!(
                "the inbox's journal cannot be read: {}; it is kept as {place}, and messages that it listed as handled may \
                 be handled again",
                error.cause()
            )));
            return Ok(line.with(|cx| Journal::started(cx.now.unix)));
        }
        Err(fault) => return Err(Error::from_fault(OPERATION, fault)),
    };
    let Some(stored) = stored else {
        return Ok(line.with(|cx| {
            cx.session.notices.begin_first();
            Journal::started(cx.now.unix)
        }));
    };
    let (place, read) = (stored.place.clone(), move || Journal::read(&stored.bytes));
    // Many megabytes take a while, during which other calls need the session.
    let read = line.decode("read the inbox", read).await?.map_err(|fault| Error::from_fault(OPERATION, fault))?;
    match read {
        Ok(journal) => Ok(journal),
        Err(damaged) => {
            let kept = set_aside(line).await?;
            line.tell(Event::Warning(format!(
                "the inbox's journal at {place} is damaged: {damaged}; it is kept as {kept}, and what could be read of it \
                 stays known; a message that it listed as handled may be handled again",
            )));
            Ok(damaged.salvaged())
        }
    }
}

/// Warns of a store that ends with the process, at the start of its first loop.
fn warn_of_memory(line: &Line, journal: &Journal) {
    if journal.cursor().is_none() && line.with(|cx| cx.session.config().is_store_in_memory) {
        line.tell(Event::Warning(format!(
            "the inbox's journal is kept in memory alone, so each start of the agent is a first start: it reads the backlog \
             again, and a message that was answered before may be handled and answered twice; {}",
            "keep it in a private directory, with storage(Storage::Dir(…)) or MOLECULE_HOME, or give the inbox the backlog \
             FromNow"
        )));
    }
}

/// Loads or makes the key of the replies' ids. Unlike a single reply, the inbox does not begin before a new key is stored: the
/// journal cannot be saved meanwhile either, and a reply under a lost key would be sent again under another id.
async fn load_key(line: &Line) -> Result<ReplyIds> {
    match stored_reply_ids(line).await? {
        (ids, None) => Ok(ids),
        (_, Some(fault)) => Err(Error::from_fault("save the key of replies", fault)),
    }
}

/// Moves the damaged journal to another name. Returns that name.
async fn set_aside(line: &Line) -> Result<String> {
    match line.host("set the inbox aside", HostOp::SetAside(Slot::Inbox)).await? {
        Ok(HostResult::SetAside(place)) => Ok(place),
        Ok(_) => unreachable!("a slot that is set aside is answered by its new place"),
        Err(fault) => Err(Error::from_fault(OPERATION, fault)),
    }
}
