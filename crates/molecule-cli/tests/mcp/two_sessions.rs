//! A second session of the same workspace reads, evicts nobody, and takes over.

use molecule_platform::Dialect;
use serde_json::json;

use crate::client::{Client, until};
use crate::common::World;

#[test]
fn the_second_session_reads_and_takes_over_when_the_first_ends() {
    let world = World::new(Dialect::Current, "mcp-two");
    let mut first = Client::new(&world);
    world.write("one");
    let one = first.wait_for_message();
    let mut second = Client::new(&world);
    // It works without the inbox, and says who has that.
    let info = second.call("get_workspace_info", json!({})).json();
    assert!(info["inbox"].as_str().unwrap().contains("held by another program"), "{info}");
    assert!(info["inbox"].as_str().unwrap().contains(".lock"), "it names the lock: {info}");
    assert_eq!(second.call("send_message_to_user", json!({ "message": "from the second" })).json()["status"], "sent");
    let peeked = second.call("inbox_peek", json!({})).json();
    assert!(peeked["note"].as_str().unwrap().contains("takes over"), "{peeked}");
    assert_eq!(peeked["messages"][0]["activity_id"], one["activity_id"], "{peeked}");
    let popped = second.call("inbox_pop", json!({ "activity_id": one["activity_id"] })).json();
    assert_eq!(popped["removed"], false);
    assert!(popped["note"].as_str().unwrap().contains("another program"), "{popped}");
    let refused = second.call("reply_to_workspace", json!({ "text": "mine", "activity_id": one["activity_id"] }));
    assert!(refused.is_error && refused.text.contains("another program"), "{refused:?}");
    let waited = second.call("wait_for_message", json!({ "timeout_secs": 0 })).json();
    assert!(waited["timeout"] == true && waited["note"].as_str().unwrap().contains("another program"), "{waited}");
    // The first is as it was.
    world.write("two");
    let two = first.wait_for_message();
    assert!(two["text"].as_str().unwrap().contains("two"));
    assert_eq!(first.call("inbox_pop", json!({ "activity_id": one["activity_id"] })).json()["removed"], true);
    let peeked = second.call("inbox_peek", json!({})).json();
    assert_eq!(peeked["messages"].as_array().unwrap().len(), 1, "what the first has done is not listed: {peeked}");
    let (code, err) = first.end();
    assert_eq!(code, 0, "{err}");
    // What the first has finished does not come again, and what it has not does.
    let taken_over = second.wait_for_message();
    assert_eq!(taken_over["activity_id"], two["activity_id"]);
    assert_eq!(second.call("inbox_pop", json!({ "activity_id": two["activity_id"] })).json()["removed"], true);
    let (code, err) = second.end();
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_session_beside_an_agent_of_another_kind_leaves_its_messages_to_it() {
    let world = World::new(Dialect::Current, "mcp-beside");
    let mut running = world.start(&["--echo"]);
    let mut client = Client::new(&world);
    world.write("hello");
    world.wait_for_words(&["hello"]);
    let inbox = until(|| {
        let info = client.call("get_workspace_info", json!({})).json();
        info["inbox"].as_str().filter(|inbox| inbox.contains("another program")).map(str::to_owned)
    });
    assert!(inbox.contains(".lock"), "{inbox}");
    assert_eq!(client.end().0, 0);
    assert_eq!(world.said(), ["hello"]);
    running.kill().unwrap();
    running.wait().unwrap();
}
