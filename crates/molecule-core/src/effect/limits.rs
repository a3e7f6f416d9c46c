//! The limits of a request: its time, the size of its answer, the connections and addresses that it may use.

use std::time::Duration;

use crate::config::Timeouts;
use crate::effect::connection::{HEARD, KEPT, Reach, Repeat};

/// A request whose answer may take longer than this goes onto a connection that was recently heard.
const LONG: Duration = Duration::from_secs(30);

/// The limits of a request: the time of each phase, the size of the answer, and which connections and addresses it may
/// use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The time to resolve the name and connect, TLS included.
    pub connect: Duration,
    /// The time from the end of the request to the head of the answer.
    pub head: Duration,
    /// The time between two pieces of the answer's body. For a [watch](crate::effect::Effect::Watch) it is the longest
    /// silence of the stream, and may be longer than `total`.
    pub read: Duration,
    /// The time of the whole request. A watched stream has no such limit: here it is the time to its head, or to the end
    /// of an answer that is no stream.
    pub total: Duration,
    /// The most bytes of the answer's body, after decoding.
    pub max_body: u64,
    /// How long ago the last answer on a pooled connection may be for the connection to carry the request, measured by
    /// the larger of both clocks' advances ([`Now::since`](crate::machine::Now::since)). If all pooled connections are
    /// older, the driver opens a new one.
    ///
    /// Independent of this limit: when a time limit passes on a pooled connection, the driver closes all idle
    /// connections of the origin, so that the next request opens a new one.
    pub max_idle: Duration,
    /// The addresses that the request may reach.
    pub reach: Reach,
}

impl Limits {
    /// Makes limits in which each phase may take the total time. They allow every address and every pooled connection.
    pub const fn of(total: Duration, max_body: u64) -> Self {
        let reach = Reach::Anywhere;
        Self { connect: total, head: total, read: total, total, max_body, max_idle: KEPT, reach }
    }

    /// Returns the limits for a request of this kind. A request that may not be repeated, or whose answer may take
    /// minutes, goes onto a connection that was heard within [`HEARD`] or onto a new one. On a dead connection it would
    /// be lost, or nobody would notice before the limit passes.
    pub(crate) fn repeated(self, repeat: Repeat) -> Self {
        let needs_life = repeat == Repeat::OnlyUnsent || self.head > LONG;
        if needs_life { Self { max_idle: self.max_idle.min(HEARD), ..self } } else { self }
    }

    /// Limits the time to resolve the name and connect.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Limits the time from the end of the request to the head of the answer.
    #[must_use]
    pub fn head(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// Limits the time between two pieces of the answer's body.
    #[must_use]
    pub fn read(mut self, limit: Duration) -> Self {
        self.read = limit;
        self
    }

    /// Limits the time of the whole request.
    #[must_use]
    pub fn total(mut self, limit: Duration) -> Self {
        self.total = limit;
        self
    }

    /// Limits how long ago the last answer on a pooled connection may be.
    #[must_use]
    pub fn max_idle(mut self, limit: Duration) -> Self {
        self.max_idle = limit;
        self
    }

    /// Sets the addresses that the request may reach.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }
}

impl Timeouts {
    /// Returns the limits of one request of a call that has `left` of its time left.
    pub(crate) fn limits(&self, left: Duration, max_body: u64) -> Limits {
        let total = self.request.min(left);
        Limits {
            connect: self.connect.min(total),
            head: self.answer.min(total),
            read: self.read.min(total),
            ..Limits::of(total, max_body)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_repeated_or_may_take_minutes_needs_a_connection_that_was_heard() {
        let (short, long) = (Limits::of(LONG, 1), Limits::of(LONG + Duration::from_secs(1), 1));
        assert_eq!(short.repeated(Repeat::Always).max_idle, KEPT);
        assert_eq!(short.repeated(Repeat::OnlyUnsent).max_idle, HEARD);
        assert_eq!(long.repeated(Repeat::Always).max_idle, HEARD);
    }
}
