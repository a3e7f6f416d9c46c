//! `POST /registry/register` (contract section 4; April 4.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::WorkspaceId;
use crate::lenient::{or_default, word};
use crate::secret::{self, InboundSecret, Token};
use crate::status::{DeliveryMode, WorkspaceKind};

/// Body of `POST /registry/register`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegisterRequest {
    /// The workspace that registers.
    pub id: WorkspaceId,
    /// The agent's card; any JSON value is stored as it is.
    pub agent_card: Value,
    /// The URL at which the platform reaches a push agent; `""` for a poll agent. April's server refuses `""`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How messages reach the agent. April's server ignores it; this project's clients always send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<DeliveryMode>,
    /// The kind of the workspace; agents leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<WorkspaceKind>,
    /// Whether the agent serves MCP; agents leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_server_present: Option<bool>,
}

impl RegisterRequest {
    /// A register with only a card.
    pub fn new(id: WorkspaceId, agent_card: impl Into<Value>) -> Self {
        let agent_card = agent_card.into();
        Self { id, agent_card, url: None, delivery_mode: None, kind: None, mcp_server_present: None }
    }

    /// Sets the URL at which the platform reaches the agent; `""` for a poll agent.
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

    /// Sets the kind of the workspace.
    #[must_use]
    pub fn kind(mut self, kind: WorkspaceKind) -> Self {
        self.kind = Some(kind);
        self
    }
}

/// Answer of `POST /registry/register`.
///
/// A 200 does not prove that the workspace exists: for a removed id the server answers with a token that is not valid
/// (contract section 4.6). Read the open view first.
///
/// Only a token that is present must be valid. An invalid value in another field reads as absent, so that no minted
/// token is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegisterAnswer {
    /// `registered`; `""` if the answer has no status.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The mode that the server chose; absent on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word")]
    pub delivery_mode: Option<DeliveryMode>,
    /// A new token, if the workspace had no live token.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "secret::optional_token",
        serialize_with = "Token::serialize_option"
    )]
    pub auth_token: Option<Token>,
    /// The secret with which the platform authenticates to a push agent; absent on April's server.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "secret::inbound_secret",
        serialize_with = "InboundSecret::serialize_option"
    )]
    pub platform_inbound_secret: Option<InboundSecret>,
}

impl RegisterAnswer {
    /// The answer of an older server to an agent that holds a token.
    pub fn registered() -> Self {
        Self { status: "registered".to_owned(), delivery_mode: None, auth_token: None, platform_inbound_secret: None }
    }
}
