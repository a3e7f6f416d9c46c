//! A direct call reaches only public addresses of other machines, and this machine if the platform is on it. The driver
//! judges the addresses of a peer's name. A name that leads elsewhere is not called directly.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Effect, FaultKind};
use molecule_core::machines::CallPeer;
use molecule_core::{PeerCall, Route};
use support::calls::{DIRECT, URL, call, caller, found};
use support::platform::{A2A, DISCOVER, PEER};
use support::*;

#[test]
fn the_owner_chose_the_platform_and_a_stranger_the_peers_url() {
    let mut agent = caller();
    let mut driven = Driven::new(CallPeer::new(PEER, PeerCall::new("hello").route(Route::Direct)).unwrap());
    let reach = |driven: &Driven<CallPeer>| match driven.in_flight.values().next() {
        Some(Effect::Http(_, limits)) => limits.reach,
        other => panic!("{other:?}"),
    };
    driven.settle(&mut agent);
    assert_eq!(reach(&driven), Reach::Anywhere);
    let id = *driven.in_flight.keys().next().unwrap();
    driven.feed(&mut agent, id, found(URL).outcome());
    driven.settle(&mut agent);
    assert_eq!(reach(&driven), Reach::Public);
}

#[test]
fn a_name_that_leads_elsewhere_is_no_direct_call() {
    for (route, expected) in [
        (Route::Auto, "replied: by the platform"),
        (Route::Direct, "not delivered: the peer has no URL that can be called"),
    ] {
        let mut agent = caller();
        let mut answer = |seen: &Seen| match seen {
            seen if seen.is(DISCOVER) => found(URL).into(),
            seen if seen.is(A2A) => Answer::json(200, reply("by the platform")).into(),
            seen if seen.is(DIRECT) => unsent(FaultKind::OutOfReach).into(),
            other => panic!("{other}"),
        };
        let called = call(&mut agent, PeerCall::new("hello").route(route), &mut answer);
        assert_eq!(called.end.unwrap().to_string(), expected);
        // The direct call is not tried again before the refusal expires.
        let again = call(&mut agent, PeerCall::new("hello"), &mut answer);
        assert!(!again.requests().contains(&DIRECT.to_owned()), "{:?}", again.requests());
    }
}
