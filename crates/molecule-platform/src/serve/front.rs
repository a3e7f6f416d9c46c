//! Somebody who stands before a served platform: sees requests first, sets the clock, and hears of every input.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use molecule_proto::Now;
use tokio::sync::mpsc;

use crate::input::{Input, Step};
use crate::platform::Platform;

/// Stands before a platform that [`serve_with`](super::serve_with) serves. It may answer requests itself or disturb
/// them, it sets the clock, and it hears of every input, in order.
pub trait Front: Send + Sync + 'static {
    /// The time. It is asked for once for each input, and must never go backwards.
    fn now(&self) -> Now;

    /// Looks at the head of a request before its body is read.
    fn admit(&self, head: &Parts, peer: SocketAddr) -> Admission;

    /// Decides who answers a request.
    fn decide(&self, request: Request<Bytes>, peer: SocketAddr) -> Deciding<'_>;

    /// Hears of an input that the platform has taken, before its turns are executed, and sees the platform after it. No other input is taken
    /// meanwhile, so that it must not wait, and must not call the server.
    fn stepped(&self, now: Now, input: &Input, step: &Step, platform: &Platform);
}

/// The future of [`Front::decide`].
pub type Deciding<'a> = Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;

/// What happens to a request after its head has been seen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Admission {
    /// Its body is read, up to the limit that the platform has for its path.
    Admit,
    /// Its body is read, up to this number of bytes. A longer one is answered with 413.
    AtMost(usize),
    /// It is answered, and its body is not read.
    Refuse(Response<Bytes>),
}

/// Who answers a request.
#[non_exhaustive]
pub enum Decision {
    /// The platform, under these conditions.
    Platform(Request<Bytes>, Conditions),
    /// The front, with a whole answer.
    Answer(Response<Bytes>),
    /// The front, with this head and a body that ends when the sender is dropped.
    Stream(Response<()>, mpsc::Receiver<Bytes>),
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform(..) => "Platform(..)",
            Self::Answer(_) => "Answer(..)",
            Self::Stream(..) => "Stream(..)",
        })
    }
}

/// The conditions under which the platform answers a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// How long the request is delayed before the platform sees it.
    pub delay: Duration,
    /// Whether the platform's database is unreachable while it handles the request.
    pub database_down: bool,
    /// What becomes of the answer.
    pub fate: Fate,
}

impl Conditions {
    /// Nothing is disturbed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the request is delayed.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets whether the database is unreachable meanwhile.
    #[must_use]
    pub fn database_down(mut self, database_down: bool) -> Self {
        self.database_down = database_down;
        self
    }

    /// Sets what becomes of the answer.
    #[must_use]
    pub fn fate(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }
}

/// What becomes of an answer on its way to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It arrives whole.
    #[default]
    Whole,
    /// The connection is closed after half of its body. An answer without a body is lost.
    Half,
    /// The connection is closed instead of it, although the platform has handled the request.
    Lost,
}
