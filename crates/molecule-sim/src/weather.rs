//! Network faults: which requests meet one, and which faults there are.

use serde::{Deserialize, Serialize};

/// The network faults that requests meet from some time on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// The percentage of requests that meet a fault.
    pub percent: u8,
    /// The faults; each is equally likely.
    pub gusts: Vec<Gust>,
    /// The only route with faults; `None`: all routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}

impl Weather {
    /// A network without faults.
    pub fn fair() -> Self {
        Self { percent: 0, gusts: Vec::new(), route: None }
    }

    /// Returns whether no request can meet a fault.
    pub fn is_fair(&self) -> bool {
        self.percent == 0 || self.gusts.is_empty()
    }
}

/// The fault that one request meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Gust {
    /// A proxy in front of an agent's own server sends the request twice at once. Any other request meets nothing.
    Twice,
    /// The connection is refused at once.
    Refused,
    /// The host name has no address.
    Unresolved,
    /// The TLS handshake fails.
    TlsRefused,
    /// The proxy refuses the tunnel.
    ProxyRefused,
    /// The proxy answers 407.
    ProxyLocked,
    /// The request is lost before the server gets it: the connection breaks, or (`silent`) no answer ever comes.
    LostBefore {
        /// Whether the caller waits until its timeout.
        silent: bool,
    },
    /// The server acts, and its answer is lost.
    LostAfter {
        /// Whether the caller waits until its timeout.
        silent: bool,
    },
    /// One part of the exchange is slow, perhaps slower than its timeout. The server acts, unless there is no
    /// connection.
    Slow {
        /// The part.
        part: SlowPart,
        /// The delay in milliseconds.
        ms: u32,
    },
    /// A gateway in front of the server refuses the request with 429.
    TooMany(RetryAfter),
    /// An error of a gateway.
    Gateway {
        /// 502, 503 or 504.
        status: u16,
        /// Whether the server got the request nevertheless, and acted.
        acted: bool,
        /// The `Retry-After` header, which some gateways send with their error pages.
        #[serde(default, skip_serializing_if = "RetryAfter::is_nothing")]
        asked: RetryAfter,
    },
    /// A gateway in front of the server answers 503 with `Retry-After` and does not pass the request on.
    Busy(RetryAfter),
    /// A redirect to a sign-in page on another host.
    Redirect,
    /// The answer ends in the middle of its body.
    Cut,
    /// The answer's body is no valid JSON.
    Corrupt,
    /// A web page with this status is the answer; the server never gets the request.
    Page {
        /// The status.
        status: u16,
    },
    /// A web framework or a gateway answers instead of the server, with JSON of its own and this status: 401, 404, 410.
    Framework {
        /// The status.
        status: u16,
    },
    /// A gateway in front of the server refuses with this status, and its body repeats the request's credential.
    Echo {
        /// The status.
        status: u16,
    },
    /// The answer's body is above any size limit.
    TooLarge,
    /// A web page above any size limit, with this status, is the answer; the server never gets the request.
    LongPage {
        /// The status.
        status: u16,
    },
    /// The answer is no HTTP.
    NoHttp,
}

/// A part of an exchange that can be slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlowPart {
    /// Opening the connection.
    Connect,
    /// The answer's head.
    Head,
    /// One piece of the body.
    Read,
    /// The whole body, in pieces that are never far apart.
    Drip,
}

/// The value of `Retry-After`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryAfter {
    /// No header.
    #[default]
    Nothing,
    /// Seconds.
    Seconds(u32),
    /// A date, this many seconds from the server's time.
    Date(i32),
    /// Text that is neither a number nor a date.
    Junk,
}

impl RetryAfter {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// The route of a request.
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
    /// `GET /workspaces/:id/activity`.
    Feed,
    /// `POST /workspaces/:id/activity/ack`.
    Ack,
    /// `POST /workspaces/:id/notify`.
    Notify,
    /// `GET /workspaces/:id/events/stream`, and each event on the stream.
    Events,
    /// `POST` to a peer's own URL.
    Direct,
    /// The platform's own call of an agent; the fault strikes the agent that is called.
    Dispatch,
}

impl Route {
    /// The route of a request to the platform; `None` for one that no machine uses.
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
            ("GET", ["workspaces", _, "activity"]) => Self::Feed,
            ("POST", ["workspaces", _, "activity", "ack"]) => Self::Ack,
            ("POST", ["workspaces", _, "notify"]) => Self::Notify,
            ("GET", ["workspaces", _, "events", "stream"]) => Self::Events,
            _ => return None,
        })
    }

    /// Returns whether each request creates something new, so that it may be repeated only if it certainly was not
    /// handled.
    pub(crate) fn acts_each_time(self) -> bool {
        matches!(self, Self::Rotate | Self::Mint)
    }
}
