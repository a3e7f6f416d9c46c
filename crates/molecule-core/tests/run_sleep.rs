//! The loop after a sleep of the computer.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::Event;
use support::platform::{HEARTBEAT, REGISTER};
use support::*;

/// How often a loop of ten minutes registers after a sleep during which only the wall clock advanced.
fn registers_after_a_sleep(platform: Platform, asleep: u64) -> usize {
    let mut run = Looped::usual(platform);
    run.on(secs(300));
    run.events();
    let (woke, before) = (run.agent.now.mono, run.platform.count(REGISTER));
    run.agent.now.unix = run.agent.now.unix + secs(asleep);
    run.on(secs(600));
    let registers = run.platform.count(REGISTER) - before;
    if registers > 0 {
        let (register, beat) = (run.platform.last(REGISTER).at, run.platform.times(HEARTBEAT));
        let first = beat.into_iter().find(|at| *at >= woke).unwrap();
        assert_eq!(register, first, "not with the first heartbeat after it");
        let told = run.events();
        assert!(told.contains(&Event::Online), "{told:?}");
    }
    registers
}

#[test]
fn a_sleep_that_the_monotonic_clock_did_not_see_is_a_gap_too() {
    for (platform, asleep, registers) in [
        (Platform::current(), 8 * 3600, 1),
        (Platform::current(), 180, 1),
        // The heartbeats before and after the sleep are up to 30 s away from it.
        (Platform::current(), 149, 0),
        (Platform::april(), 90, 1),
        (Platform::april(), 59, 0),
    ] {
        let dialect = platform.dialect;
        assert_eq!(registers_after_a_sleep(platform, asleep), registers, "{dialect:?} {asleep}");
    }
}

#[test]
fn a_calendar_that_is_set_back_is_no_gap() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(300));
    run.agent.now.unix = molecule_core::proto::UnixTime::from_secs(0);
    run.on(secs(3600));
    assert_eq!(run.platform.count(REGISTER), 1);
}
