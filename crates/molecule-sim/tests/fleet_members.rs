//! Random fleets, the same ones in every run. `cargo xtask soak` generates others.

use std::io::Write;

use molecule_sim::fleet::{
    FleetFailure, FleetScenario, FleetTally, explore_fleets, fleet, fleet_of_two, fleet_scenarios,
    fleet_that_goes_back, fleet_with_losses, run_fleet, run_fleet_traced,
};
use proptest::strategy::Strategy;

fn all_hold(what: &str, strategy: &impl Strategy<Value = FleetScenario>, seed: u64, number: u64) {
    report(what, explore_fleets(strategy, seed, run_fleet, |tally| tally.scenarios < number));
}

/// Prints the amount of work to the terminal, because the test harness hides the output of tests that pass.
fn report(what: &str, outcome: Result<FleetTally, Box<FleetFailure>>) {
    match outcome {
        Ok(tally) => drop(writeln!(std::io::stderr(), "{what}: {tally}")),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn fleets_to_which_anything_happens() {
    all_hold("anything", &fleet(), 1, 200);
}

#[test]
fn two_members_at_the_edge_of_their_windows() {
    all_hold("two members", &fleet_of_two(), 2, 200);
}

#[test]
fn two_members_that_lose_half_of_what_they_send() {
    all_hold("losses", &fleet_with_losses(), 4, 100);
}

#[test]
fn stores_that_go_back() {
    all_hold("roll-backs", &fleet_that_goes_back(), 3, 200);
}

#[test]
fn every_fleet_that_is_kept_holds() {
    let kept = fleet_scenarios().expect("the library can be read");
    assert!(kept.len() >= 4, "the library is empty");
    for (name, scenario) in kept {
        let run = run_fleet_traced(&scenario);
        assert!(run.broken.is_none(), "{name}:\n{}\n{:?}", run.trace.join("\n"), run.broken);
        assert_eq!(run.trace, run_fleet_traced(&scenario).trace, "{name}: the same scenario is the same run");
    }
}
