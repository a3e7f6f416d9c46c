//! Agents for the tests.

use std::time::Duration;

use molecule_blocking::{Agent, AgentBuilder, Storage, Timeouts};
use molecule_conformance::{ID, PeerAction, ScriptedPeer};

/// Nothing in these tests takes longer, whatever goes wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// An agent that holds a token and keeps it in memory. Its platform is on this machine, which no proxy stands before.
pub(crate) fn builder(platform: &str) -> AgentBuilder {
    Agent::builder(platform, ID).token("tok-123").storage(Storage::Memory)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Limits that no test reaches, for a test to replace one of them.
pub(crate) fn patient() -> Timeouts {
    let limits = Timeouts::new().connect(PATIENCE).answer(PATIENCE).read(PATIENCE);
    limits.request(PATIENCE).call(PATIENCE).peer(PATIENCE)
}

/// Answers every request like this.
pub(crate) fn saying(text: &'static str) -> ScriptedPeer {
    ScriptedPeer::answering(move |_| vec![PeerAction::answer("200 OK", text)])
}
