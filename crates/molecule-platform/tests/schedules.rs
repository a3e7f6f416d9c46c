//! Schedules, which the current server hands on to the agent (contract sections 10.4 and 18.4).

#![allow(clippy::unwrap_used)]

mod common;

use common::mail::{read, reply};
use common::{Bench, error};
use molecule_platform::{Answer, Dialect};
use molecule_proto::path;
use serde_json::{Value, json};

#[test]
fn a_schedule_is_created_by_the_agent_after_it_loaded_its_daemons_again() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.push_agent("agent");
    let secret = format!("Bearer {}", bench.platform.inbound_secret(&agent.0).unwrap().expose());
    let body = json!({"name": "s", "cron_expr": "0 * * * *", "timezone": "UTC", "prompt": "p"});
    let request = http::Request::post(format!("/workspaces/{}/schedules", agent.0))
        .header("authorization", agent.1.bearer())
        .body(body.to_string().into())
        .unwrap();
    let Answer::Later(ticket) = bench.platform.handle(bench.now, None, request) else { panic!("no agent is called") };
    let mut sent = Vec::new();
    for outcome in [reply(404, &json!({"error": "no daemons"})), reply(201, &json!({"id": "x"}))] {
        let (id, request) = bench.turns().calls.remove(0);
        assert_eq!(request.headers()["authorization"], secret.as_str());
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        sent.push((request.uri().to_string(), body));
        bench.platform.dispatched(bench.now, id, outcome);
    }
    let schedule = json!({"name": "s", "cron": "0 * * * *", "timezone": "UTC", "prompt": "p", "enabled": true, "source": "runtime"});
    let expected = [
        ("http://localhost:9/a2a/internal/daemons/reload", json!({})),
        ("http://localhost:9/a2a/internal/schedules", schedule),
    ];
    assert_eq!(sent, expected.map(|(url, body)| (url.to_owned(), body)));
    assert_eq!(bench.turns().answer(ticket), (201, json!({"id": "x"})));
}

#[test]
fn an_agent_that_polls_cannot_be_asked() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    let path = format!("/workspaces/{}/schedules", agent.0);
    let (status, refusal) = bench.get(&path, Some(agent.1.expose()));
    assert_eq!(status, 422);
    assert!(refusal["error"].as_str().unwrap().contains("schedules requires push-mode"), "{refusal}");
    let body = json!({"id": agent.0, "agent_card": {}, "url": "http://localhost:9/", "delivery_mode": "poll"});
    assert_eq!(bench.post(path::REGISTER, Some(agent.1.expose()), &body).0, 200);
    assert_eq!(bench.get(&path, Some(agent.1.expose())), (502, error("schedule backend error")));
}

#[test]
fn the_health_of_schedules_is_asked_for_by_a_workspace_that_says_who_it_is() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, agent) = (bench.push_agent("one"), bench.push_agent("agent"));
    let path = format!("/workspaces/{}/schedules/health", agent.0);
    assert_eq!(bench.get(&path, Some(one.1.expose())), (401, error("X-Workspace-ID header required")));
    let request = http::Request::get(path)
        .header("authorization", one.1.bearer())
        .header("x-workspace-id", one.0.as_str())
        .body(bytes::Bytes::new())
        .unwrap();
    let Answer::Later(ticket) = bench.platform.handle(bench.now, None, request) else { panic!("no agent is called") };
    let (id, request) = bench.turns().calls.remove(0);
    assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/a2a/internal/schedules"));
    bench.platform.dispatched(bench.now, id, reply(200, &json!([])));
    let turns = bench.turns();
    assert_eq!(read(&turns.answers[0].1), (200, json!([])));
    assert_eq!(turns.answer(ticket).0, 200);
}
