//! Bodies and answers of the owner's endpoints: create, pause, resume and delete a workspace, and its tokens (contract
//! section 16; April 10 and 12).

use serde::{Deserialize, Serialize};

use crate::id::{TokenId, WorkspaceId};
use crate::lenient::{list, or_default};
use crate::secret::{self, Token};
use crate::status::{DeliveryMode, WorkspaceStatus};
use crate::time::UnixTime;

/// Body of `POST /workspaces` for an external workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreateWorkspace {
    /// The workspace's name.
    pub name: String,
    /// The runtime: `external` for a remote agent. April's server requires it; the current one accepts `external: true`
    /// instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Whether the agent runs outside the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
    /// The URL at which the platform reaches the agent, if it is already known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How messages reach the agent; ignored by April's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<DeliveryMode>,
    /// The parent workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<WorkspaceId>,
    /// Its role in the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its tier; the server's default is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<i64>,
}

impl CreateWorkspace {
    /// An external workspace, with the keys that both servers understand.
    pub fn external(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            runtime: Some("external".to_owned()),
            external: Some(true),
            url: None,
            delivery_mode: None,
            parent_id: None,
            role: None,
            tier: None,
        }
    }

    /// Sets the URL at which the platform reaches the agent.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets how messages reach the agent.
    #[must_use]
    pub fn delivery_mode(mut self, delivery_mode: DeliveryMode) -> Self {
        self.delivery_mode = Some(delivery_mode);
        self
    }

    /// Sets the parent workspace.
    #[must_use]
    pub fn parent_id(mut self, parent_id: WorkspaceId) -> Self {
        self.parent_id = Some(parent_id);
        self
    }

    /// Sets its role in the organisation.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Sets its tier.
    #[must_use]
    pub fn tier(mut self, tier: i64) -> Self {
        self.tier = Some(tier);
        self
    }
}

/// Answer of `POST /workspaces` at 201.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreatedWorkspace {
    /// The new workspace.
    pub id: WorkspaceId,
    /// Whether its agent runs outside the platform; absent for a managed workspace on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub external: Option<bool>,
    /// Its status as in the answer. April's server writes `awaiting_agent` here and stores `provisioning`. `""` if the
    /// answer has no status.
    #[serde(default = "WorkspaceStatus::unknown", deserialize_with = "WorkspaceStatus::lenient")]
    pub status: WorkspaceStatus,
    /// The connection block with the token, which is shown only once; absent if the request had a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Sent for managed workspaces, by April's server only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub awareness_namespace: Option<String>,
    /// Sent for managed workspaces, by April's server only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub workspace_access: Option<String>,
}

impl CreatedWorkspace {
    /// The answer for an external workspace.
    pub fn external(id: WorkspaceId, status: WorkspaceStatus, connection: Option<Connection>) -> Self {
        Self { id, external: Some(true), status, connection, awareness_namespace: None, workspace_access: None }
    }
}

/// The connection block, which says how an agent connects: in the answers of `POST /workspaces`, `…/external/rotate`
/// and `…/external/connection`.
///
/// Only a token that is present must be valid. An invalid value in another field reads as absent, so that no minted
/// token is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connection {
    /// The workspace; `None` if the value is not an id.
    #[serde(default, deserialize_with = "or_default")]
    pub workspace_id: Option<WorkspaceId>,
    /// The platform's base URL, as the platform itself knows it.
    #[serde(default, deserialize_with = "or_default")]
    pub platform_url: String,
    /// The token; `None` if the server writes `""`, because the token is not shown again or could not be minted.
    #[serde(default, deserialize_with = "secret::optional_token", serialize_with = "token_or_empty")]
    pub auth_token: Option<Token>,
    /// The URL of register.
    #[serde(default, deserialize_with = "or_default")]
    pub registry_endpoint: String,
    /// The URL of heartbeat.
    #[serde(default, deserialize_with = "or_default")]
    pub heartbeat_endpoint: String,
    /// Ready-made programs for people, by the server's key for each.
    #[serde(flatten, deserialize_with = "snippets")]
    pub snippets: std::collections::BTreeMap<String, String>,
}

impl Connection {
    /// The block for a workspace of the platform at `platform_url` (without a slash at the end), with no snippets.
    pub fn new(workspace_id: WorkspaceId, platform_url: &str, auth_token: Option<Token>) -> Self {
        Self {
            workspace_id: Some(workspace_id),
            platform_url: platform_url.to_owned(),
            auth_token,
            registry_endpoint: format!("{platform_url}{}", crate::path::REGISTER),
            heartbeat_endpoint: format!("{platform_url}{}", crate::path::HEARTBEAT),
            snippets: std::collections::BTreeMap::new(),
        }
    }
}

/// Keeps the values that are strings: any other value is no snippet.
fn snippets<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<std::collections::BTreeMap<String, String>, D::Error> {
    let map = serde_json::Map::deserialize(deserializer)?;
    let texts = map.into_iter().filter_map(|(key, value)| match value {
        serde_json::Value::String(text) => Some((key, text)),
        _ => None,
    });
    Ok(texts.collect())
}

fn token_or_empty<S: serde::Serializer>(token: &Option<Token>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.as_ref().map_or("", Token::expose))
}

/// Answer of `POST /workspaces/:id/external/rotate` and `GET …/external/connection`; neither is on April's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionAnswer {
    /// The connection block. After a rotation it holds the only token that is live.
    pub connection: Connection,
}

impl ConnectionAnswer {
    /// The answer with its block.
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

/// Answer of `POST /workspaces/:id/pause` at 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PauseAnswer {
    /// `paused`.
    pub status: String,
    /// How many workspaces were paused, descendants included.
    #[serde(default, deserialize_with = "or_default")]
    pub paused_count: u64,
}

impl PauseAnswer {
    /// The answer for this number of paused workspaces.
    pub fn paused(paused_count: u64) -> Self {
        Self { status: "paused".to_owned(), paused_count }
    }
}

/// Answer of `POST /workspaces/:id/resume` at 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResumeAnswer {
    /// `provisioning`.
    pub status: String,
    /// How many workspaces were resumed, descendants included.
    #[serde(default, deserialize_with = "or_default")]
    pub resumed_count: u64,
}

impl ResumeAnswer {
    /// The answer for this number of resumed workspaces.
    pub fn provisioning(resumed_count: u64) -> Self {
        Self { status: "provisioning".to_owned(), resumed_count }
    }
}

/// Answer of `DELETE /workspaces/:id` at 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeleteAnswer {
    /// `removed` or `purged`.
    pub status: String,
    /// How many descendants were deleted with it.
    #[serde(default, deserialize_with = "or_default")]
    pub cascade_deleted: u64,
}

impl DeleteAnswer {
    /// The answer for a workspace that was removed (`purged`: its row was deleted too).
    pub fn new(purged: bool, cascade_deleted: u64) -> Self {
        Self { status: if purged { "purged" } else { "removed" }.to_owned(), cascade_deleted }
    }
}

/// Answer of `GET /workspaces/:id/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenList {
    /// The live tokens of this page, newest first. Invalid rows are left out.
    #[serde(deserialize_with = "list")]
    pub tokens: Vec<TokenRow>,
    /// How many tokens this page has.
    #[serde(default, deserialize_with = "or_default")]
    pub count: u64,
}

impl TokenList {
    /// A page of rows.
    pub fn new(tokens: Vec<TokenRow>) -> Self {
        let count = tokens.len() as u64;
        Self { tokens, count }
    }
}

/// A live token, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenRow {
    /// The row's id, with which the token is revoked.
    pub id: TokenId,
    /// The first eight characters of the token.
    pub prefix: String,
    /// When it was minted.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: Option<UnixTime>,
    /// When it last authenticated.
    #[serde(default, deserialize_with = "or_default")]
    pub last_used_at: Option<UnixTime>,
}

impl TokenRow {
    /// A row as the list shows it.
    pub fn new(id: TokenId, prefix: impl Into<String>, created_at: UnixTime, last_used_at: Option<UnixTime>) -> Self {
        Self { id, prefix: prefix.into(), created_at: Some(created_at), last_used_at }
    }
}

/// Answer of `POST /workspaces/:id/tokens` and `POST /admin/workspaces/:id/tokens` at 201.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MintedToken {
    /// The new token, which is shown only once.
    #[serde(serialize_with = "Token::serialize")]
    pub auth_token: Token,
    /// The token's workspace. `None` if the value is not an id, so that no minted token is lost.
    #[serde(default, deserialize_with = "or_default")]
    pub workspace_id: Option<WorkspaceId>,
    /// Advice for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub message: Option<String>,
}

impl MintedToken {
    /// The answer with its token.
    pub fn new(auth_token: Token, workspace_id: WorkspaceId, message: Option<String>) -> Self {
        Self { auth_token, workspace_id: Some(workspace_id), message }
    }
}

/// Answer of `DELETE /workspaces/:id/tokens/:row` and of `POST /admin/workspaces/:id/revoke-auth-tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RevokedToken {
    /// `revoked`.
    pub status: String,
    /// The workspace; only in the administrator's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
}

impl RevokedToken {
    /// The answer for one token, or for all tokens of a workspace.
    pub fn revoked(workspace_id: Option<String>) -> Self {
        Self { status: "revoked".to_owned(), workspace_id }
    }
}
