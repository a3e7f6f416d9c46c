//! Several concurrent calls of one peer: one of them discovers its URL, and a peer that was forgotten meanwhile is not
//! cached.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::Effect;
use molecule_core::machine::Machine;
use molecule_core::machines::{CallPeer, DiscoverPeer};
use molecule_core::{ErrorKind, PeerCall, Route};
use serde_json::json;
use support::calls::{DIRECT, URL, call, caller, found};
use support::platform::{A2A, DISCOVER, PEER};
use support::*;

/// A call that was polled until it rests.
fn begun(agent: &mut Agent, route: Route) -> Driven<CallPeer> {
    let mut driven = Driven::new(CallPeer::new(PEER, PeerCall::new("hello").route(route)).unwrap());
    driven.settle(agent);
    driven
}

/// The requests of a call in flight.
fn under_way(agent: &Agent, driven: &Driven<CallPeer>) -> Vec<String> {
    let requests = driven.in_flight.values().map(|effect| match effect {
        Effect::Http(request, _) => Seen::new(request, agent.now),
        other => panic!("{other:?}"),
    });
    let known = [DISCOVER, DIRECT, A2A];
    requests.map(|seen| known.into_iter().find(|known| seen.is(known)).unwrap_or("?").to_owned()).collect()
}

/// Feeds the answer to a call's only request.
fn answer(agent: &mut Agent, driven: &mut Driven<CallPeer>, answer: Answer) {
    let id = *driven.in_flight.keys().next().unwrap();
    driven.feed(agent, id, answer.outcome());
    driven.settle(agent);
}

#[test]
fn calls_at_once_share_one_discovery() {
    for route in [Route::Auto, Route::Direct] {
        let mut agent = caller();
        let mut first = begun(&mut agent, route);
        assert_eq!(under_way(&agent, &first), [DISCOVER]);
        let mut others: Vec<_> = (0..50).map(|_| begun(&mut agent, route)).collect();
        for _ in 0..5 {
            agent.advance(secs(1));
            for other in &mut others {
                assert!(matches!(other.settle(&mut agent), Rest::Idle(Some(_))));
                assert!(other.in_flight.is_empty(), "{:?}", under_way(&agent, other));
            }
        }
        answer(&mut agent, &mut first, found(URL));
        agent.advance(Duration::from_millis(100));
        for other in &mut others {
            other.settle(&mut agent);
            assert_eq!(under_way(&agent, other), [DIRECT]);
        }
    }
}

#[test]
fn whoever_asks_for_another_peer_waits_for_nobody() {
    let mut agent = caller();
    let _first = begun(&mut agent, Route::Auto);
    let other = CallPeer::new("00000000-0000-4000-8000-000000000001", "hello").unwrap();
    let mut other = Driven::new(other);
    other.settle(&mut agent);
    assert_eq!(other.in_flight.len(), 1);
}

#[test]
fn a_discovery_that_failed_for_one_is_not_made_again_by_those_that_can_do_without() {
    let mut agent = caller();
    let mut first = begun(&mut agent, Route::Auto);
    let mut others = [Route::Auto, Route::Auto, Route::Direct].map(|route| begun(&mut agent, route));
    answer(&mut agent, &mut first, Answer::error(500, "lookup failed"));
    assert_eq!(under_way(&agent, &first), [A2A]);
    agent.advance(Duration::from_millis(100));
    for (other, expected) in others.iter_mut().zip([A2A, A2A, DISCOVER]) {
        other.settle(&mut agent);
        assert_eq!(under_way(&agent, other), [expected]);
    }
}

#[test]
fn who_waited_for_a_discovery_that_met_the_rate_limit_stays_away_too() {
    let mut agent = caller();
    let mut first = begun(&mut agent, Route::Auto);
    let mut other = begun(&mut agent, Route::Auto);
    let limited = json!({"error": "rate limit exceeded", "retry_after": 7});
    answer(&mut agent, &mut first, Answer::json(429, limited).header("retry-after", "7"));
    // The calls retry spread over some seconds, never before the time that the server named.
    for (seconds, expected) in [(6, &[][..]), (5, &[A2A][..])] {
        for call in [&mut first, &mut other] {
            call.drive_for(&mut agent, secs(0), &mut |_: &Seen| Reply::Never);
        }
        agent.advance(secs(seconds));
        for call in [&mut first, &mut other] {
            call.settle(&mut agent);
            assert_eq!(under_way(&agent, call), expected, "after {seconds} s more");
        }
    }
}

#[test]
fn who_can_do_without_waits_for_a_discovery_no_longer_than_for_one_of_its_own() {
    let mut agent = caller();
    let mut look = Driven::new(DiscoverPeer::new(PEER).unwrap());
    look.settle(&mut agent);
    let id = *look.in_flight.keys().next().unwrap();
    let down = json!({"error": "down", "code": "platform_unavailable"});
    look.feed(&mut agent, id, Answer::json(503, down).header("retry-after", "60").outcome());
    assert!(matches!(look.settle(&mut agent), Rest::Idle(Some(_))), "it tries again in a minute");
    let mut call = begun(&mut agent, Route::Auto);
    call.drive_for(&mut agent, secs(29), &mut |_: &Seen| Reply::Never);
    assert!(call.in_flight.is_empty());
    call.drive_for(&mut agent, secs(2), &mut |_: &Seen| Reply::Never);
    assert_eq!(under_way(&agent, &call), [A2A]);
}

#[test]
fn a_discovery_that_was_cancelled_or_dropped_is_not_waited_for() {
    let mut agent = caller();
    let mut first = begun(&mut agent, Route::Auto);
    let mut other = begun(&mut agent, Route::Auto);
    first.machine.cancel(&mut agent.cx());
    first.settle(&mut agent);
    agent.advance(Duration::from_millis(100));
    other.settle(&mut agent);
    assert_eq!(under_way(&agent, &other), [A2A]);

    // The call was dropped with its runtime: a call that waited for it asks the platform itself, and a later call does
    // not wait.
    let mut agent = caller();
    let first = begun(&mut agent, Route::Auto);
    let mut other = begun(&mut agent, Route::Auto);
    drop(first);
    agent.advance(Duration::from_millis(100));
    other.settle(&mut agent);
    assert_eq!(under_way(&agent, &other), [A2A]);
    let later = begun(&mut agent, Route::Auto);
    assert_eq!(under_way(&agent, &later), [DISCOVER]);

    // The caller neither drops nor polls the call.
    let mut agent = caller();
    let kept = begun(&mut agent, Route::Auto);
    let mut other = begun(&mut agent, Route::Auto);
    other.drive_for(&mut agent, secs(100), &mut |_: &Seen| Reply::Never);
    assert_eq!(under_way(&agent, &other), [A2A]);
    drop(kept);
}

#[test]
fn who_waits_can_be_cancelled_and_keeps_its_limit() {
    let mut agent = caller();
    let first = begun(&mut agent, Route::Auto);
    let mut other = begun(&mut agent, Route::Auto);
    other.machine.cancel(&mut agent.cx());
    let end = other.finish(&mut agent, &mut |seen: &Seen| panic!("{seen}"));
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Cancelled);

    let began = agent.now.mono;
    let call = CallPeer::new(PEER, PeerCall::new("hello").timeout(secs(3))).unwrap();
    let end = Driven::new(call).finish(&mut agent, &mut |seen: &Seen| panic!("{seen}"));
    assert_eq!((end.unwrap_err().kind(), agent.since(began)), (ErrorKind::Timeout, secs(3)));
    drop(first);
}

#[test]
fn what_was_asked_before_a_peer_was_forgotten_is_not_remembered() {
    for old_comes_last in [true, false] {
        let mut agent = caller();
        let mut old = begun(&mut agent, Route::Auto);
        agent.session.invalidate_peer_url(PEER).unwrap();
        let mut new = begun(&mut agent, Route::Auto);
        assert_eq!(under_way(&agent, &new), [DISCOVER], "the platform is asked anew");
        if old_comes_last {
            answer(&mut agent, &mut new, found(URL));
            answer(&mut agent, &mut old, found("https://old.example"));
        } else {
            answer(&mut agent, &mut old, found("https://old.example"));
            answer(&mut agent, &mut new, found(URL));
        }
        let next = begun(&mut agent, Route::Auto);
        assert_eq!(under_way(&agent, &next), [DIRECT]);
    }
}

#[test]
fn a_refusal_of_a_peer_that_was_forgotten_meanwhile_is_forgotten_too() {
    let mut agent = caller();
    let mut first = begun(&mut agent, Route::Auto);
    answer(&mut agent, &mut first, found(URL));
    assert_eq!(under_way(&agent, &first), [DIRECT]);
    agent.session.invalidate_peer_url(PEER).unwrap();
    answer(&mut agent, &mut first, Answer::empty(401));
    assert_eq!(under_way(&agent, &first), [A2A]);
    for route in [Route::Auto, Route::Direct] {
        let called = call(&mut agent, PeerCall::new("hello").route(route), |seen| match seen {
            seen if seen.is(DISCOVER) => found(URL).into(),
            seen if seen.is(DIRECT) => Answer::json(200, reply("welcome")).into(),
            other => panic!("{other}"),
        });
        called.end.unwrap().reply().unwrap();
        assert_eq!(called.seen[0].is(DISCOVER), route == Route::Auto, "the platform was asked anew, once");
    }
}

#[test]
fn a_discovery_of_its_own_is_shared_too() {
    let mut agent = caller();
    let mut first = begun(&mut agent, Route::Auto);
    let mut look = Driven::new(DiscoverPeer::new(PEER).unwrap());
    look.settle(&mut agent);
    assert!(look.in_flight.is_empty());
    answer(&mut agent, &mut first, found(URL));
    let url = look.finish(&mut agent, &mut |seen: &Seen| panic!("{seen}")).unwrap();
    assert_eq!(url.unwrap().to_string(), URL);
}
