//! What an agent with a server of its own asks of the session: what registers say, and which inbound secrets are good.

use molecule_proto::{InboundSecret, Now};

use crate::config::options::reported_url;
use crate::error::Result;
use crate::session::Session;
use crate::session::credential::{InboundState, ReplacedSecrets};
use crate::session::delivery::Plan;

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
        self.delivery.serve(url, plan);
        Ok(())
    }

    /// Ends what [`serve`](Self::serve) began: the next register says what the options say.
    pub fn unserve(&mut self) {
        self.delivery.unserve();
    }

    /// Records that the agent's server took an authenticated call of the platform, which shows that the platform reaches it.
    pub fn pushed(&mut self, now: Now) {
        self.delivery.pushed(now);
    }

    /// Returns the URL that a register names now; `None` in poll mode.
    pub(crate) fn url_to_register(&self) -> Option<&str> {
        match self.delivery.served_url() {
            Some(url) => (!self.delivery.polls()).then_some(url),
            None => self.config().reported_url.as_deref(),
        }
    }

    /// Returns whether the agent last registered the URL of its own server.
    pub(crate) fn is_served_url_registered(&self) -> bool {
        let registered = self.vitals.registered.as_ref().and_then(Option::as_deref);
        registered.is_some() && registered == self.delivery.served_url()
    }

    /// Returns whether the URL of the agent's own server is still to be registered, or its register is not answered.
    pub(crate) fn is_server_being_registered(&self) -> bool {
        self.delivery.served_url().is_some() && !self.delivery.polls() && !self.is_served_url_registered()
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

    /// Adds the replaced secrets that an earlier process has stored.
    pub(crate) fn restore_replaced(&mut self, now: Now, content: &[u8]) {
        let current = self.inbound_secret().cloned();
        self.replaced_secrets.restore(now, content, current.as_ref());
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
