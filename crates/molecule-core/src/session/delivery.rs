//! The agent's own server: its URL, the plan of the delivery, and whether the platform reaches it.

use std::fmt;

use molecule_proto::{Now, Time};
use serde::Serialize;

use crate::error::{Error, printable};

/// How messages are to reach an agent that runs a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Plan {
    /// The platform sends them to the server.
    Push,
    /// The platform sends them to the server while it can reach it. The loop checks that. While the platform cannot, the
    /// agent polls.
    Auto,
}

/// Whether the platform reaches the agent's own server. As JSON it is an object with `state` (`unreachable`) and, where there is
/// one, `why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PushState {
    /// Nobody has checked it. Only [`Plan::Auto`] is checked.
    Unchecked,
    /// A message of the agent to itself came through the server.
    Reachable,
    /// It did not. The reason is a sentence.
    Unreachable(String),
}

/// What the agent's own server changes about the delivery of messages.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    server: Option<Server>,
    /// When a server of this process last began to take calls.
    opened_at: Option<Time>,
}

/// Since when the platform sends the agent's messages to its own server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PushMode {
    /// When the register in push mode was sent, and when it was answered.
    pub(crate) sent_at: Time,
    pub(crate) registered_at: Time,
    /// When the server began to take calls. An earlier process may have registered the same URL, so that the platform calls it
    /// from then on.
    pub(crate) opened_at: Option<Time>,
}

/// The server that the platform is to send messages to.
#[derive(Debug)]
struct Server {
    url: String,
    plan: Plan,
    state: PushState,
    /// Whether a server that could not be reached is registered again, to check it once more.
    is_tried_again: bool,
    /// When the server last took a call of the platform.
    pushed_at: Option<Now>,
}

impl Delivery {
    /// Has the platform send messages to a server at this URL.
    pub(super) fn serve(&mut self, url: String, plan: Plan) {
        if self.server.as_ref().is_some_and(|server| server.url == url && server.plan == plan) {
            return;
        }
        self.server = Some(Server { url, plan, state: PushState::Unchecked, is_tried_again: false, pushed_at: None });
    }

    /// Forgets the server.
    pub(super) fn unserve(&mut self) {
        self.server = None;
    }

    /// Records that a server takes calls from now on.
    pub(crate) fn opened(&mut self, now: Time) {
        self.opened_at = Some(now);
    }

    /// Returns when a server last began to take calls.
    pub(crate) fn opened_at(&self) -> Option<Time> {
        self.opened_at
    }

    /// Records that the platform called the server.
    pub(super) fn pushed(&mut self, now: Now) {
        if let Some(server) = &mut self.server {
            server.pushed_at = Some(now);
        }
    }

    /// Returns the URL of the server, if one runs.
    pub(crate) fn served_url(&self) -> Option<&str> {
        self.server.as_ref().map(|server| server.url.as_str())
    }

    /// Returns whether the platform reaches the server, if one runs.
    pub(crate) fn state(&self) -> Option<&PushState> {
        self.server.as_ref().map(|server| &server.state)
    }

    /// Returns whether the loop is to check that the platform reaches the server.
    pub(crate) fn is_auto(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.plan == Plan::Auto)
    }

    /// Returns when the server last took a call of the platform.
    pub(crate) fn pushed_at(&self) -> Option<Now> {
        self.server.as_ref().and_then(|server| server.pushed_at)
    }

    /// Records the result of a check. Returns whether it says something new.
    pub(crate) fn set_state(&mut self, state: PushState) -> bool {
        let Some(server) = &mut self.server else { return false };
        server.is_tried_again = false;
        let is_new = server.state != state;
        if let PushState::Unreachable(_) = state {
            // Calls before it prove nothing any more.
            server.pushed_at = None;
        }
        server.state = state;
        is_new
    }

    /// Has the next register name the server's URL, although it could not be reached.
    pub(crate) fn try_again(&mut self) {
        if let Some(server) = &mut self.server {
            server.is_tried_again = true;
        }
    }

    /// Returns whether the agent polls since the platform does not reach the server.
    pub(crate) fn polls(&self) -> bool {
        let polls = |server: &Server| matches!(server.state, PushState::Unreachable(_)) && !server.is_tried_again;
        self.server.as_ref().is_some_and(polls)
    }
}

impl PushState {
    /// Makes the state of a server whose URL the platform refused to register.
    pub(crate) fn refused(error: &Error) -> Self {
        match error.server_message() {
            // April's server says this of every URL that it does not take.
            Some("invalid request body") | None => Self::Unreachable("the platform refuses the URL".to_owned()),
            Some(message) => Self::Unreachable(format!("the platform refuses the URL: {}", printable(message))),
        }
    }
}

impl fmt::Display for PushState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchecked => f.write_str("not checked"),
            Self::Reachable => f.write_str("reachable"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
        }
    }
}
