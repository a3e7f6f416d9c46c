//! Figures of both facades, each beside its client's own in the same run.
//!
//! ```console
//! $ cargo bench -p molecule-bench
//! ```
//!
//! The server is a child process that answers fixed bodies, so that what is measured is the client. Nothing here passes or
//! fails: the figures are for people.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use molecule_bench::child::Role;
use molecule_bench::meter::{Cost, cost, median, resident_kib};
use molecule_bench::{ID, TOKEN, bare, server};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server"] => Ok(server::run()?),
        ["memory", what, port, count] => memory_role(what, port.parse()?, count.parse()?),
        ["start", what, port] => start_role(what, port.parse()?),
        _ => figures(),
    }
}

fn figures() -> Outcome {
    let mut server = Role::start(&["server"])?;
    let port: u16 = server.line()?.parse()?;
    let base = format!("http://127.0.0.1:{port}");
    println!("| what | figure | beside | ratio | goal |\n|---|---|---|---|---|");
    blocking_heartbeat(&base)?;
    for agents in [1, 100, 1_000, 9_000] {
        async_rate(&base, port, agents)?;
    }
    memory(port)?;
    start(port)
}

fn blocking_agent(base: &str) -> Outcome<molecule_blocking::Agent> {
    let builder = molecule_blocking::Agent::builder(base, ID).token(TOKEN).storage(molecule_blocking::Storage::Memory);
    Ok(builder.build()?)
}

/// One heartbeat, one after the other, in rounds that take turns with the bare client's.
fn blocking_heartbeat(base: &str) -> Outcome {
    const ROUNDS: usize = 9;
    const CALLS: u32 = 2_000;
    let (agent, bare_agent) = (blocking_agent(base)?, bare::ureq_agent());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (spent, result) = cost(|| (0..CALLS).try_for_each(|_| agent.heartbeat().map(drop)));
        result?;
        ours.push(spent.each(CALLS));
        let (spent, result) = cost(|| (0..CALLS).try_for_each(|_| bare::ureq_heartbeat(&bare_agent, base)));
        result?;
        theirs.push(spent.each(CALLS));
    }
    let pick = |costs: &[Cost], of: fn(&Cost) -> Duration| median(costs.iter().map(of).collect());
    row("blocking `heartbeat()`, wall", pick(&ours, |c| c.wall), "bare ureq", pick(&theirs, |c| c.wall), "at most 1.1");
    row("blocking `heartbeat()`, CPU", pick(&ours, |c| c.cpu), "bare ureq", pick(&theirs, |c| c.cpu), "at most 1.1");
    Ok(())
}

fn row(what: &str, ours: Duration, beside: &str, theirs: Duration, goal: &str) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let ratio = micros(ours) / micros(theirs);
    println!("| {what} | {:.1} µs | {beside} {:.1} µs | {ratio:.2} | {goal} |", micros(ours), micros(theirs));
}

fn runtime() -> Outcome<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?)
}

/// So many async agents on one client, each sending one heartbeat after the other, beside as many bare connections.
fn async_rate(base: &str, port: u16, agents: u32) -> Outcome {
    const ROUNDS: usize = 3;
    let calls = (60_000 / agents).max(4);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(runtime()?.block_on(async_round(base, agents, calls))?);
        theirs.push(runtime()?.block_on(bare_round(base, port, agents, calls))?);
    }
    let total = f64::from(agents) * f64::from(calls);
    let rate = |time: Vec<Duration>| total / median(time).as_secs_f64();
    let (ours, theirs) = (rate(ours), rate(theirs));
    println!(
        "| async heartbeats, {agents} agents on one client | {ours:.0}/s | bare hyper {theirs:.0}/s | {:.2} | at least 0.9 |",
        ours / theirs
    );
    Ok(())
}

async fn async_round(base: &str, agents: u32, calls: u32) -> Outcome<Duration> {
    let client = molecule_async::Client::new(&molecule_async::Transport::default())?;
    let mut fleet = Vec::new();
    for _ in 0..agents {
        let builder = molecule_async::Agent::builder(base, ID).token(TOKEN).storage(molecule_async::Storage::Memory);
        fleet.push(builder.client(client.clone()).build()?);
    }
    beat_all(&fleet, 1).await?;
    let started = Instant::now();
    beat_all(&fleet, calls).await?;
    Ok(started.elapsed())
}

async fn beat_all(fleet: &[molecule_async::Agent], calls: u32) -> Outcome {
    let mut tasks = JoinSet::new();
    for agent in fleet {
        let agent = agent.clone();
        tasks.spawn(async move {
            for _ in 0..calls {
                agent.heartbeat().await?;
            }
            Ok::<_, molecule_async::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn bare_round(base: &str, port: u16, agents: u32, calls: u32) -> Outcome<Duration> {
    let mut connections = Vec::new();
    for _ in 0..agents {
        let mut connection = bare::hyper_connect(port).await?;
        bare::hyper_heartbeat(&mut connection, base).await?;
        connections.push(connection);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let base = base.to_owned();
        tasks.spawn(async move {
            for _ in 0..calls {
                bare::hyper_heartbeat(&mut connection, &base).await?;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(started.elapsed())
}

/// Resident memory, each figure in a process of its own.
fn memory(port: u16) -> Outcome {
    let resident = |what: &str, count: u32| -> Outcome<f64> {
        let mut role = Role::start(&["memory", what, &port.to_string(), &count.to_string()])?;
        Ok(role.line()?.parse()?)
    };
    let (nothing, blocking) = (resident("nothing", 0)?, resident("blocking", 1)?);
    println!(
        "| one blocking agent, registered and beating | {:.1} MiB | a process that does nothing {:.1} MiB | | at most 6 MiB |",
        blocking / 1024.0,
        nothing / 1024.0
    );
    let further = |what: &str| -> Outcome<f64> { Ok((resident(what, 1_000)? - resident(what, 1)?) / 999.0) };
    let (ours, theirs) = (further("async")?, further("hyper")?);
    println!(
        "| each further async agent, of 1,000 | {ours:.1} KiB | bare hyper task with a connection {theirs:.1} KiB | +{:.1} KiB | at most 4 KiB more |",
        ours - theirs
    );
    Ok(())
}

fn memory_role(what: &str, port: u16, count: u32) -> Outcome {
    let base = format!("http://127.0.0.1:{port}");
    match what {
        "blocking" => {
            let agent = blocking_agent(&base)?;
            agent.register()?;
            (0..10).try_for_each(|_| agent.heartbeat().map(drop))?;
            say_resident()?;
            drop(agent);
        }
        "async" => runtime()?.block_on(async {
            let client = molecule_async::Client::new(&molecule_async::Transport::default())?;
            let mut fleet = Vec::new();
            for _ in 0..count {
                let builder =
                    molecule_async::Agent::builder(&base, ID).token(TOKEN).storage(molecule_async::Storage::Memory);
                fleet.push(builder.client(client.clone()).build()?);
            }
            // All at once, so that each has a connection of its own.
            beat_all(&fleet, 3).await?;
            say_resident()?;
            drop(fleet);
            Outcome::Ok(())
        })?,
        "hyper" => runtime()?.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..count {
                let mut connection = bare::hyper_connect(port).await?;
                for _ in 0..3 {
                    bare::hyper_heartbeat(&mut connection, &base).await?;
                }
                connections.push(connection);
            }
            say_resident()?;
            drop(connections);
            Outcome::Ok(())
        })?,
        _ => say_resident()?,
    }
    Ok(())
}

fn say_resident() -> io::Result<()> {
    writeln!(io::stdout(), "{}", resident_kib()?)
}

/// From the start of a process to a registered agent with its files on the disk.
fn start(port: u16) -> Outcome {
    const ROUNDS: usize = 15;
    for what in ["blocking", "async"] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut role = Role::start(&["start", what, &port.to_string()])?;
            role.line()?;
            times.push(started.elapsed());
        }
        println!(
            "| {what}: start of the process to registered | {:.1} ms | | | at most 10 ms |",
            median(times).as_secs_f64() * 1e3
        );
    }
    Ok(())
}

fn start_role(what: &str, port: u16) -> Outcome {
    let base = format!("http://127.0.0.1:{port}");
    let home = std::env::temp_dir().join(format!("molecule-bench-{}", std::process::id()));
    let storage = molecule_blocking::Storage::Dir(home.clone());
    if what == "blocking" {
        molecule_blocking::Agent::builder(&base, ID).token(TOKEN).storage(storage).build()?.register()?;
    } else {
        runtime()?.block_on(async {
            molecule_async::Agent::builder(&base, ID).token(TOKEN).storage(storage).build()?.register().await
        })?;
    }
    writeln!(io::stdout(), "registered")?;
    let _ = std::fs::remove_dir_all(home);
    Ok(())
}
