//! The values that an agent reports are sent with its next heartbeat.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::Beat;
use molecule_core::proto::{Capabilities, RuntimeMetadata, RuntimeState};
use molecule_core::{ErrorKind, Report};
use serde_json::{Value, json};
use support::platform::HEARTBEAT;
use support::*;

/// The body of a heartbeat that is sent now.
fn beat(agent: &mut Agent, platform: &mut Platform) -> Value {
    run(agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
    platform.last(HEARTBEAT).body.clone()
}

#[test]
fn a_beat_says_what_was_reported_last() {
    let (mut agent, mut platform) = (Agent::stored(&secret("first")), Platform::current());
    let quiet = json!({
        "workspace_id": ID, "error_rate": 0.0, "sample_error": "", "active_tasks": 0, "uptime_seconds": 0, "current_task": "",
    });
    assert_eq!(beat(&mut agent, &mut platform), quiet);

    let metadata = RuntimeMetadata::new().capabilities(Capabilities::new().status_mgmt(true)).idle_timeout_seconds(60);
    let report = Report::new().active_tasks(2).current_task("reading").error_rate(0.25).sample_error("no route");
    let report = report.runtime_state(RuntimeState::Wedged).monthly_spend(1234).runtime_metadata(metadata);
    agent.session.report(Report::new().current_task("older").active_tasks(9)).unwrap();
    agent.session.report(report).unwrap();
    let full = json!({
        "workspace_id": ID, "error_rate": 0.25, "sample_error": "no route", "active_tasks": 2, "is_busy": true,
        "uptime_seconds": 0, "current_task": "reading", "monthly_spend": 1234, "runtime_state": "wedged",
        "observed_generation": 3,
        "runtime_metadata": {"capabilities": {"status_mgmt": true}, "idle_timeout_seconds": 60},
    });
    assert_eq!(beat(&mut agent, &mut platform), full);
    assert_eq!(beat(&mut agent, &mut platform), full, "it goes with every beat");

    // A value that a later report does not set stays; one that it sets wins.
    agent.session.report(Report::new().active_tasks(0).runtime_state(RuntimeState::Healthy)).unwrap();
    let body = beat(&mut agent, &mut platform);
    assert_eq!(
        (&body["active_tasks"], &body["is_busy"], &body["current_task"]),
        (&json!(0), &json!(false), &json!("reading"))
    );
    assert_eq!(body.get("runtime_state"), None);
    assert_eq!(body["monthly_spend"], 1234);
}

#[test]
fn values_that_the_server_cannot_take_are_refused_and_change_nothing() {
    let (mut agent, mut platform) = (Agent::stored(&secret("first")), Platform::current());
    agent.session.report(Report::new().active_tasks(1).error_rate(0.5)).unwrap();
    let before = beat(&mut agent, &mut platform);
    for report in [
        Report::new().active_tasks(7).error_rate(f64::NAN),
        Report::new().error_rate(f64::INFINITY),
        Report::new().error_rate(-0.1),
        Report::new().error_rate(1.01),
        Report::new().monthly_spend(1_000_000_000_001),
        Report::new().active_tasks(u32::MAX),
        Report::new().current_task("a\0b"),
        Report::new().sample_error("\0"),
    ] {
        let error = agent.session.report(report.clone()).expect_err(&format!("took {report:?}"));
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "report"));
        assert!(error.to_string().contains("; "), "no remedy: {error}");
    }
    let mut after = beat(&mut agent, &mut platform);
    after.as_object_mut().unwrap().remove("observed_generation");
    assert_eq!(after, before);
    agent.session.report(Report::new().error_rate(1.0).monthly_spend(1_000_000_000_000)).unwrap();
}

#[test]
fn uptime_counts_from_the_first_request_on_the_clock_that_only_grows() {
    let (mut agent, mut platform) = (Agent::stored(&secret("first")), Platform::current());
    agent.advance(secs(500));
    assert_eq!(beat(&mut agent, &mut platform)["uptime_seconds"], 0);
    agent.advance(secs_f64(59.9));
    assert_eq!(beat(&mut agent, &mut platform)["uptime_seconds"], 59);
    // The wall clock jumps back by an hour.
    agent.now.unix = molecule_core::proto::UnixTime::from_secs(agent.now.unix.as_secs() - 3600);
    agent.advance(secs(60));
    assert_eq!(beat(&mut agent, &mut platform)["uptime_seconds"], 119);
}

#[test]
fn the_loops_beats_carry_the_report() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.agent.session.report(Report::new().current_task("reading").active_tasks(1)).unwrap();
    run.on(secs(31));
    let body = &run.platform.last(HEARTBEAT).body;
    assert_eq!((&body["current_task"], &body["observed_generation"]), (&json!("reading"), &json!(3)));
    assert!(body["uptime_seconds"].as_u64().is_some_and(|uptime| (90..=131).contains(&uptime)), "{body}");
}
