//! The values that the machine returns to its driver.

use bytes::Bytes;
use molecule_proto::Wake;
use serde::{Deserialize, Serialize};

/// The answer to a request.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub enum Answer {
    /// The whole answer.
    Ready(http::Response<Bytes>),
    /// The answer depends on a call to an agent. [`Turn::Answer`] returns it later under the same ticket.
    Later(Ticket),
    /// The answer is an event stream with this head, which never ends by itself. Each [`Turn::Chunk`] under the same
    /// ticket is a part of its body. The driver calls [`Platform::close_stream`](crate::Platform::close_stream) when
    /// the client has closed its connection.
    Stream(Ticket, http::Response<()>),
}

impl Answer {
    /// Returns the answer if it is already complete.
    pub fn ready(self) -> Option<http::Response<Bytes>> {
        match self {
            Self::Ready(response) => Some(response),
            Self::Later(_) | Self::Stream(..) => None,
        }
    }
}

/// The id of a request whose answer comes later or is a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub(crate) u64);

/// The id of a call to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DispatchId(pub(crate) u64);

/// An instruction of [`Platform::poll`](crate::Platform::poll) to its driver.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub enum Turn {
    /// Send this request to an agent, to exactly this URI and without following redirects. Pass its outcome to
    /// [`Platform::dispatched`](crate::Platform::dispatched) under the same id.
    Dispatch(DispatchId, http::Request<Bytes>),
    /// The outcome of this call no longer matters: close its connection, if it is still open.
    Cancel(DispatchId),
    /// The answer to a request for which [`Answer::Later`] was returned.
    Answer(Ticket, http::Response<Bytes>),
    /// The next part of the body of an event stream, for which [`Answer::Stream`] was returned: its first line, or one
    /// whole event. A driver keeps at most [`STREAM_ROOM`](crate::STREAM_ROOM) of them for a client that does not read, and drops the
    /// newer ones.
    Chunk(Ticket, Bytes),
    /// Nothing to do until the next request, the next outcome of a call, the next act of an owner, or the wake.
    Idle(Option<Wake>),
}
