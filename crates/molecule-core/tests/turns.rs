//! Calls that may get a token take turns, so that the newest token is stored last.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machine::Machine;
use molecule_core::machines::{Recover, Register, Run};
use molecule_core::{Recovered, Recovery};
use support::platform::{REGISTER, ROTATE, VIEW};
use support::*;

fn recovery() -> Driven<Recover> {
    Driven::new(Recover::new(Recovery::admin(&secret("admin")).unwrap()))
}

/// A recovery whose rotation is in flight.
fn rotating(agent: &mut Agent, platform: &mut Platform) -> Driven<Recover> {
    let mut first = recovery();
    first.drive_for(agent, secs(1), &mut |seen| if seen.is(ROTATE) { Reply::Never } else { platform.serve(seen) });
    assert!(first.in_flight.len() == 1 && first.done.is_none());
    first
}

#[test]
fn a_second_recovery_begins_when_the_first_has_stored_its_token() {
    let (mut agent, mut platform) = (Agent::new(), Platform::current());
    let mut first = rotating(&mut agent, &mut platform);
    let mut second = recovery();
    second.drive_for(&mut agent, secs(5), &mut |seen| platform.serve(seen));
    assert_eq!(platform.count(VIEW), 1, "the second one did not wait");
    let rotation = *first.in_flight.keys().next().unwrap();
    first.perform(&mut agent, rotation, &mut |seen| platform.serve(seen));
    first.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("minted1")));
    let recovered = second.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert_eq!((recovered, agent.store.token), (Recovered::Rotated, Some(secret("minted2"))));
}

#[test]
fn a_call_that_waits_for_its_turn_can_be_given_up() {
    let (mut agent, mut platform) = (Agent::new(), Platform::current());
    let _first = rotating(&mut agent, &mut platform);
    let mut second = Driven::new(Register::new());
    second.drive_for(&mut agent, secs(5), &mut |seen| platform.serve(seen));
    second.machine.cancel(&mut agent.cx());
    assert_eq!(second.settle(&mut agent), Rest::Done);
    assert_eq!(platform.count(REGISTER), 0);
}

/// The call was dropped because its runtime ended or a callback panicked.
#[test]
fn a_call_that_is_dropped_half_way_gives_its_turn_back_at_once() {
    let (mut agent, mut platform) = (Agent::new(), Platform::current());
    drop(rotating(&mut agent, &mut platform));
    let dropped = agent.now.mono;
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!(agent.now.mono, dropped, "it waited");
    assert_eq!(platform.count(REGISTER), 1);
}

/// A caller may keep a future without polling it.
#[test]
fn a_call_that_is_kept_and_never_polled_is_not_waited_for_for_ever() {
    let (mut agent, mut platform) = (Agent::new(), Platform::current());
    let kept = rotating(&mut agent, &mut platform);
    let mut second = recovery();
    // A clock that jumps ahead ends no turn.
    second.drive_for(&mut agent, secs(1), &mut |seen| platform.serve(seen));
    agent.advance(secs(86_400));
    second.drive_for(&mut agent, secs(60), &mut |seen| platform.serve(seen));
    assert_eq!(platform.count(VIEW), 1, "it did not wait");
    second.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    drop(kept);
}

#[test]
fn a_loop_that_is_stopped_at_once_gives_its_turn_back() {
    let (mut agent, mut platform) = (Agent::stored(&secret("first")), Platform::current());
    let mut looped = Driven::new(Run::new());
    let mut stalled = |seen: &Seen| if seen.is(REGISTER) { Reply::Never } else { platform.serve(seen) };
    looped.drive_for(&mut agent, secs(60), &mut stalled);
    agent.session.raise_stop(true);
    looped.finish(&mut agent, &mut stalled).unwrap();
    let stopped = agent.now.mono;
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.now.mono, stopped, "it waited");
}

#[test]
fn a_loop_that_is_given_up_and_then_stopped_still_takes_its_token() {
    let (mut agent, mut platform) = (Agent::new(), Platform::current().without_token());
    let mut looped = Driven::new(Run::new());
    let mut stalled = |seen: &Seen| if seen.is(REGISTER) { Reply::Never } else { platform.serve(seen) };
    looped.drive_for(&mut agent, secs(1), &mut stalled);
    looped.machine.cancel(&mut agent.cx());
    looped.settle(&mut agent);
    agent.session.raise_stop(false);
    looped.settle(&mut agent);
    let register = *looped.in_flight.keys().next().expect("it is waited for");
    looped.perform(&mut agent, register, &mut |seen| platform.serve(seen));
    looped.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("minted1")));
}
