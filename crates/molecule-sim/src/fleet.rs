//! A simulated world for the members of a fleet: a store with faults, clocks that run at different rates, processes that
//! freeze, sleep and die, and messages for the workspaces that they run.
//!
//! A [`FleetScenario`] is plain data and stands for exactly one run. Each run is [judged](FleetBroken): no two members act for
//! one part, epochs grow, every message is handled, nobody is fenced without need, and everything is run again soon after the
//! last fault. A [`FleetSabotage`] breaks one rule of the machine, and some run must show it.

mod campaign;
mod judge;
mod library;
mod sabotage;
mod scenario;
mod store;
mod strategies;
mod world;

pub use campaign::{FleetFailure, FleetTally, explore_fleets, first_broken_fleet};
pub use judge::FleetBroken;
pub use library::{fleet_scenarios, save_fleet_scenario, written_fleet};
pub use sabotage::FleetSabotage;
pub use scenario::{FleetAct, FleetMember, FleetScenario, FleetTimed, StoreWeather};
pub use strategies::{fleet, fleet_of_two, fleet_that_goes_back, fleet_with_losses};
pub use world::{FleetRun, run_fleet, run_fleet_sabotaged, run_fleet_traced};
