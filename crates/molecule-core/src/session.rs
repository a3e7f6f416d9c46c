//! The state that the calls of one agent share: plain data. A facade locks it for one poll, feed or method call at a
//! time.

pub(crate) mod claims;
pub(crate) mod credential;
pub(crate) mod delivery;
pub(crate) mod discoveries;
pub(crate) mod draft;
pub(crate) mod handling;
pub(crate) mod health;
pub(crate) mod key;
pub(crate) mod notices;
pub(crate) mod orders;
pub mod peer_cache;
pub(crate) mod peer_url;
pub(crate) mod rate;
pub(crate) mod recent;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
pub(crate) use molecule_proto::Dialect;
use molecule_proto::{
    AgentCard, DeliveryMode, InboundSecret, Token, WorkspaceId, WorkspaceStatus, header, random_uuid,
};

use crate::config::options::{check_card, reported_url};
use crate::config::{Config, workspace_id};
use crate::delegation::SharedLooks;
use crate::effect::EffectId;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Lane;
use crate::session::claims::Claims;
use crate::session::credential::{Credential, HeldToken, InboundState, Persistence, ReplacedSecrets};
use crate::session::delivery::Delivery;
use crate::session::discoveries::Discoveries;
pub use crate::session::draft::{Auth, Draft};
use crate::session::handling::Handling;
use crate::session::health::{Counters, Health};
use crate::session::notices::Notices;
use crate::session::orders::Orders;
use crate::session::peer_cache::PeerCache;
use crate::session::rate::RateBudget;
use crate::session::report::Report;
use crate::session::turn::Turns;
use crate::text::remedy::give_token;
use molecule_proto::{Now, Time};

/// The most headers that a request usually has, those that a driver adds included.
const HEADERS: usize = 9;

/// The shared state of one agent.
///
/// `Debug` shows no credential.
pub struct Session {
    config: Arc<Config>,
    credential: Credential,
    /// The bearer before the current one, if it is in no store and was replaced by the stored one after a 401. The 401
    /// may have a reason that passes, such as April's database being down.
    replaced: Option<HeldToken>,
    is_bearer_doubted: bool,
    /// What the store held before the bearer was to be stored, if it could be read. Any other token in the store is
    /// newer.
    pub(crate) store_before: Option<Option<Token>>,
    pub(crate) inbound_secret: InboundState,
    pub(crate) replaced_secrets: ReplacedSecrets,
    pub(crate) delivery: Delivery,
    /// The server's dialect; `None` until an answer has shown it.
    pub(crate) dialect: Option<Dialect>,
    pub(crate) rate: RateBudget,
    pub(crate) rng: Rng,
    pub(crate) report: Report,
    /// The number of messages of the inbox that the handler works on.
    pub(crate) handling: Handling,
    /// The number of messages that were pushed to the agent and that the handler works on.
    pub(crate) handling_pushed: Handling,
    /// The messages that a push or the inbox handles, so that neither handles what the other has.
    pub(crate) claims: Claims,
    /// What calls have to record in the inbox's journal.
    pub(crate) orders: Orders,
    pub(crate) generation: Option<i64>,
    /// Whether the server refused a register without a URL, since April's server has no poll mode.
    pub(crate) poll_refused: bool,
    pub(crate) vitals: Vitals,
    pub(crate) counters: Counters,
    pub(crate) peers: PeerCache,
    pub(crate) discoveries: Discoveries,
    pub(crate) looks: SharedLooks,
    pub(crate) notices: Notices,
    /// The features that the server turned out not to offer.
    lacking: BTreeSet<Feature>,
    pub(crate) turns: Turns,
    next_effect: u64,
    stop: StopLevel,
}

/// A feature that not every server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Feature {
    /// `GET /workspaces/:id/a2a/queue/:item`.
    QueueStatus,
    /// A list of all peers whose length is within the limit.
    AllPeers,
    /// `POST /workspaces/:id/activity/ack`.
    ActivityAck,
}

/// How urgently the loop should end. The level only rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopLevel {
    /// The loop goes on.
    #[default]
    None,
    /// The loop ends after it has finished what must be finished.
    Finish,
    /// The loop ends at once.
    Now,
}

/// The state of the agent, as the loop and one-shot calls learn it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vitals {
    /// The time of the first request, from which the uptime counts.
    pub(crate) started: Option<Time>,
    pub(crate) last_beat: Option<Now>,
    pub(crate) status: Option<WorkspaceStatus>,
    /// How often each lane of the loop has failed in a row. A lane whose last request succeeded is absent.
    failures: BTreeMap<Lane, u32>,
    /// The reported URL as it was last registered; `None` before the first register.
    pub(crate) registered: Option<Option<String>>,
    /// When that register was answered. A state that was asked for before is out of date.
    pub(crate) registered_at: Option<Now>,
    /// When that register was sent for the first time: the platform took it between the two.
    pub(crate) register_sent_at: Option<Time>,
}

impl Vitals {
    /// Records the status that the platform shows. Returns whether it has changed.
    pub(crate) fn set_status(&mut self, status: &WorkspaceStatus) -> bool {
        let is_new = self.status.as_ref() != Some(status);
        if is_new {
            self.status = Some(status.clone());
        }
        is_new
    }

    /// Returns how often a lane of the loop has failed in a row.
    pub(crate) fn failures_of(&self, lane: Lane) -> u32 {
        self.failures.get(&lane).copied().unwrap_or_default()
    }

    /// Sets how often a lane of the loop has failed in a row; 0 once it works.
    pub(crate) fn failed(&mut self, lane: Lane, failures: u32) {
        match failures {
            0 => self.failures.remove(&lane),
            _ => self.failures.insert(lane, failures),
        };
    }

    /// Records that the platform accepted a register with this reported URL, which was sent at `sent_at`.
    pub(crate) fn registered(&mut self, at: Now, sent_at: Time, reported_url: Option<String>) {
        self.registered = Some(reported_url);
        self.registered_at = Some(at);
        self.register_sent_at = Some(sent_at);
    }
}

impl Session {
    /// Makes the session of an agent that has sent no request yet. The seed comes from the operating system: two
    /// agents, or two runs of one, must not share it.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut session = Self::blank(Arc::new(config), Rng::with_seed(seed));
        if let Some(token) = session.config.given_token.clone() {
            session.hold(token, Persistence::Given);
        }
        session
    }

    fn blank(config: Arc<Config>, rng: Rng) -> Self {
        Self {
            credential: Credential::Unread,
            replaced: None,
            is_bearer_doubted: false,
            store_before: None,
            inbound_secret: InboundState::Unread,
            replaced_secrets: ReplacedSecrets::default(),
            delivery: Delivery::default(),
            dialect: None,
            rate: RateBudget::default(),
            rng,
            report: Report::new(),
            handling: Handling::default(),
            handling_pushed: Handling::default(),
            claims: Claims::default(),
            orders: Orders::default(),
            generation: None,
            poll_refused: false,
            vitals: Vitals::default(),
            counters: Counters::default(),
            peers: PeerCache::default(),
            discoveries: Discoveries::default(),
            looks: SharedLooks::default(),
            notices: Notices::default(),
            lacking: BTreeSet::new(),
            turns: Turns::default(),
            next_effect: 0,
            stop: StopLevel::None,
            config,
        }
    }

    /// Moves the session out for one poll. The caller puts it back afterwards.
    pub(crate) fn lend(&mut self) -> Self {
        let blank = Self::blank(self.config.clone(), Rng::with_seed(0));
        std::mem::replace(self, blank)
    }

    /// Returns the agent's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns whether a loop of this process records what calls order: one with the agent's lock, or one that receives
    /// messages without it.
    pub(crate) fn has_loop(&self) -> bool {
        self.handling.get().is_some() || self.orders.has_recorder()
    }

    /// Returns the number of messages that the handler works on, pushed ones and those of the inbox together; `None` if
    /// nothing receives messages.
    pub(crate) fn handling_in_all(&self) -> Option<u32> {
        match (self.handling.get(), self.handling_pushed.get()) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or_default().saturating_add(other.unwrap_or_default())),
        }
    }

    /// Returns a snapshot of the agent's state.
    pub fn health(&self) -> Health {
        Health {
            last_beat: self.vitals.last_beat.map(|beat| beat.unix),
            status: self.vitals.status.clone(),
            heartbeat_failures: self.vitals.failures_of(Lane::Heartbeat),
            state_failures: self.vitals.failures_of(Lane::State),
            register_failures: self.vitals.failures_of(Lane::Register),
            inbox_failures: self.vitals.failures_of(Lane::Inbox),
            delivery_failures: self.vitals.failures_of(Lane::Delivery),
            delivery_mode: self.vitals.registered.as_ref().map(|url| match url {
                Some(_) => DeliveryMode::Push,
                None => DeliveryMode::Poll,
            }),
            push: self.delivery.state().cloned(),
            handling: self.handling_in_all().unwrap_or_default(),
            rate: self.rate.seen(),
            dialect: self.dialect,
            registered: self.vitals.registered.is_some(),
            counters: self.counters,
        }
    }

    /// Returns the inbound secret, if the platform has announced one since the agent was built, or if the store has
    /// one.
    pub fn inbound_secret(&self) -> Option<&InboundSecret> {
        match &self.inbound_secret {
            InboundState::Held { secret, .. } => Some(secret),
            InboundState::Unread | InboundState::Missing => None,
        }
    }

    /// Merges values into the report of the next heartbeats.
    ///
    /// # Errors
    /// `Config` for a value that the server cannot take; the report is unchanged then.
    pub fn report(&mut self, report: Report) -> Result<()> {
        report.check()?;
        self.report.merge(report);
        Ok(())
    }

    /// Changes the URL at which the platform reaches the agent. The loop registers it.
    ///
    /// # Errors
    /// `Config` if it is not an http(s) URL; the URL is unchanged then.
    pub fn set_reported_url(&mut self, url: Option<String>) -> Result<()> {
        let url = url.as_deref().map(reported_url).transpose().map_err(|error| error.during("set reported URL"))?;
        Arc::make_mut(&mut self.config).reported_url = url;
        Ok(())
    }

    /// Changes the card of later registers. [`UpdateCard`](crate::endpoint::UpdateCard) replaces it on the platform
    /// now.
    ///
    /// # Errors
    /// `Config` if the platform could not store the card; it is unchanged then.
    pub fn update_card(&mut self, card: AgentCard) -> Result<()> {
        check_card(&card).map_err(|error| error.during("update card"))?;
        Arc::make_mut(&mut self.config).card = card;
        Ok(())
    }

    /// Returns the cache of peers' URLs.
    pub fn peers(&self) -> &PeerCache {
        &self.peers
    }

    /// Removes a peer from the cache, so that the next call asks the platform for its URL. The answer of a discovery
    /// that is in flight is not cached.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn invalidate_peer_url(&mut self, id: impl AsRef<str>) -> Result<()> {
        let id = workspace_id("invalidate peer URL", id)?;
        self.peers.invalidate(&id);
        self.discoveries.forget(&id);
        Ok(())
    }

    /// Raises the stop latch to `Finish`; to `Now` if `now` is set or the latch was raised before. Returns the new
    /// level.
    pub fn raise_stop(&mut self, now: bool) -> StopLevel {
        self.stop = if now || self.stop != StopLevel::None { StopLevel::Now } else { StopLevel::Finish };
        self.stop
    }

    /// Returns the level of the stop latch.
    pub fn stop_level(&self) -> StopLevel {
        self.stop
    }

    /// Records the server's dialect, as an answer showed it. A server that was replaced by a newer one may offer what
    /// it did not, so the lacking features are forgotten then.
    pub(crate) fn learn_dialect(&mut self, is_current: bool) -> Dialect {
        let dialect = if is_current { Dialect::Current } else { Dialect::April };
        self.dialect = Some(dialect);
        if is_current {
            self.lacking.clear();
        }
        dialect
    }

    /// Returns whether the server is known not to offer a feature.
    pub(crate) fn lacks(&self, feature: Feature) -> bool {
        self.lacking.contains(&feature)
    }

    /// Records that the server does not offer a feature. It is not asked for again unless the server turns out to be a
    /// newer one.
    pub(crate) fn learn_lack(&mut self, feature: Feature) {
        self.lacking.insert(feature);
    }

    pub(crate) fn workspace_id(&self) -> &WorkspaceId {
        &self.config.workspace_id
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    pub(crate) fn held(&self) -> Option<&HeldToken> {
        match &self.credential {
            Credential::Held(held) => Some(held),
            Credential::Unread | Credential::Missing => None,
        }
    }

    /// Returns whether the store was read and no bearer is held.
    pub(crate) fn lacks_token(&self) -> bool {
        matches!(self.credential, Credential::Missing)
    }

    /// Returns the bearer that requests carry now.
    pub(crate) fn bearer(&self) -> Option<&Token> {
        self.held().map(|held| &held.token)
    }

    /// Returns the credential that a request with this authentication carries now.
    pub(crate) fn credential_of<'a>(&'a self, auth: &'a Auth) -> Option<&'a Token> {
        match auth {
            Auth::Open => None,
            Auth::Bearer => self.bearer(),
            Auth::Admin(token) => Some(token),
        }
    }

    /// Replaces the bearer. Returns whether it has changed.
    pub(crate) fn hold(&mut self, token: Token, persistence: Persistence) -> bool {
        let changed = self.bearer() != Some(&token);
        self.is_bearer_doubted = false;
        self.credential = Credential::Held(HeldToken { header: token.bearer(), token, persistence });
        changed
    }

    /// Replaces the bearer by one that the platform has just minted. The bearer before it is not worth another try.
    pub(crate) fn hold_minted(&mut self, token: Token, persistence: Persistence) -> bool {
        self.replaced = None;
        self.hold(token, persistence)
    }

    /// Returns the bearer if the owner gave it and it must be stored once the platform accepts it.
    pub(crate) fn given_token_to_store(&self) -> Option<Token> {
        let given =
            self.held().filter(|held| held.persistence == Persistence::Given && self.config.store_given_token)?;
        Some(given.token.clone())
    }

    /// Records where this bearer is stored, if it is still the one that is held.
    pub(crate) fn set_persistence(&mut self, token: &Token, persistence: Persistence) {
        if let Credential::Held(held) = &mut self.credential
            && held.token == *token
        {
            held.persistence = persistence;
        }
    }

    /// Replaces a refused bearer: by `stored`, the store's token, if that is another one; else by the bearer that was
    /// replaced before it. Returns whether there was another bearer.
    pub(crate) fn replace_refused(&mut self, stored: Option<Token>) -> bool {
        let refused = self.held().cloned();
        let is_new = |token: &Token| refused.as_ref().is_none_or(|refused| refused.token != *token);
        match stored.filter(is_new) {
            Some(token) => {
                self.replaced =
                    refused.filter(|refused| refused.persistence != Persistence::Stored).or(self.replaced.take());
                self.hold(token, Persistence::Stored)
            }
            None => {
                let is_back =
                    self.replaced.take().is_some_and(|replaced| self.hold(replaced.token, replaced.persistence));
                self.is_bearer_doubted = is_back;
                is_back
            }
        }
    }

    /// Records that the platform accepted a request with this bearer.
    pub(crate) fn accept(&mut self, bearer: Option<&Token>) {
        if self.is_bearer_doubted && bearer.is_some() && self.bearer() == bearer {
            self.is_bearer_doubted = false;
        }
    }

    /// Whether the agent went back to this bearer because the store's token was refused, and the platform has accepted no request
    /// with it since. Both may have been refused for a reason that passes, such as a database that is down.
    pub(crate) fn is_bearer_doubted(&self) -> bool {
        self.is_bearer_doubted
    }

    /// Records that the store was read and holds no token.
    pub(crate) fn set_missing(&mut self) {
        if matches!(self.credential, Credential::Unread) {
            self.credential = Credential::Missing;
        }
    }

    pub(crate) fn next_effect(&mut self) -> EffectId {
        self.next_effect += 1;
        EffectId(self.next_effect)
    }

    /// Returns a new id for a message, or a new idempotency key: a random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        random_uuid(self.rng.u128(..).to_be_bytes())
    }

    /// Makes a request of a draft. This is the only function in which a credential enters a request, and the request's
    /// origin is always the platform's.
    pub(crate) fn bind(&self, draft: Draft) -> Result<Request<Bytes>> {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        let accept = if draft.is_any_type { "*/*" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        // The SDK decodes no content encoding. Without this header, something on the way might compress the answer.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, self.config.user_agent.clone());
        if draft.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(origin) = &self.config.origin {
            headers.insert(ORIGIN, origin.clone());
        }
        if let Some(id) = &self.config.org_id {
            headers.insert(header::ORG_ID, id.clone());
        }
        if draft.named {
            headers.insert(header::WORKSPACE_ID, workspace_value(self.workspace_id()));
        }
        let credential = match &draft.auth {
            Auth::Open => None,
            Auth::Bearer => self.held().map(|held| held.header.clone()),
            Auth::Admin(token) => Some(token.bearer()),
        };
        if let Some(credential) = credential {
            headers.insert(AUTHORIZATION, credential);
        }
        let mut request = Request::new(draft.body.unwrap_or_default());
        *request.method_mut() = draft.method;
        *request.uri_mut() = self.config.base_url.url(draft.path)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Makes the error of a call that needs a bearer when none is held.
    pub(crate) fn no_token(operation: &'static str) -> Error {
        Error::new(ErrorKind::TokenNotHeld, operation, "no token is held for this workspace")
            .remedy(format!("register first, or with the token: {}", give_token()))
    }
}

/// Returns an id as a header's value.
fn workspace_value(id: &WorkspaceId) -> HeaderValue {
    HeaderValue::from_str(id.as_ref()).expect("a UUID is ASCII")
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("workspace_id", self.workspace_id())
            .field("token_held", &self.held().is_some())
            .field("dialect", &self.dialect)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}
