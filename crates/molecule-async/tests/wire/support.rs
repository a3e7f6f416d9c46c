//! Agents and an endpoint for the scenarios.

use std::time::Duration;

use bytes::Bytes;
use molecule_async::core::endpoint::{Endpoint, Mismatch, Repeat};
use molecule_async::core::session::{Auth, Draft};
use molecule_async::{Agent, AgentBuilder, Result, Storage, Timeouts, WorkspaceId};
use molecule_conformance::{Act, Log, Peer, Received};

pub(crate) const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

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

/// What a platform that mints says to a register, and to the view before it.
pub(crate) fn minting(request: &Received) -> Vec<Act> {
    vec![Act::json(&match request {
        request if request.is("POST /registry/register") => {
            r#"{"status":"registered","delivery_mode":"poll","auth_token":"minted"}"#.to_owned()
        }
        _ => view(),
    })]
}

/// The workspace, online.
pub(crate) fn view() -> String {
    format!(r#"{{"id":"{ID}","status":"online","kind":"workspace"}}"#)
}

/// Waits until so many requests have come, at most 10 s.
pub(crate) async fn requests(peer: &Peer, count: usize) {
    assert!(wait(peer, move |log| log.requests.len() >= count).await, "{count} requests: {:?}", peer.requests());
}

/// Waits until so many connections are over, at most 10 s.
pub(crate) async fn closed(peer: &Peer, count: usize) {
    assert!(wait(peer, move |log| log.closed >= count).await, "{count} connections were due to close");
}

/// On a thread of its own, so that the runtime under test goes on.
async fn wait(peer: &Peer, until: impl Fn(&Log) -> bool + Send + 'static) -> bool {
    let watch = peer.watch();
    tokio::task::spawn_blocking(move || watch.wait(until)).await.unwrap()
}

/// `POST /once`, which is never sent again once it may have arrived; so a fault shows as it is.
#[derive(Clone)]
pub(crate) struct Once;

impl Endpoint for Once {
    type Answer = Bytes;
    const OPERATION: &'static str = "once";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "anything";
    const MAX_BODY: u64 = 1000;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(http::Method::POST, "/once", Auth::Bearer))
    }

    fn decode(&self, answer: &http::Response<Bytes>) -> Result<Bytes, Mismatch> {
        Ok(answer.body().clone())
    }
}
