//! What the calls of one agent share: plain data, locked by a facade for one poll, feed or command at a time.

pub(crate) mod credential;
pub(crate) mod discoveries;
pub(crate) mod draft;
pub(crate) mod health;
pub mod peer_cache;
pub(crate) mod peer_url;
pub(crate) mod rate;
pub(crate) mod report;
pub(crate) mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
pub(crate) use molecule_proto::Dialect;
use molecule_proto::{AgentCard, InboundSecret, Token, WorkspaceId, WorkspaceStatus, header, random_uuid};

use crate::config::options::{check_card, check_reported_url};
use crate::config::{Config, workspace_id};
use crate::delegation::SharedLooks;
use crate::effect::EffectId;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Lane;
use crate::session::credential::{Credential, HeldToken, InboundState, Kept};
use crate::session::discoveries::Asking;
pub use crate::session::draft::{Auth, Draft};
use crate::session::health::{Counters, Health};
use crate::session::peer_cache::PeerCache;
use crate::session::rate::RateBudget;
use crate::session::report::Report;
use crate::session::turn::Turns;
use crate::text::remedy::give_token;
use molecule_proto::{Now, Time};

/// The most headers that a request usually has.
const HEADERS: usize = 9;

/// One agent's shared state.
///
/// `Debug` shows no credential.
pub struct Session {
    config: Arc<Config>,
    credential: Credential,
    /// A bearer that the store does not hold, and that a stored one replaced when it was refused: perhaps for a reason that
    /// passes, such as April's 401 while its database is down.
    aside: Option<HeldToken>,
    /// What the store held before the bearer was to be stored, as far as it could be read: everything else is newer.
    pub(crate) store_before: Option<Option<Token>>,
    pub(crate) inbound_secret: InboundState,
    /// Which server this is; `None` until an answer told.
    pub(crate) dialect: Option<Dialect>,
    pub(crate) rate: RateBudget,
    pub(crate) rng: Rng,
    pub(crate) report: Report,
    pub(crate) generation: Option<i64>,
    /// Whether the server refused a register without a URL: April's knows no poll mode.
    pub(crate) poll_refused: bool,
    pub(crate) vitals: Vitals,
    pub(crate) counters: Counters,
    pub(crate) peers: PeerCache,
    pub(crate) asking: Asking,
    pub(crate) looks: SharedLooks,
    /// What the server was found not to offer.
    lacking: BTreeSet<Feature>,
    pub(crate) turns: Turns,
    next_effect: u64,
    stop: StopLevel,
}

/// Something that not every server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Feature {
    /// `GET /workspaces/:id/a2a/queue/:item`.
    QueueStatus,
    /// A list of all peers that is short enough to be read.
    AllPeers,
}

/// How urgently the loop should end; it only ever rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopLevel {
    /// Not at all.
    #[default]
    None,
    /// After what must be finished.
    Finish,
    /// At once.
    Now,
}

/// What the loop and one-shot calls learn about the agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vitals {
    /// The first request's moment, from which the uptime counts.
    pub(crate) started: Option<Time>,
    pub(crate) last_beat: Option<Now>,
    pub(crate) status: Option<WorkspaceStatus>,
    /// Failures in a row of each lane of the loop that failed last.
    failures: BTreeMap<Lane, u32>,
    /// The reported URL as it was last registered; `None` before the first register.
    pub(crate) registered: Option<Option<String>>,
    /// When that was answered: a state that was asked for before it is old news.
    pub(crate) registered_at: Option<Now>,
}

impl Vitals {
    /// The platform shows this status. Tells whether it is another one than before.
    pub(crate) fn shows(&mut self, status: &WorkspaceStatus) -> bool {
        let is_new = self.status.as_ref() != Some(status);
        if is_new {
            self.status = Some(status.clone());
        }
        is_new
    }

    /// How often a lane of the loop failed in a row.
    pub(crate) fn failures_of(&self, lane: Lane) -> u32 {
        self.failures.get(&lane).copied().unwrap_or_default()
    }

    /// A lane of the loop failed so often in a row by now; 0 once it works.
    pub(crate) fn failed(&mut self, lane: Lane, failures: u32) {
        match failures {
            0 => self.failures.remove(&lane),
            _ => self.failures.insert(lane, failures),
        };
    }

    /// The platform took the agent in, under this URL.
    pub(crate) fn registered(&mut self, at: Now, reported_url: Option<String>) {
        self.registered = Some(reported_url);
        self.registered_at = Some(at);
    }
}

impl Session {
    /// A session that has not spoken yet. The seed comes from the operating system: two agents, or two runs of one,
    /// must not share it.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut session = Self::blank(Arc::new(config), Rng::with_seed(seed));
        if let Some(token) = session.config.given_token.clone() {
            session.hold(token, Kept::Given);
        }
        session
    }

    fn blank(config: Arc<Config>, rng: Rng) -> Self {
        Self {
            credential: Credential::Unread,
            aside: None,
            store_before: None,
            inbound_secret: InboundState::Unread,
            dialect: None,
            rate: RateBudget::default(),
            rng,
            report: Report::new(),
            generation: None,
            poll_refused: false,
            vitals: Vitals::default(),
            counters: Counters::default(),
            peers: PeerCache::default(),
            asking: Asking::default(),
            looks: SharedLooks::default(),
            lacking: BTreeSet::new(),
            turns: Turns::default(),
            next_effect: 0,
            stop: StopLevel::None,
            config,
        }
    }

    /// Moves the session out for the time of one poll, after which it is put back.
    pub(crate) fn lend(&mut self) -> Self {
        let blank = Self::blank(self.config.clone(), Rng::with_seed(0));
        std::mem::replace(self, blank)
    }

    /// What the agent works by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the agent is.
    pub fn health(&self) -> Health {
        Health {
            last_beat: self.vitals.last_beat.map(|beat| beat.unix),
            status: self.vitals.status.clone(),
            heartbeat_failures: self.vitals.failures_of(Lane::Heartbeat),
            state_failures: self.vitals.failures_of(Lane::State),
            register_failures: self.vitals.failures_of(Lane::Register),
            rate: self.rate.seen(),
            dialect: self.dialect,
            registered: self.vitals.registered.is_some(),
            counters: self.counters,
        }
    }

    /// The inbound secret, if the platform announced one since the agent was built or the store had one.
    pub fn inbound_secret(&self) -> Option<&InboundSecret> {
        match &self.inbound_secret {
            InboundState::Held { secret, .. } => Some(secret),
            InboundState::Unread | InboundState::Missing => None,
        }
    }

    /// Lays values over what the next heartbeat says.
    ///
    /// # Errors
    /// `Config` for a value that the server cannot take; nothing changes then.
    pub fn report(&mut self, report: Report) -> Result<()> {
        report.check()?;
        self.report.merge(report);
        Ok(())
    }

    /// Changes the URL under which the platform reaches the agent; the loop registers it.
    ///
    /// # Errors
    /// `Config` if it is no http(s) URL; nothing changes then.
    pub fn set_reported_url(&mut self, url: Option<String>) -> Result<()> {
        if let Some(url) = &url {
            check_reported_url(url).map_err(|error| error.during("set reported URL"))?;
        }
        Arc::make_mut(&mut self.config).reported_url = url;
        Ok(())
    }

    /// Changes the card that later registers carry. [`UpdateCard`](crate::endpoint::UpdateCard) replaces it on the platform now.
    ///
    /// # Errors
    /// `Config` if the platform could not store it; nothing changes then.
    pub fn update_card(&mut self, card: AgentCard) -> Result<()> {
        check_card(&card).map_err(|error| error.during("update card"))?;
        Arc::make_mut(&mut self.config).card = card;
        Ok(())
    }

    /// What is known of where peers are called.
    pub fn peers(&self) -> &PeerCache {
        &self.peers
    }

    /// Forgets where a peer is called, so that the next call asks the platform anew; what is being asked now is not remembered.
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn invalidate_peer_url(&mut self, id: impl AsRef<str>) -> Result<()> {
        let id = workspace_id("invalidate peer URL", id)?;
        self.peers.invalidate(&id);
        self.asking.forget(&id);
        Ok(())
    }

    /// Raises the stop latch: to `Finish`, and to `Now` when asked so or asked a second time. Tells where it stands.
    pub fn raise_stop(&mut self, now: bool) -> StopLevel {
        self.stop = if now || self.stop != StopLevel::None { StopLevel::Now } else { StopLevel::Finish };
        self.stop
    }

    /// Where the stop latch stands.
    pub fn stop_level(&self) -> StopLevel {
        self.stop
    }

    /// An answer told which server this is. One that was replaced by a newer one may offer what it did not.
    pub(crate) fn learn_dialect(&mut self, is_current: bool) -> Dialect {
        let dialect = if is_current { Dialect::Current } else { Dialect::April };
        self.dialect = Some(dialect);
        if is_current {
            self.lacking.clear();
        }
        dialect
    }

    /// Whether the server was found not to offer this.
    pub(crate) fn lacks(&self, feature: Feature) -> bool {
        self.lacking.contains(&feature)
    }

    /// From now on nobody asks for it, unless the server turns out to be a newer one.
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

    /// Whether the store was read and there is no bearer to ask anything with.
    pub(crate) fn lacks_token(&self) -> bool {
        matches!(self.credential, Credential::Missing)
    }

    /// The bearer that requests carry now.
    pub(crate) fn bearer(&self) -> Option<&Token> {
        self.held().map(|held| &held.token)
    }

    /// The credential that a request with this authentication carries now.
    pub(crate) fn credential_of<'a>(&'a self, auth: &'a Auth) -> Option<&'a Token> {
        match auth {
            Auth::Open => None,
            Auth::Bearer => self.bearer(),
            Auth::Admin(token) => Some(token),
        }
    }

    /// Holds a bearer from now on. Tells whether it is another one than before.
    pub(crate) fn hold(&mut self, token: Token, kept: Kept) -> bool {
        let changed = self.bearer() != Some(&token);
        self.credential = Credential::Held(HeldToken { header: token.bearer(), token, kept });
        changed
    }

    /// Holds a bearer that the platform made just now: no other one is worth a try any more.
    pub(crate) fn hold_minted(&mut self, token: Token, kept: Kept) -> bool {
        self.aside = None;
        self.hold(token, kept)
    }

    /// The bearer, if the owner gave it and it is to be stored once the platform accepted it.
    pub(crate) fn given_to_store(&self) -> Option<Token> {
        let given = self.held().filter(|held| held.kept == Kept::Given && self.config.store_given_token)?;
        Some(given.token.clone())
    }

    /// This bearer is kept there from now on, if it is still the one that is held.
    pub(crate) fn keep(&mut self, token: &Token, kept: Kept) {
        if let Credential::Held(held) = &mut self.credential
            && held.token == *token
        {
            held.kept = kept;
        }
    }

    /// The bearer was refused, and this is what the store holds, if it could be read and holds anything. Another token is
    /// held from now on, if there is one: the stored one, or the one that made room for that before. Tells whether there was.
    pub(crate) fn hold_another(&mut self, stored: Option<Token>) -> bool {
        let refused = self.held().cloned();
        let is_new = |token: &Token| refused.as_ref().is_none_or(|refused| refused.token != *token);
        match stored.filter(is_new) {
            Some(token) => {
                self.aside = refused.filter(|refused| refused.kept != Kept::Stored).or(self.aside.take());
                self.hold(token, Kept::Stored)
            }
            None => self.aside.take().is_some_and(|aside| self.hold(aside.token, aside.kept)),
        }
    }

    /// The store was read and holds no token.
    pub(crate) fn hold_none(&mut self) {
        if matches!(self.credential, Credential::Unread) {
            self.credential = Credential::Missing;
        }
    }

    pub(crate) fn next_effect(&mut self) -> EffectId {
        self.next_effect += 1;
        EffectId(self.next_effect)
    }

    /// A fresh id for a message, or a key: a random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        random_uuid(self.rng.u128(..).to_be_bytes())
    }

    /// Binds a draft to the platform. This is the one place where a credential enters a request, and the request's origin
    /// is the platform's by construction.
    pub(crate) fn bind(&self, draft: Draft) -> Result<Request<Bytes>> {
        // Enough for those below and what a driver adds.
        let mut headers = HeaderMap::with_capacity(HEADERS);
        let accept = if draft.is_any_type { "*/*" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        // Nothing here decodes anything: without a word, something on the way may compress the answer.
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

    /// The error for a call that needs a bearer where none is held.
    pub(crate) fn no_token(operation: &'static str) -> Error {
        Error::new(ErrorKind::TokenNotHeld, operation, "no token is held for this workspace")
            .remedy(format!("register first, or with the token: {}", give_token()))
    }
}

/// An id as a header's value.
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
