//! The loop's lanes: their order, their intervals, and that none waits for another. Every test checks at every step
//! that no lane has two requests in flight.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::FaultKind;
use molecule_core::machines::{Call, Run};
use molecule_core::{ErrorKind, Event, Lane};
use serde_json::json;
use support::platform::{HEARTBEAT, REGISTER, STATE};
use support::probe::Relayed;
use support::*;

fn within(gaps: &[f64], least: f64, most: f64) {
    // The tolerance of 1 µs covers rounding.
    assert!(gaps.iter().all(|gap| (least - 1e-6..=most + 1e-6).contains(gap)), "[{least}, {most}]: {gaps:?}");
}

#[test]
fn the_lock_comes_first_then_the_register_then_the_lanes() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(10));
    assert_eq!(
        run.agent.lines("start").join("\n"),
        "start 1 Lock\n\
         start 2 Load(Token)\n\
         start 3 Load(InboundSecret)\n\
         start 4 Prepare\n\
         start 5 GET /workspaces/:id\n\
         start 6 POST /registry/register (bearer)\n\
         start 7 Replace(InboundSecret, 22 bytes)\n\
         start 8 POST /registry/heartbeat (bearer)\n\
         start 9 GET /workspaces/:id/state (bearer)"
    );
}

#[test]
fn a_lock_that_another_agent_holds_is_the_error() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.held_elsewhere = true;
    let error = run(&mut agent, Run::new(), |seen| panic!("sent {seen}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert_eq!(
        error.to_string(),
        "run heartbeat loop failed: another agent of this workspace runs (/home/agent/.lock); stop it first"
    );
    let mut agent = Agent::new();
    agent.store.fail("Lock");
    let error = run(&mut agent, Run::new(), |seen| panic!("sent {seen}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[test]
fn lanes_keep_their_own_pace_early_by_up_to_a_tenth_and_never_late() {
    for seed in 0..4 {
        let options = Agent::options().state_interval(secs(12)).token(secret("first"));
        let mut run = Looped::new(Agent::with(options, seed), Platform::current());
        run.on(secs(3600));
        for (lane, interval) in [(HEARTBEAT, 30.0), (STATE, 12.0)] {
            let gaps = run.gaps(lane);
            within(&gaps[..1], 0.5 * interval, interval);
            within(&gaps[1..], 0.9 * interval, interval);
            let mean = gaps[1..].iter().sum::<f64>() / (gaps.len() - 1) as f64;
            assert!((0.93..0.97).contains(&(mean / interval)), "no even spread: {mean}");
        }
    }
}

#[test]
fn agents_that_start_together_drift_apart() {
    let mut firsts: Vec<f64> = Vec::new();
    for seed in 0..50 {
        let options = Agent::options().token(secret("first"));
        let mut run = Looped::new(Agent::with(options, seed), Platform::current());
        run.on(secs(40));
        firsts.push(run.gaps(HEARTBEAT)[0]);
    }
    assert!(firsts.iter().any(|gap| *gap < 18.0) && firsts.iter().any(|gap| *gap > 27.0), "{firsts:?}");
}

#[test]
fn a_request_that_is_never_answered_delays_no_other_lane() {
    for (stalled, other) in [(STATE, HEARTBEAT), (HEARTBEAT, STATE)] {
        let mut run = Looped::usual(Platform::current());
        run.on(secs(100));
        let from = run.agent.now.mono;
        run.platform.weather = Box::new(move |seen| seen.is(stalled).then_some(Reply::Never));
        run.on(secs(2 * 3600));
        within(&run.gaps(other)[1..], 27.0, 30.0);
        assert!(run.since(other, from) >= 240, "{}", run.since(other, from));
        assert_eq!(run.since(stalled, from), 1);
    }
}

/// If another lane's request went first and were refused, the heartbeat would be delayed again.
#[test]
fn a_heartbeat_that_a_rate_limit_put_off_goes_before_the_other_lanes() {
    for seed in 0..20 {
        let options = Agent::options().token(secret("first"));
        let mut run = Looped::new(Agent::with(options, seed), Platform::current());
        run.on(secs(100));
        let limited = || Answer::error(429, "rate limit exceeded").header("retry-after", "33").into();
        run.platform.weather = Box::new(move |seen| (!seen.is(HEARTBEAT)).then(limited));
        run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
        run.on(secs(3600));
        within(&run.gaps(HEARTBEAT), 0.0, 30.0 + 33.0 + 15.0);
    }
}

#[test]
fn a_register_that_is_never_answered_delays_no_lane() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.platform.weather = Box::new(move |seen| seen.is(REGISTER).then_some(Reply::Never));
    run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
    let from = run.agent.now.mono;
    run.on(secs(3600));
    assert_eq!(run.since(REGISTER, from), 1);
    for lane in [HEARTBEAT, STATE] {
        within(&run.gaps(lane)[1..], 27.0, 30.0);
    }
}

#[test]
fn missed_beats_are_not_made_up() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let mut slow = true;
    run.platform.weather = Box::new(move |seen| {
        (seen.is(HEARTBEAT) && std::mem::take(&mut slow))
            .then(|| Reply::After(secs(100), Answer::json(200, json!({"status": "ok"})).outcome()))
    });
    let before = run.platform.count(HEARTBEAT);
    run.on(secs(600));
    let gaps = &run.gaps(HEARTBEAT)[before - 1..];
    within(&gaps[..1], 27.0, 30.0);
    within(&gaps[1..2], 100.0, 100.0);
    within(&gaps[2..], 27.0, 30.0);
}

#[test]
fn failures_back_off_to_the_interval_and_no_further() {
    for (lane, reply) in [
        (HEARTBEAT, (|| Answer::error(500, "boom").into()) as fn() -> Reply),
        (HEARTBEAT, || unsent(FaultKind::Connect).into()),
        (STATE, || Answer::html(200).into()),
        (STATE, || fault(FaultKind::Interrupted).into()),
    ] {
        let mut run = Looped::usual(Platform::current());
        run.platform.weather = Box::new(move |seen| seen.is(lane).then(reply));
        run.on(secs(1200));
        let gaps = run.gaps(lane);
        for (n, gap) in gaps.iter().enumerate() {
            let most = f64::min(30.0, (1u64 << n.min(10)) as f64);
            within(&[*gap], most / 2.0, most);
        }
        assert!(gaps.len() > 40, "it gave up");
    }
}

#[test]
fn one_attempt_a_beat_and_success_resets_the_backoff() {
    let mut run = Looped::usual(Platform::current());
    let begin = run.began;
    run.platform.weather = Box::new(move |seen| {
        let outage = (50..120).contains(&seen.at.since(begin).as_secs());
        (seen.is(HEARTBEAT) && outage).then(|| Answer::error(502, "gateway").into())
    });
    run.on(secs(400));
    let well = run.platform.times(HEARTBEAT).into_iter().filter(|at| at.since(begin) > secs(120)).collect::<Vec<_>>();
    let gaps: Vec<f64> = well.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    within(&gaps, 27.0, 30.0);
    let events = run.events();
    let degraded = events.iter().filter(|event| matches!(event, Event::Degraded { lane: Lane::Heartbeat, .. })).count();
    let failures = degraded as u32;
    let recovered = |event: &Event| matches!(event, Event::Recovered { lane: Lane::Heartbeat, failures: before, .. } if *before == failures);
    assert!(failures > 2 && events.iter().any(recovered), "{events:?}");
}

#[test]
fn the_servers_own_wait_is_honoured_in_its_lane() {
    for (header, wait) in [("45", 45.0), ("2", 2.0), ("600", 60.0), ("0", 1.0)] {
        let mut run = Looped::usual(Platform::current());
        let answer = move || Answer::error(503, "busy").header("retry-after", header).into();
        run.platform.weather = Box::new(move |seen| seen.is(HEARTBEAT).then(answer));
        run.on(secs(300));
        // Never before that time, and somewhat later, since the server asks the same of all agents.
        within(&run.gaps(HEARTBEAT), wait, wait + f64::clamp(wait / 2.0, 1.0, 5.0));
        within(&run.gaps(STATE)[1..], 27.0, 30.0);
    }
}

#[test]
fn a_spent_rate_limit_holds_back_every_lane_and_the_heartbeat_goes_first() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let mut limited = None;
    run.platform.weather = Box::new(move |seen| {
        let first = *limited.get_or_insert(seen.at) == seen.at;
        first.then(|| Answer::error(429, "rate limit exceeded").header("retry-after", "50").into())
    });
    let from = run.agent.now.mono;
    run.on(secs(200));
    let after: Vec<&Seen> = run.platform.seen.iter().filter(|seen| seen.at >= from).collect();
    assert!(after[1].at.since(after[0].at) >= secs(50), "asked while the limit was spent");
    assert!(after[1].is(HEARTBEAT), "{} went first", after[1]);
}

#[test]
fn a_429_of_one_lane_is_the_budget_of_all() {
    for (limited, other) in [(STATE, HEARTBEAT), (HEARTBEAT, STATE)] {
        let mut run = Looped::usual(Platform::current());
        run.on(secs(100));
        let mut once = true;
        run.platform.weather = Box::new(move |seen| {
            (seen.is(limited) && std::mem::take(&mut once))
                .then(|| Answer::error(429, "rate limit exceeded").header("retry-after", "60").into())
        });
        let before = run.platform.count(limited);
        while run.platform.count(limited) == before {
            run.on(secs(1));
        }
        let told = *run.platform.times(limited).last().unwrap();
        run.on(secs(180));
        for lane in [limited, other] {
            let next = run.platform.times(lane).into_iter().find(|at| *at > told).unwrap().since(told);
            // Not before the time that the server said, and at most one window of the server later.
            assert!((secs(60)..=secs(120)).contains(&next), "{lane}: {next:?}");
        }
    }
}

#[test]
fn a_scarce_budget_holds_the_state_back_until_the_window_refills_and_no_heartbeat() {
    let mut run = Looped::usual(Platform::current());
    let begin = run.began;
    run.platform.weather = Box::new(move |seen| {
        let left = 59 - seen.at.since(begin).as_secs() % 60;
        let answer = Answer::json(200, json!({"status": "ok"})).header("x-ratelimit-limit", "600");
        let answer = answer.header("x-ratelimit-remaining", "20").header("x-ratelimit-reset", &left.to_string());
        seen.is(HEARTBEAT).then(|| answer.into())
    });
    run.on(secs(1800));
    within(&run.gaps(HEARTBEAT)[1..], 27.0, 30.0);
    let (beats, looks) = (run.platform.times(HEARTBEAT), run.platform.times(STATE));
    for pair in looks.windows(2) {
        let beat = beats.iter().rev().find(|beat| **beat < pair[1]).unwrap().since(begin).as_secs();
        let (look, waited) = (pair[1].since(begin).as_secs(), pair[1].since(pair[0]));
        // The window of the last heartbeat is over or almost over, or the poll has waited long enough.
        let refilled = look / 60 > beat / 60 || look % 60 >= 57;
        assert!(refilled || waited >= secs(300), "the beat of {beat} s said to wait: {look}, after {waited:?}");
    }
    assert!(looks.len() > 3, "starved: {looks:?}");
}

#[test]
fn a_peers_429_holds_nothing_back() {
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    let limited = || Answer::error(429, "busy").header("retry-after", "60");
    support::run(&mut agent, Call::once(Relayed), |_| limited().into()).unwrap_err();
    let mut run = Looped::new(agent, Platform::current());
    run.on(secs(1));
    assert_eq!((run.platform.count(HEARTBEAT), run.platform.count(STATE)), (1, 1));
}
