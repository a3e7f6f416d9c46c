//! What was sent is sent again, on the way that it came.

use crate::common::{create, feed, post, register};
use molecule_dev::{Act, Dev, Filter, Options};
use molecule_proto::{Message, path};
use serde_json::json;

fn started() -> (Dev, molecule_proto::WorkspaceId, molecule_proto::Token) {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    register(&dev, &id, &token);
    (dev, id, token)
}

fn ids(rows: &[serde_json::Value]) -> Vec<String> {
    let id = |row: &serde_json::Value| row.pointer("/request_body/params/message/messageId").cloned();
    rows.iter().map(|row| id(row).unwrap_or_else(|| panic!("{row}")).as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_persons_message_comes_again_with_a_new_id_or_with_its_own() {
    let (dev, id, token) = started();
    let message = Message::text("hello").with_id("m-1");
    dev.world().act(Act::SendUserMessage { to: id.clone(), message });
    let line = dev.world().line();
    assert!(dev.world().send_again(line, false).unwrap() > line);
    let rows = feed(&dev, &id, &token);
    let found = ids(&rows);
    assert_eq!(found.len(), 2, "{rows:?}");
    assert!(found.contains(&"m-1".to_owned()) && found[0] != found[1], "{found:?}");
    // The platform knows the id, and takes it for the message that it has.
    dev.world().send_again(line, true).unwrap();
    let found = ids(&feed(&dev, &id, &token));
    assert!(found.iter().filter(|id| *id == "m-1").count() >= 1, "{found:?}");
}

#[test]
fn an_agents_call_comes_again_through_the_platform() {
    let (dev, id, token) = started();
    let (_, sender) = create(dev.world(), "sender");
    let message = json!({"role": "user", "messageId": "m-7", "parts": [{"kind": "text", "text": "hi"}]});
    let body = json!({"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": message}});
    assert_eq!(post(&dev, &path::a2a(&id), sender.expose(), &body).0, 200);
    let line = dev.world().exchanges(&Filter::new().text("SendMessage".to_owned())).unwrap()[0].line;
    let again = dev.world().send_again(line, false).unwrap();
    assert!(again > line);
    let found = ids(&feed(&dev, &id, &token));
    assert_eq!(found.len(), 2);
    assert!(found.contains(&"m-7".to_owned()) && found[0] != found[1], "{found:?}");
}

#[test]
fn what_was_not_sent_is_not_sent_again() {
    let (dev, id, _) = started();
    dev.world().act(Act::Rotate { id });
    let line = dev.world().line();
    for line in [line, 2] {
        assert_eq!(dev.world().send_again(line, false).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
    assert_eq!(dev.world().send_again(line + 100, false).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(dev.world().line(), line);
}
