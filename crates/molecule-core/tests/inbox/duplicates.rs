//! A message that came in two rows is handled once.

use crate::support::platform::PEER;
use crate::support::*;
use serde_json::json;

#[test]
fn two_rows_with_one_id_are_one_message_also_if_both_wait() {
    let mut run = Received::usual();
    let at = run.agent.now.unix;
    for _ in 0..2 {
        run.platform.feed.message(at, json!(PEER), "hello", "m-same");
    }
    run.platform.feed.message(at, json!(null), "another sender's", "m-same");
    run.on(secs(20));
    assert_eq!(run.texts(), ["hello", "another sender's"]);
    run.platform.feed.message(run.agent.now.unix, json!(PEER), "hello", "m-same");
    run.on(secs(20));
    assert!(run.texts().is_empty());
    let mut run = run.restarted();
    run.on(secs(100));
    assert!(run.texts().is_empty());
}

#[test]
fn a_repeated_message_holds_back_no_cursor() {
    let mut run = Received::usual();
    let at = run.agent.now.unix;
    (0..2).for_each(|_| drop(run.platform.feed.message(at, json!(PEER), "hello", "m-same")));
    run.on(secs(60));
    let last = run.user("later");
    run.on(secs(60));
    run.user("latest");
    run.on(secs(20));
    run.stopped_within();
    let journal = String::from_utf8(run.agent.store.inbox.clone().unwrap()).unwrap();
    let cursor = journal.lines().rev().find(|line| line.contains("\"cursor\"")).unwrap();
    assert!(cursor.contains(&last), "{cursor}");
}
