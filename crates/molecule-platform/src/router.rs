//! The routes, and the match of a request to its route.

use http::Method;
use molecule_proto::Dialect;

/// A route and the variable parts of its path, as they were sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Health,
    BuildInfo,
    OrgIdentity,
    UploadLimits,
    ListPlugins,
    ListPluginSources,
    Register,
    Heartbeat,
    UpdateCard,
    SendMessage(String),
    SendThroughDoor(String),
    ShowQueueItem(String),
    ListActivity(String),
    PostActivity(String),
    AckActivity(String),
    Notify(String),
    ChatHistory(String),
    UploadFiles(String),
    DownloadFile(String),
    PendingUpload(String, String),
    AckUpload(String, String),
    ListSchedules(String),
    CreateSchedule(String),
    SchedulesHealth(String),
    EventStream(String),
    RaiseRequest(String),
    ListRequests(String),
    RequestInbox(String),
    ShowRequest(String, String),
    AddRequestMessage(String, String),
    RespondToRequest(String, String),
    CancelRequest(String, String),
    Delegate(String),
    ListDelegations(String),
    RecordDelegation(String),
    UpdateDelegation(String, String),
    Abilities(String),
    Budget(String),
    ListMemories(String),
    CommitMemory(String),
    ListMemory(String),
    SetMemory(String),
    ReadMemory(String, String),
    DeleteMemory(String, String),
    Broadcast(String),
    Discover(String),
    Peers(String),
    CheckAccess,
    CreateWorkspace,
    ListWorkspaces,
    View(String),
    Delete(String),
    State(String),
    SecretValues(String),
    ListSecrets(String),
    SaveSecret(String),
    DeleteSecret(String, String),
    Pause(String),
    Resume(String),
    Hibernate(String),
    Rotate(String),
    Connection(String),
    ListTokens(String),
    MintToken(String),
    RevokeToken(String, String),
    AdminMintToken(String),
    AdminRevokeTokens(String),
    TestToken(String),
    AvailablePlugins(String),
    InstalledPlugins(String),
    PluginCompatibility(String),
    DownloadPlugin(String, String),
    InstallPlugin(String),
    UninstallPlugin(String, String),
    OrgToken,
}

/// Finds the route of a request; `None` if the path does not exist, does not exist with this method, or is not
/// modelled.
pub(crate) fn find(dialect: Dialect, method: &Method, path: &str) -> Option<Route> {
    use Dialect::{April, Current};
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let route = match (dialect, method.as_str(), segments.as_slice()) {
        (_, "GET", ["health"]) => Route::Health,
        (Current, "GET", ["buildinfo"]) => Route::BuildInfo,
        (Current, "GET", ["org", "identity"]) => Route::OrgIdentity,
        (Current, "GET", ["uploads", "limits"]) => Route::UploadLimits,
        (_, "GET", ["plugins"]) => Route::ListPlugins,
        (_, "GET", ["plugins", "sources"]) => Route::ListPluginSources,
        (_, "POST", ["registry", "register"]) => Route::Register,
        (_, "POST", ["registry", "heartbeat"]) => Route::Heartbeat,
        (_, "POST", ["registry", "update-card"]) => Route::UpdateCard,
        (_, "POST", ["registry", "check-access"]) => Route::CheckAccess,
        (_, "GET", ["registry", "discover", id]) => Route::Discover(one(&[id])?),
        (_, "GET", ["registry", id, "peers"]) => Route::Peers(one(&[id])?),
        (_, "POST", ["workspaces"]) => Route::CreateWorkspace,
        (_, "GET", ["workspaces"]) => Route::ListWorkspaces,
        (April, "POST", ["org", "tokens"]) => Route::OrgToken,
        (Current, "POST", ["admin", "workspaces", id @ .., "tokens"]) => Route::AdminMintToken(one(id)?),
        (Current, "POST", ["admin", "workspaces", id @ .., "revoke-auth-tokens"]) => Route::AdminRevokeTokens(one(id)?),
        (April, "GET", ["admin", "workspaces", id @ .., "test-token"]) => Route::TestToken(one(id)?),
        (_, method, ["workspaces", id, rest @ ..]) if !id.is_empty() => below(dialect, method, (*id).to_owned(), rest)?,
        _ => return None,
    };
    Some(route)
}

fn below(dialect: Dialect, method: &str, id: String, rest: &[&str]) -> Option<Route> {
    let route = match (method, rest) {
        ("GET", []) => Route::View(id),
        ("DELETE", []) => Route::Delete(id),
        ("GET", ["state"]) => Route::State(id),
        ("GET", ["secrets", "values"]) => Route::SecretValues(id),
        ("GET", ["secrets"]) => Route::ListSecrets(id),
        ("POST" | "PUT", ["secrets"]) => Route::SaveSecret(id),
        ("DELETE", ["secrets", key]) => Route::DeleteSecret(id, one(&[key])?),
        ("POST", ["pause"]) => Route::Pause(id),
        ("POST", ["resume"]) => Route::Resume(id),
        ("POST", ["hibernate"]) => Route::Hibernate(id),
        ("POST", ["external", "rotate"]) if dialect == Dialect::Current => Route::Rotate(id),
        ("GET", ["external", "connection"]) if dialect == Dialect::Current => Route::Connection(id),
        ("GET", ["budget"]) => Route::Budget(id),
        ("GET", ["memories"]) => Route::ListMemories(id),
        ("POST", ["memories"]) => Route::CommitMemory(id),
        ("GET", ["memory"]) => Route::ListMemory(id),
        ("POST", ["memory"]) => Route::SetMemory(id),
        ("GET", ["memory", key]) => Route::ReadMemory(id, one(&[key])?),
        ("DELETE", ["memory", key]) => Route::DeleteMemory(id, one(&[key])?),
        ("GET", ["tokens"]) => Route::ListTokens(id),
        ("POST", ["tokens"]) => Route::MintToken(id),
        ("DELETE", ["tokens", row]) => Route::RevokeToken(id, one(&[row])?),
        ("GET", ["plugins"]) => Route::InstalledPlugins(id),
        ("POST", ["plugins"]) => Route::InstallPlugin(id),
        ("GET", ["plugins", "available"]) => Route::AvailablePlugins(id),
        ("GET", ["plugins", "compatibility"]) => Route::PluginCompatibility(id),
        ("GET", ["plugins", name, "download"]) => Route::DownloadPlugin(id, one(&[name])?),
        ("DELETE", ["plugins", name]) => Route::UninstallPlugin(id, one(&[name])?),
        ("POST", ["a2a"]) => Route::SendMessage(id),
        ("GET", ["activity"]) => Route::ListActivity(id),
        ("POST", ["activity"]) => Route::PostActivity(id),
        ("POST", ["notify"]) => Route::Notify(id),
        ("POST", ["chat", "uploads"]) => Route::UploadFiles(id),
        ("GET", ["chat", "download"]) => Route::DownloadFile(id),
        ("GET", ["events", "stream"]) => Route::EventStream(id),
        ("POST", ["delegate"]) => Route::Delegate(id),
        ("GET", ["delegations"]) => Route::ListDelegations(id),
        ("POST", ["delegations", "record"]) => Route::RecordDelegation(id),
        ("POST", ["delegations", delegation, "update"]) => Route::UpdateDelegation(id, one(&[delegation])?),
        (_, rest) if dialect == Dialect::Current => return below_current(method, id, rest),
        _ => return None,
    };
    Some(route)
}

fn below_current(method: &str, id: String, rest: &[&str]) -> Option<Route> {
    let route = match (method, rest) {
        ("POST", ["a2a", "inbound"]) => Route::SendThroughDoor(id),
        ("GET", ["a2a", "queue", item]) => Route::ShowQueueItem(one(&[item])?),
        ("POST", ["activity", "ack"]) => Route::AckActivity(id),
        ("PATCH", ["abilities"]) => Route::Abilities(id),
        ("POST", ["broadcast"]) => Route::Broadcast(id),
        ("GET", ["chat-history"]) => Route::ChatHistory(id),
        ("GET", ["pending-uploads", file, "content"]) => Route::PendingUpload(id, one(&[file])?),
        ("POST", ["pending-uploads", file, "ack"]) => Route::AckUpload(id, one(&[file])?),
        ("GET", ["schedules"]) => Route::ListSchedules(id),
        ("POST", ["schedules"]) => Route::CreateSchedule(id),
        ("GET", ["schedules", "health"]) => Route::SchedulesHealth(id),
        ("POST", ["requests"]) => Route::RaiseRequest(id),
        ("GET", ["requests"]) => Route::ListRequests(id),
        ("GET", ["requests", "inbox"]) => Route::RequestInbox(id),
        ("GET", ["requests", request]) => Route::ShowRequest(id, one(&[request])?),
        ("POST", ["requests", request, "messages"]) => Route::AddRequestMessage(id, one(&[request])?),
        ("POST", ["requests", request, "respond"]) => Route::RespondToRequest(id, one(&[request])?),
        ("POST", ["requests", request, "cancel"]) => Route::CancelRequest(id, one(&[request])?),
        _ => return None,
    };
    Some(route)
}

fn one(segments: &[&str]) -> Option<String> {
    match segments {
        [segment] if !segment.is_empty() => Some((*segment).to_owned()),
        _ => None,
    }
}

/// The target of the redirect for a path with a slash too many, including the query. The redirect precedes every other
/// check (April contract section 1.1).
pub(crate) fn redirect(dialect: Dialect, method: &Method, path: &str, query: Option<&str>) -> Option<String> {
    let shorter = path.strip_suffix('/')?;
    find(dialect, method, shorter)?;
    Some(match query {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    })
}

/// Decodes the `%xx` in a path. A path that is not UTF-8 afterwards stays as it is.
pub(crate) fn decode(path: &str) -> String {
    if !path.contains('%') {
        return path.to_owned();
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

/// The undecoded value of a key in the query; the first one counts.
pub(crate) fn query<'a>(query: Option<&'a str>, key: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| match pair.split_once('=') {
        Some((name, value)) if name == key => Some(value),
        Some(_) | None => None,
    })
}

/// The decoded value of a key in the query: `+` is a blank, and `%xx` is decoded.
pub(crate) fn query_text(query: Option<&str>, key: &str) -> Option<String> {
    self::query(query, key).map(|value| decode(&value.replace('+', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_the_other_dialect_does_not_exist() {
        let find = |dialect, path| find(dialect, &Method::POST, path);
        assert_eq!(find(Dialect::April, "/workspaces/x/external/rotate"), None);
        assert_eq!(find(Dialect::Current, "/workspaces/x/external/rotate"), Some(Route::Rotate("x".to_owned())));
    }

    #[test]
    fn an_empty_segment_is_no_route_and_one_slash_too_many_is_sent_on() {
        assert_eq!(find(Dialect::Current, &Method::GET, "//health"), None);
        assert_eq!(find(Dialect::Current, &Method::GET, "/workspaces//state"), None);
        let redirect = |path, query| redirect(Dialect::Current, &Method::GET, path, query);
        assert_eq!(redirect("/workspaces/x/state/", Some("a=b")).as_deref(), Some("/workspaces/x/state?a=b"));
        assert_eq!(redirect("/nope/", None), None);
        assert_eq!(redirect("/workspaces/x/state", None), None);
    }

    #[test]
    fn an_encoded_slash_is_a_slash() {
        assert_eq!(decode("/a%2Fb%zz%4"), "/a/b%zz%4");
        assert_eq!(decode("/%ff"), "/%ff");
    }
}
