//! Requests between agents: who may do what, and who hears of it.

#![allow(clippy::unwrap_used)]

mod common;

use common::stream::types;
use common::{Bench, error};
use molecule_platform::Dialect;
use molecule_proto::{Token, WorkspaceId};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

fn post(bench: &mut Bench, of: &Agent, rest: &str, body: &Value) -> (u16, Value) {
    bench.post(&format!("/workspaces/{}/requests{rest}", of.0), Some(of.1.expose()), body)
}

fn status_of(bench: &mut Bench, of: &Agent, request: &str) -> Value {
    let (_, shown) = bench.get(&format!("/workspaces/{}/requests/{request}", of.0), Some(of.1.expose()));
    shown["request"]["status"].clone()
}

/// An agent that raised a request to another one, with an open stream of the first.
fn raised() -> (Bench, Agent, Agent, String) {
    let mut bench = Bench::new(Dialect::Current);
    let (one, other) = (bench.poll_agent("one"), bench.poll_agent("other"));
    let body = json!({"kind": "task", "recipient_type": "agent", "recipient_id": other.0, "title": "help"});
    let (status, answer) = post(&mut bench, &one, "", &body);
    assert_eq!(status, 201);
    let request = answer["request_id"].as_str().unwrap().to_owned();
    bench.open_stream(&one);
    (bench, one, other, request)
}

/// The turns that the agent gets with its next heartbeat.
fn turns_after_a_beat(bench: &mut Bench, of: &Agent) -> usize {
    let before = bench.feed(of, "a2a_receive").len();
    bench.wait(1);
    bench.beat(&of.0, Some(&of.1));
    bench.turns();
    bench.feed(of, "a2a_receive").len() - before
}

#[test]
fn nobody_hears_of_what_the_requester_does_itself() {
    let (mut bench, one, other, request) = raised();
    bench.open_stream(&other);
    let text = json!({"body": "please", "author_type": "agent"});
    assert_eq!(post(&mut bench, &one, &format!("/{request}/messages"), &text).0, 201);
    assert_eq!(status_of(&mut bench, &one, &request), json!("pending"));
    assert_eq!(post(&mut bench, &one, &format!("/{request}/cancel"), &json!({})).0, 200);
    assert!(bench.events().is_empty());
    assert_eq!((turns_after_a_beat(&mut bench, &one), turns_after_a_beat(&mut bench, &other)), (0, 0));
}

#[test]
fn an_agent_that_answers_its_own_request_gets_no_turn() {
    let (mut bench, one, ..) = raised();
    let body = json!({"kind": "task", "recipient_type": "agent", "recipient_id": one.0, "title": "to myself"});
    let (_, answer) = post(&mut bench, &one, "", &body);
    let request = answer["request_id"].as_str().unwrap().to_owned();
    bench.turns();
    assert_eq!(post(&mut bench, &one, &format!("/{request}/respond"), &json!({"action": "rejected"})).0, 200);
    assert!(bench.events().is_empty());
    assert_eq!(turns_after_a_beat(&mut bench, &one), 0);
}

#[test]
fn a_message_of_another_asks_for_more_and_after_the_end_it_is_told_all_the_same() {
    let (mut bench, one, other, request) = raised();
    let text = json!({"body": "which?", "author_type": "agent"});
    assert_eq!(post(&mut bench, &other, &format!("/{request}/messages"), &text).0, 201);
    assert_eq!(status_of(&mut bench, &one, &request), json!("info_requested"));
    assert_eq!(post(&mut bench, &other, &format!("/{request}/respond"), &json!({"action": "done"})).0, 200);
    assert_eq!(post(&mut bench, &other, &format!("/{request}/messages"), &text).0, 201);
    assert_eq!(status_of(&mut bench, &one, &request), json!("done"));
    assert_eq!(types(&bench.events()), ["REQUEST_MESSAGE", "REQUEST_RESPONDED", "REQUEST_MESSAGE"]);
    let turns: usize = (0..4).map(|_| turns_after_a_beat(&mut bench, &one)).sum();
    assert_eq!((turns, turns_after_a_beat(&mut bench, &other)), (3, 0));
}

#[test]
fn strangers_and_the_wrong_end_are_refused() {
    let (mut bench, one, other, request) = raised();
    let stranger = bench.poll_agent("stranger");
    let done = json!({"action": "done"});
    let respond = format!("/{request}/respond");
    assert_eq!(post(&mut bench, &stranger, &respond, &done), (403, error("not a participant")));
    assert_eq!(post(&mut bench, &one, &respond, &done), (403, error("not the recipient")));
    let wrong = json!({"action": "approved"});
    assert_eq!(post(&mut bench, &other, &respond, &wrong).0, 400, "a task is not approved");
    assert_eq!(post(&mut bench, &other, &format!("/{request}/cancel"), &json!({})).0, 403);
    assert_eq!(status_of(&mut bench, &one, &request), json!("pending"));
    assert_eq!(post(&mut bench, &one, "/zz/cancel", &json!({})).0, 500, "a malformed id");
    let nul = json!({"kind": "task", "recipient_type": "user", "title": "a\0b"});
    assert_eq!(post(&mut bench, &one, "", &nul).0, 500);
    let words = json!({"kind": "task", "recipient_type": "user", "title": "a", "priority": "high"});
    assert_eq!(post(&mut bench, &one, "", &words), (400, error("invalid request body")));
}

#[test]
fn a_list_has_the_newest_fifty() {
    let (mut bench, one, ..) = raised();
    for number in 0..51 {
        let body = json!({"kind": "approval", "recipient_type": "user", "title": number.to_string()});
        assert_eq!(post(&mut bench, &one, "", &body).0, 201);
    }
    let path = format!("/workspaces/{}/requests", one.0);
    let (_, listed) = bench.get(&path, Some(one.1.expose()));
    let titles: Vec<_> = listed.as_array().unwrap().iter().map(|request| request["title"].as_str().unwrap()).collect();
    assert_eq!((titles.len(), titles[0], titles[49]), (50, "50", "1"));
    let (_, none) = bench.get(&format!("{path}?status=done"), Some(one.1.expose()));
    assert_eq!(none, json!([]));
}
