//! Random scenarios, the same ones in every run. `cargo xtask soak` generates others.

use std::io::Write;

use molecule_sim::campaign::{Tally, explore};
use molecule_sim::{life, scenario};

/// Prints the amount of work to the terminal, because the test harness hides the output of tests that pass.
fn report(what: &str, outcome: Result<Tally, Box<molecule_sim::campaign::Failure>>) {
    match outcome {
        Ok(tally) => drop(writeln!(std::io::stderr(), "{what}: {tally}")),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn hours_in_which_much_happens() {
    report("hours", explore(&scenario(), 1, |tally| tally.scenarios < 240));
}

#[test]
fn days_in_which_now_and_then_something_happens() {
    report("days", explore(&life(), 2, |tally| tally.scenarios < 5));
}
