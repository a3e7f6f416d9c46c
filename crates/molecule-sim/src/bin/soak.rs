//! Runs random scenarios for a number of minutes: `soak --minutes N [--seed S] [--without-servers]`, with a random first seed
//! unless one is given, and on request without the scenarios whose agents have servers of their own; or prints the whole trace of a kept scenario: `soak --replay FILE`.
//! `soak --fleets N [--seed S]` runs that many random fleets.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use molecule_sim::campaign::{Tally, explore};
use molecule_sim::fleet::{
    FleetTally, explore_fleets, fleet, fleet_of_two, fleet_that_goes_back, fleet_with_losses, run_fleet,
    save_fleet_scenario,
};
use molecule_sim::{auto, both_ways, direct, library, life, pushed, run_traced, scenario};

/// The most scenarios from one seed.
const BATCH: u64 = 200;
/// The most day-long scenarios from one seed, besides those.
const DAYS: u64 = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    if let [first, file] = arguments.as_slice()
        && first == "--replay"
    {
        return replay(file);
    }
    if let Some(most) = number("--fleets") {
        return fleets(most, number("--seed").unwrap_or_else(molecule_host::seed));
    }
    let Some(minutes) = number("--minutes") else {
        eprintln!("usage: soak --minutes N [--seed S] [--without-servers] | --fleets N [--seed S] | --replay FILE");
        return ExitCode::FAILURE;
    };
    let first = number("--seed").unwrap_or_else(molecule_host::seed);
    let has_servers = !arguments.iter().any(|argument| argument == "--without-servers");
    let started = Instant::now();
    let in_time = || started.elapsed() < Duration::from_secs(minutes * 60);
    let mut total = Tally::default();
    let mut seed = first;
    while in_time() {
        let hours = explore(&scenario(), seed, |tally| tally.scenarios < BATCH && in_time());
        let outcome = hours.and_then(|hours| {
            let days = explore(&life(), seed, |tally| tally.scenarios < DAYS && in_time())?;
            if !has_servers {
                return Ok(hours.with(days));
            }
            let pushes = explore(&pushed(), seed, |tally| tally.scenarios < BATCH && in_time())?;
            let both = explore(&both_ways(), seed, |tally| tally.scenarios < BATCH && in_time())?;
            let autos = explore(&auto(), seed, |tally| tally.scenarios < BATCH / 2 && in_time())?;
            let directs = explore(&direct(), seed, |tally| tally.scenarios < BATCH / 2 && in_time())?;
            Ok(hours.with(days).with(pushes).with(both).with(autos).with(directs))
        });
        match outcome {
            Ok(tally) => total = total.with(tally),
            Err(failure) => {
                println!("{failure}");
                let directory = std::path::Path::new("target").join("soak");
                match library::save(&directory, &format!("found-{seed}"), &failure.scenario) {
                    Ok(path) => println!("seed {seed} failed; the scenario is in {}", path.display()),
                    Err(error) => println!("seed {seed} failed; the scenario could not be written: {error}"),
                }
                println!("found after {}", total.with(failure.tally));
                return ExitCode::FAILURE;
            }
        }
        seed = seed.wrapping_add(1);
    }
    println!("{total} in {:.1} minutes, seeds {first} and following", started.elapsed().as_secs_f64() / 60.0);
    ExitCode::SUCCESS
}

/// Runs random fleets, a quarter of each kind.
fn fleets(most: u64, first: u64) -> ExitCode {
    let started = Instant::now();
    let mut total = FleetTally::default();
    let mut seed = first;
    while total.scenarios < most {
        let left = (most - total.scenarios).div_ceil(4).min(BATCH);
        let outcome = explore_fleets(&fleet(), seed, run_fleet, |tally| tally.scenarios < left).and_then(|any| {
            let two = explore_fleets(&fleet_of_two(), seed, run_fleet, |tally| tally.scenarios < left)?;
            let back = explore_fleets(&fleet_that_goes_back(), seed, run_fleet, |tally| tally.scenarios < left)?;
            let losses = explore_fleets(&fleet_with_losses(), seed, run_fleet, |tally| tally.scenarios < left)?;
            Ok(any.with(two).with(back).with(losses))
        });
        match outcome {
            Ok(tally) => total = total.with(tally),
            Err(failure) => {
                println!("{failure}");
                let directory = std::path::Path::new("target").join("soak");
                match save_fleet_scenario(&directory, &format!("fleet-{seed}"), &failure.scenario) {
                    Ok(path) => println!("seed {seed} failed; the scenario is in {}", path.display()),
                    Err(error) => println!("seed {seed} failed; the scenario could not be written: {error}"),
                }
                println!("found after {}", total.with(failure.tally));
                return ExitCode::FAILURE;
            }
        }
        seed = seed.wrapping_add(1);
    }
    println!("{total} in {:.1} minutes, seeds {first} and following", started.elapsed().as_secs_f64() / 60.0);
    ExitCode::SUCCESS
}

fn replay(file: &str) -> ExitCode {
    let scenario = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let scenario = scenario.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    match scenario {
        Ok(scenario) => {
            let run = run_traced(&scenario, usize::MAX);
            run.trace.iter().for_each(|line| println!("{line}"));
            let (requests, limited, absences) = (run.requests, run.limited, run.absences);
            println!("{:?}, {requests} requests, {limited} refused with 429, {absences} absences", run.simulated);
            run.broken.map_or(ExitCode::SUCCESS, |broken| {
                println!("{broken}");
                ExitCode::FAILURE
            })
        }
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}
