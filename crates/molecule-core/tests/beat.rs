//! A heartbeat outside the loop, and what the agent learns from its answer.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::Beat;
use molecule_core::{ErrorKind, Event};
use serde_json::json;
use support::platform::HEARTBEAT;
use support::*;

#[test]
fn its_answer_tells_the_dialect_and_when_it_was_well() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = Agent::stored(&secret("first"));
        run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
        let health = agent.session.health();
        assert_eq!((health.dialect, health.last_beat), (Some(platform.dialect), Some(agent.now.unix)));
    }
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Beat::new(), |_| Answer::error(500, "failed to update").into()).unwrap_err();
    let health = agent.session.health();
    assert_eq!((health.dialect, health.last_beat), (None, None));
}

#[test]
fn the_generation_is_echoed_and_kept_where_an_answer_has_none() {
    let mut agent = Agent::stored(&secret("first"));
    let mut echoed = Vec::new();
    for generation in [json!(3), json!(4), json!(null), json!("odd")] {
        run(&mut agent, Beat::new(), |seen| {
            echoed.push(seen.body["observed_generation"].clone());
            Answer::json(200, json!({"status": "ok", "generation": generation})).into()
        })
        .unwrap();
    }
    run(&mut agent, Beat::new(), |seen| {
        echoed.push(seen.body["observed_generation"].clone());
        Answer::json(200, json!({"status": "ok"})).into()
    })
    .unwrap();
    assert_eq!(echoed, [json!(null), json!(3), json!(4), json!(4), json!(4)]);
}

#[test]
fn an_inbound_secret_is_stored_before_the_beat_is_done_and_never_overwritten_with_nothing() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::current();
    run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.inbound, Some(secret("inbound")));
    assert!(agent.take_trace().ends_with(
        "feed 3 Host(Replaced)\n\
         event InboundSecretChanged\n\
         done HeartbeatAnswer { status: \"ok\", generation: Some(3), platform_inbound_secret: Some([redacted]) }"
    ));
    for announced in [None, Some(String::new()), Some(" ".to_owned()), Some(secret("inbound"))] {
        platform.inbound = announced;
        run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(agent.store.inbound, Some(secret("inbound")));
    }
    assert!(!agent.take_trace().contains("InboundSecret,"), "written again");
}

#[test]
fn a_store_that_fails_does_not_fail_the_beat() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.fail("Replace");
    let mut platform = Platform::current();
    let mut driven = Driven::new(Beat::new());
    driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert!(matches!(driven.events[..], [Event::Warning(_), Event::InboundSecretChanged]), "{:?}", driven.events);
    assert_eq!(agent.session.inbound_secret().unwrap().expose(), secret("inbound"));
}

#[test]
fn it_is_retried_like_every_call() {
    let mut agent = Agent::stored(&secret("first"));
    let mut requests = 0;
    let error = run(&mut agent, Beat::new(), |seen| {
        assert!(seen.is(HEARTBEAT));
        requests += 1;
        Answer::error(502, "gateway").into()
    });
    let error = error.unwrap_err();
    assert_eq!((requests, error.kind(), error.operation()), (4, ErrorKind::Unavailable, "heartbeat"));
}
