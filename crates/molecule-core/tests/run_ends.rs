//! The ends of the loop without a stop, and what does not end it.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::FaultKind;
use molecule_core::endpoint::Secrets;
use molecule_core::machines::{Call, Recover};
use molecule_core::{Ended, ErrorKind, Event, Recovery};
use serde_json::json;
use support::platform::{HEARTBEAT, REGISTER, SECRETS, STATE, VIEW};
use support::*;

fn both() -> [Platform; 2] {
    [Platform::current(), Platform::april()]
}

#[test]
fn a_deleted_workspace_ends_the_loop_and_is_never_registered() {
    for platform in both() {
        for purged in [false, true] {
            let mut run = Looped::usual(Platform { ..Platform::new(platform.dialect) });
            run.on(secs(100));
            // Heartbeats still get good answers, since nothing authenticates them any more.
            (run.platform.removed, run.platform.purged) = (true, purged);
            let (from, before) = (run.agent.now.mono, run.platform.count(REGISTER));
            assert_eq!(run.end().unwrap(), Ended::Deleted, "{:?} {purged}", platform.dialect);
            assert!(run.agent.since(from) <= secs(65), "it took {:?}", run.agent.since(from));
            let views: Vec<_> = run.platform.times(VIEW).into_iter().filter(|at| *at >= from).collect();
            assert!(views.len() == 2 && views[1].since(views[0]) >= secs(30), "not told twice: {views:?}");
            assert_eq!(run.platform.count(REGISTER), before, "a removed id was registered");
            assert_eq!(run.agent.store.token, Some(secret("first")));
            assert_eq!(run.agent.store.locked, None);
        }
    }
}

#[test]
fn a_start_after_the_deletion_is_an_error_and_overwrites_nothing() {
    for mut platform in both() {
        platform.removed = true;
        let mut run = Looped::usual(platform);
        assert_eq!(run.end().unwrap_err().kind(), ErrorKind::Removed);
        assert_eq!((run.platform.count(REGISTER), run.platform.minted), (0, 0));
        assert_eq!(run.agent.store.token, Some(secret("first")));
        assert_eq!(run.agent.store.locked, None);
    }
}

#[test]
fn a_state_that_says_deleted_ends_the_loop() {
    for answer in [
        Answer::json(404, json!({"workspace_id": ID, "status": "removed", "deleted": true})),
        Answer::json(404, json!({"workspace_id": ID, "deleted": true})),
        Answer::json(200, json!({"workspace_id": ID, "status": "removed", "paused": false, "deleted": true})),
    ] {
        let mut run = Looped::usual(Platform::current());
        run.platform.weather = Box::new(move |seen| seen.is(STATE).then(|| answer.clone().into()));
        assert_eq!(run.end().unwrap(), Ended::Deleted);
        assert_eq!((run.platform.count(REGISTER), run.platform.count(STATE)), (1, 2));
        assert!(run.gaps(STATE)[0] >= 30.0, "not an interval apart: {:?}", run.gaps(STATE));
    }
}

#[test]
fn a_state_that_says_deleted_once_ends_nothing() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.events();
    let mut once = true;
    run.platform.weather = Box::new(move |seen| {
        let says = seen.is(STATE) && std::mem::take(&mut once);
        says.then(|| Answer::json(404, json!({"workspace_id": ID, "status": "removed", "deleted": true})).into())
    });
    run.on(secs(3600));
    assert!(matches!(&run.events()[..], [Event::Warning(told)] if told.contains("asked again")));
}

#[test]
fn answers_of_somebody_else_end_nothing() {
    let odd: [fn() -> Reply; 8] = [
        || Answer::empty(404).into(),
        || Answer::html(404).into(),
        || Answer::text(404, "404 page not found").into(),
        || Answer::json(400, json!({"error": "missing tenant", "code": "TENANT_ORG_HEADER_REQUIRED"})).into(),
        || Answer::empty(403).into(),
        || Answer::empty(302).header("location", "/login").into(),
        || Answer::html(200).into(),
        || fault(FaultKind::Interrupted).into(),
    ];
    for reply in odd {
        let mut run = Looped::usual(Platform::current());
        run.on(secs(100));
        let from = run.agent.now.mono;
        run.platform.weather = Box::new(move |seen| (seen.at.since(from) < secs(2 * 3600)).then(reply));
        run.on(secs(2 * 3600 + 60));
        run.events();
        run.on(secs(600));
        let health = run.agent.session.health();
        assert_eq!((health.heartbeat_failures, health.state_failures, health.register_failures), (0, 0, 0));
        assert!(run.since(HEARTBEAT, run.agent.now.mono - secs(600)) >= 20, "{:?}", run.events());
    }
}

/// April answers the state with 401 while its database is down, and everything else with 500.
#[test]
fn an_outage_that_looks_like_a_dead_token_is_waited_out() {
    let views: [fn() -> Reply; 4] = [
        || Answer::error(500, "db").into(),
        || Answer::error(503, "down").into(),
        || Answer::error(429, "rate limit exceeded").header("retry-after", "20").into(),
        || unsent(FaultKind::Connect).into(),
    ];
    for platform in both() {
        for view in views {
            let mut run = Looped::usual(Platform::new(platform.dialect));
            run.on(secs(100));
            let (from, before) = (run.agent.now.mono, run.platform.count(REGISTER));
            run.platform.weather = Box::new(move |seen| {
                let down = seen.at.since(from) < secs(600);
                let reply = || match () {
                    () if seen.is(VIEW) => view(),
                    () if seen.is(STATE) => Answer::error(401, "invalid workspace auth token").into(),
                    () => Answer::error(500, "failed to update").into(),
                };
                down.then(reply)
            });
            run.on(secs(590));
            assert_eq!(run.platform.count(REGISTER), before, "registered without a view");
            run.on(secs(600));
            assert!(run.platform.count(REGISTER) > before, "it came back");
            let health = run.agent.session.health();
            assert_eq!((health.heartbeat_failures, health.state_failures, health.register_failures), (0, 0, 0));
            assert_eq!(run.agent.store.token, Some(secret("first")));
        }
    }
}

#[test]
fn where_every_token_was_revoked_a_new_one_is_minted_saved_and_used() {
    for platform in both() {
        let mut run = Looped::usual(platform);
        run.on(secs(100));
        run.events();
        run.platform.live.clear();
        run.on(secs(600));
        assert_eq!(run.platform.minted, 1);
        assert_eq!(run.agent.store.token, Some(secret("minted1")));
        assert_eq!(run.platform.last(HEARTBEAT).bearer, Some(secret("minted1")));
        assert_eq!(run.platform.last(STATE).bearer, Some(secret("minted1")));
        let events = run.events();
        assert_eq!(events.iter().filter(|event| **event == Event::TokenChanged).count(), 1, "{events:?}");
        assert!(events.iter().any(|event| matches!(event, Event::Registered { minted: true, .. })));
        assert_eq!(run.agent.session.health().state_failures, 0);
    }
}

#[test]
fn a_token_that_is_dead_among_others_ends_it_after_three_refused_registers() {
    for platform in both() {
        let mut run = Looped::usual(platform);
        run.on(secs(100));
        run.platform.live = [secret("others")].into();
        let (from, before) = (run.agent.now.mono, run.platform.seen.len());
        assert_eq!(run.end().unwrap(), Ended::Unauthorized);
        let registers: Vec<_> = run.platform.seen[before..].iter().filter(|seen| seen.is(REGISTER)).collect();
        // The session remembers April's dialect: no register is wasted on an empty URL.
        assert_eq!(registers.len(), 3);
        let gaps: Vec<_> = registers.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs_f64()).collect();
        assert!(gaps.iter().all(|gap| (30.0..=31.0).contains(gap)), "not an interval apart: {gaps:?}");
        let viewed = run.platform.seen[before..].iter().filter(|seen| seen.is(VIEW)).count();
        assert_eq!(viewed, 3, "each looks at the view first");
        assert!(run.agent.since(from) < secs(95));
        assert_eq!(run.agent.store.token, Some(secret("first")), "the store keeps what it has");
        assert_eq!(run.agent.store.locked, None);
    }
}

#[test]
fn a_good_state_between_them_forgives_refused_registers() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let mut flips = 0u32;
    run.platform.weather = Box::new(move |seen| {
        // All registers are refused; one of five polls of the state is refused.
        flips += u32::from(seen.is(STATE));
        let refuse = seen.is(REGISTER) || (seen.is(STATE) && flips % 5 == 1);
        refuse.then(|| Answer::error(401, "invalid workspace auth token").into())
    });
    // The state is polled every 27 s and the register is sent every 30 s, so a good poll always lies between two
    // registers.
    run.on(secs(3600));
    let registers = run.platform.count(REGISTER);
    assert!(registers > 10, "{registers}: nothing was refused");

    // With a poll each second, good answers of the state come between them.
    let mut run = Looped::with(Agent::options().state_interval(secs(1)), Platform::current());
    run.on(secs(100));
    let mut flips = 0u32;
    run.platform.weather = Box::new(move |seen| {
        flips += u32::from(seen.is(STATE));
        let refuse = seen.is(REGISTER) || (seen.is(STATE) && flips % 60 == 1);
        refuse.then(|| Answer::error(401, "invalid workspace auth token").into())
    });
    run.on(secs(100));
}

#[test]
fn a_token_that_another_process_rotated_is_taken_from_the_store() {
    for platform in both() {
        let mut run = Looped::usual(platform);
        run.on(secs(100));
        run.events();
        run.platform.live = [secret("rotated")].into();
        run.agent.store.token = Some(secret("rotated"));
        run.agent.store.token_reads = 0;
        let before = run.platform.count(REGISTER);
        run.on(secs(600));
        let events = run.events();
        assert_eq!(events, [Event::TokenChanged], "and nothing else");
        assert_eq!(run.platform.count(REGISTER), before);
        assert!(run.agent.store.token_reads <= 2, "{} reads", run.agent.store.token_reads);
        assert_eq!(run.platform.last(HEARTBEAT).bearer, Some(secret("rotated")));
        assert_eq!(run.platform.last(STATE).bearer, Some(secret("rotated")));
    }
}

#[test]
fn a_token_that_this_agent_recovers_beside_the_loop_is_used_by_it() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let Looped { agent, platform, .. } = &mut run;
    support::run(agent, Recover::new(Recovery::Own), |seen| platform.serve(seen)).unwrap();
    support::run(agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
    assert_eq!(run.platform.last(SECRETS).bearer, Some(secret("minted1")));
    let before = run.platform.count(REGISTER);
    run.on(secs(600));
    assert_eq!(run.platform.last(HEARTBEAT).bearer, Some(secret("minted1")));
    assert_eq!((run.platform.count(REGISTER), run.agent.session.health().heartbeat_failures), (before, 0));
}

#[test]
fn the_errors_of_the_first_register_are_the_loops() {
    type Case = (fn(&mut Platform), Option<&'static str>, ErrorKind);
    let cases: [Case; 7] = [
        (|_| {}, None, ErrorKind::TokenNotHeld),
        (|_| {}, Some("old"), ErrorKind::Revoked),
        (|platform| platform.removed = true, Some("first"), ErrorKind::Removed),
        (|platform| platform.purged = true, None, ErrorKind::NotCreated),
        (
            |platform| platform.weather = Box::new(|_| Some(Answer::error(500, "db").into())),
            Some("first"),
            ErrorKind::Unavailable,
        ),
        (
            |platform| platform.weather = Box::new(|_| Some(Answer::empty(404).into())),
            Some("first"),
            ErrorKind::Routing,
        ),
        (
            |platform| platform.weather = Box::new(|_| Some(unsent(FaultKind::Tls).into())),
            Some("first"),
            ErrorKind::Tls,
        ),
    ];
    for (spoil, held, kind) in cases {
        let mut platform = Platform::current();
        spoil(&mut platform);
        let agent = held.map_or_else(Agent::new, |name| Agent::stored(&secret(name)));
        let mut run = Looped::new(agent, platform);
        let error = run.end().unwrap_err();
        assert_eq!((error.kind(), error.operation()), (kind, "register"));
        assert_eq!((run.platform.count(HEARTBEAT), run.platform.count(STATE)), (0, 0), "a lane went before it");
        assert_eq!(run.agent.store.locked, None, "{kind:?}: the lock was kept");
    }
}

#[test]
fn a_token_of_the_first_register_that_cannot_be_saved_is_the_error() {
    let mut agent = Agent::new();
    agent.store.fail("Replace");
    let mut run = Looped::new(agent, Platform::current().without_token());
    assert_eq!(run.end().unwrap_err().kind(), ErrorKind::TokenNotSaved);
}

#[test]
fn a_token_of_a_later_register_that_cannot_be_saved_is_a_warning() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.events();
    run.agent.store.fail("Replace");
    run.platform.live.clear();
    run.on(secs(600));
    let warned = |event: &Event| matches!(event, Event::Warning(said) if said.contains("could not be stored"));
    assert!(run.events().iter().any(warned));
    assert_eq!(run.platform.last(STATE).bearer, Some(secret("minted1")));
    assert_eq!(run.agent.session.health().state_failures, 0);
}
