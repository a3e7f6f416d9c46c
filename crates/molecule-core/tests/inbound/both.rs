//! An agent that gets its messages both ways.

use std::time::Duration;

use molecule_core::{Plan, ServerOptions};
use serde_json::json;

use crate::support::inbound::{SECRET, Server};
use crate::support::{Agent, Received};

/// An agent with a loop that receives messages and a server, which share one session.
pub(crate) struct Both {
    pub(crate) received: Received,
    pub(crate) server: Server,
}

impl Both {
    pub(crate) fn new() -> Self {
        Self::of(Received::usual())
    }

    /// A loop that begins now, with a server beside it.
    pub(crate) fn of(received: Received) -> Self {
        Self::with(received, ServerOptions::new().look_up_senders(false))
    }

    /// The same in push mode, once the loop begins.
    pub(crate) fn pushed(plan: Plan, received: Received) -> Self {
        let mut both = Self::of(received);
        both.received.agent.session.serve("http://localhost:8080/a2a", plan).unwrap();
        both
    }

    pub(crate) fn with(mut received: Received, options: ServerOptions) -> Self {
        received.agent.store.inbound = Some(SECRET.to_owned());
        let agent = std::mem::replace(&mut received.agent, Agent::new());
        let mut server = Server::of(agent, options);
        std::mem::swap(&mut server.agent, &mut received.agent);
        Self { received, server }
    }

    /// Lets the loop run for this time.
    pub(crate) fn on(&mut self, time: Duration) {
        self.received.on(time);
    }

    /// Does something with the server.
    pub(crate) fn serve<R>(&mut self, act: impl FnOnce(&mut Server) -> R) -> R {
        std::mem::swap(&mut self.server.agent, &mut self.received.agent);
        let result = act(&mut self.server);
        std::mem::swap(&mut self.server.agent, &mut self.received.agent);
        result
    }

    /// The platform shows a message in the feed.
    pub(crate) fn show(&mut self, id: &str) {
        let now = self.received.agent.now.unix;
        self.received.platform.feed.message(now, json!(null), "hello", id);
    }

    pub(crate) fn offered(&mut self) -> usize {
        self.received.offers().len()
    }
}
