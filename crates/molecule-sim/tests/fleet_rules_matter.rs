//! A member that breaks one rule is found out: each saboteur breaks an invariant in some random fleet, in which the rules as
//! they are hold.

use std::io::Write;
use std::path::{Path, PathBuf};

use molecule_sim::fleet::{
    FleetSabotage, FleetScenario, first_broken_fleet, fleet, fleet_of_two, fleet_that_goes_back, fleet_with_losses,
    run_fleet, run_fleet_sabotaged, save_fleet_scenario,
};
use proptest::strategy::Strategy;

/// The fleets in which each saboteur was found last. They are tried first, since a search may take a minute.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join("sabotaged-fleets")
}

/// Looks for a scenario in which the saboteur breaks the invariant, and in which nothing breaks without it.
fn is_found(sabotage: FleetSabotage, name: &str, strategy: &impl Strategy<Value = FleetScenario>, most: u64) {
    let breaks = |scenario: &FleetScenario| {
        run_fleet_sabotaged(scenario, sabotage).broken.is_some_and(|broken| broken.name == name)
    };
    let file = format!("{sabotage:?}");
    let text = std::fs::read_to_string(kept().join(format!("{file}.json"))).ok();
    let kept = text.map(|text| serde_json::from_str(&text).expect("a kept fleet is a scenario")).filter(breaks);
    let scenario = kept.unwrap_or_else(|| {
        let found = first_broken_fleet(strategy, 7, most, breaks);
        let scenario = found.unwrap_or_else(|| panic!("{sabotage:?} was not found in {most} fleets"));
        let place = save_fleet_scenario(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak"), &file, &scenario);
        let _ = writeln!(std::io::stderr(), "sabotaged-fleets may have this one: {place:?}");
        scenario
    });
    assert_eq!(run_fleet(&scenario).broken, None, "the rules break as well");
}

/// The name of the most important invariant.
const HANDS: &str = "one pair of hands";

#[test]
fn the_window_ends_by_itself() {
    is_found(FleetSabotage::NoSelfFence, HANDS, &fleet_of_two(), 500);
}

#[test]
fn the_window_begins_before_the_request() {
    is_found(FleetSabotage::WindowFromAnswer, HANDS, &fleet_with_losses(), 5000);
}

#[test]
fn the_window_begins_before_the_request_also_if_a_read_finds_it() {
    is_found(FleetSabotage::WindowFromRead, HANDS, &fleet_with_losses(), 5000);
}

#[test]
fn a_machine_that_slept_has_lost_its_window() {
    is_found(FleetSabotage::MonotonicClockAlone, HANDS, &fleet_of_two(), 500);
}

#[test]
fn a_silent_member_is_fenced_before_its_claims_are_taken() {
    is_found(FleetSabotage::NoFence, HANDS, &fleet_of_two(), 5000);
}

#[test]
fn an_epoch_is_no_revision() {
    is_found(FleetSabotage::EpochOfRevision, "epochs grow", &fleet_that_goes_back(), 1000);
}

#[test]
fn the_first_act_after_a_reconnect_is_a_read() {
    is_found(FleetSabotage::RenewalAfterReconnect, HANDS, &fleet_that_goes_back(), 5000);
}

#[test]
fn silence_is_not_counted_over_a_reconnect() {
    is_found(FleetSabotage::SilenceOverReconnect, "no needless fence", &fleet(), 5000);
}

#[test]
fn nothing_is_taken_in_the_grace_period() {
    is_found(FleetSabotage::NoGrace, HANDS, &fleet_that_goes_back(), 5000);
}

#[test]
fn a_workspace_acknowledges_as_far_as_its_last_part() {
    is_found(FleetSabotage::AcknowledgesMost, "every message is handled", &fleet(), 1000);
}
