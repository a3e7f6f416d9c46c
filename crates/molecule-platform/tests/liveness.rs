//! Agents that become silent, and agents that never registered.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Bench;
use molecule_platform::{Dialect, Turn};
use molecule_proto::WorkspaceStatus::{AwaitingAgent, Failed, Offline, Online, Paused, Provisioning};
use molecule_proto::path;
use serde_json::json;

#[test]
fn the_current_server_awaits_an_agent_that_is_silent_for_180_seconds() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    assert_eq!(bench.status(&id), AwaitingAgent);
    assert_eq!(bench.beat(&id, Some(&token)).0, 200);
    bench.wait(179);
    assert_eq!(bench.status(&id), Online);
    // The sweep runs every 15 seconds.
    bench.wait(16);
    assert_eq!(bench.status(&id), AwaitingAgent);
    bench.beat(&id, Some(&token));
    assert_eq!(bench.status(&id), Online);
}

#[test]
fn a_degraded_agent_falls_silent_too_and_a_paused_one_does_not() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    let (paused, other) = bench.create("b");
    bench.register(&id, Some(&token));
    bench.register(&paused, Some(&other));
    bench.post("/registry/heartbeat", Some(token.expose()), &json!({"workspace_id": id, "error_rate": 0.5}));
    bench.platform.pause(bench.now, &paused, false).unwrap();
    bench.wait(200);
    assert_eq!((bench.status(&id), bench.status(&paused)), (AwaitingAgent, Paused));
}

#[test]
fn aprils_key_ends_180_seconds_after_the_last_beat_and_only_a_register_makes_another() {
    let mut bench = Bench::new(Dialect::April);
    let (id, token) = bench.create("a");
    bench.register(&id, Some(&token));
    for _ in 0..3 {
        bench.wait(179);
        assert_eq!(bench.status(&id), Online);
        bench.beat(&id, Some(&token));
    }
    bench.wait(180);
    assert_eq!(bench.status(&id), Offline);
    bench.beat(&id, Some(&token));
    assert_eq!(bench.status(&id), Online);
    bench.wait(100_000);
    assert_eq!(bench.status(&id), Online, "a beat does not make the key again");
    bench.register(&id, Some(&token));
    bench.wait(180);
    assert_eq!(bench.status(&id), Offline);
}

#[test]
fn april_sweeps_after_90_seconds_where_it_has_a_provisioner() {
    let mut bench = Bench::with(common::config(Dialect::April).provisioner(true));
    let (id, token) = bench.create("a");
    bench.register(&id, Some(&token));
    bench.wait(106);
    assert_eq!(bench.status(&id), Offline);
}

#[test]
fn april_gives_up_on_a_workspace_that_nobody_spoke_for_and_only_a_register_helps() {
    let mut bench = Bench::new(Dialect::April);
    let (id, token) = bench.create("a");
    bench.wait(599);
    assert_eq!(bench.status(&id), Provisioning);
    bench.wait(31);
    assert_eq!(bench.status(&id), Failed);
    assert_eq!(bench.beat(&id, Some(&token)).0, 200);
    assert_eq!(bench.status(&id), Failed);
    bench.register(&id, Some(&token));
    assert_eq!(bench.status(&id), Online);
}

#[test]
fn a_wake_is_when_something_happens_and_not_before() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.register(&id, Some(&token));
        while bench.status(&id) == Online {
            let Turn::Idle(wake) = bench.platform.poll(bench.now) else { panic!("nothing else is asked for") };
            let wake = wake.unwrap();
            assert!(wake.at > bench.now.mono, "{}", wake.why);
            bench.now.unix = bench.now.unix + wake.at.since(bench.now.mono);
            bench.now.mono = wake.at;
            assert!(matches!(bench.platform.poll(bench.now), Turn::Idle(_)));
        }
        let silent = if dialect == Dialect::April { Offline } else { AwaitingAgent };
        assert_eq!(bench.status(&id), silent);
        assert!(matches!(bench.platform.poll(bench.now), Turn::Idle(None)));
    }
}

#[test]
fn every_act_of_an_owner_catches_up_with_time_first() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    bench.register(&id, Some(&token));
    bench.now.mono = bench.now.mono + Duration::from_secs(1000);
    assert!(bench.platform.set_secret(bench.now, &id, "K", "v"));
    assert_eq!(bench.status(&id), AwaitingAgent);
    assert_eq!(bench.get(&path::secret_values(&id), Some(token.expose())), (200, json!({"K": "v"})));
}
