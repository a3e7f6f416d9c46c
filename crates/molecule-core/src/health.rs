//! How an agent is, as its application may ask at any time.

use molecule_proto::{RateLimit, UnixTime, WorkspaceStatus};

use crate::session::Dialect;

/// A snapshot of an agent's state, of `agent.health()`.
#[derive(Debug, Clone, PartialEq)]
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
    /// Which server this is, as far as its answers told.
    pub dialect: Dialect,
    /// Whether this agent has registered since it was built.
    pub registered: bool,
}
