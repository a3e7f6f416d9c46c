//! Discovery: the list of peers, their URLs, and access checks (contract sections 6.2 to 6.5; April 4.4 to 4.6).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::WorkspaceId;
use crate::lenient::or_default;
use crate::status::WorkspaceStatus;

/// A row of `GET /registry/:id/peers`; the answer is [`Rows`](crate::Rows) of them, in an order that changes.
///
/// Only `id` must be valid: an invalid value in another field reads as the default. All other keys are kept. No field
/// shows whether [`url`](Self::url) can be called: for a poll agent it is any URL that the agent registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Peer {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Its role in the organisation.
    #[serde(default, deserialize_with = "or_default")]
    pub role: Option<String>,
    /// Its tier: 0 for the platform's own root, 3 for an ordinary workspace, 1 for a stray row.
    #[serde(default, deserialize_with = "or_default")]
    pub tier: i64,
    /// Its status; `removed` ones are not listed.
    #[serde(default = "WorkspaceStatus::unknown", deserialize_with = "WorkspaceStatus::lenient")]
    pub status: WorkspaceStatus,
    /// Its card: any JSON value.
    #[serde(default)]
    pub agent_card: Option<Value>,
    /// The registered URL, `""` for none; it may be a placeholder such as `remote://no-inbound`.
    #[serde(default, deserialize_with = "or_default")]
    pub url: String,
    /// The parent workspace.
    #[serde(default, deserialize_with = "or_default")]
    pub parent_id: Option<WorkspaceId>,
    /// The task in its last heartbeat.
    #[serde(default, deserialize_with = "or_default")]
    pub active_tasks: i64,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Peer {
    /// A peer with this id, name and status; all other fields are as in a new row.
    pub fn new(id: WorkspaceId, name: impl Into<String>, status: WorkspaceStatus) -> Self {
        Self {
            id,
            name: name.into(),
            role: None,
            tier: 0,
            status,
            agent_card: None,
            url: String::new(),
            parent_id: None,
            active_tasks: 0,
            extra: Map::new(),
        }
    }
}

/// The peer's id, so that a peer can be passed as a target: `agent.call_peer(&peer, "hello")`.
impl AsRef<str> for Peer {
    fn as_ref(&self) -> &str {
        self.id.as_ref()
    }
}

/// Answer of `GET /registry/discover/:id` at 200.
///
/// The URL may be one that nobody can call: for agents without a URL the platform invents a container address
/// (`http://ws-…:8000`), and for a poll agent it returns any URL that the agent registered (contract section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiscoverAnswer {
    /// The workspace.
    pub id: WorkspaceId,
    /// The URL at which the platform would call it.
    pub url: String,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

impl DiscoverAnswer {
    /// The answer with a workspace's URL.
    pub fn new(id: WorkspaceId, url: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id, url: url.into(), name: name.into() }
    }
}

/// Body of `POST /registry/check-access`, which needs no credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckAccessRequest {
    /// The calling workspace.
    pub caller_id: WorkspaceId,
    /// The called workspace.
    pub target_id: WorkspaceId,
}

impl CheckAccessRequest {
    /// The question whether this caller may talk to this target.
    pub fn new(caller_id: WorkspaceId, target_id: WorkspaceId) -> Self {
        Self { caller_id, target_id }
    }
}

/// Answer of `POST /registry/check-access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckAccessAnswer {
    /// Whether the hierarchy of workspaces allows the call; `false` for ids that do not exist.
    pub allowed: bool,
}

impl CheckAccessAnswer {
    /// The answer.
    pub fn new(allowed: bool) -> Self {
        Self { allowed }
    }
}
