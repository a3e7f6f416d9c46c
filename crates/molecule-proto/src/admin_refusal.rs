//! Refusals of the owner's endpoints that have more fields than an [`ErrorBody`](crate::ErrorBody) (contract section
//! 16).

use serde::{Deserialize, Serialize};

use crate::id::WorkspaceId;
use crate::lenient::or_default;

/// A workspace in the list of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedWorkspace {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

impl NamedWorkspace {
    /// A workspace with this id and this name.
    pub fn new(id: WorkspaceId, name: impl Into<String>) -> Self {
        Self { id, name: name.into() }
    }
}

/// Answer of `POST /workspaces` at 422: the runtime or the parent is invalid. Not on April's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreateRefusal {
    /// `RUNTIME_UNSUPPORTED` or `WORKSPACE_REPARENT_PARENT_NOT_FOUND`.
    pub code: String,
    /// The error, for people.
    pub error: String,
    /// The runtime, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// The parent, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
}

impl CreateRefusal {
    /// The refusal of a runtime that the server does not know or does not allow for external workspaces.
    pub fn runtime(error: impl Into<String>, runtime: impl Into<String>) -> Self {
        let code = "RUNTIME_UNSUPPORTED".to_owned();
        Self { code, error: error.into(), runtime: Some(runtime.into()), parent_id: None }
    }

    /// The refusal of a parent that does not exist.
    pub fn parent(parent_id: impl Into<String>) -> Self {
        let code = "WORKSPACE_REPARENT_PARENT_NOT_FOUND".to_owned();
        let error = "parent workspace does not exist".to_owned();
        Self { code, error, runtime: None, parent_id: Some(parent_id.into()) }
    }
}

/// Answer of `POST /workspaces/:id/pause` and `…/resume` at 409: the request needs `?cascade=true`. Not on April's
/// server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HasDescendants {
    /// The error, for people.
    pub error: String,
    /// The descendants that would be paused or resumed as well.
    pub descendants: Vec<NamedWorkspace>,
}

impl HasDescendants {
    /// The refusal with its list of workspaces.
    pub fn new(error: impl Into<String>, descendants: Vec<NamedWorkspace>) -> Self {
        Self { error: error.into(), descendants }
    }
}

/// Answer of `DELETE /workspaces/:id` at 400: the header `X-Confirm-Name` was missing or wrong. Not on April's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NameNotConfirmed {
    /// `destructive_action_requires_confirmation`.
    pub error: String,
    /// What to send.
    #[serde(default, deserialize_with = "or_default")]
    pub hint: String,
    /// The name that the header must have.
    #[serde(default, deserialize_with = "or_default")]
    pub workspace_name: String,
    /// The number of the agent's active tasks.
    #[serde(default, deserialize_with = "or_default")]
    pub active_tasks: i64,
    /// The number of workspaces directly below it.
    #[serde(default, deserialize_with = "or_default")]
    pub child_count: u64,
}

impl NameNotConfirmed {
    /// The refusal for a workspace of this name.
    pub fn new(workspace_name: impl Into<String>, active_tasks: i64, child_count: u64) -> Self {
        let workspace_name = workspace_name.into();
        let hint = format!("Re-send the same request with header X-Confirm-Name: {workspace_name}");
        let error = "destructive_action_requires_confirmation".to_owned();
        Self { error, hint, workspace_name, active_tasks, child_count }
    }
}

/// Answer of `DELETE /workspaces/:id` at 409: the request needs `?confirm=true`. It has no key `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChildrenNotConfirmed {
    /// `confirmation_required`.
    pub status: String,
    /// The remedy, for people.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// The workspaces directly below it.
    pub children: Vec<NamedWorkspace>,
    /// How many there are.
    #[serde(default, deserialize_with = "or_default")]
    pub children_count: u64,
}

impl ChildrenNotConfirmed {
    /// The refusal with its list of workspaces.
    pub fn new(children: Vec<NamedWorkspace>) -> Self {
        let message = "This workspace has sub-workspaces. Delete with ?confirm=true to cascade delete.".to_owned();
        let children_count = children.len() as u64;
        Self { status: "confirmation_required".to_owned(), message, children, children_count }
    }
}

/// Answer of `DELETE /workspaces/:id` at 410: the workspace was removed before. Not on April's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlreadyRemoved {
    /// `workspace removed`.
    pub error: String,
    /// The workspace.
    pub id: WorkspaceId,
}

impl AlreadyRemoved {
    /// The answer for this workspace.
    pub fn new(id: WorkspaceId) -> Self {
        Self { error: "workspace removed".to_owned(), id }
    }
}
