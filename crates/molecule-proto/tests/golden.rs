//! Every recorded answer of the endpoints that have wire types decodes, and encodes back to the same.
//!
//! A second pass drops the keys that a type keeps without a field (a card's other keys, a connection's snippets): the
//! keys that the contract lists must still be there. Numbers are compared as numbers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // The recordings are read from files.

#[path = "golden/tally.rs"]
mod tally;

use molecule_proto::{
    AlreadyRemoved, AvailablePlugin, ChildrenNotConfirmed, ConnectionAnswer, CreateRefusal, CreatedWorkspace,
    DeleteAnswer, ErrorBody, HasDescendants, HeartbeatAnswer, HeartbeatRequest, InstallPluginRequest, MintedToken,
    NameNotConfirmed, PauseAnswer, PluginCompatibility, PluginRefusal, PluginSources, RegisterAnswer, RegisterRequest,
    RemovedWorkspace, RevokedToken, SavedSecret, Secrets, StateAnswer, TokenList, UpdateCardAnswer, UpdateCardRequest,
    WorkspaceId, WorkspaceView,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use tally::{Expected, Tally};

const RECORDINGS: [&str; 6] = [
    "april-2026.jsonl",
    "april-2026-strict.jsonl",
    "april-2026-tenant.jsonl",
    "current-2026.jsonl",
    "current-2026-strict.jsonl",
    "current-2026-tenant.jsonl",
];

/// For each type: how often it must occur at least, and the keys that the contract lists for it, each of which must
/// occur as well. (`provision_timeout_ms` of the view belongs to managed runtimes, which were not recorded.)
const EXPECTED: &[Expected] = &[
    ("RegisterAnswer", 84, "status delivery_mode auth_token platform_inbound_secret"),
    ("HeartbeatAnswer", 90, "status generation platform_inbound_secret"),
    ("UpdateCardAnswer", 13, "status"),
    ("StateAnswer", 184, "workspace_id status paused deleted"),
    (
        "WorkspaceView",
        33,
        "id name role tier status agent_card url parent_id kind active_tasks max_concurrent_tasks last_error_rate \
         last_sample_error uptime_seconds runtime x y collapsed broadcast_enabled talk_to_user_enabled compute \
         loaded_mcp_tools mcp_surface last_outbound_at last_heartbeat_at wedged",
    ),
    ("RemovedWorkspace", 4, "error id hint removed_at"),
    ("Secrets", 6, ""),
    ("SavedSecret", 4, "status key"),
    ("CreatedWorkspace", 38, "id external status connection awareness_namespace workspace_access"),
    ("ConnectionAnswer", 5, "connection"),
    ("Connection", 35, "workspace_id platform_url auth_token registry_endpoint heartbeat_endpoint"),
    ("PauseAnswer", 6, "status paused_count"),
    ("DeleteAnswer", 12, "status cascade_deleted"),
    ("TokenList", 8, "tokens count"),
    ("TokenRow", 12, "id prefix created_at last_used_at"),
    ("MintedToken", 7, "auth_token workspace_id message"),
    ("RevokedToken", 4, "status workspace_id"),
    ("ErrorBody", 263, "error code detail required_header retry_after"),
    ("CreateRefusal", 3, "code error runtime parent_id"),
    ("HasDescendants", 1, "error descendants"),
    ("NameNotConfirmed", 2, "error hint workspace_name active_tasks child_count"),
    ("ChildrenNotConfirmed", 2, "status message children children_count"),
    ("AlreadyRemoved", 1, "error id"),
    ("AvailablePlugin", 28, "name version description author tags skills source runtimes"),
    ("PluginSources", 2, "schemes"),
    ("PluginCompatibility", 2, "target_runtime compatible incompatible all_compatible"),
    ("PluginRefusal", 28, "error source violations available_schemes resolved_name requested_name"),
    ("InstallPluginRequest", 2, "source"),
    ("AgentCard", 174, "name description role url"),
    ("RateLimit", 1627, "x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset"),
    ("RegisterRequest", 136, "id agent_card url delivery_mode kind mcp_server_present"),
    (
        "HeartbeatRequest",
        98,
        "workspace_id error_rate sample_error active_tasks is_busy uptime_seconds current_task monthly_spend \
         observed_generation schema_version runtime_state runtime_metadata agent_card",
    ),
    ("UpdateCardRequest", 22, "workspace_id agent_card"),
];

#[test]
fn recorded_answers_decode_and_encode_back() {
    let mut tally = Tally::default();
    for file in RECORDINGS {
        let path = format!("{}/../../fixtures/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            let line: Value = serde_json::from_str(line).unwrap();
            // The other lines are requests that a push agent received.
            if let (Some(request), Some(response)) = (line.get("request"), line.get("response")) {
                tally.at(format!("{file} line {}", index + 1));
                exchange(&mut tally, request, response);
            }
        }
    }
    tally.judge(EXPECTED);
}

/// The values of secrets as an answer's body: `Secrets` has no `Serialize` of its own.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Values(#[serde(serialize_with = "Secrets::serialize")] Secrets);

fn exchange(tally: &mut Tally, request: &Value, response: &Value) {
    let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
    let path = path.split('?').next().unwrap();
    let (status, body) = (response["status"].as_u64().unwrap(), &response["body"]);
    tally.rate_limit(&response["headers"]);
    sent(tally, path, &request["body"], body);
    // No body, or a body that is not JSON: routes that the server does not have, and the tenant gate.
    if body.is_null() || body.get("_bytes").is_some() {
        return;
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method, segments.as_slice(), status) {
        ("POST", ["registry", "register"], 200) => tally.answer::<RegisterAnswer>("RegisterAnswer", body),
        ("POST", ["registry", "heartbeat"], 200) => tally.answer::<HeartbeatAnswer>("HeartbeatAnswer", body),
        ("POST", ["registry", "update-card"], 200) => tally.answer::<UpdateCardAnswer>("UpdateCardAnswer", body),
        ("GET", ["workspaces", _, "state"], 200 | 404) => tally.answer::<StateAnswer>("StateAnswer", body),
        ("GET", ["workspaces", _], 200) => {
            tally.answer::<WorkspaceView>("WorkspaceView", body);
            tally.card(&body["agent_card"]);
        }
        ("GET", ["workspaces", _], 410) => tally.answer::<RemovedWorkspace>("RemovedWorkspace", body),
        ("GET", ["workspaces", _, "secrets", "values"], 200) => tally.answer::<Values>("Secrets", body),
        ("POST", ["workspaces", _, "secrets"], 200) => tally.answer::<SavedSecret>("SavedSecret", body),
        ("POST" | "GET", ["workspaces", _, "external", _], 200) | ("POST", ["workspaces"], 201) => {
            connected(tally, body);
        }
        ("POST", ["workspaces", _, "pause"], 200) => tally.answer::<PauseAnswer>("PauseAnswer", body),
        ("DELETE", ["workspaces", _], 200) => tally.answer::<DeleteAnswer>("DeleteAnswer", body),
        ("GET", ["workspaces", _, "tokens"], 200) => {
            tally.answer::<TokenList>("TokenList", body);
            body["tokens"].as_array().unwrap().iter().for_each(|row| tally.count("TokenRow", row));
        }
        ("POST", ["workspaces", _, "tokens"] | ["admin", "workspaces", _, "tokens"], 201)
        | ("GET", ["admin", "workspaces", _, "test-token"], 200) => tally.answer::<MintedToken>("MintedToken", body),
        ("DELETE", ["workspaces", _, "tokens", _], 200)
        | ("POST", ["admin", "workspaces", _, "revoke-auth-tokens"], 200) => {
            tally.answer::<RevokedToken>("RevokedToken", body);
        }
        ("POST", ["workspaces"], 422) => tally.answer::<CreateRefusal>("CreateRefusal", body),
        ("POST", ["workspaces", _, "pause"], 409) => tally.answer::<HasDescendants>("HasDescendants", body),
        ("DELETE", ["workspaces", _], 409) => tally.answer::<ChildrenNotConfirmed>("ChildrenNotConfirmed", body),
        ("DELETE", ["workspaces", _], 410) => tally.answer::<AlreadyRemoved>("AlreadyRemoved", body),
        ("DELETE", ["workspaces", _], 400) if body.get("workspace_name").is_some() => {
            tally.answer::<NameNotConfirmed>("NameNotConfirmed", body);
        }
        ("GET", ["plugins"] | ["workspaces", _, "plugins"] | ["workspaces", _, "plugins", "available"], 200) => {
            body.as_array()
                .unwrap()
                .iter()
                .for_each(|plugin| tally.answer::<AvailablePlugin>("AvailablePlugin", plugin));
        }
        ("GET", ["plugins", "sources"], 200) => tally.answer::<PluginSources>("PluginSources", body),
        ("GET", ["workspaces", _, "plugins", "compatibility"], 200) => {
            tally.answer::<PluginCompatibility>("PluginCompatibility", body);
        }
        ("GET", ["workspaces", _, "plugins", _, "download"], 400 | 402..) => {
            tally.answer::<PluginRefusal>("PluginRefusal", body);
        }
        (_, segments, 400..) if is_typed(segments) => tally.answer::<ErrorBody>("ErrorBody", body),
        (_, segments, _) if is_typed(segments) => tally.fail(format!("{method} {path} {status} has no type")),
        (_, _, _) => {}
    }
}

/// Counts an answer that may have a connection block. The block's ready-made programs are kept by key and have no
/// fields.
fn connected(tally: &mut Tally, body: &Value) {
    let mut known = body.clone();
    if let Some(connection) = known.get_mut("connection") {
        let fields = connection.as_object_mut().unwrap();
        fields.retain(|key, _| !key.ends_with("_snippet") && !key.ends_with("_template"));
        tally.count("Connection", connection);
    }
    if body.get("id").is_some() {
        tally.round("CreatedWorkspace", body, &known, |created: &mut CreatedWorkspace| {
            created.connection.iter_mut().for_each(|connection| connection.snippets.clear());
        });
    } else {
        let strip = |answer: &mut ConnectionAnswer| answer.connection.snippets.clear();
        tally.round("ConnectionAnswer", body, &known, strip);
    }
}

/// Counts the body of a request whose route has a request type, if the server could read it and its id is a UUID.
fn sent(tally: &mut Tally, path: &str, sent: &Value, answered: &Value) {
    if path.ends_with("/plugins") && !sent.is_null() {
        return tally.request::<InstallPluginRequest>("InstallPluginRequest", sent);
    }
    let id = sent.get("id").or_else(|| sent.get("workspace_id")).and_then(Value::as_str);
    let unreadable = answered["error"] == "invalid request body";
    if unreadable || id.is_none_or(|id| id.parse::<WorkspaceId>().is_err()) {
        return;
    }
    match path {
        "/registry/register" => tally.request::<RegisterRequest>("RegisterRequest", sent),
        "/registry/heartbeat" => return tally.request::<HeartbeatRequest>("HeartbeatRequest", sent),
        "/registry/update-card" => tally.request::<UpdateCardRequest>("UpdateCardRequest", sent),
        _ => return,
    }
    tally.card(&sent["agent_card"]);
}

/// Whether this route's answers have types.
fn is_typed(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["registry", "register" | "heartbeat" | "update-card"]
            | ["workspaces"]
            | ["workspaces", _]
            | ["workspaces", _, "state" | "secrets" | "pause" | "resume" | "tokens"]
            | ["workspaces", _, "secrets" | "tokens" | "external", _]
            | ["plugins", ..]
            | ["workspaces", _, "plugins", ..]
            | ["admin", "workspaces", _, _]
    )
}
