//! Answers that look like the loop's end and are not: a gateway answers in the platform's place, or a new token is on
//! its way.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::Register;
use molecule_core::{Ended, Error, ErrorKind, Event, Lane, OnPause};
use serde_json::json;
use support::platform::{HEARTBEAT, REGISTER, STATE, VIEW};
use support::*;

/// Answers of web frameworks and gateways, as JSON, and answers that differ slightly from the platform's.
fn of_something_else() -> Vec<Answer> {
    let another = "00000000-0000-4000-8000-000000000001";
    vec![
        Answer::json(404, json!({"error": "Not Found", "statusCode": 404})),
        Answer::json(404, json!({"message": "Cannot GET /workspaces", "error": "Not Found", "statusCode": 404})),
        Answer::error(404, "not found"),
        Answer::error(410, "Gone"),
        Answer::json(410, json!({"error": "workspace removed", "id": another})),
        Answer::json(200, json!({"id": another, "status": "removed"})),
    ]
}

fn in_both(mut case: impl FnMut(Platform)) {
    case(Platform::current());
    case(Platform::april());
}

/// Asserts that the loop works as before.
fn is_well(run: &mut Looped) {
    let from = run.agent.now.mono;
    run.on(secs(600));
    let health = run.agent.session.health();
    assert_eq!((health.heartbeat_failures, health.state_failures, health.register_failures), (0, 0, 0));
    assert!(run.since(HEARTBEAT, from) >= 18 && run.since(STATE, from) >= 18);
    assert_eq!(run.agent.store.token, Some(secret("first")));
}

#[test]
fn a_401_and_a_frameworks_404_or_410_end_nothing() {
    in_both(|platform| {
        for answer in of_something_else() {
            let mut run = Looped::usual(Platform::new(platform.dialect));
            run.on(secs(100));
            let (from, before) = (run.agent.now.mono, run.platform.count(REGISTER));
            run.platform.weather = Box::new(move |seen| {
                let reply = || match () {
                    () if seen.is(STATE) => Some(Answer::error(401, "invalid workspace auth token").into()),
                    () if seen.is(VIEW) => Some(answer.clone().into()),
                    () => None,
                };
                (seen.at.since(from) < secs(7200)).then(reply).flatten()
            });
            run.on(secs(7200));
            assert_eq!(run.platform.count(REGISTER), before, "registered without a view");
            is_well(&mut run);
        }
    });
}

/// A gateway answers every route in the platform's place, as during a deployment.
#[test]
fn a_framework_or_gateway_on_every_route_ends_nothing() {
    let mut answers = of_something_else();
    answers.extend([
        Answer::json(401, json!({"error": "Unauthorized", "statusCode": 401})),
        Answer::json(401, json!({"message": "No API key found in request"})),
        Answer::empty(401),
        Answer::html(401),
    ]);
    in_both(|platform| {
        for answer in answers.clone() {
            let mut run = Looped::usual(Platform::new(platform.dialect));
            run.on(secs(100));
            let from = run.agent.now.mono;
            run.platform.weather =
                Box::new(move |seen| (seen.at.since(from) < secs(3600)).then(|| answer.clone().into()));
            run.on(secs(3700));
            is_well(&mut run);
        }
    });
}

/// A gateway that passes the open view and refuses the rest.
#[test]
fn a_gateways_401s_are_no_refused_registers() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let from = run.agent.now.mono;
    run.platform.weather = Box::new(move |seen| {
        let refuses = !seen.is(VIEW) && seen.at.since(from) < secs(3600);
        refuses.then(|| Answer::error(401, "Unauthorized").into())
    });
    run.on(secs(3700));
    is_well(&mut run);
}

#[test]
fn the_platforms_own_words_once_end_nothing() {
    let words = || {
        [
            Answer::json(410, json!({"error": "workspace removed", "id": ID})),
            Answer::json(200, json!({"id": ID, "status": "removed"})),
            Answer::error(404, "workspace not found"),
        ]
    };
    for answer in words() {
        let mut run = Looped::usual(Platform::current());
        run.on(secs(100));
        run.events();
        // The view is asked at the first 401, and once more an interval later.
        let mut first = None;
        run.platform.weather = Box::new(move |seen| {
            if seen.is(STATE) {
                first.get_or_insert(seen.at);
            }
            let reply = || match () {
                () if seen.is(STATE) => Some(Answer::error(401, "invalid workspace auth token").into()),
                () if seen.is(VIEW) => Some(answer.clone().into()),
                () => None,
            };
            first.filter(|first| seen.at.since(*first) < secs(29)).and_then(|_| reply())
        });
        run.on(secs(600));
        let told = run.events();
        let lost = |event: &&Event| matches!(event, Event::Degraded { lane: Lane::Register, .. });
        let lost: Vec<_> = told.iter().filter(lost).collect();
        assert!(matches!(&lost[..], [Event::Degraded { error, .. }] if error.ends_with("before it ends")), "{told:?}");
        let recovered = |event: &Event| matches!(event, Event::Recovered { lane: Lane::Register, failures: 1, .. });
        assert!(told.iter().any(recovered), "{told:?}");
        is_well(&mut run);
    }
}

#[test]
fn a_gateways_hiccup_in_the_platforms_words_ends_nothing() {
    in_both(|platform| {
        let mut run = Looped::usual(platform);
        run.on(secs(100));
        let mut from = None;
        run.platform.weather = Box::new(move |seen| {
            let from = *from.get_or_insert(seen.at);
            (!seen.is(VIEW) && seen.at.since(from) < secs(2))
                .then(|| Answer::error(401, "invalid workspace auth token").into())
        });
        run.on(secs(100));
        is_well(&mut run);
    });
}

/// A refused register is repeated after an interval at the earliest, and the third refusal ends the loop.
#[test]
fn the_third_of_three_refusals_an_interval_apart_ends_the_loop() {
    in_both(|platform| {
        for (interval, least) in [(1, 15), (30, 30)] {
            let options = Agent::options().heartbeat_interval(secs(interval)).state_interval(secs(interval));
            let mut run = Looped::with(options, Platform::new(platform.dialect));
            run.on(secs(100));
            let from = run.agent.now.mono;
            run.platform.live = [secret("rotated")].into();
            assert_eq!(run.end().unwrap(), Ended::Unauthorized);
            let refused: Vec<_> = run.platform.times(REGISTER).into_iter().filter(|at| *at >= from).collect();
            let gaps: Vec<_> = refused.windows(2).map(|pair| pair[1].since(pair[0])).collect();
            assert!(gaps.len() == 2 && gaps.iter().all(|gap| *gap >= secs(least)), "every {interval} s: {gaps:?}");
        }
    });
}

/// A register for another reason, such as a new URL, is repeated within seconds. Its refusals count as one.
#[test]
fn refusals_within_an_interval_count_once() {
    in_both(|platform| {
        let mut run = Looped::usual(platform);
        run.on(secs(100));
        let from = run.agent.now.mono;
        run.platform.weather = Box::new(move |seen| {
            (!seen.is(VIEW) && seen.at.since(from) < secs(14))
                .then(|| Answer::error(401, "invalid workspace auth token").into())
        });
        run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
        run.on(secs(100));
        let refused = run.platform.times(REGISTER).into_iter().filter(|at| *at >= from && at.since(from) < secs(14));
        assert!(refused.count() >= 3, "the loop would have ended for too few refusals alone");
        is_well(&mut run);
    });
}

/// A token file that comes 20 s after the rotation is found, however short the intervals are.
#[test]
fn a_token_file_that_comes_after_a_rotation_is_found() {
    in_both(|platform| {
        for interval in [1, 5, 30] {
            let options = Agent::options().heartbeat_interval(secs(interval)).state_interval(secs(interval));
            let mut run = Looped::with(options, Platform::new(platform.dialect));
            run.on(secs(100));
            run.platform.live = [secret("rotated")].into();
            run.on(secs(20));
            run.agent.store.token = Some(secret("rotated"));
            run.on(secs(120));
            assert_eq!(run.platform.last(HEARTBEAT).bearer, Some(secret("rotated")));
            assert_eq!(run.platform.last(STATE).bearer, Some(secret("rotated")));
            let health = run.agent.session.health();
            assert_eq!((health.state_failures, health.register_failures), (0, 0), "every {interval} s");
        }
    });
}

#[test]
fn a_paused_agent_is_told_of_its_deletion_twice_too() {
    let mut run = Looped::with(Agent::options().on_pause(OnPause::Wait), Platform::current());
    run.on(secs(100));
    run.platform.status = "paused".to_owned();
    run.on(secs(100));
    run.platform.removed = true;
    let from = run.agent.now.mono;
    assert_eq!(run.end().unwrap(), Ended::Deleted);
    let views: Vec<_> = run.platform.times(VIEW).into_iter().filter(|at| *at >= from).collect();
    assert!(views.len() == 2 && views[1].since(views[0]) >= secs(30), "{views:?}");
}

/// Heartbeats of a deleted workspace get good answers (contract section 7.3).
#[test]
fn a_deleted_workspace_is_never_told_to_be_online() {
    in_both(|mut platform| {
        let mut agent = Agent::stored(&secret("first"));
        support::run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        platform.removed = true;
        let mut run = Looped::new(agent, platform);
        assert_eq!(run.end().unwrap(), Ended::Deleted);
        assert!(run.platform.count(HEARTBEAT) > 0);
        assert!(!run.events().contains(&Event::Online));
    });
    // The workspace was deleted while the platform could not be reached.
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    assert!(run.events().contains(&Event::Online));
    let from = run.agent.now.mono;
    run.platform.weather =
        Box::new(move |seen| (seen.at.since(from) < secs(600)).then(|| Answer::error(502, "no").into()));
    run.on(secs(590));
    run.platform.removed = true;
    assert_eq!(run.end().unwrap(), Ended::Deleted);
    assert!(!run.events().contains(&Event::Online));
}

/// A one-shot register accepts a deletion at once in the platform's exact words, and in no others.
#[test]
fn a_register_takes_nothing_else_for_a_deletion() {
    let register = |answer: Answer| -> Error {
        let mut agent = Agent::stored(&secret("first"));
        support::run(&mut agent, Register::new(), |seen| {
            assert!(seen.is(VIEW), "sent {seen}");
            answer.clone().into()
        })
        .unwrap_err()
    };
    for answer in of_something_else() {
        let error = register(answer);
        assert!(error.kind() == ErrorKind::Routing && error.is_retryable(), "{error}");
        assert!(error.to_string().contains("register failed: "), "{error}");
    }
    let error = register(Answer::json(410, json!({"error": "workspace removed", "id": ID})));
    assert_eq!(error.kind(), ErrorKind::Removed);
}
