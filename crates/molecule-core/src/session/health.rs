//! The snapshot of an agent's state, which its application may ask for at any time.

use molecule_proto::{DeliveryMode, RateLimit, UnixTime, WorkspaceStatus};
use serde::{Serialize, Serializer};

use crate::session::Dialect;
use crate::session::delivery::PushState;

/// A snapshot of an agent's state, of `agent.health()`. As JSON it is an object with these fields, and points in time
/// are in RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// When the last good heartbeat was answered.
    pub last_beat: Option<UnixTime>,
    /// The status that the platform last showed.
    pub status: Option<WorkspaceStatus>,
    /// How often the heartbeat has failed in a row.
    pub heartbeat_failures: u32,
    /// How often the poll of the state has failed in a row.
    pub state_failures: u32,
    /// How often the loop's register has failed in a row.
    pub register_failures: u32,
    /// How often the inbox has failed in a row to read the feed, or to save its journal, whichever is more.
    pub inbox_failures: u32,
    /// How often the check whether the platform reaches the agent's server has failed in a row without a result.
    pub delivery_failures: u32,
    /// How messages reach the agent since its last register; `None` before one.
    pub delivery_mode: Option<DeliveryMode>,
    /// Whether the platform reaches the agent's own server; `None` if none runs.
    pub push: Option<PushState>,
    /// How many messages the handler works on.
    pub handling: u32,
    /// What the server last said about its rate limit.
    pub rate: Option<RateLimit>,
    /// The server's dialect; `None`, in JSON `unknown`, until an answer has shown it.
    #[serde(serialize_with = "told")]
    pub dialect: Option<Dialect>,
    /// Whether this agent has registered since it was built.
    pub registered: bool,
    /// Counters of what the agent has done since it was built.
    pub counters: Counters,
}

fn told<S: Serializer>(dialect: &Option<Dialect>, serializer: S) -> Result<S::Ok, S::Error> {
    match dialect {
        Some(dialect) => dialect.serialize(serializer),
        None => serializer.serialize_str("unknown"),
    }
}

/// Counters of what an agent has done since it was built. Each of them only grows, as metrics systems expect of
/// counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Good heartbeats.
    pub beats: u64,
    /// Requests that were sent to the platform and to peers.
    pub requests: u64,
    /// Requests that repeat a failed one of the same call; included in `requests`.
    pub retries: u64,
    /// Requests without an answer, or whose answer is an error; included in `requests`.
    pub failures: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answer bodies and of plugins' archives.
    pub bytes_received: u64,
}

impl Counters {
    /// Counts a request that was sent with a body of this many bytes.
    pub(crate) fn sent(&mut self, body: usize, is_retry: bool) {
        self.requests += 1;
        self.retries += u64::from(is_retry);
        self.bytes_sent += body as u64;
    }

    /// Counts the received bytes of a body.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.bytes_received = self.bytes_received.saturating_add(bytes);
    }
}
