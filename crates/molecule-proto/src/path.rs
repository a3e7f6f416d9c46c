//! Paths of the platform, below its base URL. Every variable part is a validated type, so none can leave its segment.

use std::fmt::Write;

use crate::id::{PluginName, TokenId, WorkspaceId};

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
/// `GET`: the registry of plugins; no credential (contract section 15).
pub const PLUGINS: &str = "/plugins";
/// `GET`: the schemes that a plugin's source may have; no credential (contract section 15).
pub const PLUGIN_SOURCES: &str = "/plugins/sources";

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

/// `GET`: what is installed in the workspace's container; `POST`: install into it. External workspaces have none
/// (contract section 15).
pub fn plugins(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/plugins")
}

/// `DELETE`: remove a plugin from the workspace's container (contract section 15).
pub fn plugin(id: &WorkspaceId, name: &PluginName) -> String {
    format!("/workspaces/{id}/plugins/{name}")
}

/// `GET`: the registry's plugins that suit the workspace's runtime (contract section 15).
pub fn available_plugins(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/plugins/available")
}

/// `GET`: a plugin as a gzip'd tar archive (contract section 15). Without a source it is the registry's plugin of this
/// name; a source is `<scheme>://<spec>` or another such name, and is percent-encoded here.
///
/// ```
/// # use molecule_proto::{WorkspaceId, path};
/// # let id = WorkspaceId::from_random([0; 16]);
/// let path = path::plugin_download(&id, &"my-plugin".parse()?, Some("github://acme/my-plugin#v1"));
/// assert!(path.ends_with("/plugins/my-plugin/download?source=github://acme/my-plugin%23v1"));
/// # Ok::<(), molecule_proto::IdError>(())
/// ```
pub fn plugin_download(id: &WorkspaceId, name: &PluginName, source: Option<&str>) -> String {
    let path = format!("/workspaces/{id}/plugins/{name}/download");
    match source {
        Some(source) => format!("{path}?source={}", query_value(source)),
        None => path,
    }
}

/// A text as the value of a query's key: everything but letters, digits and `-._~:/@` becomes `%XX`.
fn query_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_stays_one_value_of_the_query() {
        assert_eq!(query_value("gitea://a/b-c_d.e~f@1"), "gitea://a/b-c_d.e~f@1");
        assert_eq!(query_value("a&b=c#d e+f?%41;\n\"ż"), "a%26b%3Dc%23d%20e%2Bf%3F%2541%3B%0A%22%C5%BC");
    }
}
