//! Paths of the platform, below its base URL. Each variable part is a validated type, so that it cannot leave its
//! segment.

use std::fmt::Write;

use crate::id::{DelegationId, FileId, PluginName, QueueId, TokenId, WorkspaceId};
use crate::memory_entry::MemoryKey;

/// `POST`: register (contract section 4).
pub const REGISTER: &str = "/registry/register";
/// `POST`: heartbeat (contract section 5).
pub const HEARTBEAT: &str = "/registry/heartbeat";
/// `POST`: replace the stored card (contract section 6.1).
pub const UPDATE_CARD: &str = "/registry/update-card";
/// `POST`: ask whether one workspace may talk to another (contract section 6.4).
pub const CHECK_ACCESS: &str = "/registry/check-access";
/// `GET`: ask whether the server is up (contract section 1.5).
pub const HEALTH: &str = "/health";
/// `POST`: create a workspace; `GET`: list them. Admin (contract section 16.1).
pub const WORKSPACES: &str = "/workspaces";
/// `GET`: the registry of plugins; no credential (contract section 15).
pub const PLUGINS: &str = "/plugins";
/// `GET`: the schemes that a plugin's source may have; no credential (contract section 15).
pub const PLUGIN_SOURCES: &str = "/plugins/sources";

/// `GET`: read the open view of a workspace (contract section 7.2); `DELETE`: remove the workspace (16.5).
pub fn workspace(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}")
}

/// The path of any other route of a workspace, which has no function here.
///
/// ```
/// # use molecule_proto::{WorkspaceId, path};
/// # let id = WorkspaceId::from_random([0; 16]);
/// assert_eq!(path::below(&id, "budget"), format!("/workspaces/{id}/budget"));
/// ```
pub fn below(id: &WorkspaceId, rest: &'static str) -> String {
    format!("/workspaces/{id}/{rest}")
}

/// `GET`: read whether the workspace is paused or deleted (contract section 7.1).
pub fn state(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/state")
}

/// `GET`: read the values of the secrets (contract section 8).
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

/// `GET`: read the connection block without its token; not on April's server (contract section 16.2).
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

/// `POST`: mint an `api` token as an administrator; not on April's server (contract section 16.3).
pub fn admin_tokens(id: &WorkspaceId) -> String {
    format!("/admin/workspaces/{id}/tokens")
}

/// `POST`: revoke every token of a workspace; not on April's server (contract section 16.3).
pub fn admin_revoke_tokens(id: &WorkspaceId) -> String {
    format!("/admin/workspaces/{id}/revoke-auth-tokens")
}

/// `GET`: list the plugins in the workspace's container; `POST`: install one. External workspaces have no container
/// (contract section 15).
pub fn plugins(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/plugins")
}

/// `DELETE`: remove a plugin from the workspace's container (contract section 15).
pub fn plugin(id: &WorkspaceId, name: &PluginName) -> String {
    format!("/workspaces/{id}/plugins/{name}")
}

/// `GET`: list the registry's plugins that support the workspace's runtime (contract section 15).
pub fn available_plugins(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/plugins/available")
}

/// `GET`: download a plugin as a gzip'd tar archive (contract section 15). Without a source it is the registry's plugin
/// with this name. A source is `<scheme>://<spec>` or the name of another plugin of the registry; this function
/// percent-encodes it.
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

/// Encodes a text as a value in a query: all bytes but ASCII letters, digits and `-._~:/@` become `%XX`.
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

/// `GET`: read the URL of a peer (contract section 6.2).
pub fn discover(id: &WorkspaceId) -> String {
    format!("/registry/discover/{id}")
}

/// `GET`: list the peers of a workspace (contract section 6.3).
pub fn peers(id: &WorkspaceId) -> String {
    format!("/registry/{id}/peers")
}

/// `GET`: list the peers whose name or role contains a text; April's server usually fails to answer it (contract
/// section 6.3).
///
/// ```
/// # use molecule_proto::{WorkspaceId, path};
/// let path = path::peers_matching(&WorkspaceId::from_random([0; 16]), "Łódź & co");
/// assert!(path.ends_with("/peers?q=%C5%81%C3%B3d%C5%BA%20%26%20co"));
/// ```
pub fn peers_matching(id: &WorkspaceId, text: &str) -> String {
    format!("{}?q={}", peers(id), query_value(text))
}

/// `POST`: call a workspace through the platform (contract section 9).
pub fn a2a(target: &WorkspaceId) -> String {
    format!("/workspaces/{target}/a2a")
}

/// `POST`: call a workspace with its inbound secret; not on April's server (contract section 10.5).
pub fn a2a_inbound(target: &WorkspaceId) -> String {
    format!("/workspaces/{target}/a2a/inbound")
}

/// `GET`: read the status of a queued call; not on April's server (contract section 11).
pub fn a2a_queue(target: &WorkspaceId, item: &QueueId) -> String {
    format!("/workspaces/{target}/a2a/queue/{item}")
}

/// `GET`: read the activity feed (contract section 12); `POST`: add a row to one's own feed (13.1).
pub fn activity(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/activity")
}

/// `GET`: read a part of the activity feed (contract section 12.1). The values are percent-encoded.
///
/// ```
/// # use molecule_proto::{WorkspaceId, path};
/// let path = path::activity_page(&WorkspaceId::from_random([0; 16]), &[("type", "a&b"), ("limit", "500")]);
/// assert!(path.ends_with("/activity?type=a%26b&limit=500"));
/// ```
pub fn activity_page(id: &WorkspaceId, query: &[(&'static str, &str)]) -> String {
    with_query(activity(id), query)
}

/// `GET`: list an agent's notes; `POST`: keep one (contract section 18.1). The values are percent-encoded.
pub fn memories(id: &WorkspaceId, query: &[(&'static str, &str)]) -> String {
    with_query(format!("/workspaces/{id}/memories"), query)
}

/// `GET`: list the entries of the workspace's memory; `POST`: set one (contract section 18.1).
pub fn memory(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/memory")
}

/// `GET`: read an entry of the workspace's memory; `DELETE`: remove it (contract section 18.1).
pub fn memory_entry(id: &WorkspaceId, key: &MemoryKey) -> String {
    format!("/workspaces/{id}/memory/{key}")
}

fn with_query(mut path: String, query: &[(&'static str, &str)]) -> String {
    for (index, (name, value)) in query.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.push_str(&query_value(value));
    }
    path
}

/// `POST`: report the last row that was read; not on April's server (contract section 12.4).
pub fn activity_ack(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/activity/ack")
}

/// `GET`: the stream of events (contract section 18.6).
pub fn events_stream(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/events/stream")
}

/// `POST`: send a message to the user (contract section 13.2).
pub fn notify(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/notify")
}

/// `POST`: delegate a task; the path names the delegating workspace (contract section 14.1).
pub fn delegate(source: &WorkspaceId) -> String {
    format!("/workspaces/{source}/delegate")
}

/// `GET`: list the delegations of a workspace (contract section 14.2).
pub fn delegations(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/delegations")
}

/// `POST`: report a delegation that the agent carries out itself (contract section 14.3).
pub fn delegations_record(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/delegations/record")
}

/// `POST`: report the end of such a delegation (contract section 14.3).
pub fn delegation_update(id: &WorkspaceId, delegation: &DelegationId) -> String {
    format!("/workspaces/{id}/delegations/{delegation}/update")
}

/// `POST`: upload files for the workspace's chat (contract section 17).
pub fn chat_uploads(id: &WorkspaceId) -> String {
    format!("/workspaces/{id}/chat/uploads")
}

/// `GET`: read a file that the platform holds for a poll agent; not on April's server (contract section 17).
pub fn pending_upload(id: &WorkspaceId, file: &FileId) -> String {
    format!("/workspaces/{id}/pending-uploads/{file}/content")
}

/// `POST`: acknowledge such a file; not on April's server (contract section 17).
pub fn pending_upload_ack(id: &WorkspaceId, file: &FileId) -> String {
    format!("/workspaces/{id}/pending-uploads/{file}/ack")
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
