//! The dead letters: messages that the handler could not handle.

use molecule_proto::{ActivityId, IdError};

use super::journal::{Damaged, Journal, Record};
use super::message::InboundMessage;
use crate::effect::{Durability, HostOp, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Line, machine_of_flow};

/// A message that the handler could not handle, as `agent.dead_letters()` lists it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message.
    pub message: InboundMessage,
    /// How often it was offered to the handler.
    pub attempts: u32,
    /// Why the last attempt failed, in a sentence.
    pub why: String,
    /// Whether it is offered again, and the attempt has not ended yet.
    pub is_retried: bool,
}

/// Lists the dead letters, the oldest first. It reads the journal in the agent's store, so that it works beside a running
/// loop and without one.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct DeadLetters(Flow<Result<Vec<DeadLetter>>>);

impl DeadLetters {
    /// Makes the list.
    pub fn new() -> Self {
        const OPERATION: &str = "list dead letters";
        Self(Flow::new(OPERATION, |line| async move {
            let journal = read(&line).await?;
            let own = line.with(|cx| cx.session.workspace_id().clone());
            let letters = journal.iter().flat_map(Journal::dead_letters).filter_map(|letter| {
                Some(DeadLetter {
                    message: InboundMessage::read(letter.activity()?, &own)?,
                    attempts: letter.attempts,
                    why: letter.why.clone(),
                    is_retried: letter.is_retried,
                })
            });
            Ok(letters.collect())
        }))
    }
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self::new()
    }
}

machine_of_flow!(DeadLetters, Result<Vec<DeadLetter>>);

/// Offers a dead letter to the handler again, with all its attempts. A running loop of this agent does so at once, else
/// the next loop does.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct RetryDeadLetter(Flow<Result<()>>);

impl RetryDeadLetter {
    const OPERATION: &'static str = "retry a dead letter";

    /// Makes the machine that offers the message with this id again.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        let row: ActivityId = id.as_ref().trim().parse().map_err(|error: IdError| {
            Error::config(error.to_string(), "use the id of a message in the list of dead letters")
                .during(Self::OPERATION)
        })?;
        Ok(Self(Flow::new(Self::OPERATION, move |line| async move { retry(&line, row).await })))
    }
}

machine_of_flow!(RetryDeadLetter, Result<()>);

async fn retry(line: &Line, row: ActivityId) -> Result<()> {
    let journal = read(line).await?;
    let Some(mut journal) = journal.filter(|journal| journal.dead_letter(&row).is_some()) else {
        let cause = format!("there is no dead letter {row}");
        return Err(Error::new(ErrorKind::NotFound, line.operation(), cause).remedy("list them with dead_letters()"));
    };
    if line.with(|cx| cx.session.retry_in_loop(&row)) {
        return Ok(());
    }
    journal.record(Record::Retried { row });
    let batch = journal.batch().map(|(records, _)| HostOp::Append(Slot::Inbox, records, Durability::Sync));
    match batch {
        Some(append) => match line.host_to_the_end("append to the journal", append).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(Error::from_fault(line.operation(), fault)),
        },
        None => Ok(()),
    }
}

/// Loads the journal. A damaged one is read as far as possible, and left as it is: the loop sets it aside.
async fn read(line: &Line) -> Result<Option<Journal>> {
    let stored = line.load("load the inbox", Slot::Inbox).await?;
    let stored = stored.map_err(|fault| Error::from_fault(line.operation(), fault))?;
    Ok(stored.map(|stored| Journal::read(&stored.bytes).unwrap_or_else(Damaged::salvaged)))
}
