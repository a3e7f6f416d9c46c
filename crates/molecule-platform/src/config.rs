//! The configuration of a server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use molecule_proto::{Dialect, Token};

/// The configuration of a server. Start with [`Config::new`] and change the fields that matter:
///
/// ```
/// use molecule_platform::{Config, Dialect};
/// let config = Config::new(Dialect::April).rate_limit(60).development(false);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The dialect that the server speaks.
    pub dialect: Dialect,
    /// Whether it runs in development mode, in which the current server accepts loopback URLs of push agents.
    pub development: bool,
    /// Requests a minute in each bucket. `None` means no limit in development mode and 600 otherwise. A number applies
    /// in development mode too, although the real current server never limits there.
    pub rate_limit: Option<u32>,
    /// The administrator's bearer. Without one, the administrator's routes follow each dialect's own rule: any
    /// workspace token passes, and on April's server in development mode any request does.
    pub admin_token: Option<Token>,
    /// The organisation that the server belongs to. It turns the tenant gate on, and makes the server accept private
    /// addresses.
    pub organisation: Option<String>,
    /// Whether the server can start containers. If it cannot, it answers 503 to a resume.
    pub provisioner: bool,
    /// The seed of ids, tokens and secrets: the same seed and the same requests give the same answers.
    pub seed: u64,
    /// The seed of tokens and secrets alone, which are then worthless to somebody who knows [`seed`](Self::seed). With
    /// `None` they come from that one.
    pub credential_seed: Option<u64>,
    /// The base URL in connection blocks, without a slash at its end. With `None` it is built from the request's
    /// `Host`.
    pub public_url: Option<String>,
    /// The resolver for host names in push URLs.
    pub resolver: Resolver,
    /// How long a call to an agent may last without a sign of life from the agent. Each heartbeat of the agent restarts
    /// this timeout, and the agent's own `idle_timeout_seconds` replaces it. The default is 30 minutes, and 5 minutes
    /// on April's server.
    pub idle_timeout: Duration,
    /// How long the current server lets a person wait for an agent's answer before it answers without it: 90 seconds.
    pub ui_budget: Duration,
    /// Whether the current server writes a ledger of delegations, which replaces the list made from activity rows
    /// (`DELEGATION_LEDGER_WRITE`).
    pub delegation_ledger: bool,
    /// Whether the current server writes results of delegations to the feed of the delegating workspace
    /// (`DELEGATION_RESULT_INBOX_PUSH`).
    pub pushes_results: bool,
    /// Whether the current server has the plugin that keeps agents' notes (`MEMORY_PLUGIN_URL`). The recorded server had
    /// none. April's server needs none.
    pub memory_plugin: bool,
    /// The longest file that can be uploaded, in bytes: 100 MiB. All files of a request share this limit too.
    pub upload_limit: usize,
    /// How long [`serve`](crate::serve()) keeps an idle connection to an agent; `None` means without limit, which is what
    /// the current server does. April's server closes them after 90 seconds. Either keeps at most two for each host.
    pub idle_connection_timeout: Option<Duration>,
    /// Whether the platform sends the inbound secret to agents at literal loopback and private addresses. The real
    /// server does so only if configured, and the recorded servers were.
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
            credential_seed: None,
            public_url: None,
            resolver: Resolver::default(),
            idle_timeout: Duration::from_secs(if dialect == Dialect::April { 300 } else { 1800 }),
            ui_budget: Duration::from_secs(90),
            delegation_ledger: false,
            pushes_results: false,
            memory_plugin: false,
            upload_limit: 100 << 20,
            idle_connection_timeout: (dialect == Dialect::April).then_some(Duration::from_secs(90)),
            bearer_to_local: true,
        }
    }

    /// Sets whether it runs in development mode.
    #[must_use]
    pub fn development(mut self, development: bool) -> Self {
        self.development = development;
        self
    }

    /// Sets the limit of requests a minute in each bucket; `None` is the dialect's own rule.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: impl Into<Option<u32>>) -> Self {
        self.rate_limit = rate_limit.into();
        self
    }

    /// Sets the administrator's bearer.
    #[must_use]
    pub fn admin_token(mut self, admin_token: impl Into<Option<Token>>) -> Self {
        self.admin_token = admin_token.into();
        self
    }

    /// Sets the organisation that it belongs to.
    #[must_use]
    pub fn organisation(mut self, organisation: impl Into<Option<String>>) -> Self {
        self.organisation = organisation.into();
        self
    }

    /// Sets whether it can start containers.
    #[must_use]
    pub fn provisioner(mut self, provisioner: bool) -> Self {
        self.provisioner = provisioner;
        self
    }

    /// Sets the seed of ids, tokens and secrets.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the seed of tokens and secrets alone.
    #[must_use]
    pub fn credential_seed(mut self, credential_seed: impl Into<Option<u64>>) -> Self {
        self.credential_seed = credential_seed.into();
        self
    }

    /// Sets the base URL in connection blocks, without a slash at its end.
    #[must_use]
    pub fn public_url(mut self, public_url: impl Into<Option<String>>) -> Self {
        self.public_url = public_url.into();
        self
    }

    /// Sets the resolver for host names in push URLs.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets how long a call may last without a sign of life from the agent.
    #[must_use]
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Sets how long a person waits for an agent's answer.
    #[must_use]
    pub fn ui_budget(mut self, ui_budget: Duration) -> Self {
        self.ui_budget = ui_budget;
        self
    }

    /// Sets whether the current server keeps agents' notes.
    #[must_use]
    pub fn memory_plugin(mut self, memory_plugin: bool) -> Self {
        self.memory_plugin = memory_plugin;
        self
    }

    /// Sets whether it writes a ledger of delegations.
    #[must_use]
    pub fn delegation_ledger(mut self, delegation_ledger: bool) -> Self {
        self.delegation_ledger = delegation_ledger;
        self
    }

    /// Sets whether it writes results of delegations to the feed of the delegating workspace.
    #[must_use]
    pub fn pushes_results(mut self, pushes_results: bool) -> Self {
        self.pushes_results = pushes_results;
        self
    }

    /// Sets the longest file that can be uploaded, in bytes.
    #[must_use]
    pub fn upload_limit(mut self, upload_limit: usize) -> Self {
        self.upload_limit = upload_limit;
        self
    }

    /// Sets how long an idle connection to an agent is kept; `None` is without limit.
    #[must_use]
    pub fn idle_connection_timeout(mut self, idle_connection_timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_connection_timeout = idle_connection_timeout.into();
        self
    }

    /// Sets whether agents at loopback and private addresses are called with their inbound secret.
    #[must_use]
    pub fn bearer_to_local(mut self, bearer_to_local: bool) -> Self {
        self.bearer_to_local = bearer_to_local;
        self
    }

    /// Whether this is April's server in open development mode, in which no request needs the administrator's bearer
    /// (April contract section 2.4).
    pub(crate) fn open_development(&self) -> bool {
        self.dialect == Dialect::April && self.development && self.admin_token.is_none()
    }
}

impl fmt::Debug for Config {
    /// Leaves out the administrator's bearer and the seed of credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("dialect", &self.dialect)
            .field("development", &self.development)
            .field("rate_limit", &self.rate_limit)
            .field("organisation", &self.organisation)
            .field("provisioner", &self.provisioner)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Dialect::Current)
    }
}

/// Resolves host names in push URLs. An empty list of addresses means that the name does not exist.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

impl Resolver {
    /// Creates a resolver from a function.
    pub fn new(resolve: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(resolve))
    }

    pub(crate) fn resolve(&self, host: &str) -> Vec<IpAddr> {
        (self.0)(host)
    }
}

impl Default for Resolver {
    /// Names below `invalid` and names without a dot do not exist. `localhost` in any spelling is the loopback address.
    /// Every other name has one public address.
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
