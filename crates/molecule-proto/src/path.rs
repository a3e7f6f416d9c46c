//! Paths of the platform, below its base URL. Every variable part is a validated type, so none can leave its segment.

use crate::id::{TokenId, WorkspaceId};

/// `POST`: register (contract section 4).
pub const REGISTER: &str = "/registry/register";
/// `POST`: heartbeat (contract section 5).
pub const HEARTBEAT: &str = "/registry/heartbeat";
/// `POST`: replace the stored card (contract section 6.1).
pub const UPDATE_CARD: &str = "/registry/update-card";
/// `GET`: is the server up (contract section 1.5).
pub const HEALTH: &str = "/health";
/// `POST`: create a workspace; `GET`: list them. Admin (contract section 16.1).
pub const WORKSPACES: &str = "/workspaces";

/// `GET`: the open view of a workspace (contract section 7.2); `DELETE`: remove it (16.5).
pub fn workspace(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}")
}

/// `GET`: paused or deleted (contract section 7.1).
pub fn state(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/state")
}

/// `GET`: the secrets' values (contract section 8).
pub fn secret_values(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/secrets/values")
}

/// `POST`: store one secret (April contract section 5.2).
pub fn secrets(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/secrets")
}

/// `POST`: pause (contract section 16.4).
pub fn pause(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/pause")
}

/// `POST`: resume (contract section 16.4).
pub fn resume(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/resume")
}

/// `POST`: revoke every token and mint one; not on April's server (contract section 16.2).
pub fn external_rotate(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/external/rotate")
}

/// `GET`: the connection block without its token; not on April's server (contract section 16.2).
pub fn external_connection(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/external/connection")
}

/// `GET`: list the tokens; `POST`: mint one more (contract section 16.3).
pub fn tokens(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/tokens")
}

/// `DELETE`: revoke one token, named by its row's id (contract section 16.3).
pub fn token(id: &WorkspaceId, row: &TokenId) -> String {
    format!("/workspaces/{id}/tokens/{row}")
}

/// `POST`: mint an api token as an administrator; not on April's server (contract section 16.3).
pub fn admin_tokens(id: &WorkspaceId) -> String {
    format!("/admin/workspaces/{id}/tokens")
}

/// `POST`: revoke every token of a workspace; not on April's server (contract section 16.3).
pub fn admin_revoke_tokens(id: &WorkspaceId) -> String {
    format!("/admin/workspaces/{id}/revoke-auth-tokens")
}
