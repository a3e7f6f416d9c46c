//! Figures of the inbound A2A server, each beside a bare server of hyper, or the official one in Python, in the same run.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench inbound -- <directory> [rate|latency|memory|after]
//! ```
//!
//! The Python server runs in the virtual environment that `.ci/run` makes, or that `MOLECULE_A2A_SDK` names.
//! Each server is a process of its own with one thread for its requests; the caller has the other core. The directory
//! holds the journal of the durable server; without one it lies in cargo's target directory. Nothing here passes or
//! fails.

#![allow(clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use molecule_bench::called::{self, Called, Kind};
use molecule_bench::calls::{Caller, Calls};
use molecule_bench::meter::{Cost, median, median_cost, median_ratio, quantile};
use molecule_bench::{Outcome, runtime};
use tokio::runtime::Runtime;

/// The bytes of a message's text.
const TEXT: usize = 200;

/// The connections of the caller, each with one call at a time.
const CONNECTIONS: usize = 64;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["called", kind, home] => called::run(Kind::of(kind)?, Path::new(home)),
        arguments => {
            let (directories, subjects): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|it| it.contains('/'));
            let home = Home::new(Path::new(directories.first().unwrap_or(&env!("CARGO_TARGET_TMPDIR"))))?;
            figures(&home, |subject| subjects.is_empty() || subjects.contains(&subject))
        }
    }
}

/// Prints the named figures, or all of them.
fn figures(home: &Home, wanted: impl Fn(&str) -> bool) -> Outcome {
    println!("| what | figure | beside | ratio | goal |\n|---|---|---|---|---|");
    let runtime = runtime()?;
    if wanted("rate") {
        rates(&runtime, home)?;
        beside_python(&runtime, home)?;
    }
    if wanted("latency") {
        latencies(&runtime, home)?;
    }
    if wanted("memory") {
        memory(&runtime, home)?;
    }
    if wanted("after") {
        after_assaults(&runtime, home)?;
    }
    Ok(())
}

/// A directory for the files of the benchmark, which are removed with it.
struct Home(PathBuf);

impl Home {
    fn new(within: &Path) -> Outcome<Self> {
        let path = within.join(format!("molecule-bench-inbound-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn start(&self, kind: Kind) -> Outcome<Subject> {
        Ok(Subject::of(Called::start(kind, &self.0)?))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that is measured.
struct Subject {
    called: Called,
    calls: Calls,
    callers: Vec<Caller>,
    costs: Vec<Cost>,
}

impl Subject {
    fn of(called: Called) -> Self {
        let calls = Calls::new(called.port, &called.bearer, TEXT);
        Self { called, calls, callers: Vec::new(), costs: Vec::new() }
    }

    /// Makes this number of calls, and notes the wall time and the server's processor time of one.
    fn round(&mut self, runtime: &Runtime, calls: usize) -> Outcome {
        if self.callers.is_empty() {
            self.callers = runtime.block_on(self.calls.connect(CONNECTIONS))?;
            self.callers = self.calls.round(runtime, std::mem::take(&mut self.callers), 20)?.1;
        }
        let each = calls / CONNECTIONS;
        let before = self.called.spent()?;
        let (spent, callers) = self.calls.round(runtime, std::mem::take(&mut self.callers), each)?;
        self.callers = callers;
        let cpu = self.called.spent()?.saturating_sub(before);
        self.costs.push(Cost { wall: spent.wall, cpu }.each(u32::try_from(each * CONNECTIONS)?));
        Ok(())
    }

    fn rate(&self) -> f64 {
        1.0 / median_cost(&self.costs).wall.as_secs_f64()
    }

    fn cpu(&self) -> Duration {
        median_cost(&self.costs).cpu
    }
}

/// Measures requests per second of the servers, which take turns.
fn rates(runtime: &Runtime, home: &Home) -> Outcome {
    const ROUNDS: usize = 15;
    const CALLS: usize = 12_800;
    let kinds = [Kind::Ours, Kind::Echo, Kind::Parse, Kind::OursLooksUp, Kind::OursDurable];
    let mut subjects = kinds.into_iter().map(|kind| home.start(kind)).collect::<Outcome<Vec<_>>>()?;
    for _ in 0..ROUNDS {
        for (kind, subject) in kinds.iter().zip(&mut subjects) {
            let slow = matches!(kind, Kind::OursLooksUp | Kind::OursDurable);
            subject.round(runtime, if slow { CALLS / 8 } else { CALLS })?;
        }
    }
    let [ours, echo, parse, looks_up, durable] = &subjects[..] else {
        return Err("a server is missing".into());
    };
    let rows = [
        ("calls", ours, "bare hyper that echoes the bytes", echo, "at least 0.85"),
        ("calls", ours, "bare hyper that parses and answers", parse, ""),
        (
            "calls, whose senders are looked up in a feed of 49 other messages",
            looks_up,
            "bare hyper that echoes the bytes",
            echo,
            "",
        ),
        ("calls, each answer on the disk first (fsync)", durable, "bare hyper that echoes the bytes", echo, ""),
    ];
    for (what, subject, beside, theirs, goal) in rows {
        let ratio = median_ratio(&theirs.costs, &subject.costs);
        let (ours, theirs) = (subject.rate(), theirs.rate());
        println!("| {what}, {CONNECTIONS} connections | {ours:.0}/s | {beside} {theirs:.0}/s | {ratio:.2} | {goal} |");
    }
    for (beside, theirs) in [("echoes the bytes", echo), ("parses and answers", parse)] {
        let (ours, theirs) = (micros(ours.cpu()), micros(theirs.cpu()));
        println!(
            "| CPU of one call | {ours:.1} µs | bare hyper that {beside} {theirs:.1} µs | {:.2} | |",
            ours / theirs
        );
    }
    Ok(())
}

/// Measures the official server in Python, if it is installed, by the processor time of a call.
fn beside_python(runtime: &Runtime, home: &Home) -> Outcome {
    const ROUNDS: usize = 5;
    let Some(python) = Called::python("server_0_3.py")? else {
        println!("| calls per core | | a2a-sdk with uvicorn: not installed | | at least 20 |");
        return Ok(());
    };
    let (mut ours, mut python) = (home.start(Kind::Ours)?, Subject::of(python));
    for _ in 0..ROUNDS {
        ours.round(runtime, 12_800)?;
        python.round(runtime, 640)?;
    }
    let per_core = |subject: &Subject| 1.0 / subject.cpu().as_secs_f64();
    let (ours, theirs) = (per_core(&ours), per_core(&python));
    let beside = "a2a-sdk 0.3.26 with uvicorn";
    println!("| calls per core | {ours:.0}/s | {beside} {theirs:.0}/s | {:.1} | at least 20 |", ours / theirs);
    Ok(())
}

/// Measures one call after the other on one connection.
fn latencies(runtime: &Runtime, home: &Home) -> Outcome {
    const ROUNDS: usize = 10;
    let mut times = [Vec::new(), Vec::new()];
    let subjects = [home.start(Kind::Ours)?, home.start(Kind::Echo)?];
    for _ in 0..ROUNDS {
        for (subject, times) in subjects.iter().zip(&mut times) {
            times.extend(subject.calls.latencies(runtime, 500)?.split_off(50));
        }
    }
    let [ours, theirs] = times;
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, theirs) = (micros(quantile(ours.clone(), part)), micros(quantile(theirs.clone(), part)));
        println!("| latency, {name} | {ours:.0} µs | bare hyper that echoes {theirs:.0} µs | {:.2} | |", ours / theirs);
    }
    Ok(())
}

/// Measures the memory of connections that made a request and then are idle: one without a body, and a call, whose answer
/// is kept as well.
fn memory(runtime: &Runtime, home: &Home) -> Outcome {
    const MANY: usize = 1_000;
    let each = |kind, is_call: bool| -> Outcome<f64> {
        let subject = home.start(kind)?;
        // What the first calls allocate for good is no connection's.
        let callers = runtime.block_on(subject.calls.connect(1))?;
        let (_, _first) = subject.calls.round(runtime, callers, 2_000)?;
        let before = subject.called.resident_kib()?;
        let _idle = runtime.block_on(async {
            let mut callers = subject.calls.connect(MANY).await?;
            for caller in &mut callers {
                let request = if is_call { subject.calls.next() } else { HEALTH.to_vec() };
                caller.call(&request).await?;
            }
            Outcome::Ok(callers)
        })?;
        Ok(subject.called.resident_kib()?.saturating_sub(before) as f64 / MANY as f64)
    };
    for (what, is_call, goal) in [("", false, "at most 16 KiB"), (" after a call, with its kept answer", true, "")] {
        let (ours, theirs) = (each(Kind::Ours, is_call)?, each(Kind::Echo, is_call)?);
        let ratio = ours / theirs;
        println!(
            "| memory of an idle connection{what}, of {MANY} | {ours:.1} KiB | bare hyper {theirs:.1} KiB | {ratio:.2} | {goal} |"
        );
    }
    Ok(())
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Measures how long a good call takes right after clients that mean harm.
fn after_assaults(runtime: &Runtime, home: &Home) -> Outcome {
    let subject = home.start(Kind::Ours)?;
    for assault in [Assault::Burst, Assault::Equal, Assault::Silent, Assault::Large, Assault::Garbage] {
        let mut times = Vec::new();
        for round in 0..9 {
            let _still_open = runtime.block_on(assault.run(&subject.calls, subject.called.port, round))?;
            times.push(runtime.block_on(async {
                let start = Instant::now();
                let mut caller = Caller::connect(subject.called.port).await?;
                caller.call(&subject.calls.next()).await?;
                Outcome::Ok(start.elapsed())
            })?);
        }
        let (most, median) = (quantile(times.clone(), 1.0), median(times));
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "| a good call after {} | {:.1} ms, at most {:.1} ms | | | at most 50 ms |",
            assault.name(),
            millis(median),
            millis(most)
        );
    }
    Ok(())
}

/// Clients that mean harm.
#[derive(Clone, Copy)]
enum Assault {
    Burst,
    Equal,
    Silent,
    Large,
    Garbage,
}

impl Assault {
    fn name(self) -> &'static str {
        match self {
            Self::Burst => "100 calls at once",
            Self::Equal => "1,000 calls of one message id at once",
            Self::Silent => "1,000 connections that are silent, and still open",
            Self::Large => "a body of 400 MiB without a length",
            Self::Garbage => "100 connections with garbage",
        }
    }

    /// Makes it, and returns the connections that stay open.
    async fn run(self, calls: &Calls, port: u16, round: u64) -> Outcome<Vec<Caller>> {
        match self {
            Self::Burst => {
                let mut callers = calls.connect(100).await?;
                for caller in &mut callers {
                    caller.send(&calls.next()).await?;
                }
                for caller in &mut callers {
                    caller.answer().await?;
                }
            }
            Self::Equal => {
                let mut callers = calls.connect(1_000).await?;
                let call = calls.with_id(900_000_000_000 + round);
                for caller in &mut callers {
                    caller.send(&call).await?;
                }
                for caller in &mut callers {
                    caller.answer().await?;
                }
            }
            Self::Silent => return calls.connect(1_000).await,
            Self::Large => {
                let mut caller = Caller::connect(port).await?;
                let head = String::from_utf8(calls.next())?;
                let head = head.split_once("Content-Length").ok_or("no length")?.0.to_owned();
                caller.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
                let piece = [b"100000\r\n".as_slice(), &vec![b'x'; 1024 * 1024], b"\r\n"].concat();
                for _ in 0..400 {
                    // The server closes at its limit.
                    if caller.send(&piece).await.is_err() {
                        break;
                    }
                }
            }
            Self::Garbage => {
                for mut caller in calls.connect(100).await? {
                    let _ = caller.send(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await;
                    let _ = caller.send(b"\r\n\r\n").await;
                    let _ = caller.answer().await;
                }
            }
        }
        Ok(Vec::new())
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
