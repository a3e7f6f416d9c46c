//! An agent's options once they were checked.

pub(crate) mod base_url;
pub(crate) mod http_url;
pub(crate) mod options;
pub(crate) mod proxy;
pub(crate) mod route;

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use molecule_proto::{AgentCard, IdError, Token, WorkspaceId};

use crate::config::base_url::BaseUrl;
use crate::config::options::OnPause;
use crate::config::route::Route;
use crate::error::{Error, Result};
use crate::printable::ShownUrl;

/// What an agent works by. Made by [`Options::build`](crate::Options::build) alone, so it holds no nonsense.
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
    pub(crate) intervals: Intervals,
    pub(crate) timeouts: Timeouts,
    pub(crate) on_pause: OnPause,
    pub(crate) stagger: Duration,
    pub(crate) route: Route,
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
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Where the platform is.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Which workspace the agent is.
    pub fn workspace_id(&self) -> &WorkspaceId {
        &self.workspace_id
    }
}

/// How often the loop's lanes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intervals {
    /// Between heartbeats; 30 s unless told otherwise.
    pub heartbeat: Duration,
    /// Between looks at the state; 30 s unless told otherwise.
    pub state: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(30), state: Duration::from_secs(30) }
    }
}

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Resolving and connecting, TLS included; 10 s.
    pub connect: Duration,
    /// From the request's end to the answer's head; 10 s.
    pub answer: Duration,
    /// Between two pieces of an answer; 10 s.
    pub read: Duration,
    /// One request as a whole; 30 s.
    pub request: Duration,
    /// One call with all its requests and waits; 90 s.
    pub call: Duration,
    /// One call of a peer, which may think for long before it answers; 300 s. The platform gives up after half an hour.
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits resolving and connecting, TLS included.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Limits the time from the request's end to the answer's head.
    #[must_use]
    pub fn answer(mut self, limit: Duration) -> Self {
        self.answer = limit;
        self
    }

    /// Limits the time between two pieces of an answer.
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

/// Reads the id of a workspace that somebody gave.
pub(crate) fn workspace_id(operation: &'static str, id: impl AsRef<str>) -> Result<WorkspaceId> {
    id.as_ref().trim().parse().map_err(|error: IdError| {
        Error::config(error.to_string(), "use the id that the list of peers shows for the workspace").during(operation)
    })
}
