//! What a driver does for a server, and the numbers by which it is told apart.

use molecule_proto::Wake;

use super::answer::Answer;
use super::ticket::{LookUpId, Ticket};
use crate::effect::{Effect, EffectId};
use crate::endpoint::ActivityFeed;
use crate::event::Event;

/// What the driver does next.
#[derive(Debug)]
#[must_use = "a turn that is dropped is an effect that never happens or an answer that nobody gets"]
pub enum Turn {
    /// Perform the effect, and feed its outcome under the same id: a call of the handler, or an operation of the host.
    Start(EffectId, Effect),
    /// The outcome of the effect no longer matters. A handler goes on; a handler that is a future may be dropped.
    Cancel(EffectId),
    /// Read this page of the agent's own feed, as [`send`](crate::endpoint) does, and give it to [`Inbound::looked_up`](super::Inbound::looked_up).
    LookUp(LookUpId, ActivityFeed),
    /// An event for the application.
    Event(Event),
    /// The answer to a call that was answered [later](Answer::Later). It is never `Later` itself.
    Answer(Ticket, Answer),
    /// Nothing until an input or the wake.
    Idle(Option<Wake>),
}
