//! The queue of messages for busy agents (contract section 11; April 7.5).

#![allow(clippy::unwrap_used)]

mod common;

use common::mail::{Outcome, message, reply, said};
use common::{Bench, error};
use molecule_platform::{Dialect, DispatchFault};
use molecule_proto::{QueueId, Token, WorkspaceId, path};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

/// Two agents, and a queued message from the first to the second, which was busy.
fn waiting(dialect: Dialect, body: &Value) -> (Bench, Agent, Agent, QueueId) {
    let mut bench = Bench::new(dialect);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let (status, answer) = bench.tell_agent(&one, &other.0, body, Err(DispatchFault::Closed));
    assert_eq!((status, &answer["queue_depth"]), (202, &json!(1)));
    let id = answer["queue_id"].as_str().unwrap().parse().unwrap();
    (bench, one, other, id)
}

fn item(bench: &mut Bench, of: &Agent, id: &QueueId) -> Value {
    let (status, item) = bench.get(&path::a2a_queue(&of.0, id), Some(of.1.expose()));
    assert_eq!(status, 200, "{item}");
    item
}

/// Sends a heartbeat of an agent. If it causes a call, the call ends with this outcome. Returns whether there was a
/// call.
fn beat(bench: &mut Bench, of: &Agent, outcome: Outcome) -> bool {
    bench.beat(&of.0, Some(&of.1));
    let mut calls = bench.turns().calls;
    let called = !calls.is_empty();
    if called {
        bench.platform.dispatched(bench.now, calls.remove(0).0, outcome);
        assert!(calls.is_empty(), "one message a beat");
    }
    called
}

#[test]
fn a_waiting_message_comes_with_the_next_idle_beat_and_its_answer_is_kept() {
    let (mut bench, one, other, id) = waiting(Dialect::Current, &message("m", "x"));
    let working = json!({"workspace_id": other.0, "active_tasks": 1});
    bench.post(path::HEARTBEAT, Some(other.1.expose()), &working);
    assert!(bench.turns().calls.is_empty());
    assert_eq!(item(&mut bench, &one, &id)["status"], json!("queued"));

    assert!(beat(&mut bench, &other, said("late")));
    let item = item(&mut bench, &one, &id);
    assert_eq!((&item["status"], &item["attempts"]), (&json!("completed"), &json!(1)));
    assert_eq!(item.pointer("/response_body/result/parts/0/text"), Some(&json!("late")));
    let at = item["completed_at"].as_str().unwrap();
    assert!(at.ends_with("+00") && at.contains(' '), "{at}");
    assert!(!beat(&mut bench, &other, said("again")));
}

#[test]
fn the_same_message_has_one_item_and_another_waits_behind_it() {
    let (mut bench, one, other, id) = waiting(Dialect::Current, &message("m", "x"));
    let again = bench.tell_agent(&one, &other.0, &message("m", "x"), Err(DispatchFault::Closed)).1;
    assert_eq!((&again["queue_id"], &again["queue_depth"]), (&json!(id), &json!(1)));
    let next = bench.tell_agent(&one, &other.0, &message("n", "y"), Err(DispatchFault::Closed)).1;
    assert_eq!(next["queue_depth"], json!(2));
    bench.beat(&other.0, Some(&other.1));
    let (_, request) = bench.turns().calls.remove(0);
    assert!(std::str::from_utf8(request.body()).unwrap().contains("\"m\""));
}

#[test]
fn a_message_that_meets_a_busy_agent_again_is_lost() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other, id) = waiting(dialect, &message("m", "x"));
        assert!(beat(&mut bench, &other, Err(DispatchFault::Closed)));
        if dialect == Dialect::Current {
            let item = item(&mut bench, &one, &id);
            assert_eq!((&item["status"], item.get("response_body")), (&json!("completed"), None));
        }
        assert!(!beat(&mut bench, &other, said("never")));
    }
}

#[test]
fn five_failed_attempts_are_enough_and_five_seconds_lie_between_them() {
    let (mut bench, one, other, id) = waiting(Dialect::Current, &message("m", "x"));
    for attempt in 1..=5 {
        assert!(beat(&mut bench, &other, reply(500, &json!({"error": "no"}))), "attempt {attempt}");
        assert!(!beat(&mut bench, &other, said("too early")));
        bench.wait(5);
    }
    let item = item(&mut bench, &one, &id);
    assert_eq!((&item["status"], &item["attempts"]), (&json!("failed"), &json!(5)));
    assert_eq!(item["last_error"], json!("no"));
    assert!(!beat(&mut bench, &other, said("never")));
}

#[test]
fn an_agent_that_cannot_be_reached_is_waited_for_three_minutes() {
    let (mut bench, one, other, id) = waiting(Dialect::Current, &message("m", "x"));
    let refused = || Err(DispatchFault::Connect(None));
    for _ in 0..9 {
        assert!(beat(&mut bench, &other, refused()));
        bench.wait(20);
        let item = item(&mut bench, &one, &id);
        assert_eq!((&item["status"], &item["attempts"]), (&json!("queued"), &json!(0)));
    }
    assert!(beat(&mut bench, &other, refused()));
    assert_eq!(item(&mut bench, &one, &id)["status"], json!("dropped"));
    assert!(!beat(&mut bench, &other, said("never")));
}

#[test]
fn what_is_past_its_time_is_not_delivered_and_goes_on_saying_that_it_waits() {
    let mut body = message("m", "x");
    body["params"]["expires_in_seconds"] = json!(60);
    let (mut bench, one, other, id) = waiting(Dialect::Current, &body);
    bench.wait(60);
    assert!(!beat(&mut bench, &other, said("never")));
    let item = item(&mut bench, &one, &id);
    assert_eq!(item["status"], json!("queued"));
    assert!(item["expires_at"].is_string());
}

#[test]
fn only_sender_target_and_administrator_may_look() {
    let (mut bench, one, other, id) = waiting(Dialect::Current, &message("m", "x"));
    let stranger = bench.push_agent("stranger");
    let path = path::a2a_queue(&other.0, &id);
    for (bearer, status) in [(one.1.expose(), 200), (other.1.expose(), 200), (common::ADMIN, 200)] {
        assert_eq!(bench.get(&path, Some(bearer)).0, status);
    }
    assert_eq!(bench.get(&path, Some(stranger.1.expose())), (403, error("access denied")));
    assert_eq!(bench.get(&path, None), (401, error("missing caller auth token")));
}

#[test]
fn one_who_has_not_come_yet_is_waited_for_on_the_current_server() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, (id, token)) = (bench.push_agent("one"), bench.create("awaited"));
    let (status, answer) = bench.tell_now(&one, &id, &message("m", "early"));
    assert_eq!((status, &answer["queued"]), (202, &json!(true)));
    let awaited = (id, token);
    bench.register(&awaited.0, Some(&awaited.1));
    assert!(beat(&mut bench, &awaited, said("here")));
}

#[test]
fn an_agent_with_a_queue_of_its_own_is_busy_on_aprils_server() {
    let mut bench = Bench::new(Dialect::April);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let body = json!({"workspace_id": other.0, "runtime_metadata": {"capabilities": {"session": true}}});
    assert_eq!(bench.post(path::HEARTBEAT, Some(other.1.expose()), &body).0, 200);
    let (status, answer) = bench.tell_agent(&one, &other.0, &message("m", "x"), Err(DispatchFault::Closed));
    assert_eq!((status, &answer["busy"], &answer["retry_after"]), (503, &json!(true), &json!(30)));
    assert!(!beat(&mut bench, &other, said("never")));
}
