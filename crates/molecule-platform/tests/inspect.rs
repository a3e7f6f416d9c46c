//! The getters without a request show what the routes show.

#![allow(clippy::unwrap_used)]

mod common;

use common::Bench;
use common::mail::{message, said};
use molecule_platform::{Dialect, DispatchFault, PluginTree, RequestKind, Turn};
use molecule_proto::path;
use serde_json::json;

#[test]
fn a_heartbeat_and_the_names_of_secrets() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    assert_eq!(bench.platform.last_heartbeat(&id), None);
    assert!(bench.platform.set_secret(bench.now, &id, "KEY", "value"));
    bench.wait(1);
    bench.beat(&id, Some(&token));
    assert_eq!(bench.platform.last_heartbeat(&id), Some(bench.now));
    let names = bench.platform.secret_names(&id);
    assert_eq!(names.len(), 1);
    assert_eq!((names[0].0, bench.now.unix.since(names[0].1).as_secs()), ("KEY", 1));
}

#[test]
fn a_call_in_flight_and_then_its_place_in_the_queue() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let body = message("m", "x").to_string();
    let request = http::Request::post(path::a2a(&other.0)).header("authorization", one.1.bearer());
    assert!(bench.platform.handle(bench.now, None, request.body(body.into()).unwrap()).ready().is_none());
    let Turn::Dispatch(call, _) = bench.platform.poll(bench.now) else { panic!("the agent is called") };
    assert_eq!(bench.platform.calls_in_flight(&other.0), 1);
    assert_eq!(bench.platform.calls_in_flight(&one.0), 0);
    assert!(bench.platform.is_calling_with(&other.0, "m"));
    assert!(!bench.platform.is_calling_with(&other.0, "n"));
    assert!(bench.platform.queued(&other.0).is_empty());

    bench.platform.dispatched(bench.now, call, Err(DispatchFault::Closed));
    assert_eq!(bench.platform.calls_in_flight(&other.0), 0);
    let queued = bench.platform.queued(&other.0);
    assert_eq!((queued.len(), queued[0].message_id, queued[0].source), (1, Some("m"), Some(&one.0)));
    assert_eq!(queued[0].item.status.as_str(), "queued");
    assert!(bench.platform.queued(&one.0).is_empty());

    bench.beat(&other.0, Some(&other.1));
    let (call, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, call, said("late"));
    assert_eq!(bench.platform.queued(&other.0)[0].item.status.as_str(), "completed");
}

#[test]
fn the_requests_of_a_workspace_with_their_thread() {
    let mut bench = Bench::new(Dialect::Current);
    let ((id, _), (other, _)) = (bench.create("a"), bench.create("b"));
    let request = bench.platform.raise_request(bench.now, &id, RequestKind::Task, "do it").unwrap();
    assert!(bench.platform.add_request_message(bench.now, &request, "soon"));
    let shown = bench.platform.requests_of(&id);
    assert_eq!((shown.len(), &shown[0]["id"], &shown[0]["title"]), (1, &json!(request), &json!("do it")));
    assert_eq!(shown[0].pointer("/messages/0/body"), Some(&json!("soon")));
    assert!(bench.platform.requests_of(&other).is_empty());
}

#[test]
fn a_row_was_read_once_a_page_had_it() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("a");
    let was_read = |bench: &Bench| {
        let rows = bench.platform.activity(&agent.0);
        rows.into_iter().map(|row| bench.platform.was_read(row)).collect::<Vec<_>>()
    };
    bench.platform.send_user_message(bench.now, &agent.0, "one");
    bench.wait(1);
    bench.platform.send_user_message(bench.now, &agent.0, "two");
    assert_eq!(was_read(&bench), [false, false]);
    let path = format!("/workspaces/{}/activity?limit=1", agent.0);
    assert_eq!(bench.get(&path, Some("wrong")).0, 401);
    assert_eq!(was_read(&bench), [false, false]);
    assert_eq!(bench.get(&path, Some(agent.1.expose())).0, 200);
    assert_eq!(was_read(&bench), [true, false], "the newest first");
}

#[test]
fn a_file_that_waits() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, _token) = bench.poll_agent("a");
    let uri = bench.platform.upload(bench.now, &id, "a.txt", "text/plain", "hello").unwrap();
    let file = uri.rsplit('/').next().unwrap();
    let shown = bench.platform.uploaded(file).unwrap();
    assert_eq!(
        (shown.owner, shown.name, shown.mime_type, &shown.content[..]),
        (&id, "a.txt", "text/plain", &b"hello"[..])
    );
    assert!(bench.platform.uploaded("another").is_none());
}

#[test]
fn a_plugin_is_checked_as_a_download_checks_it() {
    let mut bench = Bench::new(Dialect::Current);
    bench
        .platform
        .add_plugin(PluginTree::new("good").file("plugin.yaml", "name: good\nversion: 1.0.0\ndescription: d\n"));
    bench.platform.add_plugin(PluginTree::new("bad").file("plugin.yaml", "name: bad\nversion: one\n"));
    assert_eq!(bench.platform.check_plugin("good"), Ok(()));
    let refusal = bench.platform.check_plugin("bad").unwrap_err();
    assert!(!refusal.violations.unwrap().is_empty());
    assert!(bench.platform.check_plugin("none").is_err());
}
