//! One blocking API over both facades, so that each scenario is written once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use molecule_core::endpoint::Endpoint;
use molecule_core::plugin::{Installed, InstalledPlugin, Plugin, Verification};
use molecule_core::proto::{
    AgentCard, AvailablePlugin, DelegationId, HeartbeatAnswer, InboundSecret, Peer, QueueId, QueueItem, Secrets,
    StateAnswer, Token, WorkspaceId,
};
use molecule_core::{
    Attachment, CallOutcome, DeadLetter, Delegation, DelegationView, DownloadTo, Downloaded, Ended, Event, Health,
    InboundMessage, InboxListing, InboxOptions, Notice, OnPause, OriginHeader, PeerCall, PeerUrl, QueueOutcome,
    Reachability, Recovered, Recovery, Registration, Reply, ReplyEnd, ReplyHandle, Report, Result, Timeouts, WaitFor,
};
use molecule_host::Storage;
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};

use crate::log::Log;
use crate::running::RunningLoop;

/// The runtime for the async facade's calls; all agents share it.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = RuntimeBuilder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("the system has threads for a runtime")
});

/// A handler of either facade.
pub trait MessageHandler:
    Fn(InboundMessage) -> std::result::Result<Option<Reply>, String> + Send + Sync + 'static
{
}

impl<F> MessageHandler for F where
    F: Fn(InboundMessage) -> std::result::Result<Option<Reply>, String> + Send + Sync + 'static
{
}

/// The facade on which a scenario runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facade {
    /// `molecule-blocking`.
    Blocking,
    /// `molecule-async`.
    Async,
}

/// The options of an agent, the same for either facade, with intervals and timeouts that fit a test.
#[derive(Debug, Clone)]
#[must_use = "a setup does nothing until it is built"]
pub struct Setup {
    facade: Facade,
    platform: String,
    id: String,
    token: Option<String>,
    store_given_token: bool,
    reported_url: Option<String>,
    peer_tokens: Vec<(String, String)>,
    org_id: Option<String>,
    origin: OriginHeader,
    storage: Storage,
    plugins_dir: Option<PathBuf>,
    extra_ca: Option<Vec<u8>>,
    given_client: bool,
    intervals: (Duration, Duration),
    timeouts: Timeouts,
    on_pause: OnPause,
    inbox: InboxOptions,
    panics_at: Option<Event>,
    events: Log<Event>,
}

impl Setup {
    pub(crate) fn new(facade: Facade, platform: String, id: &str, storage: Storage) -> Self {
        let second = Duration::from_secs(1);
        let interval = Duration::from_millis(20);
        Self {
            facade,
            platform,
            id: id.to_owned(),
            token: None,
            store_given_token: true,
            reported_url: None,
            peer_tokens: Vec::new(),
            org_id: None,
            origin: OriginHeader::Derived,
            storage,
            plugins_dir: None,
            extra_ca: None,
            given_client: false,
            intervals: (interval, interval),
            timeouts: Timeouts::default()
                .connect(second * 5)
                .answer(second * 10)
                .read(second * 10)
                .request(second * 10)
                .call(second * 15),
            on_pause: OnPause::End,
            inbox: InboxOptions::new().poll(interval * 5),
            panics_at: None,
            events: Log::default(),
        }
    }

    /// Sets another base URL than that of the world's platform.
    pub fn platform(mut self, url: &str) -> Self {
        url.clone_into(&mut self.platform);
        self
    }

    /// Sets the token of the options.
    pub fn token(mut self, token: &Token) -> Self {
        self.token = Some(token.expose().to_owned());
        self
    }

    /// Sets whether that token is stored.
    pub fn store_given_token(mut self, store: bool) -> Self {
        self.store_given_token = store;
        self
    }

    /// Sets the URL under which the platform reaches the agent.
    pub fn reported_url(mut self, url: &str) -> Self {
        self.reported_url = Some(url.to_owned());
        self
    }

    /// Sets the token that a peer made for the agent.
    pub fn peer_token(mut self, peer: &str, token: &str) -> Self {
        self.peer_tokens.push((peer.to_owned(), token.to_owned()));
        self
    }

    /// Sets the organisation's id.
    pub fn org_id(mut self, id: &str) -> Self {
        self.org_id = Some(id.to_owned());
        self
    }

    /// Sets the `Origin` header.
    pub fn origin(mut self, origin: OriginHeader) -> Self {
        self.origin = origin;
        self
    }

    /// Sets another store than files in the world's home.
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// Sets another plugins directory than the agent's default.
    pub fn plugins_dir(mut self, directory: &Path) -> Self {
        self.plugins_dir = Some(directory.to_owned());
        self
    }

    /// Adds a certificate authority in PEM to the built-in ones.
    pub fn extra_ca(mut self, pem: Vec<u8>) -> Self {
        self.extra_ca = Some(pem);
        self
    }

    /// Gives the builder a ready HTTP client, which contradicts the `no_proxy()` that every setup sets.
    pub fn given_client(mut self) -> Self {
        self.given_client = true;
        self
    }

    /// Sets the interval of heartbeats and that of polls of the state.
    pub fn intervals(mut self, heartbeat: Duration, state: Duration) -> Self {
        self.intervals = (heartbeat, state);
        self
    }

    /// Sets the longest duration of one call, retries included.
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.timeouts.call = limit;
        self
    }

    /// Sets what the loop does while the workspace is paused.
    pub fn on_pause(mut self, on_pause: OnPause) -> Self {
        self.on_pause = on_pause;
        self
    }

    /// Changes the options of the inbox.
    pub fn inbox(mut self, change: impl FnOnce(InboxOptions) -> InboxOptions) -> Self {
        self.inbox = change(self.inbox);
        self
    }

    /// Makes the application's callback panic at the first occurrence of this event.
    pub fn panics_at(mut self, event: Event) -> Self {
        self.panics_at = Some(event);
        self
    }

    /// Builds the agent.
    ///
    /// # Errors
    /// `Config`.
    pub fn build(self) -> Result<Agent> {
        let driven = match self.facade {
            Facade::Blocking => Driven::Blocking(self.clone().apply(molecule_blocking::Agent::builder)?),
            Facade::Async => Driven::Async(self.clone().apply(molecule_async::Agent::builder)?),
        };
        Ok(Agent { driven, events: self.events })
    }

    fn apply<B: Builder>(self, builder: impl FnOnce(String, String) -> B) -> Result<B::Agent> {
        builder(self.platform.clone(), self.id.clone()).finish(self)
    }
}

/// One trait for the facades' builders, which have the same methods.
trait Builder {
    type Agent;
    fn finish(self, setup: Setup) -> Result<Self::Agent>;
}

macro_rules! builder {
    ($facade:ident) => {
        impl Builder for $facade::AgentBuilder {
            type Agent = $facade::Agent;

            fn finish(self, setup: Setup) -> Result<Self::Agent> {
                let (events, panics_at) = (setup.events, Mutex::new(setup.panics_at));
                let mut builder = self
                    .card(AgentCard::new("scenario"))
                    .storage(setup.storage)
                    .heartbeat_interval(setup.intervals.0)
                    .state_interval(setup.intervals.1)
                    .timeouts(setup.timeouts)
                    .on_pause(setup.on_pause)
                    .inbox(setup.inbox)
                    .origin(setup.origin)
                    .store_given_token(setup.store_given_token)
                    .no_proxy()
                    .on_event(move |event| {
                        events.push(event.clone());
                        let panics = panics_at.lock().expect("nobody panics here").take_if(|it| it == event);
                        assert!(panics.is_none(), "as the scenario has it");
                    });
                if let Some(directory) = setup.plugins_dir {
                    builder = builder.plugins_dir(directory);
                }
                if let Some(pem) = setup.extra_ca {
                    builder = builder.extra_ca(pem);
                }
                if setup.given_client {
                    builder = builder.client($facade::Client::new(&$facade::Transport::default())?);
                }
                if let Some(token) = setup.token {
                    builder = builder.token(token);
                }
                for (peer, token) in &setup.peer_tokens {
                    builder = builder.peer_token(peer, token);
                }
                if let Some(url) = setup.reported_url {
                    builder = builder.reported_url(url);
                }
                if let Some(id) = setup.org_id {
                    builder = builder.org_id(id);
                }
                builder.build()
            }
        }
    };
}

builder!(molecule_blocking);
builder!(molecule_async);

/// An agent of either facade.
#[derive(Debug, Clone)]
pub struct Agent {
    pub(crate) driven: Driven,
    events: Log<Event>,
}

#[derive(Debug, Clone)]
pub(crate) enum Driven {
    Blocking(molecule_blocking::Agent),
    Async(molecule_async::Agent),
}

/// Calls the facade's method, and awaits it if the facade is the async one.
macro_rules! call {
    ($agent:expr, $method:ident($($argument:expr),*)) => {
        match &$agent.driven {
            Driven::Blocking(agent) => agent.$method($($argument),*),
            Driven::Async(agent) => RUNTIME.block_on(agent.$method($($argument),*)),
        }
    };
}

/// Calls the facade's method, which is synchronous in both.
macro_rules! ask {
    ($agent:expr, $method:ident($($argument:expr),*)) => {
        match &$agent.driven {
            Driven::Blocking(agent) => agent.$method($($argument),*),
            Driven::Async(agent) => agent.$method($($argument),*),
        }
    };
}

#[allow(missing_docs, reason = "each is the facades' method of this name")]
#[allow(clippy::missing_errors_doc, reason = "and so are its errors")]
impl Agent {
    pub fn register(&self) -> Result<Registration> {
        call!(self, register())
    }

    pub fn pull_secrets(&self) -> Result<Secrets> {
        call!(self, pull_secrets())
    }

    pub fn poll_state(&self) -> Result<StateAnswer> {
        call!(self, poll_state())
    }

    pub fn heartbeat(&self) -> Result<HeartbeatAnswer> {
        call!(self, heartbeat())
    }

    pub fn update_card(&self, card: AgentCard) -> Result<()> {
        call!(self, update_card(card))
    }

    pub fn recover(&self, recovery: Recovery) -> Result<Recovered> {
        call!(self, recover(recovery))
    }

    pub fn peers(&self) -> Result<Vec<Peer>> {
        call!(self, peers())
    }

    pub fn peers_matching(&self, text: &str) -> Result<Vec<Peer>> {
        call!(self, peers_matching(text))
    }

    pub fn discover_peer(&self, id: &WorkspaceId) -> Result<Option<PeerUrl>> {
        call!(self, discover_peer(id))
    }

    pub fn invalidate_peer_url(&self, id: &WorkspaceId) -> Result<()> {
        ask!(self, invalidate_peer_url(id))
    }

    pub fn check_access(&self, id: &WorkspaceId) -> Result<bool> {
        call!(self, check_access(id))
    }

    pub fn call_peer(&self, target: impl AsRef<str>, message: impl Into<PeerCall>) -> Result<CallOutcome> {
        call!(self, call_peer(target, message))
    }

    pub fn check_reachable(&self) -> Result<Reachability> {
        call!(self, check_reachable())
    }

    pub fn notify(&self, notice: impl Into<Notice>) -> Result<()> {
        call!(self, notify(notice))
    }

    pub fn reply_to(&self, message: impl Into<ReplyHandle>, reply: impl Into<Reply>) -> Result<ReplyEnd> {
        call!(self, reply_to(message, reply))
    }

    pub fn inbox_entries(&self) -> Result<InboxListing> {
        call!(self, inbox_entries())
    }

    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        call!(self, dead_letters())
    }

    pub fn retry_dead_letter(&self, id: impl AsRef<str>) -> Result<()> {
        call!(self, retry_dead_letter(id))
    }

    pub fn download(&self, attachment: &Attachment, to: impl Into<DownloadTo>) -> Result<Downloaded> {
        call!(self, download(attachment, to))
    }

    pub fn download_to_memory(&self, attachment: &Attachment) -> Result<Bytes> {
        call!(self, download_to_memory(attachment))
    }

    pub fn delegate(&self, target: impl AsRef<str>, task: impl Into<Delegation>) -> Result<DelegationId> {
        call!(self, delegate(target, task))
    }

    pub fn delegations(&self) -> Result<Vec<DelegationView>> {
        call!(self, delegations())
    }

    pub fn delegation(&self, id: &DelegationId) -> Result<DelegationView> {
        call!(self, delegation(id))
    }

    pub fn wait_delegation(&self, id: impl Into<WaitFor>) -> Result<DelegationView> {
        call!(self, wait_delegation(id))
    }

    pub fn queue_item(&self, id: &QueueId) -> Result<QueueItem> {
        call!(self, queue_item(id))
    }

    pub fn wait_queue_item(&self, id: impl Into<WaitFor>) -> Result<QueueOutcome> {
        call!(self, wait_queue_item(id))
    }

    pub fn run_heartbeat_loop(&self) -> Result<Ended> {
        call!(self, run_heartbeat_loop())
    }

    /// On the async facade the handler's code runs where it may block without holding back other scenarios.
    pub fn run_agent_loop(&self, handler: impl MessageHandler) -> Result<Ended> {
        self.run_agent_loop_on(&RUNTIME, move |message| tokio::task::block_in_place(|| handler(message)))
    }

    fn run_agent_loop_on(&self, runtime: &Runtime, handler: impl MessageHandler) -> Result<Ended> {
        match &self.driven {
            Driven::Blocking(agent) => agent.run_agent_loop(handler),
            Driven::Async(agent) => {
                let handler = Arc::new(handler);
                runtime.block_on(agent.run_agent_loop(move |message| {
                    let handler = Arc::clone(&handler);
                    async move { handler(message) }
                }))
            }
        }
    }

    pub fn send<E>(&self, endpoint: &E) -> Result<E::Answer>
    where
        E: Endpoint + Clone + Send + 'static,
        E::Answer: Send + 'static,
    {
        call!(self, send(endpoint))
    }

    pub fn install_plugin(&self, plugin: impl Into<Plugin>) -> Result<Installed> {
        let plugin = plugin.into();
        call!(self, install_plugin(plugin))
    }

    pub fn plugins(&self) -> Result<Vec<InstalledPlugin>> {
        call!(self, plugins())
    }

    pub fn verify_plugin(&self, name: &str) -> Result<Option<Verification>> {
        call!(self, verify_plugin(name))
    }

    pub fn uninstall_plugin(&self, name: &str) -> Result<bool> {
        call!(self, uninstall_plugin(name))
    }

    pub fn available_plugins(&self) -> Result<Vec<AvailablePlugin>> {
        call!(self, available_plugins())
    }

    pub fn report(&self, report: Report) -> Result<()> {
        ask!(self, report(report))
    }

    pub fn set_reported_url(&self, url: Option<String>) -> Result<()> {
        ask!(self, set_reported_url(url))
    }

    pub fn health(&self) -> Health {
        ask!(self, health())
    }

    pub fn inbound_secret(&self) -> Option<InboundSecret> {
        ask!(self, inbound_secret())
    }

    pub fn workspace_id(&self) -> WorkspaceId {
        ask!(self, workspace_id()).clone()
    }

    pub fn stopper(&self) -> Stopper {
        match &self.driven {
            Driven::Blocking(agent) => Stopper::Blocking(agent.stopper()),
            Driven::Async(agent) => Stopper::Async(agent.stopper()),
        }
    }
}

impl Agent {
    /// The events so far.
    pub fn events(&self) -> &Log<Event> {
        &self.events
    }

    /// Runs its heartbeat loop on this thread.
    ///
    /// # Errors
    /// The error that ended the loop.
    pub fn run(&self) -> Result<Ended> {
        self.run_heartbeat_loop()
    }

    /// Runs its heartbeat loop on a thread.
    pub fn start(&self) -> RunningLoop {
        RunningLoop::start(self)
    }

    /// Runs its loop with this handler on a thread.
    pub fn start_with(&self, handler: impl MessageHandler) -> RunningLoop {
        RunningLoop::start_by(self, move |agent| agent.run_agent_loop(handler))
    }

    /// The same; on the async facade the handler's code runs in a future as it is, on a runtime of the loop's own, of two
    /// threads.
    ///
    /// # Panics
    /// If the system has no threads for a runtime.
    pub fn start_with_careless(&self, handler: impl MessageHandler) -> RunningLoop {
        RunningLoop::start_by(self, move |agent| {
            let mut builder = RuntimeBuilder::new_multi_thread();
            let runtime = builder.worker_threads(2).enable_all().build().expect("the system has threads for a runtime");
            let ended = agent.run_agent_loop_on(&runtime, handler);
            runtime.shutdown_background();
            ended
        })
    }

    /// Starts a register, runs `meanwhile`, and drops the register's future.
    ///
    /// # Panics
    /// If the agent is not of the async facade, or the register ends before it is dropped.
    pub fn drop_register(&self, meanwhile: impl FnOnce()) {
        let agent = self.futures().clone();
        Self::drop_call(async move { agent.register().await.map(drop) }, meanwhile);
    }

    /// Starts an install, runs `meanwhile`, and drops the install's future.
    ///
    /// # Panics
    /// If the agent is not of the async facade, or the install ends before it is dropped.
    pub fn drop_install(&self, plugin: impl Into<Plugin>, meanwhile: impl FnOnce()) {
        let (agent, plugin) = (self.futures().clone(), plugin.into());
        Self::drop_call(async move { agent.install_plugin(plugin).await.map(drop) }, meanwhile);
    }

    /// Starts a download, runs `meanwhile`, and drops the download's future.
    ///
    /// # Panics
    /// If the agent is not of the async facade, or the download ends before it is dropped.
    pub fn drop_download(&self, attachment: &Attachment, to: impl Into<DownloadTo>, meanwhile: impl FnOnce()) {
        let (agent, attachment, to) = (self.futures().clone(), attachment.clone(), to.into());
        Self::drop_call(async move { agent.download(&attachment, to).await.map(drop) }, meanwhile);
    }

    /// Starts the loop, runs `meanwhile`, and drops the loop's future.
    ///
    /// # Panics
    /// If the agent is not of the async facade, or the loop ends before it is dropped.
    pub fn drop_loop(&self, meanwhile: impl FnOnce()) {
        let agent = self.futures().clone();
        Self::drop_running(async move { agent.run_heartbeat_loop().await }, meanwhile);
    }

    /// The same for a loop with a handler that never answers. `seen` gets the number of each attempt.
    ///
    /// # Panics
    /// If the agent is not of the async facade, or the loop ends before it is dropped.
    pub fn drop_loop_in_its_handler(&self, seen: &Log<u32>, meanwhile: impl FnOnce()) {
        let (agent, seen) = (self.futures().clone(), seen.clone());
        let handler = move |message: InboundMessage| {
            seen.push(message.attempt());
            std::future::pending::<std::result::Result<Option<Reply>, String>>()
        };
        Self::drop_running(async move { agent.run_agent_loop(handler).await }, meanwhile);
    }

    fn drop_running(run: impl Future<Output = Result<Ended>> + Send + 'static, meanwhile: impl FnOnce()) {
        let (start, started) = tokio::sync::oneshot::channel::<()>();
        let looped = RUNTIME.spawn(async move {
            let _ = start.send(());
            run.await
        });
        RUNTIME.block_on(started).expect("the loop's task begins");
        meanwhile();
        looped.abort();
        let dropped = RUNTIME.block_on(looped);
        assert!(dropped.as_ref().is_err_and(|error| error.is_cancelled()), "the loop ended too early: {dropped:?}");
    }

    fn futures(&self) -> &molecule_async::Agent {
        match &self.driven {
            Driven::Async(agent) => agent,
            Driven::Blocking(_) => panic!("a scenario of futures runs on the async facade alone"),
        }
    }

    fn drop_call(call: impl Future<Output = Result<()>> + Send + 'static, meanwhile: impl FnOnce()) {
        let call = RUNTIME.spawn(call);
        meanwhile();
        call.abort();
        let dropped = RUNTIME.block_on(call);
        assert!(dropped.is_err_and(|error| error.is_cancelled()), "the call ended too early");
        // The dropped future's own task notices the drop when it is polled next; 20 other tasks give it enough turns.
        for _ in 0..20 {
            let turn = RUNTIME.spawn(RUNTIME.spawn_blocking(|| {}));
            drop(RUNTIME.block_on(turn));
        }
    }
}

/// The stopper of either facade.
#[derive(Debug, Clone)]
pub enum Stopper {
    /// Of `molecule-blocking`.
    Blocking(molecule_blocking::Stopper),
    /// Of `molecule-async`.
    Async(molecule_async::Stopper),
}

impl Stopper {
    /// Asks the loop to stop after the work that must be finished.
    pub fn stop(&self) {
        match self {
            Self::Blocking(stopper) => stopper.stop(),
            Self::Async(stopper) => stopper.stop(),
        }
    }

    /// Returns whether a stop was requested.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Blocking(stopper) => stopper.is_stopped(),
            Self::Async(stopper) => stopper.is_stopped(),
        }
    }

    /// Asks the loop to stop at once.
    pub fn stop_now(&self) {
        match self {
            Self::Blocking(stopper) => stopper.stop_now(),
            Self::Async(stopper) => stopper.stop_now(),
        }
    }
}
