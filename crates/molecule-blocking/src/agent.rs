//! The facade: the methods of an agent, one line each.

use std::fmt;

use bytes::Bytes;
use molecule_core::endpoint::{self, CheckAccess, Endpoint};
use molecule_core::machines::{
    Beat, Call, CallPeer, CheckReachable, DeadLetters, Delegate, DelegationOf, Delegations, DiscoverPeer, Download,
    DownloadToMemory, Install, ListInbox, ListPeers, ListPlugins, Notify, PluginTask, QueuedItem, Recover, Register,
    ReplyTo, RetryDeadLetter, Wait,
};
use molecule_core::plugin::{Installed, InstalledPlugin, Plugin, Verification};
use molecule_core::proto::{
    AgentCard, AvailablePlugin, DelegationId, HeartbeatAnswer, InboundSecret, Peer, QueueItem, Secrets, StateAnswer,
    WorkspaceId,
};
use molecule_core::{
    Attachment, CallOutcome, DeadLetter, Delegation, DelegationView, DownloadTo, Downloaded, Ended, Health,
    InboxListing, Notice, PeerCall, PeerUrl, QueueOutcome, Reachability, Recovered, Recovery, Registration, Reply,
    ReplyEnd, ReplyHandle, Report, Result, WaitFor,
};
use molecule_host::{Host, SharedSession, Stopper};

use crate::builder::AgentBuilder;
use crate::driver::Driver;
use crate::handler::Handler;

/// A remote agent: one workspace of one platform.
///
/// Clones are the same agent. Calls run side by side, share the bearer and the rate budget, and each retries within its own
/// deadline ([`Timeouts::call`](crate::Timeouts), 90 s). The sections named here are those of the platform's HTTP contract.
#[derive(Clone)]
pub struct Agent {
    pub(crate) session: SharedSession,
    pub(crate) driver: Driver,
}

impl Agent {
    /// Begins the options of an agent for a workspace (a UUID) of the platform at a base URL.
    pub fn builder(platform: impl Into<String>, workspace_id: impl AsRef<str>) -> AgentBuilder {
        AgentBuilder::new(platform, workspace_id)
    }

    /// Builds an agent from the variables of [`AgentBuilder::from_env`].
    ///
    /// # Errors
    /// `Config` if a variable is missing or makes no sense.
    pub fn from_env() -> Result<Self> {
        AgentBuilder::from_env()?.build()
    }

    /// `POST /registry/register` (section 4): registers the agent, and stores the bearer token if one is minted. It looks at the
    /// workspace first; while that is paused it sends nothing, and [`Registration::paused`] says so.
    ///
    /// # Errors
    /// `TokenNotHeld`, `Revoked`, `Removed` and `NotCreated`, which somebody has to mend; `Storage` if no token could be stored (the
    /// request is not sent then), `TokenNotSaved` if a minted one could not; and those of every request.
    pub fn register(&self) -> Result<Registration> {
        self.driver.call(Register::new())
    }

    /// `GET /workspaces/:id/secrets/values` (section 8): the workspace's secrets by name, at most 1 MiB.
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    pub fn pull_secrets(&self) -> Result<Secrets> {
        self.driver.call(Call::new(endpoint::Secrets))
    }

    /// `GET /workspaces/:id/state` (section 7.1): the workspace's status, and whether it is paused or deleted.
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized` (also for a deleted workspace), and those of every request.
    pub fn poll_state(&self) -> Result<StateAnswer> {
        self.driver.call(Call::new(endpoint::PollState))
    }

    /// `POST /registry/heartbeat` (section 5), once, with the values that were last [reported](Self::report). An inbound secret in the
    /// answer is stored.
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    pub fn heartbeat(&self) -> Result<HeartbeatAnswer> {
        self.driver.call(Beat::new())
    }

    /// `POST /registry/update-card` (section 6.1): replaces the agent's card, for later registers too.
    ///
    /// # Errors
    /// `Config` if the platform could not store the card, `TokenNotHeld` before a register, `Unauthorized`, and those of every
    /// request.
    pub fn update_card(&self, card: AgentCard) -> Result<()> {
        self.session.lock().update_card(card.clone())?;
        self.driver.call(Call::new(endpoint::UpdateCard(card))).map(drop)
    }

    /// Gets a new token and stores it: `POST /workspaces/:id/external/rotate` (section 16.2), or on April's server
    /// `POST /workspaces/:id/tokens` (section 16.3). On the current server **all** earlier tokens are revoked.
    ///
    /// # Errors
    /// `Unauthorized` if the credential is refused, `Removed`, `NotCreated`, `Storage`, `TokenNotSaved`, and those of every
    /// request.
    pub fn recover(&self, recovery: Recovery) -> Result<Recovered> {
        self.driver.call(Recover::new(recovery))
    }

    /// `GET /registry/:id/peers` (section 6.3): the workspaces that this agent may see, in an order that changes, at most 4 MiB.
    /// Entries that make no sense are left out with a warning. The URLs of the others are kept for 300 s.
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    #[doc(alias = "get_peers")]
    pub fn peers(&self) -> Result<Vec<Peer>> {
        self.driver.call(ListPeers::all())
    }

    /// The [peers](Self::peers) whose name or role contains a text, in upper or lower case. The current server filters them; April's
    /// sends all, which are filtered here.
    ///
    /// # Errors
    /// `Config` if the text contains U+0000, and those of [`peers`](Self::peers).
    pub fn peers_matching(&self, text: impl Into<String>) -> Result<Vec<Peer>> {
        self.driver.call(ListPeers::matching(text))
    }

    /// `GET /registry/discover/:id` (section 6.2), unless the answer is known: the URL of a peer. `None` if the platform names no usable
    /// URL: the peer has none, does not exist, or may not be [called](Self::check_access). A removed peer keeps its URL, unless it was
    /// paused before. A URL is kept for 300 s, its absence for 60 s. Calls at the same time share one request.
    ///
    /// # Errors
    /// `Config` if the id is no UUID, `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    pub fn discover_peer(&self, id: impl AsRef<str>) -> Result<Option<PeerUrl>> {
        self.driver.call(DiscoverPeer::new(id)?)
    }

    /// Drops the kept URL of a peer, so that the next call asks the platform again.
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn invalidate_peer_url(&self, id: impl AsRef<str>) -> Result<()> {
        self.session.lock().invalidate_peer_url(id)
    }

    /// `POST /registry/check-access` (section 6.4): whether this agent may call that workspace; `false` if the workspace does not exist.
    /// It needs no token.
    ///
    /// # Errors
    /// `Config` if the id is no UUID, and those of every request.
    pub fn check_access(&self, id: impl AsRef<str>) -> Result<bool> {
        self.driver.call(Call::new(CheckAccess::new(id)?))
    }

    /// Sends a message to a peer and returns what became of it: a reply, a place in a queue, a refusal. A text is a message; a
    /// [`PeerCall`] has a route and a limit of its own (300 s by default). By default ([`Route::Auto`](crate::Route)) the peer is called
    /// directly and without a credential if it published a safe URL, else through `POST /workspaces/:id/a2a` (section 9). A message that
    /// may have been handled is not sent again. The 401, 403, 404 or 405 of a direct call counts as a refusal, after which it is.
    ///
    /// # Errors
    /// `Config` if the message cannot be sent, `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    /// After `Timeout`, `Interrupted`, `Protocol`, and `Unavailable` of a gateway, the peer may have the message if the error
    /// says so: see [`Error::message_id`](crate::Error::message_id).
    pub fn call_peer(&self, target: impl AsRef<str>, message: impl Into<PeerCall>) -> Result<CallOutcome> {
        self.driver.call(CallPeer::new(target, message)?)
    }

    /// Whether the platform reaches this agent's server: it sends the agent a message of its own through `POST /workspaces/:self/a2a`
    /// (section 9.4), which the server answers without the handler. It takes at most the limit of one request ([`Timeouts::request`](crate::Timeouts)).
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized`, `RateLimited`, and those of every request. They say nothing about the server.
    pub fn check_reachable(&self) -> Result<Reachability> {
        self.driver.call(CheckReachable::new())
    }

    /// `POST /workspaces/:self/notify` (section 13.2): sends a message to the user, which answers nothing. A text is a notice; a
    /// [`Notice`] has files too. A text has at most 1 MiB. It has no id on the wire, and is not sent again if it may have arrived.
    ///
    /// # Errors
    /// `Config` if the notice is empty or cannot be sent, `Refused` if the workspace may not talk to its user, `TokenNotHeld` before a
    /// register, `Unauthorized`, and those of every request. After `Timeout`, `Interrupted`, `Protocol` and `Unavailable` the user may
    /// have it if the error says so.
    pub fn notify(&self, notice: impl Into<Notice>) -> Result<()> {
        self.driver.call(Notify::new(notice)?)
    }

    /// Replies to a message: to one that its handler put off ([`Reply::later`]), or to any other. A message can be given, or its
    /// [`ReplyHandle`]; a handle that was read from text is looked up among the newest 500 rows of the feed. A message has **one** reply:
    /// to a peer it is sent under one id, by whatever process, and the platform keeps the first and drops a second one without a word. To
    /// people it is sent by [`notify`](Self::notify), and again only if the feed shows that it did not arrive. It takes at most 300 s to
    /// a peer and 90 s to people ([`Timeouts`](crate::Timeouts), `peer` and `call`).
    ///
    /// # Errors
    /// `Config` if the reply is empty, cannot be sent, or nobody would read it; `NotFound` if the message is not found; `Timeout` if it
    /// is not known to be delivered within the limit; `Storage`; and those of every request. That it was refused is no error, but a
    /// [`ReplyEnd`].
    pub fn reply_to(&self, message: impl Into<ReplyHandle>, reply: impl Into<Reply>) -> Result<ReplyEnd> {
        self.driver.call(ReplyTo::new(message, reply)?)
    }

    /// Lists what is in the inbox: messages that wait, are being handled, are offered again, wait for a reply, or are dead letters. It
    /// reads the journal in the agent's store and the newest 500 rows of the feed (section 12), takes no lock, and works beside a running
    /// loop. What the feed would tell is missing if it cannot be read, and the listing says why.
    ///
    /// # Errors
    /// `Storage` if the store cannot be read.
    pub fn inbox_entries(&self) -> Result<InboxListing> {
        self.driver.call(ListInbox::new())
    }

    /// Lists the messages that the handler could not handle, the oldest first: each attempt to handle them failed. They are read from the
    /// journal in the agent's store.
    ///
    /// # Errors
    /// `Storage` if the store cannot be read.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.driver.call(DeadLetters::new())
    }

    /// Offers a dead letter to the handler again, with all its attempts: at once if this agent's loop runs, else when the next one starts.
    /// The id is [`InboundMessage::id`](crate::InboundMessage::id).
    ///
    /// # Errors
    /// `Config` if the id is not a UUID, `NotFound` if there is no such dead letter, `Locked` if the loop of another process runs, and
    /// `Storage`.
    pub fn retry_dead_letter(&self, id: impl AsRef<str>) -> Result<()> {
        self.driver.call(RetryDeadLetter::new(id)?)?;
        self.session.look_again();
        Ok(())
    }

    /// `GET /workspaces/:self/pending-uploads/:file_id/content` (section 17): saves a file of a message to a file, or under its
    /// [cleaned](Attachment::file_name) name into a directory, and acknowledges it once it is on the disk. The file has mode 0600. One
    /// that exists is replaced only if [`DownloadTo::replace`] says so. Its bytes never are in memory as a whole.
    ///
    /// # Errors
    /// `Config` if the platform does not hold the file for this agent ([`Attachment::is_pending`]), `Expired` 24 h after its upload,
    /// `TooLarge`, `Storage` if it cannot be saved or would replace another file, `Unsupported` on April's server, `TokenNotHeld` before
    /// a register, `Unauthorized`, and those of every request.
    pub fn download(&self, attachment: &Attachment, to: impl Into<DownloadTo>) -> Result<Downloaded> {
        self.driver.call(Download::new(attachment, to)?)
    }

    /// Reads a file of a message into memory, at most 100 MiB; see [`Attachment::size`]. It is not acknowledged, so that it can be read
    /// again after a crash.
    ///
    /// # Errors
    /// Those of [`download`](Self::download) but for `Storage`.
    pub fn download_to_memory(&self, attachment: &Attachment) -> Result<Bytes> {
        self.driver.call(DownloadToMemory::new(attachment)?)
    }

    /// `POST /workspaces/:self/delegate` (section 14.1): delegates a task to a peer and returns the delegation's id. The key is the
    /// [`Delegation`]'s, or random; every resend has the same. The [delegation](Self::delegation) shows later whether the peer could be
    /// reached and may be called.
    ///
    /// # Errors
    /// `Config` if the task cannot be sent, `Refused` if its key names a delegation to another peer, `TokenNotHeld` before a
    /// register, `Unauthorized`, and those of every request.
    pub fn delegate(&self, target: impl AsRef<str>, task: impl Into<Delegation>) -> Result<DelegationId> {
        self.driver.call(Delegate::new(target, task)?)
    }

    /// `GET /workspaces/:self/delegations` (section 14.2): the delegations of this agent, the newest first, as far as the newest 50 rows
    /// go. On a platform that keeps a ledger also those to this agent.
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    pub fn delegations(&self) -> Result<Vec<DelegationView>> {
        self.driver.call(Delegations::newest())
    }

    /// One of the [delegations](Self::delegations).
    ///
    /// # Errors
    /// `NotFound` if it is not among them, and those of [`delegations`](Self::delegations).
    pub fn delegation(&self, id: impl AsRef<str>) -> Result<DelegationView> {
        self.driver.call(DelegationOf::new(id))
    }

    /// Waits until a delegation is over. It looks after 1 s, then less and less often, at last every 30 s, and for half an hour unless
    /// the [`WaitFor`] says otherwise.
    ///
    /// # Errors
    /// `Timeout` if it is not over by then, `NotFound` if the platform does not list it for a minute, and those of
    /// [`delegations`](Self::delegations) that are final.
    pub fn wait_delegation(&self, id: impl Into<WaitFor>) -> Result<DelegationView> {
        self.driver.call(Wait::for_delegation(id))
    }

    /// `GET /workspaces/:id/a2a/queue/:item` (section 11): the status of a queued message ([`CallOutcome::Queued`]).
    ///
    /// # Errors
    /// `Config` if the id is no UUID, `NotFound`, `Unsupported` on April's server, which is asked once, `TokenNotHeld` before a
    /// register, `Unauthorized`, and those of every request.
    pub fn queue_item(&self, id: impl AsRef<str>) -> Result<QueueItem> {
        self.driver.call(QueuedItem::new(id)?)
    }

    /// Waits until a queued message was delivered or given up, as [`wait_delegation`](Self::wait_delegation) waits.
    ///
    /// # Errors
    /// `Timeout` if it is still queued by then, and those of [`queue_item`](Self::queue_item) that are final.
    pub fn wait_queue_item(&self, id: impl Into<WaitFor>) -> Result<QueueOutcome> {
        self.driver.call(Wait::for_queue_item(id)?)
    }

    /// Registers the agent if that was not done, then sends heartbeats and reads the state, each at its interval. It ends when the
    /// platform pauses or deletes the workspace, when the token is no longer accepted, or by a [`Stopper`], and holds the agent's lock
    /// until then.
    ///
    /// # Errors
    /// `Locked` if another agent of this workspace runs, `Storage`, and those of the first register. Later failures are events, and the
    /// loop goes on.
    pub fn run_heartbeat_loop(&self) -> Result<Ended> {
        self.driver.run()
    }

    /// Does what [`run_heartbeat_loop`](Self::run_heartbeat_loop) does, and receives messages (sections 12 and 18.6): each one that the
    /// user, a peer, a channel or the platform sent is offered to the handler, and its reply is sent. The ends are the same; a stop
    /// leaves running handlers some time ([`InboxOptions`](crate::InboxOptions)).
    ///
    /// Messages of one sender come in their order, one after another. Each comes at least once: again after a crash, and with a backoff
    /// after an error or a panic of the handler, until it is a dead letter. Its reply has one id, however often it is sent.
    ///
    /// # Errors
    /// Those of [`run_heartbeat_loop`](Self::run_heartbeat_loop).
    pub fn run_agent_loop(&self, handler: impl Handler) -> Result<Ended> {
        self.driver.run_with(handler)
    }

    /// `GET /workspaces/:id/plugins/:name/download` (section 15): installs a plugin, or replaces the installed version. The archive is
    /// unpacked while it arrives, and verified before anything is replaced. Then its `setup.sh` is run, unless the [`Plugin`] forbids it:
    /// **it runs as the user and may do what the user may**. [`Event::PluginProgress`](crate::Event) shows the progress.
    ///
    /// # Errors
    /// `PluginRefused` if the archive, its manifest or its digest breaks a rule; `Locked` if another install of it does not end;
    /// `Storage`; `Refused` with the platform's reason; and those of every request. [`Error::install`](crate::Error::install)
    /// says which rule, and what became of the earlier version. A `setup.sh` that fails is no error: see
    /// [`Installed::setup`](crate::Installed).
    pub fn install_plugin(&self, plugin: impl Into<Plugin>) -> Result<Installed> {
        self.driver.call(Install::new(plugin))
    }

    /// The installed plugins, sorted by name. It removes what interrupted installs left. A plugin whose receipt is missing or damaged is
    /// listed too: see [`InstalledPlugin::receipt`].
    ///
    /// # Errors
    /// `Storage`.
    pub fn plugins(&self) -> Result<Vec<InstalledPlugin>> {
        self.driver.call(ListPlugins::new())
    }

    /// Compares the files of an installed plugin with those that were installed. `None` if it is not installed; no directory is made
    /// then.
    ///
    /// # Errors
    /// `Config` if the name is no plugin's, `Locked` while an install of it does not end, and `Storage`.
    pub fn verify_plugin(&self, name: &str) -> Result<Option<Verification>> {
        self.driver.call(PluginTask::verify(name))
    }

    /// Removes an installed plugin, and returns whether there was one. If there was none, no directory is made.
    ///
    /// # Errors
    /// `Config` if the name is no plugin's, `Locked` while an install of it does not end, and `Storage`.
    pub fn uninstall_plugin(&self, name: &str) -> Result<bool> {
        self.driver.call(PluginTask::uninstall(name))
    }

    /// `GET /workspaces/:id/plugins/available` (section 15): the plugins that the platform holds for this workspace. Not every one that is
    /// listed can be installed.
    ///
    /// # Errors
    /// `TokenNotHeld` before a register, `Unauthorized`, and those of every request.
    pub fn available_plugins(&self) -> Result<Vec<AvailablePlugin>> {
        self.driver.call(Call::new(endpoint::AvailablePlugins))
    }

    /// Sends the request of any endpoint, with the retries and the handling of a 401 that every call has.
    ///
    /// # Errors
    /// Those of every request: `Unreachable`, `Tls`, `Timeout`, `Interrupted`, `Protocol`, `TooLarge`, `Redirected`, `Routing`,
    /// `OriginRefused`, `Unauthorized`, `Unsupported`, `Refused`, `RateLimited`, `Unavailable`.
    pub fn send<E>(&self, endpoint: &E) -> Result<E::Answer>
    where
        E: Endpoint + Clone + Send + 'static,
        E::Answer: Send + 'static,
    {
        self.driver.call(Call::new(endpoint.clone()))
    }

    /// Sets values of the next heartbeats. The last value counts.
    ///
    /// # Errors
    /// `Config` for a value that the server does not take; nothing changes then.
    pub fn report(&self, report: Report) -> Result<()> {
        self.session.lock().report(report)
    }

    /// Changes the URL under which the platform reaches the agent, or lets it poll with `None`. A running loop registers it.
    ///
    /// # Errors
    /// `Config` if it is no http(s) URL; nothing changes then.
    pub fn set_reported_url(&self, url: Option<String>) -> Result<()> {
        self.session.lock().set_reported_url(url)?;
        self.session.look_again();
        Ok(())
    }

    /// A handle that ends the loop from any thread.
    pub fn stopper(&self) -> Stopper {
        self.session.stopper()
    }

    /// The health of the agent: last good beat, status, failures of each lane, rate budget, dialect.
    pub fn health(&self) -> Health {
        self.session.lock().health()
    }

    /// The secret with which the platform authenticates to the agent; `None` until a register, a heartbeat or the store has brought it.
    pub fn inbound_secret(&self) -> Option<InboundSecret> {
        self.session.lock().inbound_secret().cloned()
    }

    /// The session and the host of the agent, for crates that stand on this facade. Outside semver.
    #[doc(hidden)]
    pub fn parts(&self) -> (&SharedSession, &Host) {
        (&self.session, self.driver.host())
    }

    /// The id of the agent's workspace.
    pub fn workspace_id(&self) -> WorkspaceId {
        self.session.lock().config().workspace_id().clone()
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({:?})", self.session.lock())
    }
}
