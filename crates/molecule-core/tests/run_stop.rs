//! A stop ends the loop at once, unless a register that may mint a token is in flight.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{HostResult, LockId, Outcome};
use molecule_core::machine::{Machine, StopLevel};
use molecule_core::machines::Run;
use molecule_core::{Ended, Event};
use support::platform::{HEARTBEAT, REGISTER, STATE, VIEW};
use support::*;

/// The two ways to stop the loop: the session's stop latch, and a cancel by the caller.
fn stops() -> [fn(&mut Looped); 2] {
    [
        |run| assert_eq!(run.agent.session.raise_stop(false), StopLevel::Finish),
        |run| run.driven.machine.cancel(&mut run.agent.cx()),
    ]
}

/// Asserts that the loop ends while no time passes.
fn ends_at_once(run: &mut Looped) {
    let from = run.agent.now.mono;
    assert_eq!(run.end().unwrap(), Ended::Stopped);
    assert_eq!(run.agent.since(from), secs(0), "it waited");
    assert_eq!(run.agent.store.locked, None, "the lock was kept");
}

#[test]
fn a_stop_before_the_start_ends_it_without_an_act() {
    for stop in stops() {
        let mut run = Looped::usual(Platform::current());
        stop(&mut run);
        ends_at_once(&mut run);
        assert_eq!(run.agent.take_trace(), "done Stopped");
    }
}

#[test]
fn a_latch_stays_raised_for_the_next_loop() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.agent.session.raise_stop(false);
    ends_at_once(&mut run);
    run.driven = Driven::new(Run::new());
    run.agent.take_trace();
    ends_at_once(&mut run);
    assert_eq!(run.agent.take_trace(), "done Stopped");
}

#[test]
fn the_latch_rises_and_never_falls() {
    let mut agent = Agent::new();
    assert_eq!(agent.session.stop_level(), StopLevel::None);
    assert_eq!(agent.session.raise_stop(false), StopLevel::Finish);
    assert_eq!(agent.session.raise_stop(false), StopLevel::Now);
    assert_eq!(agent.session.raise_stop(false), StopLevel::Now);
    assert_eq!(Agent::new().session.raise_stop(true), StopLevel::Now);
}

#[test]
fn a_stop_between_the_beats_ends_it_at_once() {
    for stop in stops() {
        let mut run = Looped::usual(Platform::current());
        run.on(secs(100));
        run.agent.take_trace();
        stop(&mut run);
        ends_at_once(&mut run);
        let acts = run.agent.lines("start").len() + run.agent.lines("cancel").len();
        assert_eq!(acts, 1, "more than the unlock:\n{}", run.agent.take_trace());
    }
}

#[test]
fn a_stop_cancels_what_stalls() {
    for stop in stops() {
        let mut run = Looped::usual(Platform::current());
        run.on(secs(100));
        run.platform.weather = Box::new(|seen| (seen.is(HEARTBEAT) || seen.is(STATE)).then_some(Reply::Never));
        run.on(secs(100));
        stop(&mut run);
        ends_at_once(&mut run);
        assert_eq!(run.agent.lines("cancel").len(), 2);
    }
}

#[test]
fn a_stop_while_the_lock_is_awaited_ends_it() {
    let mut run = Looped::usual(Platform::current());
    run.driven.settle(&mut run.agent);
    run.stop(false);
    assert_eq!(run.driven.settle(&mut run.agent), Rest::Done);
    assert_eq!(run.agent.take_trace(), "start 1 Lock\ncancel 1\ndone Stopped");
}

#[test]
fn a_stop_before_the_register_is_sent_sends_none() {
    for (stalled, stop) in [VIEW, VIEW].into_iter().zip(stops()) {
        let mut run = Looped::new(Agent::new(), Platform::current().without_token());
        run.platform.weather = Box::new(move |seen| seen.is(stalled).then_some(Reply::Never));
        run.on(secs(5));
        stop(&mut run);
        ends_at_once(&mut run);
        assert_eq!((run.platform.count(VIEW), run.platform.count(REGISTER)), (1, 0));
    }
}

/// A loop whose register is in flight and mints a token; its answer comes 20 s after it was sent.
fn registering() -> Looped {
    let mut run = Looped::new(Agent::new(), Platform::current().without_token());
    let answer = serde_json::json!({"status": "registered", "delivery_mode": "poll", "auth_token": secret("minted")});
    run.platform.weather = Box::new(move |seen| {
        seen.is(REGISTER).then(|| Reply::After(secs(20), Answer::json(200, answer.clone()).outcome()))
    });
    run.on(secs(5));
    run
}

#[test]
fn a_register_under_way_is_waited_for_and_its_token_saved() {
    for stop in stops() {
        let mut run = registering();
        stop(&mut run);
        assert_eq!(run.end().unwrap(), Ended::Stopped);
        assert_eq!(run.agent.since(run.began), secs(20));
        assert_eq!(run.agent.store.token, Some(secret("minted")));
        assert_eq!((run.platform.count(HEARTBEAT), run.platform.count(STATE)), (0, 0));
        assert_eq!(run.agent.store.locked, None);
    }
}

#[test]
fn a_register_under_way_that_is_refused_is_not_sent_again() {
    for (status, retry_after) in [(503, "1"), (429, "1")] {
        let mut run = Looped::new(Agent::new(), Platform::current().without_token());
        run.platform.weather = Box::new(move |seen| {
            let refused = Answer::error(status, "busy").header("retry-after", retry_after);
            seen.is(REGISTER).then(|| Reply::After(secs(20), refused.outcome()))
        });
        run.on(secs(5));
        run.stop(false);
        assert_eq!(run.end().unwrap(), Ended::Stopped);
        assert_eq!((run.platform.count(REGISTER), run.agent.since(run.began)), (1, secs(20)));
    }
}

#[test]
fn stop_now_or_a_second_stop_waits_for_nothing() {
    let now: [fn(&mut Looped); 2] = [
        |run| assert_eq!(run.agent.session.raise_stop(true), StopLevel::Now),
        |run| {
            run.agent.session.raise_stop(false);
            run.on(secs(1));
            run.agent.session.raise_stop(false);
        },
    ];
    for stop in now {
        let mut run = registering();
        stop(&mut run);
        ends_at_once(&mut run);
        assert_eq!(run.agent.store.token, None);
    }
}

#[test]
fn a_token_that_cannot_be_saved_while_stopping_is_heard_of() {
    let mut run = registering();
    run.agent.store.fail("Replace");
    run.stop(false);
    assert_eq!(run.end().unwrap(), Ended::Stopped);
    let warned = |event: &Event| matches!(event, Event::Warning(said) if said.contains("could not be stored"));
    assert!(run.events().iter().any(warned));
}

#[test]
fn a_stop_while_the_lock_is_given_back_changes_nothing() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.platform.status = "paused".to_owned();
    let until = run.agent.now.mono + secs(60);
    let Looped { agent, platform, driven, .. } = &mut run;
    let unlock = loop {
        match driven.next(agent, until, &mut |seen| platform.serve(seen)) {
            Next::Outcome(id, Outcome::Host(HostResult::Unlocked)) => break id,
            Next::Outcome(id, outcome) => drop(driven.feed(agent, id, outcome)),
            Next::Wake => {}
            end => panic!("{end:?}"),
        }
    };
    agent.session.raise_stop(true);
    assert!(matches!(driven.settle(agent), Rest::Idle(None)));
    driven.feed(agent, unlock, Outcome::Host(HostResult::Unlocked));
    driven.settle(agent);
    assert_eq!(driven.done.take().unwrap().unwrap(), Ended::Paused, "what ended it stays");
}

#[test]
fn an_unlock_that_fails_is_no_failure_of_the_loop() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.agent.store.fail("Unlock");
    run.stop(false);
    assert_eq!(run.end().unwrap(), Ended::Stopped);
}

#[test]
fn a_lock_that_arrives_together_with_the_stop_is_given_back() {
    let mut run = Looped::usual(Platform::current());
    run.driven.settle(&mut run.agent);
    let id = *run.driven.in_flight.keys().next().unwrap();
    run.agent.store.locked = Some(1);
    run.driven.feed(&mut run.agent, id, Outcome::Host(HostResult::Locked(LockId(1))));
    run.stop(false);
    ends_at_once(&mut run);
    assert!(run.platform.seen.is_empty());
}

#[test]
fn a_staggered_loop_begins_within_its_time_and_stops_before_it() {
    let mut starts = Vec::new();
    for seed in 0..40 {
        let options = Agent::options().stagger(secs(60)).token(secret("first"));
        let mut run = Looped::new(Agent::with(options, seed), Platform::current());
        run.on(secs(61));
        starts.push(run.platform.seen[0].at.since(run.began).as_secs_f64());
    }
    assert!(starts.iter().any(|start| *start < 10.0) && starts.iter().any(|start| *start > 50.0), "{starts:?}");

    let mut run = Looped::with(Agent::options().stagger(secs(3600)), Platform::current());
    run.on(secs(1));
    assert!(run.platform.seen.is_empty());
    run.stop(false);
    ends_at_once(&mut run);
}
