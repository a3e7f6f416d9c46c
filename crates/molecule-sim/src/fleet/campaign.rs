//! Random scenarios of fleets, one after the other until one fails or there are enough.

use std::fmt;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::judge::FleetBroken;
use super::library::written_fleet;
use super::scenario::FleetScenario;
use super::world::{FleetRun, run_fleet_traced};

/// The amount of work that was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetTally {
    /// Scenarios that were run.
    pub scenarios: u64,
    /// Virtual time that passed in them.
    pub simulated: Duration,
    /// Operations on the store.
    pub operations: u64,
    /// How often a part was begun.
    pub gains: u64,
}

/// A scenario that failed, shrunk.
#[derive(Debug)]
pub struct FleetFailure {
    /// What broke.
    pub broken: FleetBroken,
    /// The smallest scenario found that breaks it.
    pub scenario: FleetScenario,
    /// The work done until then.
    pub tally: FleetTally,
}

/// Shrinking stops after this many runs or this much time.
const MOST_TRIES: u32 = 3000;
const MOST_TIME: Duration = Duration::from_secs(30);

/// Runs random scenarios, all from one seed, while `more` returns true.
///
/// # Errors
/// The first scenario that breaks an invariant, shrunk.
pub fn explore_fleets(
    strategy: &impl Strategy<Value = FleetScenario>,
    seed: u64,
    run: impl Fn(&FleetScenario) -> FleetRun,
    mut more: impl FnMut(&FleetTally) -> bool,
) -> Result<FleetTally, Box<FleetFailure>> {
    let mut runner = runner(seed);
    let mut tally = FleetTally::default();
    while more(&tally) {
        let mut tree = strategy.new_tree(&mut runner).expect("no strategy here rejects anything");
        let outcome = run(&tree.current());
        tally.scenarios += 1;
        tally.simulated += outcome.simulated;
        tally.operations += outcome.operations;
        tally.gains += outcome.gains;
        if let Some(broken) = outcome.broken {
            return Err(Box::new(smallest(&mut tree, broken, tally, &run)));
        }
    }
    Ok(tally)
}

/// Returns the first of random scenarios that breaks an invariant as this says, as it is.
pub fn first_broken_fleet(
    strategy: &impl Strategy<Value = FleetScenario>,
    seed: u64,
    most: u64,
    is_broken: impl Fn(&FleetScenario) -> bool,
) -> Option<FleetScenario> {
    let mut runner = runner(seed);
    let mut trees =
        std::iter::repeat_with(|| strategy.new_tree(&mut runner).expect("no strategy here rejects anything"));
    trees.by_ref().take(usize::try_from(most).unwrap_or(usize::MAX)).map(|tree| tree.current()).find(is_broken)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng)
}

fn smallest(
    tree: &mut impl ValueTree<Value = FleetScenario>,
    broken: FleetBroken,
    tally: FleetTally,
    run: &impl Fn(&FleetScenario) -> FleetRun,
) -> FleetFailure {
    let mut best = (tree.current(), broken);
    let mut goes_on = tree.simplify();
    let started = Instant::now();
    for _ in 0..MOST_TRIES {
        if !goes_on || started.elapsed() > MOST_TIME {
            break;
        }
        let scenario = tree.current();
        goes_on = match run(&scenario).broken {
            Some(broken) if broken.name == best.1.name => {
                best = (scenario, broken);
                tree.simplify()
            }
            Some(_) | None => tree.complicate(),
        };
    }
    FleetFailure { scenario: best.0, broken: best.1, tally }
}

impl FleetTally {
    /// The sum of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            scenarios: self.scenarios + other.scenarios,
            simulated: self.simulated + other.simulated,
            operations: self.operations + other.operations,
            gains: self.gains + other.gains,
        }
    }
}

impl fmt::Display for FleetTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        let Self { scenarios, operations, gains, .. } = self;
        write!(f, "{scenarios} fleets, {hours:.0} simulated hours, {operations} operations, {gains} parts begun")
    }
}

impl fmt::Display for FleetFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = run_fleet_traced(&self.scenario).trace;
        trace.iter().rev().take(200).rev().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "{}\nthe scenario, to be kept in scenarios/fleet/:\n{}", self.broken, written_fleet(&self.scenario))
    }
}
