//! Campaigns: random scenarios run one after the other until one fails or the caller has enough.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use molecule_proto::Time;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::invariants::BrokenInvariant;
use crate::library;
use crate::scenario::Scenario;
use crate::world::{RunResult, run, run_traced};

/// The amount of work that a campaign did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Scenarios that were run.
    pub scenarios: u64,
    /// Virtual time that passed in them.
    pub simulated: Duration,
    /// Requests that the agents sent.
    pub requests: u64,
    /// Steps of the machines.
    pub steps: u64,
}

/// A scenario that failed, shrunk as far as possible.
#[derive(Debug)]
pub struct Failure {
    /// The invariant that broke.
    pub broken: BrokenInvariant,
    /// The smallest scenario found that breaks the same invariant.
    pub scenario: Scenario,
    /// The last trace events of its run.
    pub trace: Vec<String>,
    /// The work done until then, the failing scenario included.
    pub tally: Tally,
}

/// Shrinking stops after this many runs or this much time.
const MOST_TRIES: u32 = 4000;
const MOST_TIME: Duration = Duration::from_secs(60);

/// Random scenarios, all from one seed.
pub fn made_up(strategy: impl Strategy<Value = Scenario>, seed: u64) -> impl Iterator<Item = Scenario> {
    let mut runner = runner(seed);
    std::iter::repeat_with(move || tree(&strategy, &mut runner).current())
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng)
}

fn tree<S: Strategy<Value = Scenario>>(strategy: &S, runner: &mut TestRunner) -> S::Tree {
    strategy.new_tree(runner).expect("no strategy here rejects anything")
}

/// Runs random scenarios, all from one seed, while `more` returns true.
///
/// # Errors
/// The first scenario that breaks an invariant, shrunk.
pub fn explore(
    strategy: &impl Strategy<Value = Scenario>,
    seed: u64,
    mut more: impl FnMut(&Tally) -> bool,
) -> Result<Tally, Box<Failure>> {
    let mut runner = runner(seed);
    let mut tally = Tally::default();
    while more(&tally) {
        let mut tree = tree(strategy, &mut runner);
        let outcome = run_caught(&tree.current());
        tally.add(&outcome);
        if let Some(broken) = outcome.broken {
            return Err(Box::new(smallest(&mut tree, broken, tally)));
        }
    }
    Ok(tally)
}

/// Runs a scenario; a panic counts as a broken invariant.
fn run_caught(scenario: &Scenario) -> RunResult {
    catch_unwind(AssertUnwindSafe(|| run(scenario))).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|&why| why.to_owned()));
        let broken = BrokenInvariant {
            name: "nothing panics",
            sentence: "no machine panics, whatever happens",
            why: why.unwrap_or_default(),
            agent: 0,
            at: Time::ZERO,
        };
        RunResult { broken: Some(broken), ..RunResult::default() }
    })
}

/// Shrinks a scenario for as long as the same invariant breaks.
fn smallest(tree: &mut impl ValueTree<Value = Scenario>, broken: BrokenInvariant, tally: Tally) -> Failure {
    let mut best = (tree.current(), broken);
    let mut goes_on = tree.simplify();
    let started = Instant::now();
    for _ in 0..MOST_TRIES {
        if !goes_on || started.elapsed() > MOST_TIME {
            break;
        }
        let scenario = tree.current();
        goes_on = match run_caught(&scenario).broken {
            Some(broken) if broken.name == best.1.name => {
                best = (scenario, broken);
                tree.simplify()
            }
            Some(_) | None => tree.complicate(),
        };
    }
    let (scenario, broken) = best;
    let trace = catch_unwind(AssertUnwindSafe(|| run_traced(&scenario, 120).trace)).unwrap_or_default();
    Failure { broken, scenario, trace, tally }
}

impl Tally {
    fn add(&mut self, outcome: &RunResult) {
        self.scenarios += 1;
        self.simulated += outcome.simulated;
        self.requests += outcome.requests;
        self.steps += outcome.steps;
    }

    /// The sum of both.
    pub fn with(self, other: Self) -> Self {
        Self {
            scenarios: self.scenarios + other.scenarios,
            simulated: self.simulated + other.simulated,
            requests: self.requests + other.requests,
            steps: self.steps + other.steps,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        write!(f, "{} scenarios, {hours:.0} simulated hours, {} requests", self.scenarios, self.requests)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{}\nthe scenario, to be kept in scenarios/:\n{}", self.broken, library::written(&self.scenario))
    }
}
