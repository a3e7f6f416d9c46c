//! Random scenarios of agents with a server of their own, the same ones in every run.

use std::io::Write;

use molecule_sim::campaign::explore;
use molecule_sim::{Scenario, auto, both_ways, direct, pushed};
use proptest::strategy::Strategy;

fn holds(what: &str, strategy: &impl Strategy<Value = Scenario>, seed: u64) {
    match explore(strategy, seed, |tally| tally.scenarios < 120) {
        // The test harness hides the output of tests that pass.
        Ok(tally) => drop(writeln!(std::io::stderr(), "{what}: {tally}")),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn agents_that_the_platform_pushes_to() {
    holds("pushed", &pushed(), 1);
}

#[test]
fn agents_that_are_pushed_to_and_read_their_feeds() {
    holds("both ways", &both_ways(), 1);
}

#[test]
fn agents_that_poll_while_they_cannot_be_reached() {
    holds("auto", &auto(), 1);
}

#[test]
fn agents_that_clients_and_direct_peers_ask() {
    holds("direct", &direct(), 1);
}
