//! An agent's card, and `POST /registry/update-card` (contract sections 4.1 and 6.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::WorkspaceId;

/// An agent's card: a JSON object that the platform stores as it is and shows to peers.
///
/// Keys without a field of their own are kept and written back ([`extra`](Self::extra)). If `name`, `role` or
/// `description` is missing, the server fills it in from the workspace.
///
/// ```
/// use molecule_proto::AgentCard;
/// let card = AgentCard::new("my-remote-agent").role("librarian").skill("search").skill("summarise").with("version", "1.2");
/// let json = r#"{"name":"my-remote-agent","role":"librarian","skills":["search","summarise"],"version":"1.2"}"#;
/// assert_eq!(serde_json::to_string(&card)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentCard {
    /// The agent's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the agent does, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The agent's role in its organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The agent's own A2A URL. The server judges it like a reported URL and refuses an unsafe one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// All other keys: `skills`, `version`, `capabilities`, and keys on which peers agree.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AgentCard {
    /// A card with a name only.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Sets what the agent does, in a sentence.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets the agent's role in its organisation.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Adds a skill to the list under the key `skills`: its name, or an A2A skill object. A value of this key that is
    /// not a list is replaced by a list.
    #[must_use]
    pub fn skill(mut self, skill: impl Into<Value>) -> Self {
        let skills = self.extra.entry("skills").or_insert_with(|| Value::Array(Vec::new()));
        match skills {
            Value::Array(skills) => skills.push(skill.into()),
            other => *other = Value::Array(vec![skill.into()]),
        }
        self
    }

    /// Adds or replaces a key that has no field of its own.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }
}

/// Body of `POST /registry/update-card`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpdateCardRequest {
    /// The workspace whose card is replaced.
    pub workspace_id: WorkspaceId,
    /// The new card; any JSON value is stored as it is.
    pub agent_card: Value,
}

impl UpdateCardRequest {
    /// A new card for a workspace.
    pub fn new(workspace_id: WorkspaceId, agent_card: impl Into<Value>) -> Self {
        Self { workspace_id, agent_card: agent_card.into() }
    }
}

/// Answer of `POST /registry/update-card`: `{"status":"updated"}`, also for removed and unknown ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpdateCardAnswer {
    /// `updated`.
    pub status: String,
}

impl UpdateCardAnswer {
    /// The answer; there is no other.
    pub fn updated() -> Self {
        Self { status: "updated".to_owned() }
    }
}
