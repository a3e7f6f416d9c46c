//! The builder of an agent, which both facades share.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use molecule_core::proto::AgentCard;
use molecule_core::{
    BaseUrl, Error, Event, InboxOptions, OnPause, Options, OriginHeader, Result, Route, Timeouts, Transport,
};

use crate::ca_file::with_ca_file;
use crate::environment::var;
use crate::host::Host;
use crate::listener::OnEvent;
use crate::session::SharedSession;
use crate::storage::Storage;

/// The client of a facade, for the builder of its agents.
pub trait Client: Sized {
    /// The facade's agent.
    type Agent;

    /// Creates a client with these transport options.
    ///
    /// # Errors
    /// `Config` if a certificate or the proxy's URL is invalid.
    fn open(transport: &Transport) -> Result<Self>;

    /// Checks that the client can connect to the platform at this URL.
    ///
    /// # Errors
    /// `Config` if the build has no TLS and the URL needs it, or if the proxy for the URL cannot be used.
    fn check(&self, base_url: &BaseUrl) -> Result<()>;

    /// Creates the agent. It shares the given session and sends its requests with this client.
    fn agent(self, session: SharedSession, host: Host) -> Self::Agent;
}

/// The options of an agent. They are checked by [`build`](Self::build), not before.
///
/// Agents that are built from clones of a builder have separate sessions. They share the client, if one was given, and
/// a store of [`Storage::Custom`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct AgentBuilder<C> {
    options: Options,
    storage: Option<Storage>,
    plugins_dir: Option<PathBuf>,
    uploads_dir: Option<PathBuf>,
    client: Option<C>,
    on_event: Option<OnEvent>,
}

impl<C> AgentBuilder<C> {
    /// The constructor behind `Agent::builder` of each facade.
    #[doc(hidden)]
    pub fn new(platform: impl Into<String>, workspace_id: impl AsRef<str>) -> Self {
        Self::with(Options::new(platform, workspace_id))
    }

    /// Reads the options from the environment: `MOLECULE_PLATFORM_URL` and `MOLECULE_WORKSPACE_ID` (both required), and
    /// `MOLECULE_WORKSPACE_TOKEN`, `MOLECULE_AGENT_NAME`, `MOLECULE_REPORTED_URL`, `MOLECULE_ORG_ID`, `MOLECULE_ORIGIN`
    /// (`off` sends none), `MOLECULE_CA_FILE` (certificate authorities in PEM, for [`extra_ca`](Self::extra_ca); a
    /// given [`client`](Self::client) has its own) and `MOLECULE_HOME` (`:memory:` for [`Storage::Memory`]). An empty
    /// variable counts as absent.
    ///
    /// # Errors
    /// `Config` if one of the two required variables is missing.
    pub fn from_env() -> Result<Self> {
        Options::from_vars(var).map(Self::with)
    }

    /// Fills the options that are not set from the variables that [`from_env`](Self::from_env) reads. Options that are
    /// set stay, also the platform's URL and the workspace's id. A program can thus name its workspace and leave its
    /// token to the environment.
    pub fn or_env(self) -> Self {
        self.map(|options| options.or_vars(var))
    }

    fn with(options: Options) -> Self {
        Self { options, storage: None, plugins_dir: None, uploads_dir: None, client: None, on_event: None }
    }

    /// The agent's card. Without one the platform shows the workspace's own name.
    pub fn card(self, card: AgentCard) -> Self {
        self.map(|options| options.card(card))
    }

    /// The URL under which the platform reaches the agent (push). Without a URL the agent polls.
    pub fn reported_url(self, url: impl Into<String>) -> Self {
        self.map(|options| options.reported_url(url))
    }

    /// The organisation's id, by which hosted platforms route requests.
    pub fn org_id(self, id: impl Into<String>) -> Self {
        self.map(|options| options.org_id(id))
    }

    /// The `Origin` header; the platform's own origin by default.
    pub fn origin(self, origin: OriginHeader) -> Self {
        self.map(|options| options.origin(origin))
    }

    /// The first token, such as the one that the platform showed when the workspace was created. A register stores it once the platform
    /// has accepted it, so that the next start needs none. On a 401 the stored token is tried. A token that is minted or rotated later is
    /// stored and replaces it.
    pub fn token(self, token: impl AsRef<str>) -> Self {
        self.map(|options| options.token(token))
    }

    /// Whether a register stores the token that was [given](Self::token), once the platform has accepted it; `true` by default. If it
    /// cannot be stored, a warning says so and the agent runs.
    pub fn store_given_token(self, store: bool) -> Self {
        self.map(|options| options.store_given_token(store))
    }

    /// The time between heartbeats: 30 s by default, at most 60 s, and less than 1 s only for a platform on this machine.
    pub fn heartbeat_interval(self, interval: Duration) -> Self {
        self.map(|options| options.heartbeat_interval(interval))
    }

    /// The time between polls of the state: 30 s by default, at most an hour, and less than 1 s only for a platform on this machine.
    pub fn state_interval(self, interval: Duration) -> Self {
        self.map(|options| options.state_interval(interval))
    }

    /// The timeouts of calls.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.map(|options| options.timeouts(timeouts))
    }

    /// What the loop does when the workspace is paused; it ends by default.
    pub fn on_pause(self, on_pause: OnPause) -> Self {
        self.map(|options| options.on_pause(on_pause))
    }

    /// How `run_agent_loop` receives messages: how many are handled at the same time, how often one is offered, which old
    /// ones the first start takes.
    pub fn inbox(self, inbox: InboxOptions) -> Self {
        self.map(|options| options.inbox(inbox))
    }

    /// Delays the start of the loop by a random time up to this one, at most an hour: for many agents in one process.
    pub fn stagger(self, within: Duration) -> Self {
        self.map(|options| options.stagger(within))
    }

    /// Allows plain `http://` to another machine: the token and the secrets are then sent unencrypted.
    pub fn allow_insecure_http(self) -> Self {
        self.map(Options::allow_insecure_http)
    }

    /// The `User-Agent` header of requests to the platform. Peers that are called directly see only the SDK's own name.
    pub fn user_agent(self, name: impl Into<String>) -> Self {
        self.map(|options| options.user_agent(name))
    }

    /// The route of calls to peers: by default directly if that is safe, else through the platform.
    pub fn route(self, route: Route) -> Self {
        self.map(|options| options.route(route))
    }

    /// The token that a peer made for this agent, for direct calls of it. It goes to the URL that the platform shows for that peer, and to
    /// nobody else: not to the platform, not to another peer, and never in clear to another machine. A peer that refuses it with 401 is
    /// called through the platform.
    pub fn peer_token(self, peer: impl AsRef<str>, token: impl AsRef<str>) -> Self {
        self.map(|options| options.peer_token(peer, token))
    }

    /// Trusts a certificate authority (PEM) besides the built-in ones. Together with a given [`client`](Self::client) it is an error of
    /// [`build`](Self::build), since the client has authorities of its own.
    pub fn extra_ca(self, pem: impl Into<Vec<u8>>) -> Self {
        self.map(|options| options.extra_ca(pem))
    }

    /// Sends `https` requests through this proxy (`http://[user:password@]host:port`), whatever `HTTPS_PROXY` and `NO_PROXY` say.
    /// Together with a given [`client`](Self::client), which has a proxy rule of its own, or with [`no_proxy`](Self::no_proxy) it is an
    /// error of [`build`](Self::build).
    pub fn proxy(self, url: impl Into<String>) -> Self {
        self.map(|options| options.proxy(url))
    }

    /// Sends every request directly, whatever `HTTPS_PROXY` says. Together with a given [`client`](Self::client), which has a proxy rule
    /// of its own, it is an error of [`build`](Self::build).
    pub fn no_proxy(self) -> Self {
        self.map(Options::no_proxy)
    }

    /// Where the token is stored; below `~/.molecule`, or `MOLECULE_HOME`, by default.
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = Some(storage);
        self
    }

    /// The directory of plugins; by default `plugins` in the agent's own directory. It is made private, and should be
    /// inside a directory of this user.
    pub fn plugins_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.plugins_dir = Some(directory.into());
        self
    }

    /// The directory of files that the platform hands over to the agent's server; by default `uploads` in the agent's own
    /// directory. An agent whose own files are in no directory takes such files only with this option. It is made private,
    /// and should be inside a directory of this user.
    pub fn uploads_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.uploads_dir = Some(directory.into());
        self
    }

    /// Uses this client, so that many agents share one pool of connections.
    pub fn client(mut self, client: C) -> Self {
        self.client = Some(client);
        self
    }

    /// Calls this function for every event, in order, on the thread or in the task that drives the call. The function
    /// may use the agent, and should return soon, because the call waits for it. Its panic is a panic of the call.
    pub fn on_event(mut self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(callback));
        self
    }

    fn map(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }
}

impl<C: Client> AgentBuilder<C> {
    /// Checks all options and builds the agent. It sends nothing, needs no runtime, and reads no file except the one in
    /// `MOLECULE_CA_FILE`.
    ///
    /// # Errors
    /// `Config` for the first invalid option, with its remedy.
    pub fn build(self) -> Result<C::Agent> {
        let options = if self.client.is_some() {
            self.options.check_given_client()?;
            self.options
        } else {
            with_ca_file(self.options)?
        };
        let transport = options.transport().clone();
        let storage = self.storage.unwrap_or_default();
        let config = options.store_in_memory(matches!(storage, Storage::Memory)).build()?;
        let client = self.client.map_or_else(|| C::open(&transport), Ok)?;
        client.check(config.base_url())?;
        let mut host = storage.host(config.workspace_id(), self.plugins_dir)?;
        if let Some(directory) = self.uploads_dir {
            host = host.with_uploads(absolute(directory)?);
        }
        Ok(client.agent(SharedSession::new(config, self.on_event), host))
    }
}

/// A later change of the working directory has no effect.
fn absolute(directory: PathBuf) -> Result<PathBuf> {
    std::path::absolute(directory)
        .map_err(|_| Error::config("the directory for files is an empty path", "give a directory of the user's own"))
}

impl<C> fmt::Debug for AgentBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}
