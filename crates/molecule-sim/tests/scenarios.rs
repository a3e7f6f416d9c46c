//! Replays every kept scenario but those with many agents, which `fleet.rs` runs.

#![allow(clippy::unwrap_used)]

use molecule_sim::campaign::{Failure, Tally};
use molecule_sim::{library, run_traced};

#[test]
fn every_scenario_that_is_kept_holds() {
    let mut failures = Vec::new();
    let kept = library::all().unwrap();
    assert!(!kept.is_empty(), "the library is empty");
    for (name, scenario) in kept.into_iter().filter(|(name, _)| !name.starts_with("two-hundred-agents")) {
        let run = run_traced(&scenario, 120);
        if let Some(broken) = run.broken {
            let failure = Failure { broken, scenario, trace: run.trace, tally: Tally::default() };
            failures.push(format!("{name}:\n{failure}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_same_scenario_is_the_same_run() {
    for (name, scenario) in library::all().unwrap().into_iter().filter(|(name, _)| name.contains("broken")) {
        let (one, other) = (run_traced(&scenario, usize::MAX), run_traced(&scenario, usize::MAX));
        assert!(one.trace.len() > 100, "{name}: nothing happens");
        assert_eq!(one.trace, other.trace, "{name}");
    }
}
