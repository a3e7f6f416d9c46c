//! Figures of the inbox, each beside a bare client, bare appends or a limit in the same run.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench inbox -- <directory> [wake|rate|idle]
//! ```
//!
//! The platform is the model, in a thread of this process; its cost is in all rows alike. The directory holds the agents'
//! files and the file of the bare appends; without one they lie in cargo's target directory. Nothing here passes or
//! fails.

#![allow(clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver as Inlet, channel};
use std::thread;
use std::time::{Duration, Instant};

use molecule_bench::bare_replies::BareReplies;
use molecule_bench::idle::{self, Idle, Kind};
use molecule_bench::meter::quantile;
use molecule_bench::receiving::{Facade, PATIENCE, Receiver, Workspace, platform, wait_for_streams, workspace};
use molecule_bench::{Outcome, appends, bare_inbox};
use molecule_core::{Backlog, Event, InboxOptions, Reply};
use molecule_platform::Server;

/// The shortest trail of a cursor, so that the pages that are read at each message stay short.
const TRAIL: Duration = Duration::from_secs(1);

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["idle", kind, port, count] => idle::run(Kind::of(kind)?, port.parse()?, count.parse()?),
        arguments => {
            let (directories, subjects): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|it| it.contains('/'));
            let home = Home::new(Path::new(directories.first().unwrap_or(&env!("CARGO_TARGET_TMPDIR"))))?;
            figures(&home, |subject| subjects.is_empty() || subjects.contains(&subject))
        }
    }
}

/// Prints the named figures of `wake`, `rate` and `idle`, or all of them.
fn figures(home: &Home, wanted: impl Fn(&str) -> bool) -> Outcome {
    println!("| what | figure | beside | ratio | goal |\n|---|---|---|---|---|");
    if wanted("wake") {
        wake_up(home)?;
    }
    if wanted("rate") {
        rates(home)?;
    }
    if wanted("idle") {
        idle_agents()?;
    }
    Ok(())
}

/// A directory for the files of the benchmark, which are removed with it.
struct Home(PathBuf);

impl Home {
    fn new(within: &Path) -> Outcome<Self> {
        let path = within.join(format!("molecule-bench-inbox-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn fresh(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Somebody who waits for messages: a workspace, and the texts that arrived, each with the time of its arrival.
struct Waiter {
    name: &'static str,
    workspace: Workspace,
    arrived: Inlet<(String, Instant)>,
}

impl Waiter {
    /// Sends a message as the owner does, and returns the time until it has arrived.
    fn wake(&self, server: &Server, text: &str) -> Outcome<Duration> {
        let sent = Instant::now();
        server.with(|platform, now| platform.send_user_message(now, &self.workspace.id, text));
        let (arrived, at) = self.arrived.recv_timeout(PATIENCE)?;
        if arrived != text {
            return Err(format!("{}: {arrived} came instead of {text}", self.name).into());
        }
        Ok(at.saturating_duration_since(sent))
    }
}

/// Measures the time from an owner's send to the handler's first instruction. Agents and the bare loop take turns.
fn wake_up(home: &Home) -> Outcome {
    const ROUNDS: usize = 300;
    const WARM_UP: usize = 30;
    /// The time after which whatever a message causes is over.
    const PAUSE: Duration = Duration::from_millis(30);
    let server = platform()?;
    let mut waiters = Vec::new();
    let mut running = Vec::new();
    for facade in Facade::ALL {
        let (told, arrived) = channel();
        let (workspace, files) = (workspace(&server)?, home.fresh(&format!("wake-{}", facade.name()))?);
        let inbox = InboxOptions::new().backlog(Backlog::FromNow).trail(TRAIL);
        let agent = Receiver { url: &server.url(), workspace: &workspace, home: &files, inbox };
        running.push(agent.start(
            facade,
            |_| {},
            Arc::new(move |message| {
                let at = Instant::now();
                let _ = told.send((message.text().into_owned(), at));
                None
            }),
        )?);
        waiters.push(Waiter { name: facade.name(), workspace, arrived });
    }
    let (told, arrived) = channel();
    let bare = Waiter { name: "bare", workspace: workspace(&server)?, arrived };
    server.with(|platform, now| platform.send_user_message(now, &bare.workspace.id, "the base"));
    let (port, its) = (server.addr().port(), bare.workspace.clone());
    let loops = thread::spawn(move || bare_inbox::receive(port, &its, TRAIL, &told));
    waiters.push(bare);
    let workspaces: Vec<Workspace> = waiters.iter().map(|waiter| waiter.workspace.clone()).collect();
    wait_for_streams(&server, &workspaces)?;
    thread::sleep(TRAIL);
    let mut times: Vec<Vec<Duration>> = waiters.iter().map(|_| Vec::new()).collect();
    for round in 0..WARM_UP + ROUNDS {
        for (waiter, times) in waiters.iter().zip(&mut times) {
            let time = waiter.wake(&server, &format!("message {round}"))?;
            if round >= WARM_UP {
                times.push(time);
            }
            thread::sleep(PAUSE);
        }
    }
    drop(running);
    server.stop();
    // It has ended with its stream, by whatever error.
    let _ = loops.join();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let bare = times.pop().unwrap_or_default();
    for (waiter, times) in waiters.iter().zip(times) {
        let goals = [("p50", 0.5, "at most 1.5, and 20 ms"), ("p99", 0.99, "")];
        for (name, part, goal) in goals {
            let (ours, theirs) = (millis(quantile(times.clone(), part)), millis(quantile(bare.clone(), part)));
            println!(
                "| {}: wake-up, {name} | {ours:.2} ms | bare hyper loop {theirs:.2} ms | {:.2} | {goal} |",
                waiter.name,
                ours / theirs
            );
        }
    }
    Ok(())
}

/// The senders of the messages whose rate is measured.
const SENDERS: usize = 64;

/// Measures how many messages go through the journal, the handler and the outbox in a second, beside a bare loop with
/// the same requests and appends, and beside appends alone.
fn rates(home: &Home) -> Outcome {
    const BARE: Duration = Duration::from_secs(1);
    /// So few that the journal is not compacted, whose length then shows what is appended for a message.
    const FEW: u32 = 200;
    let (_, bytes) = through(Facade::Async, &home.fresh("few")?, SENDERS, false, FEW)?;
    for gathered in [SENDERS, 4] {
        for sync in [false, true] {
            for facade in Facade::ALL {
                let name = format!("{}-{gathered}-{sync}", facade.name());
                let (files, bare_files) = (home.fresh(&name)?, home.fresh(&format!("bare-{name}"))?);
                let count = if sync && gathered < SENDERS { 1_000 } else { 4_000 };
                // The disk's speed changes, so it is measured before and after.
                let appends = || appends::rate(&bare_files, bytes, gathered, sync, BARE);
                let before = if sync { appends()? } else { 0.0 };
                let (rate, _) = through(facade, &files, gathered, sync, count)?;
                let bare = bare_rate(&bare_files, (gathered, bytes), sync, count)?;
                let (fsync, goal) = if sync { ("with fsync", "") } else { ("without fsync", "at least 2000/s") };
                let what =
                    format!("{}: messages and replies {fsync}, {gathered} handlers | {rate:.0}/s", facade.name());
                println!("| {what} | bare loop with the same requests {bare:.0}/s | {:.2} | {goal} |", rate / bare);
                if sync {
                    let beside = (before + appends()?) / 2.0;
                    let appends = format!("bare appends of {gathered} messages ({bytes} bytes each) {beside:.0}/s");
                    println!("| {what} | {appends} | {:.2} | at least 0.5 |", rate / beside);
                }
            }
        }
    }
    Ok(())
}

/// Returns how many messages a second a bare loop receives and answers.
fn bare_rate(files: &Path, (gathered, bytes): (usize, usize), sync: bool, count: u32) -> Outcome<f64> {
    let (server, receiver, senders) = conversation()?;
    server.with(|platform, now| platform.send_user_message(now, &receiver.id, "the base"));
    let (port, workspace, file) = (server.addr().port(), receiver.clone(), files.join("replies"));
    let bare = BareReplies { port, workspace, file, gathered, bytes, sync };
    bare.rate(count, || send_all(&server, &receiver, &senders, count))
}

/// A platform, a workspace that receives, and those that send to it.
fn conversation() -> Outcome<(Server, Workspace, Vec<Workspace>)> {
    let server = platform()?;
    let receiver = workspace(&server)?;
    let senders = (0..SENDERS).map(|_| workspace(&server)).collect::<Outcome<Vec<_>>>()?;
    Ok((server, receiver, senders))
}

fn send_all(server: &Server, receiver: &Workspace, senders: &[Workspace], count: u32) -> Outcome {
    for (number, sender) in (0..count).zip(senders.iter().cycle()) {
        let text = format!("message {number}");
        let sent =
            server.with(|platform, now| platform.send_agent_message(now, &sender.id, &receiver.id, text.as_str()));
        sent.ok_or("the platform did not take the message")?;
    }
    Ok(())
}

/// Has an agent answer `count` messages, and returns the number of messages a second, from the first call of the handler
/// to the end of the last reply; and the length of the journal at the end, for each of them.
fn through(facade: Facade, files: &Path, concurrency: usize, durable: bool, count: u32) -> Outcome<(f64, usize)> {
    let (server, receiver, senders) = conversation()?;
    send_all(&server, &receiver, &senders, count)?;
    let inbox = InboxOptions::new().backlog(Backlog::All).concurrency(concurrency).durable(durable);
    let (begins, begun) = channel();
    let (ends, ended) = channel();
    let replied = AtomicU32::new(0);
    let told = move |event: &Event| match event {
        Event::ReplyEnded { end, .. } => {
            let is_last = replied.fetch_add(1, Ordering::Relaxed) + 1 == count;
            if !end.is_taken() {
                let _ = ends.send(Err(event.to_string()));
            } else if is_last {
                let _ = ends.send(Ok(Instant::now()));
            }
        }
        Event::HandlerFailed { .. } | Event::Degraded { .. } => {
            let _ = ends.send(Err(event.to_string()));
        }
        _ => {}
    };
    let agent = Receiver { url: &server.url(), workspace: &receiver, home: files, inbox };
    let running = agent.start(
        facade,
        told,
        Arc::new(move |_| {
            let _ = begins.send(Instant::now());
            Some(Reply::text("got it"))
        }),
    )?;
    let begun = begun.recv_timeout(PATIENCE)?;
    let ended = ended.recv_timeout(2 * PATIENCE)??;
    let journal = journal_bytes(files)?;
    running.stop()?;
    Ok((f64::from(count) / (ended - begun).as_secs_f64(), journal / count as usize))
}

/// The length of the longest journal in a directory of agents' files.
fn journal_bytes(files: &Path) -> Outcome<usize> {
    let mut longest = 0;
    for entry in fs::read_dir(files)? {
        let path = entry?.path();
        if path.is_dir() {
            longest = longest.max(journal_bytes(&path)?);
        } else if path.extension().is_some_and(|name| name == "inbox") || path.ends_with(".inbox") {
            longest = longest.max(usize::try_from(fs::metadata(path)?.len())?);
        }
    }
    Ok(longest)
}

/// Measures the processor time of idle agents with event streams, and of bare streams with the same requests, during the
/// same minute.
fn idle_agents() -> Outcome {
    const MEMBERS: usize = 1_000;
    let server = platform()?;
    let workspaces = (0..2 * MEMBERS).map(|_| workspace(&server)).collect::<Outcome<Vec<_>>>()?;
    let (ours, theirs) = workspaces.split_at(MEMBERS);
    let port = server.addr().port();
    let mut fleets = [Idle::start(Kind::Agents, port, ours)?, Idle::start(Kind::Hyper, port, theirs)?];
    wait_for_streams(&server, &workspaces)?;
    thread::sleep(Duration::from_secs(5));
    let mut shares: [Vec<f64>; 2] = Default::default();
    let mut spent = Vec::new();
    for fleet in &mut fleets {
        spent.push((Instant::now(), fleet.spent()?));
    }
    thread::sleep(idle::READ);
    let mut memory = Vec::new();
    for ((fleet, (begun, (before, _))), shares) in fleets.iter_mut().zip(spent).zip(&mut shares) {
        let (after, kib) = fleet.spent()?;
        shares.push((after - before).as_secs_f64() / begun.elapsed().as_secs_f64());
        memory.push(kib / MEMBERS as f64);
    }
    let [ours, theirs] = shares.map(|shares| shares.first().copied().unwrap_or_default() * 100.0);
    let beside = "bare hyper streams with the same requests";
    println!(
        "| {MEMBERS} idle agents with streams on one client, CPU of one core | {ours:.2} % | {beside} {theirs:.2} % | {:.2} | |",
        ours / theirs
    );
    if let [ours, theirs] = memory.as_slice() {
        println!(
            "| memory of each of them, with the process's own | {ours:.1} KiB | {beside} {theirs:.1} KiB | {:.2} | |",
            ours / theirs
        );
    }
    let streams = server.with(|platform, _| workspaces.iter().filter(|it| platform.open_streams(&it.id) == 1).count());
    if streams != workspaces.len() {
        return Err(format!("only {streams} of {} streams are open at the end", workspaces.len()).into());
    }
    Ok(())
}
