//! What the event stream tells, and what a refusal asks for, makes no request without a pause, and is not forgotten
//! because another request is under way.

use crate::support::platform::{FEED, HEARTBEAT, REGISTER, STATE, STREAM};
use crate::support::*;
use bytes::Bytes;
use molecule_core::effect::{Effect, EffectId, Outcome};
use serde_json::json;

/// A loop whose event stream is open.
fn watching() -> Received {
    let mut run = Received::usual();
    run.platform.weather = Box::new(|seen| seen.is(STREAM).then_some(Reply::Never));
    run.on(secs(5));
    tell(&mut run, "ACTIVITY_LOGGED");
    run.on(secs(40));
    run
}

fn stream(run: &Received) -> EffectId {
    let streams = run.driven.in_flight.iter().filter(|(_, effect)| matches!(effect, Effect::Watch(..)));
    *streams.map(|(id, _)| id).next().expect("no stream")
}

fn tell(run: &mut Received, name: &str) {
    let id = stream(run);
    // The stream also shows each heartbeat of the agent, else it counts as dead.
    let event = |name| format!("data: {{\"type\":\"{name}\",\"timestamp\":1,\"data\":{{}}}}\n\n");
    let event = event(name) + &event("WORKSPACE_HEARTBEAT");
    assert!(run.driven.feed(&mut run.agent, id, Outcome::Part(Bytes::from(event))).is_none());
    run.driven.settle(&mut run.agent);
}

fn since(run: &Received, what: &str, from: molecule_core::proto::Time) -> usize {
    run.platform
        .seen
        .iter()
        .filter(|seen| seen.at >= from && format!("{} {}", seen.method, seen.path).starts_with(what))
        .count()
}

#[test]
fn events_without_end_ask_for_the_state_at_most_once_a_second() {
    for name in ["WORKSPACE_PAUSED", "WORKSPACE_SOMETHING_NEW", "REQUEST_CREATED"] {
        let mut run = watching();
        let from = run.agent.now.mono;
        for _ in 0..1_000 {
            tell(&mut run, name);
            run.on(Duration::from_millis(10));
        }
        for what in [STATE, HEARTBEAT] {
            let sent = since(&run, what, from);
            assert!(sent <= 12, "{sent} of {what} in 10 s of {name}");
        }
    }
}

#[test]
fn a_failing_lane_keeps_its_wait() {
    let mut run = watching();
    run.platform.weather = Box::new(|seen| match seen {
        seen if seen.is(STREAM) => Some(Reply::Never),
        seen => seen.is(STATE).then(|| Answer::error(503, "busy").header("retry-after", "20").into()),
    });
    tell(&mut run, "WORKSPACE_PAUSED");
    run.on(secs(5));
    let from = run.agent.now.mono;
    for _ in 0..100 {
        tell(&mut run, "WORKSPACE_PAUSED");
        run.on(Duration::from_millis(100));
    }
    assert_eq!(since(&run, STATE, from), 0, "the server asked for a wait");
}

/// The answer that is on its way may be older than the event.
#[test]
fn what_is_told_during_a_request_is_asked_once_more() {
    for (name, what) in [("WORKSPACE_PAUSED", STATE), ("REQUEST_CREATED", HEARTBEAT)] {
        let mut run = watching();
        let answer = match what {
            STATE => json!({"workspace_id": ID, "status": "online", "paused": false, "deleted": false}),
            _ => json!({"status": "ok"}),
        };
        run.platform.weather = Box::new(move |seen| match seen {
            seen if seen.is(STREAM) => Some(Reply::Never),
            seen => seen.is(what).then(|| Reply::After(secs(5), Answer::json(200, answer.clone()).outcome())),
        });
        let from = run.agent.now.mono;
        tell(&mut run, name);
        run.on(secs(3));
        assert_eq!(since(&run, what, from), 1);
        tell(&mut run, name);
        run.on(secs(4));
        assert_eq!(since(&run, what, from), 2, "{name} was forgotten");
        run.on(secs(10));
        assert_eq!(since(&run, what, from), 2, "{name} is asked for again and again");
    }
}

/// A heartbeat while a handler runs says so, and the platform gives no turn then.
#[test]
fn the_extra_heartbeat_waits_until_nothing_runs() {
    let mut run = watching();
    run.handler(|_| Reply::After(secs(10), silent()));
    run.user("hello");
    tell(&mut run, "ACTIVITY_LOGGED");
    run.on(secs(1));
    assert_eq!(run.agent.session.health().handling, 1);
    tell(&mut run, "REQUEST_CREATED");
    let from = run.agent.now.mono;
    run.on(secs(12));
    let beats: Vec<_> = run.platform.seen.iter().filter(|seen| seen.is(HEARTBEAT) && seen.at >= from).collect();
    assert!(
        beats.iter().any(|beat| beat.body["active_tasks"] == 0 && beat.at.since(from) <= secs(11)),
        "{}",
        beats.len()
    );
}

/// A register shows whether the bearer lives. Where it does, the refused request must not follow at once.
#[test]
fn a_feed_that_is_refused_while_the_bearer_lives_makes_no_loop() {
    for refused in [FEED, STREAM] {
        let mut run = Received::usual();
        run.platform.weather = Box::new(move |seen| {
            let what = format!("{} {}", seen.method, seen.path);
            what.starts_with(refused).then(|| Answer::error(401, "invalid workspace auth token").into())
        });
        run.on(secs(600));
        let (asked, registers) = (since(&run, refused, crate::support::agent::START), run.platform.count(REGISTER));
        assert!(asked <= 60, "{asked} of {refused} in 10 min");
        assert!(registers <= 60, "{registers} registers in 10 min for {refused}");
        assert!(run.platform.seen.len() < 250, "{}", run.platform.seen.len());
    }
}
