//! How an agent is, as its application may ask at any time.

use molecule_proto::{RateLimit, UnixTime, WorkspaceStatus};
use serde::{Serialize, Serializer};

use crate::session::Dialect;

/// A snapshot of an agent's state, of `agent.health()`. As JSON it is an object with these fields, moments in RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// When a heartbeat was last answered well.
    pub last_beat: Option<UnixTime>,
    /// The status that the platform last showed.
    pub status: Option<WorkspaceStatus>,
    /// Failures in a row of the heartbeat.
    pub heartbeat_failures: u32,
    /// Failures in a row of the state's lane.
    pub state_failures: u32,
    /// Failures in a row of registering again.
    pub register_failures: u32,
    /// What the server last said about its rate limit.
    pub rate: Option<RateLimit>,
    /// Which server this is; `None`, and `unknown` in JSON, until an answer told.
    #[serde(serialize_with = "told")]
    pub dialect: Option<Dialect>,
    /// Whether this agent has registered since it was built.
    pub registered: bool,
    /// What the agent did since it was built.
    pub counters: Counters,
}

fn told<S: Serializer>(dialect: &Option<Dialect>, serializer: S) -> Result<S::Ok, S::Error> {
    match dialect {
        Some(dialect) => dialect.serialize(serializer),
        None => serializer.serialize_str("unknown"),
    }
}

/// What an agent did since it was built. Each figure only grows, as a metrics system wants it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Heartbeats that were answered well.
    pub beats: u64,
    /// Requests that were sent, to the platform and to peers.
    pub requests: u64,
    /// Those of them that repeat a failed one of the same call.
    pub retries: u64,
    /// Those of them that brought no good answer: none at all, or one that is an error.
    pub failures: u64,
    /// Bytes of the requests' bodies.
    pub bytes_sent: u64,
    /// Bytes of the answers' bodies, and of plugins' archives.
    pub bytes_received: u64,
}

impl Counters {
    /// A request was sent whose body has so many bytes.
    pub(crate) fn sent(&mut self, body: usize, is_retry: bool) {
        self.requests += 1;
        self.retries += u64::from(is_retry);
        self.bytes_sent += body as u64;
    }

    /// So many bytes of a body came.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.bytes_received = self.bytes_received.saturating_add(bytes);
    }
}
