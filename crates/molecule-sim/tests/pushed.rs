//! Random scenarios of agents with a server of their own, the same ones in every run.

use std::io::Write;

use molecule_sim::campaign::explore;
use molecule_sim::pushed;

#[test]
fn agents_that_the_platform_pushes_to() {
    match explore(&pushed(), 1, |tally| tally.scenarios < 240) {
        // The test harness hides the output of tests that pass.
        Ok(tally) => drop(writeln!(std::io::stderr(), "pushed: {tally}")),
        Err(failure) => panic!("{failure}"),
    }
}
