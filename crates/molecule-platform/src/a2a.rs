//! Messages between agents: who sends, what is made of a body, how it reaches its target, and what waits for a busy one
//! (contract sections 9 to 11; April 7).

mod caller;
mod deliver;
mod envelope;
mod flight;
mod outcome;
mod queue;
mod request;

pub(crate) use caller::{Caller, DENIED};
pub(crate) use deliver::{Delivery, Purpose, Sender};
pub(crate) use envelope::Envelope;
pub(crate) use flight::Mail;
