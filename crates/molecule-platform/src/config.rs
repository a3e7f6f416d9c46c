//! How a server is set up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use molecule_proto::{Dialect, Token};

/// How a server is set up. Take [`Config::new`] and change what matters:
///
/// ```
/// use molecule_platform::{Config, Dialect};
/// let config = Config::new(Dialect::April).rate_limit(60).development(false);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which server is played.
    pub dialect: Dialect,
    /// Development mode: the current server then accepts loopback URLs of push agents.
    pub development: bool,
    /// Requests a minute in each bucket. `None` is no limit in development and 600 elsewhere. A number counts in
    /// development too, where the genuine current server never limits.
    pub rate_limit: Option<u32>,
    /// The administrator's bearer. Without one, an administrator's routes follow each dialect's own rule: a workspace's
    /// token passes, and on April's server in development anybody does.
    pub admin_token: Option<Token>,
    /// The organisation that the server belongs to: turns the tenant gate on, and private addresses are accepted.
    pub organisation: Option<String>,
    /// Whether the server can start containers. Without one a resume is answered 503.
    pub provisioner: bool,
    /// Where ids, tokens and secrets come from: the same seed and requests give the same answers.
    pub seed: u64,
    /// The base URL in connection blocks, without a slash at its end; `None` builds it from the request's `Host`.
    pub public_url: Option<String>,
    /// What names in push URLs resolve to.
    pub resolver: Resolver,
    /// How long a call to an agent may take while nothing is heard of it; each heartbeat of the agent begins it anew, and
    /// its own `idle_timeout_seconds` replaces it. Half an hour, and five minutes on April's server.
    pub idle_timeout: Duration,
    /// How long a person waits for an agent's answer before the current server lets go: 90 seconds.
    pub ui_budget: Duration,
    /// Whether the current server keeps a ledger of delegations, which replaces the list made of their rows
    /// (`DELEGATION_LEDGER_WRITE`).
    pub delegation_ledger: bool,
    /// Whether the current server writes results of delegations to the feed of who delegated
    /// (`DELEGATION_RESULT_INBOX_PUSH`).
    pub pushes_results: bool,
    /// Whether agents at literal loopback and private addresses are called with their inbound secret. The genuine server
    /// has to be told so, and the recorded ones were.
    pub bearer_to_local: bool,
}

impl Config {
    /// A self-hosted server in development mode: no rate limit, no administrator, no organisation, no provisioner.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            development: true,
            rate_limit: None,
            admin_token: None,
            organisation: None,
            provisioner: false,
            seed: 0,
            public_url: None,
            resolver: Resolver::default(),
            idle_timeout: Duration::from_secs(if dialect == Dialect::April { 300 } else { 1800 }),
            ui_budget: Duration::from_secs(90),
            delegation_ledger: false,
            pushes_results: false,
            bearer_to_local: true,
        }
    }

    /// Says whether it runs in development mode.
    #[must_use]
    pub fn development(mut self, development: bool) -> Self {
        self.development = development;
        self
    }

    /// Limits the requests a minute in each bucket; `None` is the dialect's own rule.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: impl Into<Option<u32>>) -> Self {
        self.rate_limit = rate_limit.into();
        self
    }

    /// Gives it an administrator.
    #[must_use]
    pub fn admin_token(mut self, admin_token: impl Into<Option<Token>>) -> Self {
        self.admin_token = admin_token.into();
        self
    }

    /// Says to which organisation it belongs.
    #[must_use]
    pub fn organisation(mut self, organisation: impl Into<Option<String>>) -> Self {
        self.organisation = organisation.into();
        self
    }

    /// Says whether it can start containers.
    #[must_use]
    pub fn provisioner(mut self, provisioner: bool) -> Self {
        self.provisioner = provisioner;
        self
    }

    /// Says where ids, tokens and secrets come from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Says which base URL stands in connection blocks, without a slash at its end.
    #[must_use]
    pub fn public_url(mut self, public_url: impl Into<Option<String>>) -> Self {
        self.public_url = public_url.into();
        self
    }

    /// Says what names in push URLs resolve to.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Limits the silence of an agent that is called.
    #[must_use]
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Limits how long a person waits for an agent's answer.
    #[must_use]
    pub fn ui_budget(mut self, ui_budget: Duration) -> Self {
        self.ui_budget = ui_budget;
        self
    }

    /// Says whether it keeps a ledger of delegations.
    #[must_use]
    pub fn delegation_ledger(mut self, delegation_ledger: bool) -> Self {
        self.delegation_ledger = delegation_ledger;
        self
    }

    /// Says whether it writes results of delegations to the feed of who delegated.
    #[must_use]
    pub fn pushes_results(mut self, pushes_results: bool) -> Self {
        self.pushes_results = pushes_results;
        self
    }

    /// Says whether agents at loopback and private addresses are called with their inbound secret.
    #[must_use]
    pub fn bearer_to_local(mut self, bearer_to_local: bool) -> Self {
        self.bearer_to_local = bearer_to_local;
        self
    }

    /// Open development mode of April's server: nobody has to prove to be an administrator (April contract section 2.4).
    pub(crate) fn open_development(&self) -> bool {
        self.dialect == Dialect::April && self.development && self.admin_token.is_none()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Dialect::Current)
    }
}

/// What names in push URLs resolve to; no address at all is a name that does not exist.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

impl Resolver {
    /// Resolves with a function.
    pub fn new(resolve: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(resolve))
    }

    pub(crate) fn resolve(&self, host: &str) -> Vec<IpAddr> {
        (self.0)(host)
    }
}

impl Default for Resolver {
    /// Names below `invalid` and names without a dot do not exist, `localhost` in any spelling is the loopback address,
    /// and every other name has one public address.
    fn default() -> Self {
        Self::new(|host| {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            if host == "localhost" || host.ends_with(".localhost") {
                vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
            } else if !host.contains('.') || host.ends_with(".invalid") {
                Vec::new()
            } else {
                vec![IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))]
            }
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver(..)")
    }
}
