//! What goes in and comes out of the machine, apart from requests.

use bytes::Bytes;
use molecule_proto::Wake;

/// What a request is answered with.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Answer {
    /// The whole answer.
    Ready(http::Response<Bytes>),
    /// The answer waits for an agent that is called: [`Turn::Answer`] brings it under the same ticket.
    Later(Ticket),
}

impl Answer {
    /// The answer, if it is there already.
    pub fn ready(self) -> Option<http::Response<Bytes>> {
        match self {
            Self::Ready(response) => Some(response),
            Self::Later(_) => None,
        }
    }
}

/// Names a request whose answer comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// Names a call to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DispatchId(pub(crate) u64);

/// What [`Platform::poll`](crate::Platform::poll) asks of its driver.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Turn {
    /// Send this to an agent, to exactly this URI and without following redirects, and give what came of it to
    /// [`Platform::dispatched`](crate::Platform::dispatched) under the same id.
    Dispatch(DispatchId, http::Request<Bytes>),
    /// What comes of this call no longer matters: close its connection, if it is still open.
    Cancel(DispatchId),
    /// The answer of a request that was answered [`Answer::Later`].
    Answer(Ticket, http::Response<Bytes>),
    /// Nothing to do until the next request, the next outcome of a call, the next act of an owner, or the wake.
    Idle(Option<Wake>),
}
