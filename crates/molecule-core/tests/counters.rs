//! The counters of `Health`, and their form in a program's log.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_core::endpoint::Secrets;
use molecule_core::machines::Call;
use molecule_core::{Counters, Event};
use serde_json::json;
use support::*;

fn counters(agent: &Agent) -> Counters {
    agent.session.health().counters
}

#[test]
fn requests_retries_failures_and_bytes_are_counted() {
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    assert_eq!(counters(&agent), Counters::default());
    let mut replies = [
        Answer::error(503, "down").into(),
        Reply::from(molecule_core::effect::Outcome::Failed(Fault::new(Sent::No, FaultKind::Connect))),
        Answer::json(200, json!({"A": "1"})).into(),
    ]
    .into_iter();
    let mut driven = Driven::new(Call::new(Secrets));
    driven.finish(&mut agent, &mut |_: &_| replies.next().unwrap()).unwrap();
    let counted = counters(&agent);
    assert_eq!((counted.requests, counted.retries, counted.failures, counted.beats), (3, 2, 2, 0));
    assert_eq!(counted.bytes_sent, 0, "a GET has no body");
    assert_eq!(counted.bytes_received, (r#"{"error":"down"}"#.len() + r#"{"A":"1"}"#.len()) as u64);
    let attempts: Vec<_> = driven
        .events
        .iter()
        .map(|event| match event {
            Event::Retrying { operation, attempt, error, .. } => {
                assert!(error.starts_with("pull secrets failed: "), "{error}");
                (*operation, *attempt)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(attempts, [("pull secrets", 1), ("pull secrets", 2)]);
}

#[test]
fn a_loop_counts_its_beats() {
    let agent = Agent::with(Agent::options(), 7);
    let mut run = Looped::new(agent, Platform::current().without_token());
    run.on(secs(100));
    let counted = counters(&run.agent);
    assert!((3..=5).contains(&counted.beats), "{counted:?}");
    assert!(counted.requests > 2 * counted.beats, "looks at the state, the view and a register too: {counted:?}");
    assert_eq!((counted.retries, counted.failures), (0, 0));
    assert!(counted.bytes_sent > 100 * counted.beats && counted.bytes_received > 10 * counted.beats, "{counted:?}");
}

#[test]
fn health_is_a_record_for_logs() {
    let agent = Agent::with(Agent::options(), 7);
    assert_eq!(serde_json::to_value(agent.session.health()).unwrap()["dialect"], "unknown");
    let mut run = Looped::new(agent, Platform::current().without_token());
    run.on(secs(1));
    let record = serde_json::to_value(run.agent.session.health()).unwrap();
    assert_eq!(
        (&record["status"], &record["dialect"], &record["registered"]),
        (&json!("online"), &json!("current"), &json!(true))
    );
    assert!(record["last_beat"].as_str().unwrap().ends_with('Z'), "{record}");
    assert_eq!(record["counters"]["beats"], 1, "{record}");
}
