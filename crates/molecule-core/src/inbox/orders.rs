//! The records that calls of the agent order: by the loop that runs in this process, else at once.

use super::journal::{Damaged, Journal, Record};
use crate::effect::decode::LARGE;
use crate::effect::{Durability, Fault, FaultKind, HostOp, HostResult, Slot};
use crate::error::{Error, Result};
use crate::flow::{Cancelled, Flow, Line, machine_of_flow};

/// Has everything recorded that was ordered: by the loop of this process, if one runs, which does so soon; else now, under
/// the agent's lock, since the loop of another process appends to the journal, too. What could not be recorded is left to
/// the next loop of this process.
///
/// # Errors
/// The fault of the lock, if somebody else has it, or of the store.
pub(super) async fn submit(line: &Line) -> Result<Result<(), Fault>, Cancelled> {
    if line.with(|cx| cx.session.has_loop()) {
        return Ok(Ok(()));
    }
    let lock = match line.host("lock", HostOp::Lock).await? {
        Ok(HostResult::Locked(lock)) => Some(line.guard(lock)),
        Ok(_) => unreachable!("a lock is answered by its id"),
        Err(fault) if fault.kind == FaultKind::Locked => return Ok(Err(fault)),
        // Nobody can take one.
        Err(_) => None,
    };
    let recorded = record(line).await;
    if let Some(lock) = lock {
        lock.give_back().await;
    }
    recorded
}

/// Records what is ordered, in a loop that has the agent's lock and no inbox.
#[derive(Debug)]
pub(crate) struct RecordOrders(Flow<Result<()>>);

impl RecordOrders {
    pub(crate) fn new() -> Self {
        Self(Flow::new("save the inbox", |line| async move {
            record(&line).await?.map_err(|fault| Error::from_fault(line.operation(), fault))
        }))
    }
}

machine_of_flow!(RecordOrders, Result<()>);

/// Appends the records, under the agent's lock.
async fn record(line: &Line) -> Result<Result<(), Fault>, Cancelled> {
    let stored = match line.load("load the inbox", Slot::Inbox).await? {
        Ok(stored) => stored,
        Err(fault) => return Ok(Err(fault)),
    };
    let is_large = stored.as_ref().is_some_and(|stored| stored.bytes.len() > LARGE);
    let read = move || Journal::read(stored.as_ref().map_or(&[][..], |stored| &stored.bytes));
    let decoded = if is_large { line.decode("read the inbox", read).await? } else { Ok(read()) };
    let read = match decoded {
        Ok(read) => read,
        Err(fault) => return Ok(Err(fault)),
    };
    let is_damaged = read.is_err();
    // The loop sets a damaged journal aside, and keeps what can be read of it: so only what concerns that is added.
    let mut journal = read.unwrap_or_else(Damaged::salvaged);
    drop(journal.batch());
    let orders = line.with(|cx| cx.session.orders.clone());
    let known = |letter: &&_| journal.dead_letter(letter).is_some();
    let retried: Vec<_> = orders.retried.iter().filter(known).cloned().collect();
    let replied: Vec<_> = orders.replied.iter().filter(|(row, _)| journal.later(row).is_some()).cloned().collect();
    let own_files = orders.own_files.iter().filter(|_| !is_damaged);
    let own_files = own_files.map(|id| Record::OwnFile { file_id: id.to_string() });
    let replied = replied.into_iter().map(|(row, end)| Record::ReplyEnded { row, n: 0, end });
    let records = retried.into_iter().map(|row| Record::Retried { row }).chain(replied).chain(own_files);
    records.for_each(|record| journal.record(record));
    if let Some((records, _)) = journal.batch() {
        let append = HostOp::Append(Slot::Inbox, records, Durability::Sync);
        if let Err(fault) = line.host_to_the_end("append to the journal", append).await {
            return Ok(Err(fault));
        }
    }
    let mut recorded = orders;
    if is_damaged {
        recorded.own_files.clear();
    }
    line.with(|cx| cx.session.orders.recorded(&recorded));
    Ok(Ok(()))
}
