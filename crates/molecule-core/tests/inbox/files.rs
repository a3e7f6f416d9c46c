//! A file in a row of its own belongs to the message that names it, before and after a restart.

use crate::support::*;
use molecule_core::proto::UnixTime;
use serde_json::json;

const FILE: &str = "8d096e41-9bfe-400b-9790-79ddf76e3267";

fn upload(run: &mut Received, at: UnixTime) -> String {
    let uri = format!("platform-pending:{ID}/{FILE}");
    let file = json!({"uri": uri, "file_id": FILE, "name": "notes.txt", "mimeType": "text/plain", "size": 7});
    run.platform.feed.add(at, json!({"method": "chat_upload_receive", "request_body": file}))
}

fn message(run: &mut Received, at: UnixTime) {
    let file = json!({"kind": "file", "file": {"uri": format!("platform-pending:{ID}/{FILE}")}});
    let parts = json!([{"kind": "text", "text": "see here"}, file]);
    let message = json!({"messageId": "m-file", "role": "user", "parts": parts});
    let request = json!({"jsonrpc": "2.0", "method": "message/send", "params": {"message": message}});
    run.platform.feed.add(at, json!({"request_body": request}));
}

#[test]
fn it_is_no_message_of_its_own_after_a_restart_either() {
    for is_first in [true, false] {
        let mut run = Received::usual();
        let at = run.agent.now.unix;
        if is_first {
            upload(&mut run, at);
        }
        message(&mut run, at);
        if !is_first {
            upload(&mut run, at);
        }
        run.on(secs(10));
        let offers = run.offers();
        assert_eq!(offers.len(), 1, "{offers:?}");
        assert_eq!(offers[0].message.0.attachments().len(), 1);
        // The rows are younger than the trail, so the next process reads them again.
        let mut run = run.restarted();
        run.on(secs(30));
        assert!(run.texts().is_empty(), "offered again, file first: {is_first}");
    }
}

/// The cursor does not pass a file whose message is not handled: the next process would offer the message without it.
#[test]
fn a_process_that_dies_offers_the_message_with_its_file() {
    let mut run = Received::usual();
    run.handler(|_| Reply::Never);
    let at = run.agent.now.unix;
    upload(&mut run, at);
    message(&mut run, at + secs(1));
    run.on(secs(60));
    run.user("makes the others old");
    run.on(secs(60));
    assert_eq!(run.offers()[0].message.0.attachments()[0].name(), Some("notes.txt"));
    let mut run = run.restarted();
    run.on(secs(10));
    let offers = run.offers();
    assert_eq!(offers[0].message.0.attachments()[0].name(), Some("notes.txt"));
    assert_eq!(offers.len(), 2);
}

#[test]
fn a_file_that_nobody_names_is_a_message_of_its_own_once() {
    let mut run = Received::usual();
    let at = run.agent.now.unix;
    upload(&mut run, at);
    run.on(secs(20));
    assert_eq!(run.offers().len(), 1);
    let mut run = run.restarted();
    run.on(secs(30));
    assert!(run.texts().is_empty());
}
