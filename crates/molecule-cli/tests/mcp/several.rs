//! Several workspaces in one program, told apart by either spelling of the own id.

use molecule_platform::Dialect;
use serde_json::json;

use crate::client::{Client, Peer};
use crate::common::{World, bare};

#[test]
fn each_call_names_its_workspace_and_the_inboxes_are_one() {
    let world = World::new(Dialect::Current, "mcp-several");
    let other = Peer::new(&world, "other");
    let array = json!([
        { "id": world.id, "token": world.token(), "platform_url": world.server.url() },
        { "id": other.id, "token": other.token, "platform_url": world.server.url() },
    ]);
    let mut command = bare(&["mcp"]);
    command.env("MOLECULE_WORKSPACES", array.to_string()).env("MOLECULE_HOME", &world.home);
    let mut client = Client::with(command);
    let listed = client.result("tools/list", json!({}));
    assert!(listed["tools"][0]["inputSchema"]["properties"]["source_workspace_id"].is_object(), "{listed}");
    let unnamed = client.call("send_message_to_user", json!({ "message": "who am I" }));
    assert!(unnamed.is_error && unnamed.text.contains(other.id.as_str()), "{unnamed:?}");
    for (name, id) in [("source_workspace_id", &world.id), ("_as_workspace", &other.id), ("workspace_id", &other.id)] {
        assert_eq!(client.call("send_message_to_user", json!({ "message": name, name: id })).json()["status"], "sent");
        assert_eq!(client.call("get_workspace_info", json!({ name: id })).json()["id"], id.as_str());
    }
    assert_eq!(world.said(), ["source_workspace_id"]);
    let stranger = client.call("list_peers", json!({ "source_workspace_id": "7fda77bf-a467-441c-9fab-7d8aba8e6040" }));
    assert!(stranger.is_error && stranger.text.contains("is no workspace of this program"), "{stranger:?}");
    world.write("to the first");
    world.server.with(|platform, now| platform.send_user_message(now, &other.id, "to the second")).unwrap();
    let mut arrived = Vec::new();
    for _ in 0..2 {
        let message = client.wait_for_message();
        let answer = json!({ "text": "seen", "activity_id": message["activity_id"] });
        assert_eq!(client.call("reply_to_workspace", answer).json()["status"], "sent");
        arrived.push(message["arrival_workspace_id"].as_str().unwrap().to_owned());
    }
    arrived.sort();
    let mut both = [world.id.to_string(), other.id.to_string()];
    both.sort();
    assert_eq!(arrived, both);
    assert_eq!(client.end().0, 0);
}
