//! A message is done once it is popped or answered, and before that it comes again.

use molecule_platform::Dialect;
use serde_json::json;

use crate::client::{Client, Peer};
use crate::common::World;

#[test]
fn one_that_was_shown_comes_again_however_often_the_program_is_killed() {
    let world = World::new(Dialect::Current, "mcp-killed");
    world.write("first");
    let peer = Peer::new(&world, "researcher");
    let mut id = None;
    // More often than a handler may fail.
    for _ in 0..5 {
        let mut client = Client::new(&world);
        let message = client.wait_for_message();
        assert!(message["text"].as_str().unwrap().contains("first"), "{message}");
        assert_eq!(id.get_or_insert(message["activity_id"].clone()), &message["activity_id"]);
        client.kill();
    }
    peer.write(&world, "second");
    let mut client = Client::new(&world);
    let (first, second) = (client.wait_for_message(), client.wait_for_message());
    assert_eq!(Some(first["activity_id"].clone()), id);
    assert_eq!((&second["kind"], &second["peer_id"]), (&json!("peer_agent"), &json!(peer.id)));
    let popped = client.call("inbox_pop", json!({ "activity_id": id })).json();
    assert_eq!(popped, json!({ "removed": true, "activity_id": id }));
    client.kill();
    let mut client = Client::new(&world);
    assert_eq!(client.wait_for_message()["activity_id"], second["activity_id"], "what was popped does not come again");
    assert_eq!(client.call("inbox_pop", json!({ "activity_id": id })).json()["removed"], false);
    assert_eq!(client.end().0, 0);
    assert_eq!(world.json(&["inbox", "dead"]), json!([]));
}

#[test]
fn one_that_was_answered_does_not_come_again_and_its_reply_is_sent_once() {
    let world = World::new(Dialect::Current, "mcp-answered-once");
    world.write("hello");
    let mut client = Client::new(&world);
    let id = client.wait_for_message()["activity_id"].clone();
    let answered = client.call("reply_to_workspace", json!({ "text": "hello yourself", "activity_id": id }));
    assert_eq!(answered.json(), json!({ "status": "sent", "activity_id": id }));
    client.kill();
    let mut client = Client::new(&world);
    let waited = client.call("wait_for_message", json!({ "timeout_secs": 1 })).json();
    assert_eq!(waited["timeout"], true, "{waited}");
    assert_eq!(client.end().0, 0);
    assert_eq!(world.said(), ["hello yourself"]);
}

#[test]
fn one_that_is_not_done_is_shown_again_after_the_others() {
    let world = World::new(Dialect::Current, "mcp-again");
    ["one", "two"].iter().for_each(|text| world.write(text));
    let mut client = Client::new(&world);
    let (one, two) = (client.wait_for_message(), client.wait_for_message());
    assert_ne!(one["activity_id"], two["activity_id"]);
    let again = client.call("wait_for_message", json!({ "timeout_secs": 0 })).json();
    assert_eq!((&again["activity_id"], &again["shown_before"]), (&one["activity_id"], &json!(true)));
    let all = client.call("inbox_peek", json!({ "limit": 10 })).json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(client.end().0, 0);
}
