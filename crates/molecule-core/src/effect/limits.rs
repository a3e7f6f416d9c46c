//! How long a request may take, how much may come back, and onto which connection it may go.

use std::time::Duration;

use crate::config::Timeouts;
use crate::effect::connection::{HEARD, KEPT, Reach, Repeat};

/// An answer that may take longer than this is waited for on a connection that is certainly alive.
const LONG: Duration = Duration::from_secs(30);

/// How long each part of a request may take, how much may come back, and which connection it may go onto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Resolving the name and connecting, TLS included.
    pub connect: Duration,
    /// From the request's end to the answer's head.
    pub head: Duration,
    /// Between two pieces of the answer's body.
    pub read: Duration,
    /// Everything together.
    pub total: Duration,
    /// Bytes of the answer's body, after decoding.
    pub max_body: u64,
    /// How long ago a kept connection may have been heard to carry the request, by the larger of both clocks' advances
    /// ([`Now::since`](crate::machine::Now::since)). Where all are older, a new one is opened.
    ///
    /// Whatever this says: when a limit passes on a kept connection, the driver closes all idle ones of the origin, so that the
    /// next request opens a new one.
    pub max_idle: Duration,
    /// Which addresses the request may reach.
    pub reach: Reach,
}

impl Limits {
    /// Limits of which each phase may take all, towards a host of the owner's, on any kept connection.
    pub const fn of(total: Duration, max_body: u64) -> Self {
        let reach = Reach::Anywhere;
        Self { connect: total, head: total, read: total, total, max_body, max_idle: KEPT, reach }
    }

    /// The same for a request of this kind. One that may not be repeated, or whose answer may take minutes, goes onto a
    /// connection that was heard within seconds or onto a new one: on a dead one it would be lost, or nobody would notice
    /// before its limit.
    pub(crate) fn repeated(self, repeat: Repeat) -> Self {
        let needs_life = repeat == Repeat::OnlyUnsent || self.head > LONG;
        if needs_life { Self { max_idle: self.max_idle.min(HEARD), ..self } } else { self }
    }

    /// Limits resolving and connecting.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Limits the time to the answer's head.
    #[must_use]
    pub fn head(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// Limits the time between two pieces of the body.
    #[must_use]
    pub fn read(mut self, limit: Duration) -> Self {
        self.read = limit;
        self
    }

    /// Limits everything together.
    #[must_use]
    pub fn total(mut self, limit: Duration) -> Self {
        self.total = limit;
        self
    }

    /// Limits how long ago a kept connection may have been heard.
    #[must_use]
    pub fn max_idle(mut self, limit: Duration) -> Self {
        self.max_idle = limit;
        self
    }

    /// Says which addresses may be reached.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }
}

impl Timeouts {
    /// The limits of one request of which `left` is left of its call.
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
