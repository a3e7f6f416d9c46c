//! A platform of `molecule dev` with its log and its page, many agents, and somebody who has the page open.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use molecule_async::core::proto::{ActivityRow, Message};
use molecule_async::{InboundMessage, Reply};
use molecule_dev::{Act, Acted, Dev, Options};
use tokio::task::JoinSet;

use crate::child::Role;
use crate::meter::{quantile, resident_kib};
use crate::{Outcome, runtime};

/// The views that are asked for in turn: a whole one, and what an event has the page ask for.
const VIEWS: [&str; 4] = ["/dev/workspaces", "/dev/workspaces/list", "/dev/inspector", "/dev/graph"];

/// The time between two requests of the page.
const EACH: Duration = Duration::from_millis(100);

/// Messages of users to all agents together, in a second.
const MESSAGES: u32 = 20;

/// The goal for an answer of the page.
const GOAL_MS: u32 = 50;

/// Prints the figures of so many agents in so many seconds.
///
/// # Errors
/// The errors of processes and sockets.
#[allow(clippy::print_stdout)]
pub fn figures(agents: u32, seconds: u32) -> Outcome {
    let log = std::env::temp_dir().join(format!("molecule-bench-dev-{}.jsonl", std::process::id()));
    let _removed = Removed(log.clone());
    let mut platform = Role::start(&["platform", log.to_str().ok_or("the temporary directory is no Unicode")?])?;
    let first = platform.line()?;
    let (url, token) = first.split_once(' ').ok_or("no URL and token")?;
    let page = Page::new(url, token);
    let alone = page.watch(Duration::from_secs(5))?;
    let mut fleet = Role::start(&["agents", url])?;
    for _ in 0..agents {
        platform.say("create")?;
        fleet.say(&platform.line()?)?;
    }
    fleet.say("go")?;
    fleet.line()?;
    platform.say(&format!("messages {MESSAGES}"))?;
    // What every agent has once, each connection and each first page, is there after some seconds.
    let settled = page.watch(Duration::from_secs(10))?;
    let memory = |platform: &mut Role| -> Outcome<u64> {
        platform.say("memory")?;
        Ok(platform.line()?.parse()?)
    };
    let (before, log_before) = (memory(&mut platform)?, std::fs::metadata(&log)?.len());
    let busy = page.watch(Duration::from_secs(u64::from(seconds)))?;
    let (after, log_after) = (memory(&mut platform)?, std::fs::metadata(&log)?.len());
    platform.say("counts")?;
    let counts = platform.line()?;
    let ms = |times: &[Duration], part: f64| quantile(times.to_vec(), part).as_secs_f64() * 1e3;
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!("{agents} agents, {MESSAGES} messages/s, {seconds} s: {counts}");
    println!("| what | median | 99 % | slowest | goal |\n|---|---|---|---|---|");
    for (what, times) in [("nobody else", &alone), ("agents begin", &settled), ("agents work", &busy)] {
        println!(
            "| the page's answers, {what} | {:.1} ms | {:.1} ms | {:.1} ms | {GOAL_MS} ms |",
            ms(times, 0.5),
            ms(times, 0.99),
            ms(times, 1.0)
        );
    }
    println!(
        "resident: {:.1} MiB, and {:.1} MiB {seconds} s later, in which the log grew by {:.1} MiB",
        mib(before),
        mib(after),
        mib((log_after - log_before) / 1024)
    );
    Ok(())
}

/// A file that is removed at the end, with the one beside it.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Somebody who has the page open.
struct Page {
    agent: ureq::Agent,
    url: String,
    bearer: String,
}

impl Page {
    fn new(url: &str, token: &str) -> Self {
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(30))).build();
        Self { agent: agent.into(), url: url.to_owned(), bearer: format!("Bearer {token}") }
    }

    /// How long each answer took, for so long.
    fn watch(&self, time: Duration) -> Outcome<Vec<Duration>> {
        let (begin, mut times) = (Instant::now(), Vec::new());
        for view in VIEWS.iter().cycle() {
            let asked = Instant::now();
            let mut answer =
                self.agent.get(format!("{}{view}", self.url)).header("authorization", &self.bearer).call()?;
            answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
            times.push(asked.elapsed());
            if begin.elapsed() >= time {
                break;
            }
            std::thread::sleep(EACH.saturating_sub(asked.elapsed()));
        }
        Ok(times)
    }
}

/// The platform's process. It says its URL and its admin token, and then what it is asked.
///
/// # Errors
/// The errors of the platform.
pub fn platform(log: &str) -> Outcome {
    let dev = Dev::start(Options::at(log).empty(true))?;
    let mut out = io::stdout();
    writeln!(out, "{} {}", dev.url(), dev.admin_token())?;
    let mut ids = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("create", _) => {
                let name = format!("agent {}", ids.len() + 1);
                let Acted::Created { id, token: Some(token) } =
                    dev.world().act(Act::CreateWorkspace { name, url: None, parent: None })
                else {
                    return Err("no workspace was created".into());
                };
                writeln!(out, "{id} {}", token.expose())?;
                ids.push(id);
            }
            ("messages", number) => {
                let (world, ids, pause) =
                    (dev.world().clone(), ids.clone(), Duration::from_secs(1) / number.parse::<u32>()?);
                // It ends with the process.
                std::thread::spawn(move || {
                    for id in ids.iter().cycle() {
                        world.act(Act::SendUserMessage { to: id.clone(), message: Message::text("what is new?") });
                        std::thread::sleep(pause);
                    }
                });
            }
            ("memory", _) => writeln!(out, "{}", resident_kib()?)?,
            _ => {
                let (written, answered) = dev.world().read(None, |platform, _| {
                    let rows = |is_it: fn(&ActivityRow) -> bool| {
                        let of = |id| platform.activity(id).into_iter().filter(|row| is_it(row)).count();
                        ids.iter().map(of).sum::<usize>()
                    };
                    (rows(|row| !row.is_notice()), rows(ActivityRow::is_notice))
                })?;
                writeln!(out, "{} lines in the log, {written} messages, {answered} answers", dev.world().line())?;
            }
        }
    }
    dev.stop()?;
    Ok(())
}

/// The agents' process. It reads an id and a token a line, and starts all of them at once.
///
/// # Errors
/// The errors of the agents.
pub fn agents(url: &str) -> Outcome {
    let client = molecule_async::Client::new(&molecule_async::Transport::default())?;
    let mut agents = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Some((id, token)) = line.split_once(' ') else { break };
        let builder = molecule_async::Agent::builder(url, id).token(token).storage(molecule_async::Storage::Memory);
        agents.push(builder.client(client.clone()).build()?);
    }
    runtime()?.block_on(async {
        let mut running = JoinSet::new();
        for agent in &agents {
            let agent = agent.clone();
            running.spawn(async move { agent.run_agent_loop(echo).await });
        }
        while !agents.iter().all(|agent| agent.health().last_beat.is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        writeln!(io::stdout(), "ready")?;
        // It ends with its input: the one who started it has gone then.
        let ended = tokio::task::spawn_blocking(|| io::stdin().lock().lines().for_each(drop));
        tokio::select! {
            ended = ended => Ok(ended?),
            end = running.join_next() => Err(format!("an agent ended: {end:?}").into()),
        }
    })
}

async fn echo(message: InboundMessage) -> Result<Option<Reply>, String> {
    Ok(Some(Reply::text(format!("you wrote: {}", message.text()))))
}
