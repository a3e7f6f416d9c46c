//! What goes in and comes out of the machine, apart from requests.

use bytes::Bytes;
use molecule_proto::{Time, UnixTime};

/// A moment, as whoever drives the platform reads it from its clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// A clock that only grows: limits and sweeps count on it.
    pub mono: Time,
    /// The calendar: times in answers are its.
    pub unix: UnixTime,
}

impl Now {
    /// The same moment in whole microseconds, which is what the server's database keeps.
    pub(crate) fn in_micros(self) -> Self {
        let nanos = self.unix.subsec_nanos();
        Self { mono: self.mono, unix: UnixTime::new(self.unix.as_secs(), nanos - nanos % 1000) }
    }
}

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

/// When to poll again, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// Later than the moment that was polled with.
    pub at: Time,
    /// What will happen then.
    pub why: &'static str,
}
