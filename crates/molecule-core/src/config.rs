//! The checked configuration of an agent.

pub(crate) mod base_url;
pub(crate) mod http_url;
pub(crate) mod inbox;
pub(crate) mod options;
pub(crate) mod peer_token;
pub(crate) mod proxy;
pub(crate) mod route;
pub(crate) mod server;

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use molecule_proto::{AgentCard, IdError, Token, WorkspaceId};

use crate::config::base_url::BaseUrl;
use crate::config::inbox::InboxOptions;
use crate::config::options::OnPause;
use crate::config::peer_token::PeerTokens;
use crate::config::route::Route;
use crate::error::{Error, Result};
use crate::printable::ShownUrl;

/// The configuration of an agent. Only [`Options::build`](crate::Options::build) makes one, so every value in it has
/// been checked.
///
/// `Debug` shows no credential, and URLs without their query.
#[derive(Clone)]
pub struct Config {
    pub(crate) base_url: BaseUrl,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) card: AgentCard,
    pub(crate) reported_url: Option<String>,
    pub(crate) org_id: Option<HeaderValue>,
    pub(crate) origin: Option<HeaderValue>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) given_token: Option<Token>,
    pub(crate) store_given_token: bool,
    /// Whether the agent's store ends with the process.
    pub(crate) is_store_in_memory: bool,
    pub(crate) intervals: Intervals,
    pub(crate) timeouts: Timeouts,
    pub(crate) on_pause: OnPause,
    pub(crate) stagger: Duration,
    pub(crate) route: Route,
    pub(crate) inbox: InboxOptions,
    pub(crate) peer_tokens: PeerTokens,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("base_url", &self.base_url)
            .field("workspace_id", &self.workspace_id)
            .field("card", &self.card)
            .field("reported_url", &self.reported_url.as_deref().map(ShownUrl))
            .field("org_id", &self.org_id)
            .field("origin", &self.origin)
            .field("user_agent", &self.user_agent)
            .field("given_token", &self.given_token)
            .field("intervals", &self.intervals)
            .field("timeouts", &self.timeouts)
            .field("on_pause", &self.on_pause)
            .field("stagger", &self.stagger)
            .field("route", &self.route)
            .field("inbox", &self.inbox)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Returns the platform's base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the id of the agent's workspace.
    pub fn workspace_id(&self) -> &WorkspaceId {
        &self.workspace_id
    }
}

/// The intervals of the heartbeat loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intervals {
    /// The time between two heartbeats; 30 s by default.
    pub heartbeat: Duration,
    /// The time between two polls of the state; 30 s by default.
    pub state: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(30), state: Duration::from_secs(30) }
    }
}

/// The time limits of requests and calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Resolving the host's name and connecting, TLS included; 10 s.
    pub connect: Duration,
    /// From the end of the request to the head of the answer; 10 s.
    pub answer: Duration,
    /// Between two pieces of the answer's body; 10 s.
    pub read: Duration,
    /// One request as a whole; 30 s.
    pub request: Duration,
    /// One call with all its requests and waits; 90 s.
    pub call: Duration,
    /// One call of a peer; 300 s, since a peer may work for minutes before it answers. The platform gives up after 30
    /// minutes.
    pub peer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            read: Duration::from_secs(10),
            request: Duration::from_secs(30),
            call: Duration::from_secs(90),
            peer: Duration::from_secs(300),
        }
    }
}

impl Timeouts {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the time to resolve the host's name and connect, TLS included.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Limits the time from the end of the request to the head of the answer.
    #[must_use]
    pub fn answer(mut self, limit: Duration) -> Self {
        self.answer = limit;
        self
    }

    /// Limits the time between two pieces of the answer's body.
    #[must_use]
    pub fn read(mut self, limit: Duration) -> Self {
        self.read = limit;
        self
    }

    /// Limits one request as a whole.
    #[must_use]
    pub fn request(mut self, limit: Duration) -> Self {
        self.request = limit;
        self
    }

    /// Limits one call with all its requests and waits.
    #[must_use]
    pub fn call(mut self, limit: Duration) -> Self {
        self.call = limit;
        self
    }

    /// Limits one call of a peer.
    #[must_use]
    pub fn peer(mut self, limit: Duration) -> Self {
        self.peer = limit;
        self
    }
}

/// Parses a workspace id that a caller of this operation gave.
pub(crate) fn workspace_id(operation: &'static str, id: impl AsRef<str>) -> Result<WorkspaceId> {
    id.as_ref().trim().parse().map_err(|error: IdError| {
        Error::config(error.to_string(), "use the id that the list of peers shows for the workspace").during(operation)
    })
}
