//! A request that may not be repeated, or whose answer may take minutes, asks for a connection that was heard within
//! seconds, or for a new one.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Debug;
use std::time::Duration;

use molecule_core::effect::connection::{HEARD, KEPT};
use molecule_core::effect::{Effect, Limits};
use molecule_core::endpoint::{Auth, Rotate, Secrets};
use molecule_core::machine::Machine;
use molecule_core::machines::{Beat, Call, CallPeer, Install};
use molecule_core::plugin::Plugin;
use molecule_core::{PeerCall, Result, Route, Timeouts};
use support::calls::{URL, caller, found};
use support::platform::PEER;
use support::*;

/// The limits of a machine's first request.
fn first<T: Debug>(agent: &mut Agent, machine: impl Machine<Output = Result<T>> + Debug) -> Limits {
    let mut driven = Driven::new(machine);
    driven.settle(agent);
    while let Some((id, Effect::Host(op))) = driven.in_flight.first_key_value() {
        let (id, outcome) = (*id, agent.store.perform(op));
        driven.feed(agent, id, outcome);
        driven.settle(agent);
    }
    match driven.in_flight.values().next() {
        Some(
            Effect::Http(_, limits)
            | Effect::Fetch(_, limits, _)
            | Effect::Upload(_, limits, _)
            | Effect::Watch(_, limits),
        ) => *limits,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_repeated_at_once_goes_onto_any_kept_connection() {
    assert_eq!(first(&mut caller(), Beat::new()).max_idle, KEPT);
    assert_eq!(first(&mut caller(), Call::new(Secrets)).max_idle, KEPT);
}

#[test]
fn what_is_never_sent_twice_goes_onto_a_connection_that_was_heard_or_a_new_one() {
    for limit in [Duration::from_secs(20), Duration::from_secs(90)] {
        let timeouts = Timeouts::new().call(limit);
        let mut agent = Agent::with(Agent::options().token(secret("first")).timeouts(timeouts), 7);
        assert_eq!(first(&mut agent, Call::new(Rotate(Auth::Bearer))).max_idle, HEARD, "{limit:?}");
    }
}

#[test]
fn a_call_of_a_peer_does_so_however_short_it_is() {
    for timeout in [Duration::from_secs(2), Duration::from_secs(300)] {
        let message = |route| PeerCall::new("hello").route(route).timeout(timeout);
        assert_eq!(first(&mut caller(), CallPeer::new(PEER, message(Route::Proxy)).unwrap()).max_idle, HEARD);
        let mut agent = caller();
        let mut driven = Driven::new(CallPeer::new(PEER, message(Route::Direct)).unwrap());
        driven.settle(&mut agent);
        let id = *driven.in_flight.keys().next().unwrap();
        driven.feed(&mut agent, id, found(URL).outcome());
        driven.settle(&mut agent);
        match driven.in_flight.values().next() {
            Some(Effect::Http(_, limits)) => assert_eq!(limits.max_idle, HEARD),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_may_take_minutes_does_so_too() {
    let long = Timeouts::new().answer(Duration::from_secs(60)).request(Duration::from_secs(60));
    let mut agent = Agent::with(Agent::options().token(secret("first")).timeouts(long), 7);
    assert_eq!(first(&mut agent, Call::new(Secrets)).max_idle, HEARD);
    // The server may take minutes to pack the archive.
    assert_eq!(first(&mut caller(), Install::new(Plugin::new("packed"))).max_idle, HEARD);
}
