//! The revisions of the protocol: those with a handshake, and the one without.

use molecule_platform::Dialect;
use serde_json::{Value, json};

use crate::client::Client;
use crate::common::World;

/// What every client does, in whatever revision.
fn lists_and_calls(client: &mut Client, world: &World) -> Value {
    let listed = client.result("tools/list", json!({}));
    let names: Vec<_> = listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    for name in [
        "delegate_task",
        "delegate_task_async",
        "check_task_status",
        "list_peers",
        "get_workspace_info",
        "send_message_to_user",
        "commit_memory",
        "recall_memory",
        "wait_for_message",
        "inbox_peek",
        "inbox_pop",
        "chat_history",
        "update_agent_card",
        "install_plugin",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(client.call("get_workspace_info", json!({})).json()["id"], world.id.as_str());
    listed
}

#[test]
fn a_handshake_is_answered_with_the_revision_that_was_asked_for() {
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let world = World::new(Dialect::Current, "mcp-handshake");
        let mut client = Client::silent(world.molecule(&["mcp"]));
        let answer = client.initialize(revision, "a-test");
        assert_eq!(answer["protocolVersion"], revision);
        let server = &answer["serverInfo"];
        assert_eq!((&server["name"], &server["version"]), (&json!("molecule"), &json!(env!("CARGO_PKG_VERSION"))));
        assert!(answer["instructions"].as_str().unwrap().contains("inbox_pop"));
        assert!(answer["capabilities"]["experimental"].is_null(), "only Claude Code has channels: {answer}");
        let listed = lists_and_calls(&mut client, &world);
        assert!(listed.get("resultType").is_none(), "{listed}");
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn a_handshake_of_another_revision_falls_back_to_the_last_that_has_one() {
    for revision in ["1999-01-01", "2030-01-01", "2026-07-28"] {
        let world = World::new(Dialect::Current, "mcp-fallback");
        let mut client = Client::silent(world.molecule(&["mcp"]));
        assert_eq!(client.initialize(revision, "a-test")["protocolVersion"], "2025-11-25");
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn the_last_revision_needs_no_handshake() {
    let world = World::new(Dialect::Current, "mcp-without");
    let mut client = Client::silent(world.molecule(&["mcp"]));
    let error = client.request("tools/list", json!({}))["error"].clone();
    assert_eq!(error["code"], -32602, "{error}");
    client.without_handshake("2099-01-01");
    let error = client.request("tools/list", json!({}))["error"].clone();
    assert_eq!(error["code"], -32022, "{error}");
    client.without_handshake("2026-07-28");
    let found = client.result("server/discover", json!({}));
    let versions = found["supportedVersions"].as_array().unwrap();
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        assert!(versions.contains(&json!(revision)), "{found}");
    }
    assert!(found.to_string().contains(r#""name":"molecule""#), "{found}");
    let listed = lists_and_calls(&mut client, &world);
    assert_eq!(listed["resultType"], "complete");
    assert!(listed.get("ttlMs").is_some() && listed.get("cacheScope").is_some(), "{listed}");
    world.write("hello");
    let message = client.wait_for_message();
    assert_eq!(client.call("inbox_pop", json!({ "activity_id": message["activity_id"] })).json()["removed"], true);
    assert!(client.notifications.is_empty(), "{:?}", client.notifications);
    assert_eq!(client.end().0, 0);
}
