//! The platform's endpoints: what each sends, what it may answer, and whether it may be sent again.
//!
//! `agent.send(&endpoint)` takes any [`Endpoint`], so that everything in the platform's contract can be called. What an
//! implementation needs stands in the facades' module `extend`, inside semantic versioning:
//!
//! ```
//! use molecule_core::endpoint::{Endpoint, Mismatch, Repeat, json};
//! use molecule_core::proto::WorkspaceId;
//! use molecule_core::session::{Auth, Draft};
//! use molecule_core::Result;
//!
//! /// `GET /health`, by which an operator's probe asks whether the server is up.
//! #[derive(Clone)]
//! struct Up;
//!
//! impl Endpoint for Up {
//!     type Answer = bool;
//!     const OPERATION: &'static str = "health";
//!     const REPEAT: Repeat = Repeat::Always;
//!     const SHAPE: &'static str = "an object with a status";
//!
//!     fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
//!         Ok(Draft::new(http::Method::GET, "/health", Auth::Open))
//!     }
//!
//!     fn decode(&self, answer: &http::Response<bytes::Bytes>) -> Result<bool, Mismatch> {
//!         let body: std::collections::BTreeMap<String, String> = json(answer)?;
//!         Ok(body.get("status").is_some_and(|status| status == "ok"))
//!     }
//! }
//! ```

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::json::Unreadable;
use molecule_proto::{
    AgentCard, AvailablePlugin, ConnectionAnswer, ErrorBody, HeartbeatAnswer, HeartbeatRequest, MintedToken,
    PluginName, RegisterAnswer, RegisterRequest, RevokedToken, Rows, StateAnswer, TokenId, TokenList, UpdateCardAnswer,
    UpdateCardRequest, WorkspaceId, WorkspaceStatus, WorkspaceView, path,
};
use serde::de::DeserializeOwned;

use crate::config::Timeouts;
pub use crate::effect::connection::Repeat;
use crate::effect::plugin::StageId;
use crate::effect::{Dest, Limits, Staged};
use crate::error::{Error, ErrorKind, Result};
use crate::printable::ShownUrl;
use crate::session::{Auth, Draft};
use crate::unpack::UnpackPolicy;

mod delegation;
mod peer;
pub(crate) mod refusal;

pub use delegation::{DelegateOnce, DelegationRows, QueueStatus};
pub use peer::{CheckAccess, Discover, Peers};

/// An endpoint: one request, and how its answer reads. A large answer is read on another thread than the call's.
pub trait Endpoint: Send + Sync + 'static {
    /// What a good answer is.
    type Answer: Send + 'static;
    /// What the call does, for errors: `pull secrets`.
    const OPERATION: &'static str;
    /// Whether a request that may have arrived may be sent again.
    const REPEAT: Repeat;
    /// The shape of a good answer, for the error when it has another one: `an object with a status`.
    const SHAPE: &'static str;
    /// The largest answer in bytes.
    const MAX_BODY: u64 = 64 * 1024;
    /// Whether the status may be a peer's, relayed: a 401 or 429 then says nothing about this client.
    const RELAYED: bool = false;

    /// Whether every platform has this route: a 404 of a mere router is then that of another base URL, not of an older server.
    const EVERYWHERE: bool = false;

    /// Whether a 500 passes: the answer of the open view while the database is down.
    const REPEATS_500: bool = false;

    /// Whether it makes sense without a bearer: only where the server mints one, or takes the silence of one.
    const WITHOUT_BEARER: bool = false;

    /// Whether its answer may carry a token that is shown once.
    const MINTS: Mints = Mints::Never;

    /// The request, for the agent's own workspace.
    ///
    /// # Errors
    /// `Config` if a value cannot be sent.
    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft>;

    /// How long one request may take, of which `left` is left of its call.
    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        timeouts.limits(left, Self::MAX_BODY)
    }

    /// How long the call may take with all its requests and waits.
    fn deadline(&self, timeouts: &Timeouts) -> Duration {
        timeouts.call
    }

    /// Whether the status of this answer may be a peer's, relayed.
    fn is_relayed(&self, _: &Response<Bytes>) -> bool {
        Self::RELAYED
    }

    /// Where a 200's body goes instead of into memory. For endpoints of the SDK's own, outside semantic versioning.
    #[doc(hidden)]
    fn dest(&self) -> Option<Dest> {
        None
    }

    /// Takes what came of such a body; gives it back unless [`dest`](Self::dest) asked for it.
    #[doc(hidden)]
    fn staged(&self, id: StageId, staged: Staged) -> Result<Self::Answer, (StageId, Staged)> {
        Err((id, staged))
    }

    /// What an answer with this head amounts to whose body passes the cap; `None` if it is an error.
    fn too_large(&self, _: &Response<()>) -> Option<Self::Answer> {
        None
    }

    /// Whether this is an answer to decode; every other one is an error, and perhaps sent again.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        answer.status().is_success()
    }

    /// Whether a server may give this answer because its database is down, so that the open view is asked before it is believed
    /// (April's server, whose look-ups that fail deny).
    fn is_doubtful(&self, _: &Response<Bytes>) -> bool {
        false
    }

    /// What a refusal amounts to here, where the endpoint knows more than its status says.
    fn refine(&self, error: Error) -> Error {
        error
    }

    /// Whether an accepted answer is about this workspace; one that is not comes from something else than the platform.
    fn is_about(&self, _: &WorkspaceId, _: &Response<Bytes>) -> bool {
        true
    }

    /// Reads an accepted answer.
    ///
    /// # Errors
    /// [`Mismatch`] if it is not of [`SHAPE`](Self::SHAPE).
    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch>;
}

/// Whether the server makes a token for a request. Its answer is the only place where that is shown, and a client that gives up
/// before it comes is locked out: such a request gets all the time that its call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mints {
    /// It does not.
    Never,
    /// It does for one without a bearer.
    WithoutBearer,
    /// It does.
    Always,
}

/// An answer that is not of the shape that was due. It never quotes the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// Line and column where reading stopped, where there are any.
    pub at: Option<(usize, usize)>,
    /// Whether it was not read at all, since its values would take more memory than
    /// [`MAX_MEMORY`](molecule_proto::json::MAX_MEMORY).
    pub is_too_large: bool,
}

impl Mismatch {
    /// A mismatch that has no place, such as a key of the wrong kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says where reading stopped.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.at = Some((line, column));
        self
    }
}

impl From<serde_json::Error> for Mismatch {
    fn from(error: serde_json::Error) -> Self {
        Unreadable::from(error).into()
    }
}

impl From<Unreadable> for Mismatch {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Mismatch { at } => Self { at, is_too_large: false },
            Unreadable::TooManyValues => Self { at: None, is_too_large: true },
            // Of a later proto, which the pinned versions rule out.
            _ => Self::default(),
        }
    }
}

/// Reads an answer's body as JSON, repaired and bounded as [`molecule_proto::json`] says.
///
/// # Errors
/// [`Mismatch`] if it is not JSON of this type.
pub fn json<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, Mismatch> {
    Ok(molecule_proto::json::read(answer.body())?)
}

/// The same for a list, of which rows that make no sense are left out and counted.
///
/// # Errors
/// [`Mismatch`] if it is no list.
pub fn rows<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<Rows<T>, Mismatch> {
    Ok(molecule_proto::json::rows(answer.body())?)
}

/// `GET /workspaces/:id/secrets/values`: the workspace's secrets (contract section 8). At most 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secrets;

impl Endpoint for Secrets {
    type Answer = molecule_proto::Secrets;
    const OPERATION: &'static str = "pull secrets";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object of texts";
    const EVERYWHERE: bool = true;
    const MAX_BODY: u64 = 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::secret_values(workspace), Auth::Bearer))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `GET /workspaces/:id/plugins/available`: what the platform holds for the workspace's runtime (contract section 15). Being
/// listed does not mean that it can be installed. At most 4 MiB; entries that make no sense are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvailablePlugins;

impl Endpoint for AvailablePlugins {
    type Answer = Vec<AvailablePlugin>;
    const OPERATION: &'static str = "list available plugins";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list of objects with a name";
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::available_plugins(workspace), Auth::Bearer))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        rows(answer).map(|list| list.rows)
    }
}

/// `GET /workspaces/:id/plugins/:name/download`: a plugin's archive, unpacked while it arrives (contract section 15). The
/// server may pack for five minutes before its first byte.
#[derive(Clone)]
pub(crate) struct DownloadPlugin {
    pub(crate) name: PluginName,
    pub(crate) source: Option<String>,
    pub(crate) policy: UnpackPolicy,
    /// How long one download may take, and the call with its retries.
    pub(crate) limit: Duration,
}

impl fmt::Debug for DownloadPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_deref().map(ShownUrl);
        f.debug_struct("DownloadPlugin").field("name", &self.name).field("source", &source).finish_non_exhaustive()
    }
}

impl DownloadPlugin {
    const PACKING: Duration = Duration::from_secs(330);
}

impl Endpoint for DownloadPlugin {
    type Answer = (StageId, Staged);
    const OPERATION: &'static str = "install plugin";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a gzip'd tar archive";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let path = path::plugin_download(workspace, &self.name, self.source.as_deref());
        Ok(Draft::new(Method::GET, path, Auth::Bearer).any_type())
    }

    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        let total = self.limit.min(left);
        let head = timeouts.answer.max(Self::PACKING).min(total);
        Limits { head, total, ..timeouts.limits(total, Self::MAX_BODY) }
    }

    fn deadline(&self, _: &Timeouts) -> Duration {
        self.limit
    }

    fn dest(&self) -> Option<Dest> {
        Some(Dest::Unpack(self.name.clone(), self.policy.clone()))
    }

    fn staged(&self, id: StageId, staged: Staged) -> Result<Self::Answer, (StageId, Staged)> {
        Ok((id, staged))
    }

    /// A name that the server cannot use, or a source that cannot be reached from there, is answered like a gateway's failure.
    fn refine(&self, error: Error) -> Error {
        let is_fetch = error.server_message().is_some_and(|message| message.starts_with("failed to fetch plugin"));
        if error.status() != Some(StatusCode::BAD_GATEWAY) || !is_fetch {
            return error;
        }
        error
            .of_kind(ErrorKind::Refused, "the platform cannot fetch the plugin from its source")
            .retryable(false)
            .remedy("check its name (lower-case letters, digits, '.', '_' and '-') and its source, which the platform must reach")
    }

    /// No whole answer is an archive: a driver lets those flow to their destination.
    fn accepts(&self, _: &Response<Bytes>) -> bool {
        false
    }

    fn decode(&self, _: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        Err(Mismatch::default())
    }
}

/// `GET /workspaces/:id/state`: paused or not (contract section 7.1). At most 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State;

impl Endpoint for State {
    type Answer = StateAnswer;
    const OPERATION: &'static str = "poll state";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with workspace_id, status, paused and deleted";
    const EVERYWHERE: bool = true;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::state(workspace), Auth::Bearer))
    }

    /// A 404 with `"deleted":true` is an answer too; a bare one is a routing problem.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let deleted = || json::<StateAnswer>(answer).is_ok_and(|state| state.deleted);
        answer.status().is_success() || (answer.status() == StatusCode::NOT_FOUND && deleted())
    }

    fn is_about(&self, workspace: &WorkspaceId, answer: &Response<Bytes>) -> bool {
        json::<StateAnswer>(answer).map_or(true, |state| state.workspace_id == *workspace)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `GET /workspaces/:id`, which needs no credential: the one place that tells a deletion (contract sections 7.2 and 7.3).
/// At most 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View;

/// What the open view tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Existence {
    /// The workspace exists.
    Present(Box<WorkspaceView>),
    /// It was removed: 410 `workspace removed` with its id, or 200 with the status `removed` (April).
    Removed,
    /// There is none, or none any more: 404 `workspace not found`.
    NotFound,
}

impl Endpoint for View {
    type Answer = Existence;
    const OPERATION: &'static str = "look at the workspace";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with id and status";
    const EVERYWHERE: bool = true;
    const REPEATS_500: bool = true;
    const MAX_BODY: u64 = 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::workspace(workspace), Auth::Open))
    }

    /// Only the platform's own words count (contract section 7.3). Every other 404 or 410 is the tenant gate's, or that of a
    /// framework or gateway which answers in the platform's place, and says nothing about the workspace.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let says = |words: &str| json::<ErrorBody>(answer).is_ok_and(|body| body.error == words);
        match answer.status() {
            StatusCode::NOT_FOUND => says("workspace not found"),
            StatusCode::GONE => says("workspace removed"),
            status => status.is_success(),
        }
    }

    fn is_about(&self, workspace: &WorkspaceId, answer: &Response<Bytes>) -> bool {
        #[derive(serde::Deserialize)]
        struct Named {
            id: WorkspaceId,
        }
        match (answer.status(), molecule_proto::json::read_known::<Named>(answer.body())) {
            // It names none.
            (StatusCode::NOT_FOUND, _) => true,
            (_, Ok(named)) => named.id == *workspace,
            (status, Err(_)) => status != StatusCode::GONE,
        }
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        match answer.status() {
            StatusCode::GONE => return Ok(Existence::Removed),
            StatusCode::NOT_FOUND => return Ok(Existence::NotFound),
            _ => {}
        }
        let view = WorkspaceView::read(answer.body())?;
        if view.status == WorkspaceStatus::Removed {
            return Ok(Existence::Removed);
        }
        Ok(Existence::Present(Box::new(view)))
    }
}

/// `POST /registry/register` (contract section 4). Use [`Register`](crate::Register), which decides whether to send it.
///
/// It may be sent again: if a first one minted a token and its answer was lost, the second is a 401 that says so, and
/// nothing is worse than before.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterOnce(pub RegisterRequest);

impl Endpoint for RegisterOnce {
    type Answer = RegisterAnswer;
    const OPERATION: &'static str = "register";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status, and perhaps a token";
    const EVERYWHERE: bool = true;
    const WITHOUT_BEARER: bool = true;
    const MINTS: Mints = Mints::WithoutBearer;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Draft::new(Method::POST, path::REGISTER, Auth::Bearer).json(&self.0)
    }

    /// A token is taken whatever stands beside it; without one, a status shows that the platform answered.
    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        let read: RegisterAnswer = json(answer)?;
        if read.auth_token.is_none() && read.status.is_empty() {
            return Err(Mismatch::default());
        }
        Ok(read)
    }
}

/// `POST /registry/heartbeat` (contract section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat(pub HeartbeatRequest);

impl Endpoint for Heartbeat {
    type Answer = HeartbeatAnswer;
    const OPERATION: &'static str = "heartbeat";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status";
    const EVERYWHERE: bool = true;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Draft::new(Method::POST, path::HEARTBEAT, Auth::Bearer).json(&self.0)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `POST /registry/update-card` (contract section 6.1).
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateCard(pub AgentCard);

impl Endpoint for UpdateCard {
    type Answer = UpdateCardAnswer;
    const OPERATION: &'static str = "update card";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status";
    const EVERYWHERE: bool = true;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let agent_card = serde_json::to_value(&self.0)
            .map_err(|_| Error::config("the card is not JSON", "use text keys and finite numbers"))?;
        let body = UpdateCardRequest::new(workspace.clone(), agent_card);
        Draft::new(Method::POST, path::UPDATE_CARD, Auth::Bearer).json(&body)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `POST /workspaces/:id/external/rotate` (contract section 16.2): revokes every token and mints one, so a lost answer is a
/// dead credential. Not on April's server. Use [`Recover`](crate::Recover).
#[derive(Debug, Clone)]
pub struct Rotate(pub Auth);

impl Endpoint for Rotate {
    type Answer = ConnectionAnswer;
    const OPERATION: &'static str = "recover";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with a connection";
    const MINTS: Mints = Mints::Always;
    const MAX_BODY: u64 = 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Draft::new(Method::POST, path::external_rotate(workspace), self.0.clone()).json(&serde_json::Map::new())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `POST /workspaces/:id/tokens` (contract section 16.3; April 12): mints one more token.
#[derive(Debug, Clone)]
pub struct MintToken(pub Auth);

impl Endpoint for MintToken {
    type Answer = MintedToken;
    const OPERATION: &'static str = "recover";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with a token";
    const MINTS: Mints = Mints::Always;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Draft::new(Method::POST, path::tokens(workspace), self.0.clone()).json(&serde_json::Map::new())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `GET /workspaces/:id/tokens` (contract section 16.3). At most 4 MiB.
#[derive(Debug, Clone)]
pub struct ListTokens(pub Auth);

impl Endpoint for ListTokens {
    type Answer = TokenList;
    const OPERATION: &'static str = "list tokens";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with tokens";
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, format!("{}?limit=200", path::tokens(workspace)), self.0.clone()))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `DELETE /workspaces/:id/tokens/:row` (contract section 16.3).
#[derive(Debug, Clone)]
pub struct RevokeToken(pub TokenId, pub Auth);

impl Endpoint for RevokeToken {
    type Answer = RevokedToken;
    const OPERATION: &'static str = "revoke token";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::DELETE, path::token(workspace, &self.0), self.1.clone()))
    }

    /// A 404 of the platform's own says that the token lives no more: an earlier request revoked it, and its answer was
    /// lost.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let dead = || json::<ErrorBody>(answer).is_ok();
        answer.status().is_success() || (answer.status() == StatusCode::NOT_FOUND && dead())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(RevokedToken::revoked(None));
        }
        json(answer)
    }
}
