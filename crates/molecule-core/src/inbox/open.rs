//! The start of the inbox: its journal, and the key of the replies' ids.

use super::journal::Journal;
use super::reply_id::ReplyIds;
use super::reply_key::reply_ids;
use crate::effect::{HostOp, HostResult, Slot};
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
            let ids = reply_ids(&line).await?;
            Ok(Opened { journal, ids })
        }))
    }
}

machine_of_flow!(Open, Result<Opened>);

/// Loads the journal. A damaged one is set aside with a warning: it must not keep the agent from working.
async fn load_journal(line: &Line) -> Result<Journal> {
    let stored =
        line.load("load the inbox", Slot::Inbox).await?.map_err(|fault| Error::from_fault(OPERATION, fault))?;
    let Some(stored) = stored else {
        return Ok(line.with(|cx| {
            cx.session.notices.begin_first();
            Journal::started(cx.now.unix)
        }));
    };
    match Journal::read(&stored.bytes) {
        Ok(journal) => Ok(journal),
        Err(damaged) => {
            let place = set_aside(line).await?;
            line.tell(Event::Warning(format!(
                "the inbox's journal at {} is damaged: {damaged}; it is kept as {place}, and what could be read of it stays \
                 known; a message that it listed as handled may be handled again",
                stored.place
            )));
            Ok(damaged.salvaged())
        }
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
