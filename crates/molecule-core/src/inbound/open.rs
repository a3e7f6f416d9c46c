//! The start of a server: the answers that are kept, and the inbound secrets that are known.

use std::io::ErrorKind;

use super::answers::{Answers, Damaged};
use crate::config::server::ServerLimits;
use crate::effect::{FaultKind, HostOp, HostResult, Slot};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, machine_of_flow};
use crate::life::load_inbound::{load_inbound, load_replaced};

const OPERATION: &str = "start the A2A server";

/// Loads what a server must know before it serves.
#[derive(Debug)]
pub(super) struct Open(Flow<Result<Answers>>);

impl Open {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self(Flow::new(OPERATION, move |line| async move {
            // A server that knew a secret before it was restarted serves nobody without it. If it cannot be read, it stays
            // unknown, and nobody is served without a credential either.
            if let Err(error) = load_inbound(&line).await? {
                warn(&line, &error);
            }
            if let Err(error) = load_replaced(&line).await? {
                warn(&line, &error);
            }
            load_answers(&line, &limits).await
        }))
    }
}

machine_of_flow!(Open, Result<Answers>);

/// Loads the kept answers. A server whose answers cannot be read serves all the same: a message that was answered before
/// may then be handled again, if it is sent again.
async fn load_answers(line: &Line, limits: &ServerLimits) -> Result<Answers> {
    let stored = match line.load("load the kept answers", Slot::Answers).await? {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(Answers::new(limits)),
        Err(fault) => {
            let is_too_large = fault.kind == FaultKind::Host(ErrorKind::FileTooLarge);
            warn(line, &Error::from_fault("load the kept answers", fault));
            if is_too_large {
                set_aside(line).await?;
            }
            return Ok(Answers::new(limits));
        }
    };
    match Answers::read(limits, &stored.bytes) {
        Ok(answers) => Ok(answers),
        Err(Damaged(salvaged)) => {
            let kept = set_aside(line).await?;
            line.tell(Event::Warning(format!(
                "the kept answers at {} are damaged; they are kept as {kept}, and what could be read of them stays known; a \
                 message that they listed as answered may be handled again",
                stored.place
            )));
            Ok(salvaged)
        }
    }
}

async fn set_aside(line: &Line) -> Result<String> {
    match line.host("set the kept answers aside", HostOp::SetAside(Slot::Answers)).await? {
        Ok(HostResult::SetAside(place)) => Ok(place),
        Ok(_) => unreachable!("a slot that is set aside is answered by its new place"),
        Err(fault) => {
            warn(line, &Error::from_fault("set the kept answers aside", fault));
            Ok("it was".to_owned())
        }
    }
}

fn warn(line: &Line, error: &Error) {
    line.tell(Event::Warning(error.to_string()));
}
