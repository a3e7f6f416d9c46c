//! How messages reach the agent: what its registers say, and whether the platform reaches the agent's own server.

use std::fmt;

use molecule_proto::{InboundSecret, Now};
use serde::Serialize;

use crate::config::options::reported_url;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::session::credential::{InboundState, ReplacedSecrets};

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

#[allow(dead_code)] // Until the loop checks the plan.
impl Delivery {
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
        server.state = state;
        is_new
    }

    /// Has the next register name the server's URL, although it could not be reached.
    pub(crate) fn try_again(&mut self) {
        if let Some(server) = &mut self.server {
            server.is_tried_again = true;
        }
    }

    /// Returns the URL to register instead of the configured one: the server's, or none while the agent polls in its place.
    fn override_of_url(&self) -> Option<Option<&str>> {
        let server = self.server.as_ref()?;
        let polls = matches!(server.state, PushState::Unreachable(_)) && !server.is_tried_again;
        Some((!polls).then_some(server.url.as_str()))
    }
}

impl Session {
    /// Has the platform send messages to a server of the agent's own at this URL: registers are in push mode and name it, in
    /// place of the configured [reported URL](crate::Options::reported_url). A running loop registers it, and registers again
    /// when it is called with another URL. Otherwise [register](crate::machines::Register) before a loop begins, since a
    /// heartbeat that comes before starts the clock after which the platform drops what waits.
    ///
    /// A URL of this machine without a path gets the path `/`: the current server never replaces a stored
    /// `http://localhost:<port>` (contract section 4.6).
    ///
    /// # Errors
    /// `Config` if it is not an http(s) URL; nothing changes then.
    pub fn serve(&mut self, url: impl AsRef<str>, plan: Plan) -> Result<()> {
        let url = reported_url(url.as_ref()).map_err(|error| error.during("serve"))?;
        if let Some(server) = &mut self.delivery.server
            && server.url == url
            && server.plan == plan
        {
            return Ok(());
        }
        let state = PushState::Unchecked;
        self.delivery.server = Some(Server { url, plan, state, is_tried_again: false, pushed_at: None });
        Ok(())
    }

    /// Ends what [`serve`](Self::serve) began: the next register says what the options say.
    pub fn unserve(&mut self) {
        self.delivery.server = None;
    }

    /// Records that the agent's server took an authenticated call of the platform, which shows that the platform reaches it.
    pub fn pushed(&mut self, now: Now) {
        if let Some(server) = &mut self.delivery.server {
            server.pushed_at = Some(now);
        }
    }

    /// Returns the URL that a register names now; `None` in poll mode.
    pub(crate) fn url_to_register(&self) -> Option<&str> {
        self.delivery.override_of_url().unwrap_or(self.config().reported_url.as_deref())
    }

    #[allow(dead_code)] // Until the loop checks the plan.
    /// Returns whether the agent last registered the URL of its own server.
    pub(crate) fn is_served_url_registered(&self) -> bool {
        let registered = self.vitals.registered.as_ref().and_then(Option::as_deref);
        registered.is_some() && registered == self.delivery.served_url()
    }

    /// Holds an inbound secret that the platform announced. The one before it stays good for five minutes. Returns whether it has
    /// changed.
    pub(crate) fn hold_inbound(&mut self, now: Now, secret: InboundSecret, saved: bool) -> bool {
        let before = self.inbound_secret().filter(|before| **before != secret).cloned();
        let changed = self.inbound_secret() != Some(&secret);
        if let Some(before) = before {
            self.replaced_secrets.push(now, before, &secret);
        }
        self.inbound_secret = InboundState::Held { secret, saved };
        changed
    }

    /// Returns what the agent knows now of the secret with which the platform authenticates to it (contract section 2.3).
    pub fn inbound_secrets(&self, now: Now) -> InboundSecrets<'_> {
        InboundSecrets { current: &self.inbound_secret, replaced: &self.replaced_secrets, now }
    }
}

/// The secrets with which the platform may authenticate to the agent. `Debug` shows none.
#[derive(Debug, Clone, Copy)]
pub struct InboundSecrets<'a> {
    current: &'a InboundState,
    replaced: &'a ReplacedSecrets,
    now: Now,
}

impl<'a> InboundSecrets<'a> {
    /// Returns the secrets that are good: the current one first, then those that were replaced within the last five minutes, for
    /// which the platform may still send the earlier one.
    pub fn iter(self) -> impl Iterator<Item = &'a InboundSecret> {
        let current = match self.current {
            InboundState::Held { secret, .. } => Some(secret),
            InboundState::Unread | InboundState::Missing => None,
        };
        current.into_iter().chain(self.replaced.good(self.now))
    }

    /// Returns whether it is certain that there is no secret: the store was read and has none, and no answer has brought one.
    /// Only then may a server take calls without a secret, if its owner allows that.
    pub fn is_none_known(self) -> bool {
        matches!(self.current, InboundState::Missing)
    }
}

#[allow(dead_code)] // Until the loop checks the plan.
impl PushState {
    /// Returns the error of a URL that the platform refused as the reason.
    pub(crate) fn refused(error: &Error) -> Self {
        Self::Unreachable(format!("the platform refused the URL: {}", error.server_message().unwrap_or(error.cause())))
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
