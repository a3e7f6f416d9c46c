//! Agents, and bounded waits for what a peer saw.

use std::time::Duration;

use molecule_async::{Agent, AgentBuilder, Storage, Timeouts};
use molecule_conformance::{ID, Log, ScriptedPeer};

/// Longer than any limit of a scenario, and shorter than any patience.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// An agent that holds a token and keeps nothing on disk. Its platform is on this machine, which no proxy stands before.
pub(crate) fn builder(url: impl Into<String>) -> AgentBuilder {
    Agent::builder(url, ID).storage(Storage::Memory).token("tok")
}

pub(crate) fn agent(url: impl Into<String>) -> Agent {
    builder(url).build().unwrap()
}

/// The defaults, with one of them changed.
pub(crate) fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Timeouts {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    timeouts
}

/// Waits until so many requests have come, at most 10 s.
pub(crate) async fn requests(peer: &ScriptedPeer, count: usize) {
    assert!(wait(peer, move |log| log.requests.len() >= count).await, "{count} requests: {:?}", peer.requests());
}

/// Waits until so many connections are over, at most 10 s.
pub(crate) async fn closed(peer: &ScriptedPeer, count: usize) {
    assert!(wait(peer, move |log| log.closed >= count).await, "{count} connections were due to close");
}

/// On a thread of its own, so that the runtime under test goes on.
async fn wait(peer: &ScriptedPeer, until: impl Fn(&Log) -> bool + Send + 'static) -> bool {
    let watch = peer.watch();
    tokio::task::spawn_blocking(move || watch.wait(until)).await.unwrap()
}
