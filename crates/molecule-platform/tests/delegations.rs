//! Delegations: their outcomes and their rows (contract section 14; April 8).

#![allow(clippy::unwrap_used)]

mod common;

use common::Bench;
use common::mail::{Outcome, reply, said};
use molecule_platform::{Dialect, DispatchFault};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

fn two(dialect: Dialect) -> (Bench, Agent, Agent) {
    let mut bench = Bench::new(dialect);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    (bench, one, other)
}

fn delegate(bench: &mut Bench, from: &Agent, to: &WorkspaceId, key: &str) -> (u16, Value) {
    let body = json!({"target_id": to, "task": "do it", "idempotency_key": key});
    bench.post(&path::delegate(&from.0), Some(from.1.expose()), &body)
}

/// Delegates a task, ends the agent's call with this outcome, and returns the delegation's id.
fn carried_out(bench: &mut Bench, from: &Agent, to: &WorkspaceId, key: &str, outcome: Outcome) -> Value {
    let (status, answer) = delegate(bench, from, to, key);
    assert_eq!((status, &answer["status"]), (202, &json!("delegated")));
    let (call, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, call, outcome);
    answer["delegation_id"].clone()
}

/// The status, error and preview of each row, newest first.
fn rows(bench: &mut Bench, of: &Agent) -> Vec<(String, Option<String>, Option<String>)> {
    let (status, rows) = bench.get(&path::delegations(&of.0), Some(of.1.expose()));
    assert_eq!(status, 200);
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    let row = |row: &Value| (text(row, "status").unwrap(), text(row, "error"), text(row, "response_preview"));
    rows.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_task_is_sent_as_a_message_and_its_answer_stands_in_the_result_row() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let (_, answer) = delegate(&mut bench, &one, &other.0, "k");
        let id = answer["delegation_id"].clone();
        assert_eq!(rows(&mut bench, &one)[0].0, "dispatched");
        let (call, request) = bench.turns().calls.remove(0);
        let sent: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(sent.pointer("/params/message/messageId"), Some(&id));
        assert_eq!(sent.pointer("/params/message/metadata/delegation_id"), Some(&id));
        let key = if dialect == Dialect::April { "type" } else { "kind" };
        assert_eq!(sent.pointer("/params/message/parts/0"), Some(&json!({key: "text", "text": "do it"})));
        bench.platform.dispatched(bench.now, call, said("done"));
        let rows = rows(&mut bench, &one);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0], ("completed".to_owned(), None, Some("done".to_owned())));
        assert_eq!(rows[1].0, "completed");
        assert!(bench.platform.workspace(&one.0).unwrap().last_outbound_at.is_some());
    }
}

#[test]
fn a_key_names_the_first_delegation_whatever_target_the_second_call_names() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let third = bench.push_agent("third");
        let id = carried_out(&mut bench, &one, &other.0, "k", said("done"));
        let (status, answer) = delegate(&mut bench, &one, &third.0, "k");
        let hit = json!({"delegation_id": id, "status": "completed", "target_id": other.0, "idempotent_hit": true});
        assert_eq!((status, answer), (200, hit));
        assert!(bench.turns().calls.is_empty());
    }
}

#[test]
fn a_failed_delegation_gives_its_key_free() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let refused = reply(500, &json!({"error": "no"}));
        let id = carried_out(&mut bench, &one, &other.0, "k", refused);
        let rows = rows(&mut bench, &one);
        assert_eq!((rows[0].0.as_str(), rows[0].1.as_deref()), ("failed", Some("no")));
        assert_ne!(carried_out(&mut bench, &one, &other.0, "k", said("done")), id);
    }
}

#[test]
fn one_that_could_not_be_sent_is_tried_once_more_after_eight_seconds() {
    let (mut bench, one, other) = two(Dialect::Current);
    carried_out(&mut bench, &one, &other.0, "k", Err(DispatchFault::Connect(None)));
    assert!(bench.turns_after(7_999).calls.is_empty());
    assert_eq!(rows(&mut bench, &one)[0].0, "dispatched");
    let mut calls = bench.turns_after(1).calls;
    bench.platform.dispatched(bench.now, calls.remove(0).0, Err(DispatchFault::Connect(None)));
    let rows = rows(&mut bench, &one);
    assert_eq!((rows[0].0.as_str(), rows[0].1.as_deref()), ("failed", Some("failed to reach workspace agent")));
    assert!(bench.turns_after(60_000).calls.is_empty());
}

#[test]
fn one_that_waits_is_completed_in_its_result_row_alone() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let id = carried_out(&mut bench, &one, &other.0, "k", Err(DispatchFault::Closed));
        assert_eq!(rows(&mut bench, &one)[0].0, "queued");
        bench.beat(&other.0, Some(&other.1));
        let (call, _) = bench.turns().calls.remove(0);
        bench.platform.dispatched(bench.now, call, said("late"));
        let rows = rows(&mut bench, &one);
        assert_eq!((rows[0].0.as_str(), rows[0].2.as_deref()), ("completed", Some("late")));
        assert_eq!(rows[1].0, "queued");
        let (_, hit) = delegate(&mut bench, &one, &other.0, "k");
        assert_eq!((&hit["delegation_id"], &hit["status"]), (&id, &json!("queued")));
    }
}

#[test]
fn a_poll_agents_acknowledgement_counts_as_the_answer() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, poll) = (bench.push_agent("one"), bench.poll_agent("poll"));
    delegate(&mut bench, &one, &poll.0, "k");
    let rows = rows(&mut bench, &one);
    assert_eq!(rows[0].0, "completed");
    assert!(rows[0].2.as_deref().unwrap().contains("\"delivery_mode\":\"poll\""));
    assert_eq!(bench.feed(&poll, "a2a_receive").len(), 1);
}

#[test]
fn a_task_that_cannot_be_stored_is_sent_and_cannot_be_followed() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let body = json!({"target_id": other.0, "task": "nul \0"});
        let (status, answer) = bench.post(&path::delegate(&one.0), Some(one.1.expose()), &body);
        assert_eq!((status, answer["warning"].is_string()), (202, true));
        assert_eq!(bench.turns().calls.len(), 1);
        assert!(rows(&mut bench, &one).is_empty());
    }
}
