//! Notifications of Claude Code's channels: a hint, to that client alone, and no delivery.

use molecule_platform::Dialect;
use serde_json::json;

use crate::client::Client;
use crate::common::World;

#[test]
fn claude_code_is_told_of_each_message_and_the_message_still_waits() {
    let world = World::new(Dialect::Current, "mcp-channel");
    let mut client = Client::silent(world.molecule(&["mcp"]));
    let answer = client.initialize("2025-11-25", "claude-code");
    assert_eq!(answer["capabilities"]["experimental"]["claude/channel"], json!({}));
    world.write("hello");
    let told = client.next();
    assert_eq!(told["method"], "notifications/claude/channel");
    let params = &told["params"];
    assert!(params["content"].as_str().unwrap().contains("hello"), "{told}");
    assert_eq!(params["meta"]["kind"], "canvas_user");
    let id = params["meta"]["activity_id"].clone();
    assert!(params["meta"].as_object().unwrap().values().all(serde_json::Value::is_string), "{told}");
    client.kill();
    // It was written, and nobody knows who has read it.
    let mut client = Client::new(&world);
    assert_eq!(client.wait_for_message()["activity_id"], id);
    assert!(client.notifications.is_empty(), "another client is told of nothing: {:?}", client.notifications);
    assert_eq!(client.end().0, 0);
}
