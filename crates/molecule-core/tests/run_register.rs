//! The reasons for which the loop registers again, and those for which it does not.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::FaultKind;
use molecule_core::machine::Machine;
use molecule_core::machines::{Register, Run};
use molecule_core::{Event, Lane};
use serde_json::json;
use support::platform::{HEARTBEAT, REGISTER, STATE, VIEW};
use support::*;

/// How often a loop of one hour registers if the heartbeats fail for a while.
fn registers_around_an_outage(platform: Platform, outage: u64, reply: fn() -> Reply) -> usize {
    let mut run = Looped::usual(platform);
    run.on(secs(300));
    let (from, before) = (run.agent.now.mono, run.platform.count(REGISTER));
    run.platform.weather = Box::new(move |seen| (seen.is(HEARTBEAT) && seen.at.since(from) < secs(outage)).then(reply));
    run.on(secs(3600));
    run.platform.count(REGISTER) - before
}

#[test]
fn a_gap_that_the_platform_takes_for_an_absence_is_followed_by_one_register() {
    let refused: fn() -> Reply = || unsent(FaultKind::Connect).into();
    let failing: fn() -> Reply = || Answer::error(500, "failed to update").into();
    for reply in [refused, failing] {
        // The gap is the outage plus up to one interval on either side.
        assert_eq!(registers_around_an_outage(Platform::current(), 110, reply), 0);
        assert_eq!(registers_around_an_outage(Platform::current(), 180, reply), 1);
        assert_eq!(registers_around_an_outage(Platform::april(), 25, reply), 0);
        assert_eq!(registers_around_an_outage(Platform::april(), 90, reply), 1);
    }
}

#[test]
fn a_status_that_a_register_mends_is_followed_by_one() {
    for status in ["offline", "failed", "awaiting_agent", "provisioning"] {
        for platform in [Platform::current(), Platform::april()] {
            let mut run = Looped::usual(platform);
            run.on(secs(100));
            // Heartbeats do not change this status (April's `failed`).
            let mut asked = 0;
            let answer = json!({"workspace_id": ID, "status": status, "paused": false, "deleted": false});
            run.platform.weather = Box::new(move |seen| {
                asked += u32::from(seen.is(STATE));
                (seen.is(STATE) && asked == 1).then(|| Answer::json(200, answer.clone()).into())
            });
            let before = run.platform.count(REGISTER);
            run.on(secs(3600));
            assert_eq!(run.platform.count(REGISTER), before + 1, "{status}");
        }
    }
}

#[test]
fn other_statuses_are_left_alone() {
    for status in ["degraded", "hibernated", "hibernating", "online", "a new word"] {
        let mut run = Looped::usual(Platform::current());
        let answer = json!({"workspace_id": ID, "status": status, "paused": false, "deleted": false});
        run.platform.weather = Box::new(move |seen| seen.is(STATE).then(|| Answer::json(200, answer.clone()).into()));
        run.on(secs(3600));
        assert_eq!(run.platform.count(REGISTER), 1, "{status}");
    }
}

#[test]
fn a_status_that_nothing_mends_is_registered_at_most_once_a_look() {
    let mut run = Looped::usual(Platform::current());
    let answer = json!({"workspace_id": ID, "status": "failed", "paused": false, "deleted": false});
    run.platform.weather = Box::new(move |seen| seen.is(STATE).then(|| Answer::json(200, answer.clone()).into()));
    run.on(secs(3600));
    assert!(run.platform.count(REGISTER) <= run.platform.count(STATE) + 1);
}

#[test]
fn a_state_that_was_asked_for_before_the_register_is_old_news() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let answer = json!({"workspace_id": ID, "status": "awaiting_agent", "paused": false, "deleted": false});
    let mut slow = true;
    run.platform.weather = Box::new(move |seen| {
        let reply = || Reply::After(secs(25), Answer::json(200, answer.clone()).outcome());
        (seen.is(STATE) && std::mem::take(&mut slow)).then(reply)
    });
    let asked = run.platform.count(STATE);
    while run.platform.count(STATE) == asked {
        run.on(secs(1));
    }
    run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
    run.on(secs(10));
    let before = run.platform.count(REGISTER);
    run.on(secs(3600));
    assert_eq!((before, run.platform.count(REGISTER)), (2, 2));
}

#[test]
fn a_changed_url_is_registered_at_once_and_once() {
    let mut run = Looped::usual(Platform::current());
    for (url, mode, sent) in
        [(Some("https://agent.example/a2a"), "push", "https://agent.example/a2a"), (None, "poll", "")]
    {
        run.on(secs(100));
        let (from, before) = (run.agent.now.mono, run.platform.count(REGISTER));
        run.agent.session.set_reported_url(url.map(str::to_owned)).unwrap();
        run.on(secs(3600));
        assert_eq!(run.platform.count(REGISTER), before + 1);
        let register = run.platform.last(REGISTER);
        assert_eq!(register.at, from, "not at once");
        assert_eq!((&register.body["url"], &register.body["delivery_mode"]), (&json!(sent), &json!(mode)));
    }
    // The same URL is no change.
    run.agent.session.set_reported_url(None).unwrap();
    run.on(secs(3600));
    assert_eq!(run.platform.count(REGISTER), 3);
}

#[test]
fn an_agent_that_registered_by_itself_is_not_registered_again() {
    for pause in [0, 60, 170] {
        let mut agent = Agent::stored(&secret("first"));
        let mut platform = Platform::current();
        support::run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        agent.advance(secs(pause));
        let mut run = Looped::new(agent, platform);
        run.on(secs(3600));
        assert_eq!(run.platform.count(REGISTER), 1, "{pause} s later");
    }
    // The last heartbeat is too long ago: the platform counts the agent as lost.
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::current();
    support::run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    agent.advance(secs(1000));
    let mut run = Looped::new(agent, platform);
    run.on(secs(3600));
    assert_eq!(run.platform.count(REGISTER), 2);
}

#[test]
fn a_second_loop_after_a_stop_of_the_first_registers_only_after_a_gap() {
    let mut first = Looped::usual(Platform::current());
    first.on(secs(1000));
    first.driven.machine.cancel(&mut first.agent.cx());
    first.end().unwrap();
    let mut second = Looped::new(first.agent, first.platform);
    second.driven = Driven::new(Run::new());
    second.on(secs(1000));
    assert_eq!(second.platform.count(REGISTER), 1);
}

#[test]
fn a_register_that_fails_is_tried_again_with_backoff_while_the_lanes_go_on() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.events();
    let from = run.agent.now.mono;
    run.platform.weather = Box::new(move |seen| {
        (seen.is(VIEW) && seen.at.since(from) < secs(600)).then(|| Answer::error(503, "starting").into())
    });
    run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
    run.on(secs(300));
    assert!(run.agent.session.health().register_failures > 5);
    run.on(secs(500));
    assert_eq!(run.agent.session.health().register_failures, 0);
    assert_eq!(run.platform.count(REGISTER), 2);
    let gaps = run.gaps(VIEW);
    assert!(gaps[1..].iter().all(|gap| *gap <= 30.0 + 1e-6), "{gaps:?}");
    assert!(gaps.len() < 40, "no backoff");
    assert!(run.gaps(HEARTBEAT)[1..].iter().all(|gap| *gap <= 30.0 + 1e-6));
    let events = run.events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Recovered { lane: Lane::Register, failures, .. } if *failures > 5))
    );
}

#[test]
fn a_register_of_the_loop_sends_one_request_a_turn_and_honours_its_wait() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.platform.weather =
        Box::new(|seen| seen.is(REGISTER).then(|| Answer::error(503, "busy").header("retry-after", "40").into()));
    run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
    let from = run.agent.now.mono;
    run.on(secs(125));
    let after: Vec<_> = run.platform.times(REGISTER).into_iter().filter(|at| *at >= from).collect();
    let gaps: Vec<_> = after.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    // Agents that were told the same do not all come back at once.
    assert!(gaps.len() == 2 && gaps.iter().all(|gap| (secs(40)..secs(45)).contains(gap)), "{gaps:?}");
}
