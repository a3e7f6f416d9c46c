//! A request whose answer carries a token gets all the time of its call for that answer, since a token is shown only
//! once.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use molecule_core::Recovery;
use molecule_core::effect::Effect;
use molecule_core::machine::Machine;
use molecule_core::machines::{Recover, Register};
use support::platform::{MINT, REGISTER, ROTATE};
use support::*;

/// The time limits for the head and the whole of the first request to this route.
fn limits<M, T>(agent: &mut Agent, platform: &mut Platform, machine: M, route: &str) -> (Duration, Duration)
where
    M: Machine<Output = molecule_core::Result<T>> + std::fmt::Debug,
    T: std::fmt::Debug,
{
    let mut driven = Driven::new(machine);
    driven.drive_for(agent, secs(1), &mut |seen| if seen.is(route) { Reply::Never } else { platform.serve(seen) });
    match driven.in_flight.values().next() {
        Some(Effect::Http(_, limits)) => (limits.head, limits.total),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_register_without_a_bearer_gets_the_whole_call() {
    let whole = (secs(90), secs(90));
    let (mut agent, mut platform) = (Agent::new(), Platform::current().without_token());
    assert_eq!(limits(&mut agent, &mut platform, Register::new(), REGISTER), whole);
    let mut agent = Agent::stored(&secret("first"));
    assert_eq!(limits(&mut agent, &mut platform, Register::new(), REGISTER), (secs(10), secs(30)), "it mints nothing");
}

#[test]
fn a_rotation_gets_the_whole_call() {
    for recovery in [Recovery::Own, Recovery::admin(&secret("admin")).unwrap()] {
        let (mut agent, mut platform) = (Agent::stored(&secret("first")), Platform::current());
        assert_eq!(limits(&mut agent, &mut platform, Recover::new(recovery), ROTATE), (secs(90), secs(90)));
    }
}

#[test]
fn one_more_token_gets_the_whole_call() {
    let (mut agent, mut platform) = (Agent::stored(&secret("first")), Platform::april());
    let recover = Recover::new(Recovery::Own);
    assert_eq!(limits(&mut agent, &mut platform, recover, MINT), (secs(90), secs(90)));
}
