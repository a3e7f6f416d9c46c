//! Runs the whole suite on one driver and reports the outcomes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::case::{Case, CaseOutcome};
use super::cases::all;
use super::run::{Driver, Sighting, run};
use super::seen::SEEN;

/// The number of cases that run at the same time; most of them wait.
const LANES: usize = 8;

/// How often a doubtful case is repeated alone, because another program may keep the machine busy once.
const ALONE: usize = 2;

/// The outcomes of every case on one driver.
#[derive(Debug)]
pub struct Report(Vec<(Case, Sighting)>);

impl Report {
    /// Performs every case on this driver, several at the same time.
    ///
    /// # Panics
    /// If the machine has no ports or threads left.
    pub fn of<D: Driver>(driver: &D) -> Self {
        let cases = all();
        let queue = Mutex::new(cases.iter().enumerate());
        let done = Mutex::new(BTreeMap::new());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    while let Some((at, case)) = next() {
                        let sighting = run(case, driver);
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, sighting);
                    }
                });
            }
        });
        let sightings = done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values();
        let alone = |case, sighting| if is_doubtful(&sighting) { run(case, driver) } else { sighting };
        let settle = |(case, first)| (0..ALONE).fold(first, |sighting, _| alone(case, sighting));
        let sightings: Vec<Sighting> = cases.iter().zip(sightings).map(settle).collect();
        Self(cases.into_iter().zip(sightings).collect())
    }

    /// All complaints; empty if the driver passes.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (case, sighting) in &self.0 {
            let all = sighting.complaints.iter().chain(&sighting.lies);
            complaints.extend(all.map(|what| format!("{}: {what}", case.name)));
            for came in &sighting.seen {
                if let CaseOutcome::Fault(kind, sent) = came
                    && !SEEN.contains(&(*kind, *sent))
                {
                    complaints.push(format!("{}: {came} is missing in SEEN", case.name));
                }
            }
        }
        complaints
    }

    /// The outcomes of each case as a Markdown table, followed by the reasons of cases that allow more than one
    /// outcome.
    pub fn table(&self, driver: &str) -> String {
        let mut table = format!("| case | {driver} |\n|---|---|\n");
        for (case, sighting) in &self.0 {
            let seen: Vec<String> = sighting.seen.iter().map(ToString::to_string).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| {} | {} |", case.name, seen.join("; "));
        }
        for (case, because) in self.0.iter().filter_map(|(case, _)| Some((case, case.because?))) {
            let _ = writeln!(table, "\n{}: more than one outcome is allowed, because {because}.", case.name);
        }
        table
    }
}

/// Returns whether a result needs a run alone. Cases at the same time keep the machine busy: a task may learn of a
/// close, or of an answer's end, only 0.1 s later, and then another connection is used. A driver that is really wrong
/// fails alone as well. A lie needs no second run.
fn is_doubtful(sighting: &Sighting) -> bool {
    !sighting.complaints.is_empty() && sighting.lies.is_empty()
}
