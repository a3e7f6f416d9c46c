//! The platform's state machine: its state, and the order in which it processes a request.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use molecule_proto::{Dialect, InboundSecret, Now, Time, Token, WorkspaceId, WorkspaceKind, WorkspaceStatus, header};
use serde_json::json;

use crate::a2a::Mail;
use crate::answer::{Answer, Turn};
use crate::config::Config;
use crate::feed::Feed;
use crate::plugin::Plugins;
use crate::random::Random;
use crate::rate::Limiter;
use crate::reply::{self, Handled, Refusal, Response};
use crate::requests::Requests;
use crate::router::{self, Route};
use crate::routes::Note;
use crate::streams::{self, Streams};
use crate::sweep::Sweeps;
use crate::tokens::Tokens;
use crate::uploads::Uploads;
use crate::urls::Urls;
use crate::workspace::Workspace;
use crate::{gate, owner};

/// How long the platform remembers a secret that it generated for an unknown id.
const MADE_UP_LIFETIME: Duration = Duration::from_secs(300);

/// The Molecule AI platform in memory.
///
/// Requests come in through [`handle`](Self::handle). Every call also passes the current time; if nothing else happens,
/// [`poll`](Self::poll) does. `poll` also returns the calls that the driver makes to agents, and their outcomes go to
/// [`dispatched`](Self::dispatched). The owner's acts have methods of their own, so that tests need no administrator.
#[derive(Clone)]
pub struct Platform {
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) workspaces: BTreeMap<WorkspaceId, Workspace>,
    pub(crate) tokens: Tokens,
    pub(crate) org_tokens: Vec<Token>,
    /// The secrets that heartbeats of unknown ids received, and the time at which each one is forgotten.
    made_up: BTreeMap<WorkspaceId, (InboundSecret, Time)>,
    /// The parent of new workspaces; the current server creates one when it starts.
    pub(crate) root: Option<WorkspaceId>,
    pub(crate) sweeps: Sweeps,
    pub(crate) plugins: Plugins,
    /// The URLs at which agents are called. They are stored separately from the workspaces' rows.
    pub(crate) urls: Urls,
    pub(crate) feed: Feed,
    pub(crate) mail: Mail,
    pub(crate) streams: Streams,
    pub(crate) requests: Requests,
    pub(crate) notes: Vec<Note>,
    pub(crate) uploads: Uploads,
    /// The ids of the workspaces' channels, by the kind of the channel.
    pub(crate) channels: BTreeMap<(WorkspaceId, String), String>,
    pub(crate) database_down: bool,
    /// Whether the loser of a race to create an entry of a memory is told 500 instead of 409.
    pub(crate) memory_create_race: bool,
    limiter: Limiter,
    pub(crate) org_token_limiter: Limiter,
}

/// A request without its body, and the time of its arrival.
pub(crate) struct Call<'a> {
    pub(crate) now: Now,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Option<&'a str>,
}

impl Platform {
    /// Creates a server that has just started, without workspaces.
    pub fn new(config: Config) -> Self {
        let mut platform = Self {
            random: Random::new(config.seed, config.credential_seed),
            workspaces: BTreeMap::new(),
            tokens: Tokens::default(),
            org_tokens: Vec::new(),
            made_up: BTreeMap::new(),
            root: None,
            sweeps: Sweeps::new(&config),
            plugins: Plugins::default(),
            urls: Urls::default(),
            feed: Feed::default(),
            mail: Mail::default(),
            streams: Streams::default(),
            requests: Requests::default(),
            notes: Vec::new(),
            uploads: Uploads::default(),
            channels: BTreeMap::new(),
            database_down: false,
            memory_create_race: false,
            limiter: Limiter::new(&config),
            org_token_limiter: Limiter::of_org_tokens(),
            config,
        };
        if platform.config.dialect == Dialect::Current {
            platform.seed_root();
        }
        platform
    }

    /// Adds the current server's own root agent, which nobody runs.
    fn seed_root(&mut self) {
        let id = self.random.workspace_id();
        let name = "Org Concierge".to_owned();
        let mut root = Workspace::new(id.clone(), name, WorkspaceStatus::Offline, Now::default());
        root.kind = WorkspaceKind::Platform;
        root.tier = 0;
        self.workspaces.insert(id.clone(), root);
        self.root = Some(id);
    }

    /// The dialect of this server.
    pub fn dialect(&self) -> Dialect {
        self.config.dialect
    }

    /// Handles a request. `peer` is the address of its sender, by which the rate limit counts.
    pub fn handle(&mut self, now: Now, peer: Option<IpAddr>, request: http::Request<Bytes>) -> Answer {
        let now = self.settle(now);
        let (head, body) = request.into_parts();
        let path = router::decode(head.uri.path());
        if let Some(location) = router::redirect(self.config.dialect, &head.method, &path, head.uri.query()) {
            return Answer::Ready(reply::moved(&head.method, &location));
        }
        if !gate::origin_passes(&head.headers) {
            return Answer::Ready(reply::empty(StatusCode::FORBIDDEN));
        }
        let counted = self.limiter.count(now.mono, peer, &head.headers);
        let refusal = counted.refusal().or_else(|| gate::tenant_refusal(&self.config, &path, &head.headers));
        let handled = match (refusal, router::find(self.config.dialect, &head.method, &path)) {
            (Some(refusal), _) => Handled::Now(refusal),
            (None, None) => Handled::Now(reply::no_route(&head.method)),
            (None, Some(route)) => {
                let call = Call { now, peer, headers: &head.headers, query: head.uri.query() };
                self.route(&call, route, &body).unwrap_or_else(|refusal| Handled::Now(refusal.into()))
            }
        };
        let mut response = match handled {
            Handled::Now(response) => response,
            Handled::Later(ticket) => {
                self.mail.wait(ticket, counted.limit);
                return Answer::Later(ticket);
            }
            Handled::Stream(ticket) => {
                let mut head = streams::head();
                counted.limit.write_to(head.headers_mut());
                return Answer::Stream(ticket, head);
            }
        };
        // A route with its own limit has already written these headers.
        if !response.headers().contains_key(header::RATE_LIMIT) {
            counted.limit.write_to(response.headers_mut());
        }
        Answer::Ready(response)
    }

    /// Lets time pass, and returns what the driver does next.
    ///
    /// Call it after each request, each outcome of a call, each act of an owner, and at the wake time, until it returns
    /// [`Turn::Idle`]. Every other method first catches up with the time itself, so that a driver may skip the wake if
    /// no agent is called.
    pub fn poll(&mut self, now: Now) -> Turn {
        let now = self.settle(now);
        self.mail.next_turn().unwrap_or_else(|| Turn::Idle(self.next_wake(now.mono)))
    }

    /// Makes the database unreachable, or reachable again.
    ///
    /// While it is unreachable, both servers answer 401 to valid tokens on the routes below `/workspaces/:id`, and 500
    /// on the open view and on register, heartbeat and update-card; `/health` still answers 200. Messages and discovery
    /// get 403 on April's server. On the current one messages get 401, discovery and peers 503 `platform_unavailable`
    /// (contract section 7.3; April 2.1 and 7.2).
    pub fn set_database_down(&mut self, down: bool) {
        self.database_down = down;
    }

    /// Makes creates of entries that a workspace's memory already has answer 500 instead of 409, or stop it.
    ///
    /// Of creates at the same moment, both servers refuse now and then one so: the client cannot tell from the answer whether
    /// its own write is stored. Here no two requests are handled at the same moment.
    pub fn set_memory_create_race(&mut self, is_on: bool) {
        self.memory_create_race = is_on;
    }

    /// Returns whether the database is unreachable.
    pub fn is_database_down(&self) -> bool {
        self.database_down
    }

    fn route(&mut self, call: &Call<'_>, route: Route, body: &Bytes) -> Result<Handled, Refusal> {
        let answer = match route {
            // These routes may wait for an agent.
            Route::SendMessage(id) => return self.post_a2a(call, &id, body),
            Route::SendThroughDoor(id) => return self.post_a2a_inbound(call, &id, body),
            Route::UploadFiles(id) => return self.upload_files(call, &id, body),
            Route::DownloadFile(id) => return self.download_file(call, &id),
            Route::ListSchedules(id) => return self.list_schedules(call, &id),
            Route::CreateSchedule(id) => return self.create_schedule(call, &id, body),
            Route::SchedulesHealth(id) => return self.schedules_health(call, &id),
            Route::EventStream(id) => return self.event_stream(call, &id),
            Route::Health => Ok(reply::ok(&json!({"status": "ok"}))),
            Route::BuildInfo => Ok(reply::ok(&json!({"git_sha": "dev"}))),
            Route::OrgIdentity => Ok(self.org_identity()),
            Route::UploadLimits => Ok(self.upload_limits()),
            Route::ListPlugins => Ok(self.list_plugins(call)),
            Route::ListPluginSources => Ok(self.list_plugin_sources()),
            Route::Register => self.register(call, body),
            Route::Heartbeat => self.heartbeat(call, body),
            Route::UpdateCard => self.update_card(call, body),
            Route::Discover(id) => self.discover(call, &id),
            Route::Peers(id) => self.peers(call, &id),
            Route::CheckAccess => self.check_access(body),
            Route::ShowQueueItem(item) => self.show_queue_item(call, &item),
            Route::ListActivity(id) => self.list_activity(call, &id),
            Route::PostActivity(id) => self.post_activity(call, &id, body),
            Route::AckActivity(id) => self.ack_activity(call, &id, body),
            Route::Notify(id) => self.notify(call, &id, body),
            Route::ChatHistory(id) => self.chat_history(call, &id),
            Route::PendingUpload(id, file) => self.pending_upload(call, &id, &file),
            Route::AckUpload(id, file) => self.ack_upload(call, &id, &file),
            Route::RaiseRequest(id) => self.post_request(call, &id, body),
            Route::ListRequests(id) => self.list_requests(call, &id),
            Route::RequestInbox(id) => self.request_inbox(call, &id),
            Route::ShowRequest(id, request) => self.show_request(call, &id, &request),
            Route::AddRequestMessage(id, request) => self.post_request_message(call, &id, &request, body),
            Route::RespondToRequest(id, request) => self.post_request_response(call, &id, &request, body),
            Route::CancelRequest(id, request) => self.post_request_cancel(call, &id, &request),
            Route::Delegate(id) => self.post_delegate(call, &id, body),
            Route::ListDelegations(id) => self.list_delegations(call, &id),
            Route::RecordDelegation(id) => self.record_delegation(call, &id, body),
            Route::UpdateDelegation(id, delegation) => self.update_delegation(call, &id, &delegation, body),
            Route::Abilities(id) => self.patch_abilities(call, &id, body),
            Route::Budget(id) => self.budget(call, &id),
            Route::ListMemories(id) => self.list_memories(call, &id),
            Route::CommitMemory(id) => self.post_memory(call, &id, body),
            Route::ListMemory(id) => self.list_memory(call, &id),
            Route::SetMemory(id) => self.set_memory(call, &id, body),
            Route::ReadMemory(id, key) => self.read_memory(call, &id, &key),
            Route::DeleteMemory(id, key) => self.delete_memory(call, &id, &key),
            Route::Broadcast(id) => self.broadcast(call, &id, body),
            Route::View(id) => self.view(call, &id),
            Route::State(id) => self.state(call, &id),
            Route::SecretValues(id) => self.secret_values(call, &id),
            Route::ListSecrets(id) => self.list_secrets(call, &id),
            Route::SaveSecret(id) => self.save_secret(call, &id, body),
            Route::DeleteSecret(id, key) => self.delete_secret(call, &id, &key),
            Route::CreateWorkspace => self.post_workspace(call, body),
            Route::ListWorkspaces => self.list_workspaces(call),
            Route::Delete(id) => self.delete_workspace(call, &id),
            Route::Pause(id) => self.post_pause(call, &id),
            Route::Resume(id) => self.post_resume(call, &id),
            Route::Hibernate(id) => self.post_hibernate(call, &id),
            Route::Rotate(id) => self.post_rotate(call, &id),
            Route::Connection(id) => self.show_connection(call, &id),
            Route::ListTokens(id) => self.list_tokens(call, &id),
            Route::MintToken(id) => self.post_token(call, &id),
            Route::RevokeToken(id, row) => self.delete_token(call, &id, &row),
            Route::AdminMintToken(id) => self.admin_post_token(call, &id),
            Route::AdminRevokeTokens(id) => self.admin_revoke_tokens(call, &id),
            Route::TestToken(id) => self.test_token(call, &id),
            Route::AvailablePlugins(id) => self.available_plugins(call, &id),
            Route::InstalledPlugins(id) => self.installed_plugins(call, &id),
            Route::PluginCompatibility(id) => self.plugin_compatibility(call, &id),
            Route::DownloadPlugin(id, name) => self.download_plugin(call, &id, &name),
            Route::InstallPlugin(id) => self.install_plugin(call, &id, body),
            Route::UninstallPlugin(id, name) => self.uninstall_plugin(call, &id, &name),
            Route::OrgToken => self.post_org_token(call, body),
        };
        answer.map(Handled::Now)
    }

    fn org_identity(&self) -> Response {
        let organisation = self.config.organisation.as_deref().unwrap_or_default();
        reply::ok(&json!({"name": "", "slug": "", "org_id": organisation, "platform_managed_available": false}))
    }

    /// The row with the id from a path or a body, in any spelling of the id.
    pub(crate) fn row(&mut self, id: &str) -> Option<&mut Workspace> {
        self.workspaces.get_mut(&id.parse::<WorkspaceId>().ok()?)
    }

    /// `Some` if the server speaks this dialect and the workspace exists.
    pub(crate) fn live_on(&self, dialect: Dialect, id: &WorkspaceId) -> Option<()> {
        let lives = self.workspaces.get(id).is_some_and(|row| !row.is_removed());
        (self.config.dialect == dialect && lives).then_some(())
    }

    /// The inbound secret of a workspace, which is minted once. For an id without a row the platform generates one and
    /// remembers it for a while, so that a later register gets the same secret.
    pub(crate) fn inbound_secret_of(&mut self, now: Time, id: &WorkspaceId) -> InboundSecret {
        let made_up = self.made_up.get(id).filter(|(_, until)| *until > now).map(|(secret, _)| secret.clone());
        match self.workspaces.get_mut(id) {
            Some(row) => row
                .inbound_secret
                .get_or_insert_with(|| made_up.unwrap_or_else(|| self.random.inbound_secret()))
                .clone(),
            None => {
                self.made_up.retain(|_, (_, until)| *until > now);
                let secret = made_up.unwrap_or_else(|| self.random.inbound_secret());
                self.made_up.entry(id.clone()).or_insert((secret.clone(), now + MADE_UP_LIFETIME));
                secret
            }
        }
    }

    /// The descendants of a workspace that are not removed, nearest first.
    pub(crate) fn descendants(&self, id: &WorkspaceId) -> Vec<WorkspaceId> {
        owner::descendants(&self.workspaces, id)
    }
}

impl From<Config> for Platform {
    fn from(config: Config) -> Self {
        Self::new(config)
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.workspaces.iter().map(|(id, row)| (id, &row.status));
        f.debug_struct("Platform")
            .field("dialect", &self.config.dialect)
            .field("workspaces", &statuses.collect::<BTreeMap<_, _>>())
            .finish_non_exhaustive()
    }
}
