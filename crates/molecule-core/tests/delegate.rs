//! Delegations of tasks to peers: each has one idempotency key, which every resend repeats.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use molecule_core::effect::FaultKind;
use molecule_core::machines::Delegate;
use molecule_core::proto::{DelegationId, UnixTime};
use molecule_core::{Delegation, ErrorKind, Event, Result};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::{DELEGATE, PEER, VIEW};
use support::*;

const DELEGATED: &str = "1ac764f8-8302-4fd9-b0fd-da0d0e2ad217";

fn taken() -> Answer {
    Answer::json(202, json!({"delegation_id": DELEGATED, "status": "delegated", "target_id": PEER}))
}

/// Delegates. Returns the result, the bodies that were sent, and the events.
fn delegate(
    agent: &mut Agent,
    delegation: impl Into<Delegation>,
    mut answer: impl FnMut() -> Reply,
) -> (Result<DelegationId>, Vec<Value>, Vec<Event>) {
    let mut driven = Driven::new(Delegate::new(PEER, delegation).unwrap());
    let mut bodies = Vec::new();
    let end = driven.finish(agent, &mut |seen: &Seen| {
        // The call asks the view about a refused bearer.
        if seen.is(VIEW) {
            return Answer::json(200, json!({"id": ID, "status": "online"})).into();
        }
        assert!(seen.is(DELEGATE) && seen.bearer.is_some(), "{seen}");
        bodies.push(seen.body.clone());
        answer()
    });
    (end, bodies, driven.events)
}

#[test]
fn the_path_is_ones_own_and_the_body_names_target_task_and_key() {
    let (end, bodies, events) = delegate(&mut caller(), "index the docs", || taken().into());
    assert_eq!(end.unwrap().as_str(), DELEGATED);
    let key = bodies[0]["idempotency_key"].as_str().unwrap();
    assert_eq!(key.len(), 36);
    assert_eq!(bodies, [json!({"target_id": PEER, "task": "index the docs", "idempotency_key": key})]);
    assert!(events.is_empty());
}

#[test]
fn a_key_is_the_same_on_every_resend_and_another_for_every_delegation() {
    let mut keys = BTreeSet::new();
    for seed in 0..10 {
        let mut agent = Agent::with(Agent::options().token(secret("first")), seed);
        for _ in 0..5 {
            let mut ends = vec![
                taken().outcome(),
                fault(FaultKind::Interrupted),
                Answer::html(502).outcome(),
                unsent(FaultKind::Connect),
            ];
            let (end, bodies, _) = delegate(&mut agent, "the same words", || ends.pop().unwrap().into());
            end.unwrap();
            assert_eq!(bodies.len(), 4);
            assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
            assert!(keys.insert(bodies[0]["idempotency_key"].to_string()));
        }
    }
}

#[test]
fn the_callers_own_key_goes_and_an_empty_one_counts_as_none() {
    let sent = |delegation: Delegation| {
        let (end, bodies, _) = delegate(&mut caller(), delegation, || taken().into());
        end.unwrap();
        bodies[0]["idempotency_key"].as_str().unwrap().to_owned()
    };
    assert_eq!(sent(Delegation::new("a task").idempotency_key("mine")), "mine");
    assert_eq!(sent(Delegation::new("a task").idempotency_key("")).len(), 36);
    let python = Delegation::new("index the docs").python_key(UnixTime::from_secs(1_700_000_000));
    assert_eq!(sent(python), "110baf90e8f464306fcfa735280c62aa8b6481797d306cc62dcb565e21d529cf");
}

#[test]
fn a_hit_gives_the_earlier_delegation_unless_it_was_another_peers() {
    let known = |target: Value| {
        let body = json!({"delegation_id": DELEGATED, "status": "queued", "target_id": target, "idempotent_hit": true});
        Answer::json(200, body)
    };
    for target in [json!(PEER), json!(null)] {
        let (end, ..) = delegate(&mut caller(), "a task", || known(target.clone()).into());
        assert_eq!(end.unwrap().as_str(), DELEGATED);
    }
    let (end, ..) = delegate(&mut caller(), "a task", || known(json!(ID)).into());
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Refused, "delegate"));
    assert!(error.to_string().contains("nothing was delegated"), "{error}");
}

#[test]
fn one_that_cannot_be_followed_is_a_warning() {
    let body = json!({
        "delegation_id": DELEGATED, "status": "delegated", "target_id": PEER,
        "warning": "delegation dispatched but status tracking unavailable",
    });
    let (end, _, events) = delegate(&mut caller(), "a task", || Answer::json(202, body.clone()).into());
    assert_eq!(end.unwrap().as_str(), DELEGATED);
    let [Event::Warning(warning)] = &events[..] else { panic!("{events:?}") };
    assert!(warning.contains(DELEGATED) && warning.contains("status tracking unavailable"), "{warning}");
}

#[test]
fn refusals_are_errors_with_the_platforms_words() {
    for (status, words, kind) in [
        (400, "invalid delegation request", ErrorKind::Refused),
        (403, "tool call failed", ErrorKind::Refused),
        (401, "invalid workspace auth token", ErrorKind::Unauthorized),
    ] {
        let (end, bodies, _) = delegate(&mut caller(), "a task", || Answer::error(status, words).into());
        let error = end.unwrap_err();
        assert_eq!((error.kind(), error.server_message(), bodies.len()), (kind, Some(words), 1));
    }
}

#[test]
fn an_error_tells_the_key_under_which_the_task_is_delegated_again() {
    let unclear: [fn() -> Reply; 4] = [
        || fault(FaultKind::Interrupted).into(),
        || Answer::html(502).into(),
        || Answer::error(500, "lookup failed").into(),
        || Answer::json(200, json!({})).above_cap().into(),
    ];
    for end in unclear {
        let mut agent = caller();
        let (error, bodies, _) = delegate(&mut agent, "a task", end);
        let error = error.unwrap_err();
        assert_eq!(error.idempotency_key(), bodies[0]["idempotency_key"].as_str(), "{error}");
        assert!(error.to_string().contains("delegate it again under the same key"), "{error}");
        // This follows the error's remedy.
        let again = Delegation::new("a task").idempotency_key(error.idempotency_key().unwrap());
        let (end, resent, _) = delegate(&mut agent, again, || taken().into());
        assert_eq!((end.unwrap().as_str(), &resent[0]), (DELEGATED, &bodies[0]));
    }
    let refused: [fn() -> Reply; 3] = [
        || Answer::error(400, "invalid delegation request").into(),
        || unsent(FaultKind::Connect).into(),
        || Answer::error(429, "rate limit exceeded").into(),
    ];
    for end in refused {
        let (error, ..) = delegate(&mut caller(), Delegation::new("a task").idempotency_key("mine"), end);
        let error = error.unwrap_err();
        assert_eq!(error.idempotency_key(), Some("mine"));
        assert!(!error.to_string().contains("under the same key"), "nothing was taken: {error}");
    }
}

#[test]
fn what_cannot_be_delegated_is_refused_unsent() {
    for (target, delegation, part) in [
        ("../admin", Delegation::new("a task"), "workspace id"),
        (PEER, Delegation::new(""), "the task is empty"),
        (PEER, Delegation::new("a\0b"), "U+0000"),
        (PEER, Delegation::new("a task").idempotency_key("\0"), "U+0000"),
    ] {
        let error = Delegate::new(target, delegation).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
    }
    let end = run(&mut caller(), Delegate::new(ID, "a task").unwrap(), |seen| panic!("{seen}"));
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "delegate"));
}
