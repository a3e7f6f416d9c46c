//! `GET /workspaces/:id/state` (contract section 7.1; April 5.1).

use serde::{Deserialize, Serialize};

use crate::id::WorkspaceId;
use crate::status::WorkspaceStatus;

/// Answer of `GET /workspaces/:id/state`, at 200 and at the 404 that only privileged bearers receive.
///
/// An agent never sees its own deletion here: its token is revoked first, so that the answer is 401 (contract section
/// 7.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateAnswer {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its status; absent if its row was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkspaceStatus>,
    /// Whether it is paused; absent at 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl StateAnswer {
    /// The answer for a workspace that exists.
    pub fn present(workspace_id: WorkspaceId, status: WorkspaceStatus) -> Self {
        let paused = Some(status == WorkspaceStatus::Paused);
        Self { workspace_id, status: Some(status), paused, deleted: false }
    }

    /// The answer for a workspace that was deleted (`purged`: its row was deleted too).
    pub fn deleted(workspace_id: WorkspaceId, purged: bool) -> Self {
        let status = (!purged).then_some(WorkspaceStatus::Removed);
        Self { workspace_id, status, paused: None, deleted: true }
    }

    /// Whether the workspace is paused, according to `paused` or `status`.
    pub fn is_paused(&self) -> bool {
        self.paused == Some(true) || self.status == Some(WorkspaceStatus::Paused)
    }
}
