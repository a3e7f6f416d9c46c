//! Agents and an endpoint for the scenarios.

use std::time::Duration;

use bytes::Bytes;
use molecule_async::core::endpoint::{Endpoint, Mismatch, Repeat};
use molecule_async::core::session::{Auth, Draft};
use molecule_async::{Agent, AgentBuilder, Result, Storage, Timeouts, WorkspaceId};
use tokio::net::TcpSocket;

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

/// A port of this machine on which nobody listens, and which nobody else is given while the socket lives.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
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
