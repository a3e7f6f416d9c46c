//! Figures of both facades, each compared with its bare HTTP client in the same run.
//!
//! ```console
//! $ cargo bench -p molecule-bench
//! ```
//!
//! Servers are child processes that answer with fixed bodies, so that the figures measure the client. Nothing here
//! passes or fails: the figures are for people. `BENCHMARKS.md` says what each row means.

#![allow(clippy::print_stdout)]

use std::time::Duration;

use molecule_bench::bare::BareUreq;
use molecule_bench::fleet::{self, Fleet, Kind};
use molecule_bench::memory::{self, What};
use molecule_bench::meter::{Cost, cost, median_cost, median_ratio};
use molecule_bench::server::{self, Server};
use molecule_bench::{Outcome, blocking_agent, start};

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server"] => Ok(server::run()?),
        ["fleet", kind, port, count] => fleet::run(Kind::of(kind)?, port.parse()?, count.parse()?),
        ["memory", what, port, count] => memory::run(What::of(what)?, port.parse()?, count.parse()?),
        ["start", facade, port] => start::run(facade, port.parse()?),
        subjects => figures(|subject| subjects.is_empty() || subjects.contains(&subject)),
    }
}

/// Prints the named figures of `blocking`, `async`, `memory` and `start`, or all of them.
fn figures(wanted: impl Fn(&str) -> bool) -> Outcome {
    println!("| what | figure | beside | ratio | goal |\n|---|---|---|---|---|");
    if wanted("blocking") {
        blocking_heartbeat()?;
    }
    if wanted("async") {
        [1, 100, 1_000, 10_000].into_iter().try_for_each(async_heartbeats)?;
    }
    if wanted("memory") {
        resident_memory()?;
    }
    if wanted("start") {
        start_to_registered()?;
    }
    Ok(())
}

/// Measures one heartbeat after the other, in rounds that take turns with rounds of the bare client.
fn blocking_heartbeat() -> Outcome {
    const ROUNDS: usize = 9;
    const CALLS: u32 = 2_000;
    let server = Server::start()?;
    let (agent, bare) = (blocking_agent(server.port)?, BareUreq::new(server.port)?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (spent, result) = cost(|| (0..CALLS).try_for_each(|_| agent.heartbeat().map(drop)));
        result?;
        ours.push(spent.each(CALLS));
        let (spent, result) = cost(|| (0..CALLS).try_for_each(|_| bare.heartbeat()));
        result?;
        theirs.push(spent.each(CALLS));
    }
    let (ours, theirs) = (median_cost(&ours), median_cost(&theirs));
    let beside = "ureq with the same limits";
    time_row("blocking `heartbeat()`, wall", ours.wall, beside, theirs.wall, "at most 1.1");
    time_row("blocking `heartbeat()`, CPU", ours.cpu, beside, theirs.cpu, "at most 1.1");
    Ok(())
}

/// Measures async agents that share one client, each sending one heartbeat after the other, and as many bare
/// connections.
fn async_heartbeats(agents: u32) -> Outcome {
    // A single agent mostly waits for the machine's scheduler. Many short rounds average this out.
    let (rounds, calls) = if agents == 1 { (41, 3_000) } else { (21, 30_000 / agents) };
    let mut fleets = Kind::ALL.into_iter().map(|kind| Fleet::start(kind, agents)).collect::<Outcome<Vec<_>>>()?;
    let mut costs = Kind::ALL.map(|_| Vec::new());
    for _ in 0..rounds {
        for (fleet, costs) in fleets.iter_mut().zip(&mut costs) {
            costs.push(fleet.round(calls)?.each(agents * calls));
        }
    }
    let [ours, bare, limited] = &costs;
    let what = format!("async heartbeats, {agents} agents on one client");
    let rate = |costs: &[Cost]| 1.0 / median_cost(costs).wall.as_secs_f64();
    for (beside, theirs, goal) in [("hyper", bare, "at least 0.9"), ("hyper with the same limits", limited, "")] {
        let ratio = median_ratio(theirs, ours);
        println!("| {what} | {:.0}/s | {beside} {:.0}/s | {ratio:.2} | {goal} |", rate(ours), rate(theirs));
    }
    time_row(&format!("{what}, CPU of one"), median_cost(ours).cpu, "hyper", median_cost(bare).cpu, "");
    Ok(())
}

/// Measures resident memory, each figure in a process of its own.
fn resident_memory() -> Outcome {
    let server = Server::start()?;
    let resident = |what, count| memory::resident(what, server.port, count);
    let (nothing, blocking) = (resident(What::Nothing, 0)? / 1024.0, resident(What::Blocking, 1)? / 1024.0);
    let what = "one blocking agent, registered and beating";
    println!("| {what} | {blocking:.1} MiB | a process that does nothing {nothing:.1} MiB | | at most 6 MiB |");
    let further = |what| -> Outcome<f64> { Ok((resident(what, 1_000)? - resident(what, 1)?) / 999.0) };
    let theirs = further(What::Hyper)?;
    let rows = [
        ("each further async agent, of 1,000", What::Agents, "at most 4 KiB more"),
        ("each further async agent with its loop running, of 1,000", What::Loops, ""),
    ];
    for (name, what, goal) in rows {
        let (ours, beside) = (further(what)?, "hyper task with a connection");
        println!("| {name} | {ours:.1} KiB | {beside} {theirs:.1} KiB | {:+.1} KiB | {goal} |", ours - theirs);
    }
    Ok(())
}

fn start_to_registered() -> Outcome {
    let server = Server::start()?;
    for facade in start::FACADES {
        let millis = start::time(facade, server.port)?.as_secs_f64() * 1e3;
        println!("| {facade}: start of the process to registered | {millis:.1} ms | | | at most 10 ms |");
    }
    Ok(())
}

fn time_row(what: &str, ours: Duration, beside: &str, theirs: Duration, goal: &str) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let (ours, theirs) = (micros(ours), micros(theirs));
    println!("| {what} | {ours:.1} µs | {beside} {theirs:.1} µs | {:.2} | {goal} |", ours / theirs);
}
