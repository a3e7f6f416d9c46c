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
#[non_exhaustive]
pub enum Answer {
    /// The whole answer. The only kind there is while no message between agents is modelled.
    Ready(http::Response<Bytes>),
}

impl Answer {
    /// The answer, if it is there already.
    pub fn ready(self) -> Option<http::Response<Bytes>> {
        match self {
            Self::Ready(response) => Some(response),
        }
    }
}

/// What [`Platform::poll`](crate::Platform::poll) asks of its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// Nothing to do until the next request, the next act of an owner, or the wake.
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
