//! Measures the memory of messages that wait for their handler, in a process of their own.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

use molecule_core::{Backlog, InboundMessage, InboxOptions};
use molecule_host::Storage;

use crate::child::Role;
use crate::meter::resident_kib;
use crate::receiving::{Facade, platform, wait_for_streams, workspace};
use crate::{Outcome, runtime};

/// The length of a message's text.
const TEXT: usize = 1_000;

/// The time within which an agent that has something to read reads it.
const QUIET: Duration = Duration::from_secs(2);

/// What a message costs that waits.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Its own bytes: the length of its row as JSON.
    pub own: f64,
    /// What its process has allocated for it, in bytes.
    pub heap: f64,
    /// The resident memory of its process for it, in bytes.
    pub resident: f64,
}

/// Sends `count` messages of one sender to an agent whose handler never ends, and returns what each of them costs.
///
/// # Errors
/// The errors of the process, and messages that the agent did not read.
pub fn measure(facade: Facade, count: u32) -> Outcome<Waiting> {
    let server = platform()?;
    let receiver = workspace(&server)?;
    let mut role = Role::start(&["waiting", facade.name(), &server.url(), receiver.id.as_str(), &receiver.token])?;
    wait_for_streams(&server, std::slice::from_ref(&receiver))?;
    std::thread::sleep(QUIET);
    role.say("before")?;
    let before = read(&role.line()?)?;
    let text = "x".repeat(TEXT);
    for _ in 0..count {
        server.with(|platform, now| platform.send_user_message(now, &receiver.id, text.as_str()));
    }
    std::thread::sleep(2 * QUIET);
    role.say("after")?;
    let after = read(&role.line()?)?;
    let own: f64 = role.line()?.parse()?;
    let each = |of: fn(&[f64; 2]) -> f64| (of(&after) - of(&before)) / f64::from(count);
    Ok(Waiting { own, heap: each(|[heap, _]| *heap), resident: each(|[_, resident]| *resident) })
}

fn read(line: &str) -> Outcome<[f64; 2]> {
    let (heap, kib) = line.split_once(' ').ok_or("no two numbers")?;
    let kib: f64 = kib.parse()?;
    Ok([heap.parse()?, kib * 1024.0])
}

/// The child's side: prints its heap and its resident memory for each line that it reads, and then the length of the
/// first message's row. `heap` says how many bytes are allocated.
///
/// # Errors
/// The errors of the agent.
pub fn run(facade: Facade, (url, id, token): (&str, &str, &str), heap: impl Fn() -> usize) -> Outcome {
    let (sender, first) = channel();
    let inbox = InboxOptions::new().backlog(Backlog::FromNow);
    let own = move |message: &InboundMessage| {
        let row = serde_json::to_string(message.raw()).unwrap_or_default();
        let _ = sender.send(row.len());
    };
    match facade {
        Facade::Blocking => {
            let builder = molecule_blocking::Agent::builder(url, id).token(token).inbox(inbox).no_proxy();
            let agent = builder.storage(Storage::Memory).build()?;
            std::thread::spawn(move || {
                agent.run_agent_loop(move |message: InboundMessage| {
                    own(&message);
                    loop {
                        std::thread::park();
                    }
                    #[allow(unreachable_code)]
                    Ok::<_, String>(None)
                })
            });
        }
        Facade::Async => {
            let builder = molecule_async::Agent::builder(url, id).token(token).inbox(inbox).no_proxy();
            let agent = builder.storage(Storage::Memory).build()?;
            let runtime = runtime()?;
            std::thread::spawn(move || {
                runtime.block_on(agent.run_agent_loop(move |message: InboundMessage| {
                    own(&message);
                    std::future::pending::<Result<_, String>>()
                }))
            });
        }
    }
    for line in io::stdin().lock().lines() {
        writeln!(io::stdout(), "{} {}", heap(), resident_kib()?)?;
        if line? == "after" {
            writeln!(io::stdout(), "{}", first.recv_timeout(QUIET)?)?;
        }
    }
    // The handler never ends.
    std::process::exit(0);
}
