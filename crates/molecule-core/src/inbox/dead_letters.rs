//! The dead letters: messages that the handler could not handle.

use molecule_proto::{ActivityId, IdError};

use super::journal::{Damaged, Journal};
use super::message::InboundMessage;
use super::orders::submit;
use crate::effect::{Fault, FaultKind, Slot};
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
    if journal.is_none_or(|journal| journal.dead_letter(&row).is_none()) {
        let cause = format!("there is no dead letter {row}");
        return Err(Error::new(ErrorKind::NotFound, line.operation(), cause).remedy("list them with dead_letters()"));
    }
    line.with(|cx| cx.session.orders.retry(&row));
    let submitted = submit(line).await;
    let Ok(Ok(())) = submitted else {
        // The caller is told that it did not take place.
        line.with(|cx| cx.session.orders.retried.retain(|retried| *retried != row));
        let fault = submitted?.err();
        return fault.map_or(Ok(()), |fault| Err(not_recorded(line, fault)));
    };
    Ok(())
}

fn not_recorded(line: &Line, fault: Fault) -> Error {
    let is_locked = fault.kind == FaultKind::Locked;
    let error = Error::from_fault(line.operation(), fault);
    if is_locked { error.remedy("retry it with the agent whose loop runs, or after its end") } else { error }
}

/// Loads the journal. A damaged one is read as far as possible, and left as it is: the loop sets it aside.
async fn read(line: &Line) -> Result<Option<Journal>> {
    let stored = line.load("load the inbox", Slot::Inbox).await?;
    let stored = stored.map_err(|fault| Error::from_fault(line.operation(), fault))?;
    Ok(stored.map(|stored| Journal::read(&stored.bytes).unwrap_or_else(Damaged::salvaged)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_proto::{ActivityRow, ActivityType, UnixTime, WorkspaceId};
    use zeroize::Zeroizing;

    use super::*;
    use crate::config::options::Options;
    use crate::effect::{Durability, Effect, HostOp, HostResult, LockId, Outcome, Sent, Stored};
    use crate::inbox::journal::Record;
    use crate::inbox::sender::Sender;
    use crate::machine::{Cx, Machine, Now, Session, Step};

    /// The journal with one dead letter, and its row.
    fn journal() -> (Vec<u8>, ActivityId) {
        let (row, own) = (ActivityId::from_random([7; 16]), WorkspaceId::from_random([0; 16]));
        let activity = ActivityRow::new(row.clone(), own, ActivityType::A2aReceive, UnixTime::from_secs(9));
        let message = InboundMessage::from_row(activity, Sender::User, Vec::new());
        let mut journal = Journal::started(UnixTime::from_secs(5));
        journal.record(Record::dead(&message, 3, "no model"));
        (journal.batch().unwrap().0.to_vec(), row)
    }

    /// Retries the dead letter on a store whose lock has this outcome. Returns the end, the operations after the load, and
    /// the journal.
    fn retried(lock: Outcome) -> (Result<()>, Vec<String>, Vec<u8>) {
        let (mut content, row) = journal();
        let config = Options::new("http://127.0.0.1:9", WorkspaceId::from_random([0; 16])).build().unwrap();
        let (mut session, now) = (Session::new(config, 7), Now::default());
        let (mut machine, mut lock, mut ops) = (RetryDeadLetter::new(&row).unwrap(), Some(lock), Vec::new());
        loop {
            let step = machine.poll(&mut Cx { now, session: &mut session });
            let (id, op) = match step {
                Step::Start(id, Effect::Host(op)) => (id, op),
                Step::Done(end) => return (end, ops, content),
                other => panic!("{other:?}"),
            };
            let outcome = match op {
                HostOp::Load(Slot::Inbox) => {
                    let stored = Stored::new(Zeroizing::new(content.clone()), "here");
                    Outcome::Host(HostResult::Loaded(Some(stored)))
                }
                HostOp::Lock => {
                    ops.push("lock".to_owned());
                    lock.take().unwrap()
                }
                HostOp::Append(Slot::Inbox, records, Durability::Sync) => {
                    ops.push("append".to_owned());
                    content.extend_from_slice(&records);
                    Outcome::Host(HostResult::Appended)
                }
                HostOp::Unlock(LockId(4)) => {
                    ops.push("unlock".to_owned());
                    Outcome::Host(HostResult::Unlocked)
                }
                other => panic!("{other:?}"),
            };
            machine.feed(&mut Cx { now, session: &mut session }, id, outcome).unwrap();
        }
    }

    fn is_retried(content: &[u8]) -> bool {
        let journal = Journal::read(content).unwrap();
        journal.dead_letters().all(|letter| letter.is_retried)
    }

    #[test]
    fn a_retry_is_recorded_under_the_agents_lock() {
        let (end, ops, content) = retried(Outcome::Host(HostResult::Locked(LockId(4))));
        end.unwrap();
        assert_eq!(ops, ["lock", "append", "unlock"]);
        assert!(is_retried(&content));
    }

    #[test]
    fn a_retry_beside_the_loop_of_another_process_is_refused() {
        let (end, ops, content) = retried(Outcome::Failed(Fault::new(Sent::No, FaultKind::Locked)));
        let error = end.unwrap_err();
        assert_eq!((error.kind(), ops), (ErrorKind::Locked, vec!["lock".to_owned()]));
        assert!(error.to_string().contains("the agent whose loop runs"), "{error}");
        assert!(!is_retried(&content));
    }

    #[test]
    fn where_nobody_can_lock_a_retry_is_recorded_all_the_same() {
        let unsupported = FaultKind::Host(std::io::ErrorKind::Unsupported);
        let (end, ops, content) = retried(Outcome::Failed(Fault::new(Sent::No, unsupported)));
        end.unwrap();
        assert_eq!(ops, ["lock", "append"]);
        assert!(is_retried(&content));
    }
}
