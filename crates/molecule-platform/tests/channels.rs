//! Messages of channels and webhooks.

#![allow(clippy::unwrap_used)]

mod common;

use common::Bench;
use common::mail::said;
use molecule_platform::{ChannelMessage, Dialect, DispatchFault, Webhook};
use serde_json::{Value, json};

fn telegram(id: &str) -> ChannelMessage {
    ChannelMessage::new("telegram", id, "hello").chat("111").user("9", "joe").extra("chat_type", "private")
}

#[test]
fn a_poll_agent_gets_one_row_without_ingest_and_without_an_answer() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    let id = bench.platform.send_channel_message(bench.now, &agent.0, telegram("42").after("earlier")).unwrap();
    assert_eq!(id, "channel-telegram-42");
    let rows = bench.feed(&agent, "a2a_receive");
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row["summary"], json!("message/send → agent (queued for poll)"));
    assert_eq!((&row["source_id"], row.get("response_body")), (&Value::Null, None));
    let params = &row["request_body"]["params"];
    assert_eq!(params["message"].get("contextId"), None);
    assert_eq!(params["message"]["parts"], json!([{"kind": "text", "text": "hello"}]));
    let mut metadata = params["metadata"].clone();
    assert!(metadata["channel_id"].take().as_str().unwrap().len() == 36);
    let expected = json!({"source": "telegram", "channel_id": null, "chat_id": "111", "user_id": "9", "username": "joe",
        "message_id": "42", "history": ["earlier"], "extra": {"chat_type": "private"}});
    assert_eq!(metadata, expected);
}

#[test]
fn two_chats_with_the_same_number_swallow_one_message() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    for chat in ["111", "222"] {
        bench.platform.send_channel_message(bench.now, &agent.0, telegram("42").chat(chat)).unwrap();
    }
    bench.platform.send_channel_message(bench.now, &agent.0, telegram("43")).unwrap();
    let rows = bench.feed(&agent, "a2a_receive");
    let chats: Vec<_> = rows.iter().map(|row| &row["request_body"]["params"]["metadata"]["chat_id"]).collect();
    assert_eq!(chats, [&json!("111"), &json!("111")]);
    let channels: Vec<_> = rows.iter().map(|row| &row["request_body"]["params"]["metadata"]["channel_id"]).collect();
    assert_eq!(channels[0], channels[1], "one channel of a kind");
}

#[test]
fn a_push_agents_row_is_written_after_its_answer_and_april_writes_none() {
    for (dialect, rows_after) in [(Dialect::Current, 1), (Dialect::April, 0)] {
        let mut bench = Bench::new(dialect);
        let agent = bench.push_agent("agent");
        for (id, outcome) in [("1", said("hi")), ("2", Err(DispatchFault::Connect(None)))] {
            bench.wait(1);
            bench.platform.send_channel_message(bench.now, &agent.0, telegram(id)).unwrap();
            let before = bench.feed(&agent, "a2a_receive").len();
            let (call, _) = bench.turns().calls.remove(0);
            bench.platform.dispatched(bench.now, call, outcome);
            let rows = bench.feed(&agent, "a2a_receive");
            assert_eq!(rows.len(), before + rows_after);
            if let Some(row) = rows.first() {
                assert_eq!(row["summary"], json!("message/send → agent"));
                assert_eq!(row["status"], json!(if id == "1" { "ok" } else { "error" }));
            }
        }
    }
}

#[test]
fn a_webhooks_part_has_no_kind_and_a_redelivery_is_a_new_message() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    let webhook = Webhook::github("issue_comment", "created", "a comment").delivery("d-1").field("repository", "a/b");
    let first = bench.platform.send_webhook(bench.now, &agent.0, webhook.clone()).unwrap();
    bench.wait(1);
    assert_ne!(bench.platform.send_webhook(bench.now, &agent.0, webhook), Some(first.clone()));
    let rows = bench.feed(&agent, "a2a_receive");
    assert_eq!(rows.len(), 2);
    let params = &rows[1]["request_body"]["params"];
    assert_eq!(params["message"]["messageId"], json!(first));
    assert_eq!(params["message"]["parts"], json!([{"text": "a comment"}]));
    let metadata = json!({"source": "github", "event": "issue_comment", "action": "created", "delivery_id": "d-1",
        "repository": "a/b"});
    assert_eq!(params["metadata"], metadata);
}
