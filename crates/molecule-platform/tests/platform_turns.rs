//! The turns that the platform gives to an agent: their form, and the way in which they come.

#![allow(clippy::unwrap_used)]

mod common;

use common::Bench;
use common::mail::{message, said};
use molecule_platform::{Dialect, RequestKind};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

fn placeholder() -> Value {
    json!({"method": "message/send", "status": "queued", "delivery_mode": "poll"})
}

/// A poll agent of the current server.
fn poll_agent() -> (Bench, Agent) {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    (bench, agent)
}

fn messages(bench: &mut Bench, of: &Agent) -> Vec<Value> {
    bench.feed(of, "a2a_receive")
}

fn working(bench: &mut Bench, agent: &Agent) {
    let body = json!({"workspace_id": agent.0, "active_tasks": 1});
    assert_eq!(bench.post(path::HEARTBEAT, Some(agent.1.expose()), &body).0, 200);
}

#[test]
fn a_nudge_comes_with_an_idle_heartbeat_and_has_an_answer_from_birth() {
    let (mut bench, agent) = poll_agent();
    let id = bench.platform.nudge(bench.now, &agent.0).unwrap();
    assert!(id.starts_with("inbox-nudge-"));
    working(&mut bench, &agent);
    assert!(messages(&mut bench, &agent).is_empty(), "a working agent gets none");
    bench.beat(&agent.0, Some(&agent.1));
    let rows = messages(&mut bench, &agent);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row["response_body"], placeholder());
    assert_eq!(row["summary"], json!("message/send → agent (ingest)"));
    let same = ["source_id", "target_id", "status", "method"].map(|key| row[key].clone());
    assert_eq!(same, [Value::Null, json!(agent.0), json!("ok"), json!("message/send")]);
    let params = &row["request_body"]["params"];
    let hour = bench.now.unix.as_secs() / 3600;
    assert_eq!(params["metadata"], json!({"wake_idempotency_key": format!("nudge:{}:{hour}", agent.0)}));
    let message = &params["message"];
    assert_eq!(message["metadata"], json!({"kind": "inbox_nudge", "source": "platform", "source_type": "self-nudge"}));
    assert_eq!((&message["messageId"], &message["contextId"]), (&json!(id), &json!(format!("canvas-{}", agent.0))));
}

#[test]
fn a_direct_message_has_no_answer_in_its_row() {
    let (mut bench, agent) = poll_agent();
    bench.platform.send_user_message(bench.now, &agent.0, "hello").unwrap();
    assert_eq!(messages(&mut bench, &agent)[0].get("response_body"), None);
}

#[test]
fn one_heartbeat_brings_one_turn_and_the_urgent_one_first() {
    let (mut bench, agent) = poll_agent();
    let nudge = bench.platform.nudge(bench.now, &agent.0).unwrap();
    let probe = bench.platform.probe_for_stall(bench.now, &agent.0).unwrap();
    let watchdog = bench.feed(&agent, "stall_watchdog");
    assert_eq!((watchdog.len(), &watchdog[0]["method"]), (1, &json!("probe")));
    for expected in [vec![&probe], vec![&nudge, &probe]] {
        bench.beat(&agent.0, Some(&agent.1));
        bench.wait(1);
        let rows = messages(&mut bench, &agent);
        let ids: Vec<_> =
            rows.iter().map(|row| row["request_body"]["params"]["message"]["messageId"].clone()).collect();
        assert_eq!(ids, expected.iter().map(|id| json!(id)).collect::<Vec<_>>());
    }
    bench.beat(&agent.0, Some(&agent.1));
    assert_eq!(messages(&mut bench, &agent).len(), 2);
}

#[test]
fn turns_about_requests_have_no_metadata_at_all() {
    let (mut bench, agent) = poll_agent();
    let body = json!({"kind": "task", "recipient_type": "user", "title": "look"});
    let raised = format!("/workspaces/{}/requests", agent.0);
    let (status, answer) = bench.post(&raised, Some(agent.1.expose()), &body);
    assert_eq!(status, 201);
    let request = answer["request_id"].as_str().unwrap().to_owned();
    assert!(bench.platform.add_request_message(bench.now, &request, "which one?"));
    assert!(!bench.platform.respond_to_request(bench.now, &request, "approved"), "a task is not approved");
    assert!(bench.platform.respond_to_request(bench.now, &request, "done"));
    assert!(!bench.platform.respond_to_request(bench.now, &request, "done"), "once");
    for (prefix, text) in [
        (
            "request-message:".to_owned(),
            format!("More info requested on your task request \"look\" (id {request}): which one?"),
        ),
        (
            format!("request-responded:{request}-"),
            format!("Your task request \"look\" (id {request}) was done by the user."),
        ),
    ] {
        bench.beat(&agent.0, Some(&agent.1));
        bench.wait(1);
        let row = messages(&mut bench, &agent).remove(0);
        assert_eq!(row["response_body"], placeholder());
        let params = &row["request_body"]["params"];
        assert_eq!(params.as_object().unwrap().keys().collect::<Vec<_>>(), ["message"]);
        let message = &params["message"];
        let keys: Vec<_> = message.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["contextId", "messageId", "parts", "role"]);
        assert!(message["messageId"].as_str().unwrap().starts_with(&prefix), "{message}");
        assert!(message["parts"][0]["text"].as_str().unwrap().starts_with(&text), "{message}");
    }
}

#[test]
fn the_users_request_is_in_the_agents_inbox_and_counted_by_the_nudge() {
    let (mut bench, agent) = poll_agent();
    let request = bench.platform.raise_request(bench.now, &agent.0, RequestKind::Approval, "may I").unwrap();
    let inbox = format!("/workspaces/{}/requests/inbox?status=pending", agent.0);
    let (status, listed) = bench.get(&inbox, Some(agent.1.expose()));
    assert_eq!((status, &listed[0]["id"], &listed[0]["requester_type"]), (200, &json!(request), &json!("user")));
    bench.platform.nudge(bench.now, &agent.0);
    bench.beat(&agent.0, Some(&agent.1));
    let row = messages(&mut bench, &agent).remove(0);
    let text = row["request_body"]["params"]["message"]["parts"][0]["text"].clone();
    assert!(text.as_str().unwrap().starts_with("You have 1 unhandled inbox requests"), "{text}");
}

#[test]
fn the_answer_of_a_push_agent_is_stored_for_a_request_and_not_for_a_nudge() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.push_agent("agent");
    bench.platform.nudge(bench.now, &agent.0).unwrap();
    let body = json!({"kind": "task", "recipient_type": "user", "title": "look"});
    let (_, answer) = bench.post(&format!("/workspaces/{}/requests", agent.0), Some(agent.1.expose()), &body);
    assert!(bench.platform.respond_to_request(bench.now, answer["request_id"].as_str().unwrap(), "done"));
    for is_kept in [false, true] {
        bench.wait(1);
        bench.beat(&agent.0, Some(&agent.1));
        let (call, _) = bench.turns().calls.remove(0);
        bench.platform.dispatched(bench.now, call, said("fine"));
        assert_eq!(messages(&mut bench, &agent)[0].get("response_body").is_some(), is_kept);
    }
}

#[test]
fn a_greeting_is_answered_to_the_user_and_a_poll_agent_gets_nothing() {
    let mut bench = Bench::new(Dialect::Current);
    let (push, poll) = (bench.push_agent("push"), bench.poll_agent("poll"));
    assert!(bench.platform.greet(bench.now, &poll.0).is_some());
    assert!(bench.turns().calls.is_empty() && messages(&mut bench, &poll).is_empty());

    for (outcome, text) in [(said("hi, it is me"), "hi, it is me"), (said(""), "Hello, push is online.")] {
        bench.wait(1);
        let id = bench.platform.greet(bench.now, &push.0).unwrap();
        let (call, request) = bench.turns().calls.remove(0);
        let sent: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(sent["params"]["message"]["messageId"], json!(id));
        assert_eq!(sent["params"]["message"]["metadata"]["kind"], json!("first_boot_greeting"));
        assert!(messages(&mut bench, &push).iter().all(|row| row["method"] == "notify"), "no row of the turn");
        bench.platform.dispatched(bench.now, call, outcome);
        let row = messages(&mut bench, &push).remove(0);
        assert_eq!((&row["method"], &row["response_body"]), (&json!("notify"), &json!({"result": text})));
    }
}

#[test]
fn aprils_turns_are_pushed_at_once() {
    let mut bench = Bench::new(Dialect::April);
    let agent = bench.push_agent("agent");
    assert!(bench.platform.nudge(bench.now, &agent.0).is_none() && bench.platform.greet(bench.now, &agent.0).is_none());

    assert!(bench.platform.send_restart_context(bench.now, &agent.0).is_some());
    let (call, request) = bench.turns().calls.remove(0);
    let sent: Value = serde_json::from_slice(request.body()).unwrap();
    let metadata = json!({"kind": "restart_context", "layer": 1, "restart_context": true, "source": "platform"});
    assert_eq!(sent["params"]["message"]["metadata"], metadata);
    assert_eq!(sent["params"]["message"].get("contextId"), None);
    bench.platform.dispatched(bench.now, call, said("back"));
    assert!(messages(&mut bench, &agent).is_empty(), "it leaves no row");

    let id = bench.platform.run_schedule(bench.now, &agent.0, "water the plants").unwrap();
    assert!(id.starts_with("cron-") && id.len() == 22, "{id}");
    let (call, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, call, said("done"));
    let row = messages(&mut bench, &agent).remove(0);
    let params = &row["request_body"]["params"];
    assert_eq!((&params["message"]["messageId"], &row["source_id"]), (&json!(id), &Value::Null));
    assert_eq!((params.get("metadata"), params["message"].get("metadata")), (None, None));
    assert_eq!(bench.feed(&agent, "cron_run").len(), 1);
}

#[test]
fn the_current_server_makes_none_of_aprils_turns() {
    let (mut bench, agent) = poll_agent();
    assert!(bench.platform.send_restart_context(bench.now, &agent.0).is_none());
    assert!(bench.platform.run_schedule(bench.now, &agent.0, "x").is_none());
    assert!(bench.platform.nudge(bench.now, &WorkspaceId::from_random([9; 16])).is_none());
}

#[test]
fn what_a_busy_push_agent_did_not_take_comes_again_with_a_placeholder_if_it_polls_by_then() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let closed = Err(molecule_platform::DispatchFault::Closed);
    assert_eq!(bench.tell_agent(&one, &other.0, &message("m", "x"), closed).0, 202);
    let body = json!({"id": other.0, "agent_card": {}, "url": "", "delivery_mode": "poll"});
    assert_eq!(bench.post(path::REGISTER, Some(other.1.expose()), &body).0, 200);
    bench.wait(6);
    bench.beat(&other.0, Some(&other.1));
    let rows = messages(&mut bench, &other);
    let summaries: Vec<_> = rows.iter().map(|row| row["summary"].as_str().unwrap()).collect();
    assert_eq!(summaries, ["message/send → other (queued: target busy)", "message/send → other (ingest)"]);
    assert_eq!(rows[1]["response_body"], placeholder());
}

#[test]
fn a_push_agent_may_answer_a_users_message_of_its_owner() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let agent = bench.push_agent("agent");
        let id = bench.platform.send_user_message(bench.now, &agent.0, "hello").unwrap();
        let (call, _) = bench.turns().calls.remove(0);
        bench.platform.dispatched(bench.now, call, said("hi"));
        let turns = bench.turns();
        assert!(turns.answers.is_empty() && turns.calls.is_empty(), "nobody waits");
        let row = messages(&mut bench, &agent).remove(0);
        assert_eq!(row["request_body"]["params"]["message"]["messageId"], json!(id));
        assert_eq!(row["response_body"]["result"]["parts"][0]["text"], json!("hi"));
        let params = &row["request_body"]["params"];
        let source = params.pointer("/metadata/source");
        assert_eq!(source, (dialect == Dialect::Current).then(|| json!("canvas_user")).as_ref());
    }
}

#[test]
fn an_agents_message_as_an_act_of_the_owner_has_the_form_of_a_call() {
    let (mut bench, agent) = poll_agent();
    let peer = bench.poll_agent("peer");
    assert_eq!(bench.tell_now(&peer, &agent.0, &message("m-1", "x")).0, 200);
    bench.wait(1);
    let sent = molecule_proto::Message::text("x").with_id("m-2");
    assert_eq!(bench.platform.send_agent_message(bench.now, &peer.0, &agent.0, sent).as_deref(), Some("m-2"));
    let rows = messages(&mut bench, &agent);
    let form = |row: &Value| (row["source_id"].clone(), row["summary"].clone(), row.get("response_body").cloned());
    assert_eq!((form(&rows[0]), rows.len()), (form(&rows[1]), 2));
    assert_eq!(rows[0]["source_id"], json!(peer.0));
    let unknown = WorkspaceId::from_random([9; 16]);
    assert!(bench.platform.send_agent_message(bench.now, &unknown, &agent.0, "x").is_none());
    // The receivers are the peer and the current server's own root.
    assert_eq!(bench.platform.send_broadcast(bench.now, &agent.0, "hear"), Some(2));
    assert_eq!(bench.feed(&peer, "broadcast_receive")[0]["summary"], json!("Broadcast from agent: hear"));
}

#[test]
fn an_administrators_message_and_the_owners_have_the_same_form() {
    let (mut bench, agent) = poll_agent();
    let admin = bench.send("POST", &path::a2a(&agent.0), Some(common::ADMIN), &message("m-1", "x").to_string());
    assert_eq!(admin.0, 200);
    bench.wait(1);
    let sent = molecule_proto::Message::text("x").with_id("m-2");
    assert_eq!(bench.platform.send_user_message(bench.now, &agent.0, sent).as_deref(), Some("m-2"));
    let rows = messages(&mut bench, &agent);
    let form = |row: &Value| {
        let mut params = row["request_body"]["params"].clone();
        let message = params["message"].as_object_mut().unwrap();
        ["messageId", "kind", "role"].iter().for_each(|key| drop(message.remove(*key)));
        (row["source_id"].clone(), row["summary"].clone(), params)
    };
    assert_eq!(form(&rows[0]), form(&rows[1]));
}
