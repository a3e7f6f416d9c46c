//! What a network does to a request.

use serde::{Deserialize, Serialize};

/// What requests meet from some moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Of a hundred requests so many meet a gust.
    pub percent: u8,
    /// Which gusts there are; each is as likely as the others.
    pub gusts: Vec<Gust>,
    /// Requests on one route alone, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}

impl Weather {
    /// Nothing is in the way.
    pub fn fair() -> Self {
        Self { percent: 0, gusts: Vec::new(), route: None }
    }

    /// Whether no request can meet a gust.
    pub fn is_fair(&self) -> bool {
        self.percent == 0 || self.gusts.is_empty()
    }
}

/// What one request meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Gust {
    /// Nobody listens: a connection is refused at once.
    Refused,
    /// The name has no address.
    Unresolved,
    /// The certificate is refused.
    TlsRefused,
    /// The proxy says no.
    ProxyRefused,
    /// The proxy wants other credentials.
    ProxyLocked,
    /// Lost before the server saw it: the connection breaks, or (`silent`) nothing ever comes.
    LostBefore {
        /// The caller waits until its limit.
        silent: bool,
    },
    /// The server acted, and its answer is lost.
    LostAfter {
        /// The caller waits until its limit.
        silent: bool,
    },
    /// One part takes its time, perhaps longer than its limit. The server acts, unless there is no connection.
    Slow {
        /// Which part.
        part: Part,
        /// How long, in milliseconds.
        ms: u32,
    },
    /// Something before the server turns the request away with 429.
    TooMany(Asked),
    /// A gateway's error.
    Gateway {
        /// 502, 503 or 504.
        status: u16,
        /// Whether the server got the request all the same, and acted.
        acted: bool,
        /// What it asks for, as the error pages of some do.
        #[serde(default, skip_serializing_if = "Asked::is_nothing")]
        asked: Asked,
    },
    /// Something before the server asks for patience, and has not passed the request on: 503 with `Retry-After`.
    Busy(Asked),
    /// A redirect to a sign-in page on another host.
    Redirect,
    /// The answer ends in the middle of its body.
    Cut,
    /// The answer is no JSON any more.
    Corrupt,
    /// A web page is answered, with this status; the server never saw the request.
    Page {
        /// The status.
        status: u16,
    },
    /// A web framework or a gateway answers in the server's place, in JSON of its own, with this status: 401, 404, 410.
    Framework {
        /// The status.
        status: u16,
    },
    /// Something before the server refuses, with this status, and quotes the request's credential.
    Echo {
        /// The status.
        status: u16,
    },
    /// The answer is larger than any cap.
    TooLarge,
    /// A web page that is larger than any cap is answered, with this status; the server never saw the request.
    LongPage {
        /// The status.
        status: u16,
    },
    /// What comes back is no HTTP.
    NoHttp,
}

/// A part of an exchange that can be slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The connection.
    Connect,
    /// The answer's head.
    Head,
    /// One piece of the body.
    Read,
    /// A body that drips: never long between two pieces.
    Drip,
}

/// What `Retry-After` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// There is none.
    #[default]
    Nothing,
    /// Seconds.
    Seconds(u32),
    /// A date, so many seconds from the server's now.
    Date(i32),
    /// Junk.
    Junk,
}

impl Asked {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Route {
    /// `POST /registry/register`.
    Register,
    /// `POST /registry/heartbeat`.
    Heartbeat,
    /// `POST /registry/update-card`.
    Card,
    /// `GET /workspaces/:id`.
    View,
    /// `GET /workspaces/:id/state`.
    State,
    /// `GET /workspaces/:id/secrets/values`.
    Secrets,
    /// `POST /workspaces/:id/external/rotate`.
    Rotate,
    /// `POST /workspaces/:id/tokens`.
    Mint,
    /// `GET /workspaces/:id/tokens`.
    ListTokens,
    /// `DELETE /workspaces/:id/tokens/:row`.
    RevokeToken,
    /// `GET /registry/:id/peers`.
    Peers,
    /// `GET /registry/discover/:id`.
    Discover,
    /// `POST /registry/check-access`.
    CheckAccess,
    /// `POST /workspaces/:id/a2a`.
    A2a,
    /// `GET /workspaces/:id/a2a/queue/:item`.
    QueueItem,
    /// `POST /workspaces/:id/delegate`.
    Delegate,
    /// `GET /workspaces/:id/delegations`.
    Delegations,
    /// `POST` to a peer's own URL.
    Direct,
    /// The platform's own call of an agent; the agent that is called is the one that it strikes.
    Dispatch,
}

impl Route {
    /// The route of a request to the platform; `None` for one that no machine has.
    pub(crate) fn of(method: &http::Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        Some(match (method.as_str(), segments.as_slice()) {
            ("POST", ["registry", "register"]) => Self::Register,
            ("POST", ["registry", "heartbeat"]) => Self::Heartbeat,
            ("POST", ["registry", "update-card"]) => Self::Card,
            ("GET", ["workspaces", _]) => Self::View,
            ("GET", ["workspaces", _, "state"]) => Self::State,
            ("GET", ["workspaces", _, "secrets", "values"]) => Self::Secrets,
            ("POST", ["workspaces", _, "external", "rotate"]) => Self::Rotate,
            ("POST", ["workspaces", _, "tokens"]) => Self::Mint,
            ("GET", ["workspaces", _, "tokens"]) => Self::ListTokens,
            ("DELETE", ["workspaces", _, "tokens", _]) => Self::RevokeToken,
            ("GET", ["registry", _, "peers"]) => Self::Peers,
            ("GET", ["registry", "discover", _]) => Self::Discover,
            ("POST", ["registry", "check-access"]) => Self::CheckAccess,
            ("POST", ["workspaces", _, "a2a"]) => Self::A2a,
            ("GET", ["workspaces", _, "a2a", "queue", _]) => Self::QueueItem,
            ("POST", ["workspaces", _, "delegate"]) => Self::Delegate,
            ("GET", ["workspaces", _, "delegations"]) => Self::Delegations,
            _ => return None,
        })
    }

    /// Whether the server does something new each time, so that only what was certainly not handled may be sent again.
    pub(crate) fn acts_each_time(self) -> bool {
        matches!(self, Self::Rotate | Self::Mint)
    }
}
