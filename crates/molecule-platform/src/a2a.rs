//! Messages between agents: the sender, the body, the delivery to the target, and the queue of a busy target (contract
//! sections 9 to 11; April 7).

mod caller;
mod deliver;
mod envelope;
mod flight;
mod forward;
mod outcome;
mod queue;
mod request;

pub(crate) use caller::{Caller, DENIED};
pub(crate) use deliver::{Delivery, Purpose, Sender, SenderClass};
pub(crate) use envelope::Envelope;
pub(crate) use flight::Mail;
