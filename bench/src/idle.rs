//! Many idle agents with event streams in one process, and as many bare streams for comparison.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use http_body_util::BodyExt;
use molecule_core::proto::path;
use molecule_core::{InboundMessage, InboxOptions};
use tokio::time::{Instant, interval_at};

use crate::bare::BareHyper;
use crate::bare_inbox::{page, stream};
use crate::child::Role;
use crate::meter::{processor_time, resident_kib};
use crate::receiving::Workspace;
use crate::{Outcome, runtime};

/// The time between two heartbeats of an agent, and between two polls of its state.
pub const BEAT: Duration = Duration::from_secs(30);

/// The time between two reads of the feed while nothing happens.
pub const READ: Duration = Duration::from_secs(60);

/// The members of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Agents that share one client.
    Agents,
    /// Plain connections of hyper, two for each stream, which send the same requests.
    Hyper,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Hyper => "hyper",
        }
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// If no kind has it.
    pub fn of(name: &str) -> Outcome<Self> {
        let kinds = [Self::Agents, Self::Hyper];
        Ok(kinds.into_iter().find(|kind| kind.name() == name).ok_or("no such fleet")?)
    }
}

/// Idle members in a child process.
#[derive(Debug)]
pub struct Idle(Role);

impl Idle {
    /// Starts a member for each workspace.
    ///
    /// # Errors
    /// The errors of the process.
    pub fn start(kind: Kind, port: u16, workspaces: &[Workspace]) -> Outcome<Self> {
        let mut role = Role::start(&["idle", kind.name(), &port.to_string(), &workspaces.len().to_string()])?;
        for workspace in workspaces {
            role.say(&format!("{} {}", workspace.id, workspace.token))?;
        }
        Ok(Self(role))
    }

    /// The processor time of the process so far, and its memory in KiB.
    ///
    /// # Errors
    /// The errors of the process.
    pub fn spent(&mut self) -> Outcome<(Duration, f64)> {
        self.0.say("spent")?;
        let line = self.0.line()?;
        let (nanos, kib) = line.split_once(' ').ok_or("no two numbers")?;
        Ok((Duration::from_nanos(nanos.parse()?), kib.parse()?))
    }
}

/// The child's side: reads the workspaces, starts the members, and then prints what was spent for each line that it reads.
///
/// # Errors
/// The errors of the clients.
pub fn run(kind: Kind, port: u16, count: usize) -> Outcome {
    let mut lines = io::stdin().lock().lines();
    let mut workspaces = Vec::new();
    for line in lines.by_ref().take(count) {
        let line = line?;
        let (id, token) = line.split_once(' ').ok_or("no id and token")?;
        workspaces.push(Workspace { id: id.parse()?, token: token.to_owned() });
    }
    let runtime = runtime()?;
    match kind {
        Kind::Agents => {
            let client = molecule_async::Client::new(&molecule_async::Transport::default())?;
            for workspace in workspaces {
                let builder = molecule_async::Agent::builder(crate::base(port), &workspace.id).token(&workspace.token);
                let builder = builder.storage(molecule_async::Storage::Memory).client(client.clone());
                let builder =
                    builder.heartbeat_interval(BEAT).state_interval(BEAT).inbox(InboxOptions::new().idle_poll(READ));
                let agent = builder.build()?;
                runtime.spawn(async move {
                    agent.run_agent_loop(|_: InboundMessage| async { Ok::<_, String>(None) }).await
                });
            }
        }
        Kind::Hyper => {
            for (at, workspace) in workspaces.into_iter().enumerate() {
                let delay = BEAT * u32::try_from(at)? / u32::try_from(count)?;
                runtime.spawn(async move {
                    if let Err(error) = member(port, workspace, delay).await {
                        let _ = writeln!(io::stderr(), "a bare stream ended: {error}");
                    }
                });
            }
        }
    }
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    for line in lines {
        line?;
        writeln!(io::stdout(), "{} {}", processor_time().as_nanos(), resident_kib()?)?;
    }
    // The members never end.
    std::process::exit(0);
}

/// Holds a stream, and sends the requests of an idle agent's loop on another connection.
async fn member(port: u16, workspace: Workspace, delay: Duration) -> Outcome {
    let mut calls = BareHyper::connect_as(port, workspace.id.clone(), &workspace.token).await?;
    let (_stream, mut events) = stream(port, &workspace).await?;
    let watch = tokio::spawn(async move {
        while let Some(Ok(event)) = events.frame().await {
            drop(event);
        }
    });
    let (mut beats, state) = (interval_at(Instant::now() + delay, BEAT), path::state(&workspace.id));
    while !watch.is_finished() {
        for _ in 0..READ.as_secs() / BEAT.as_secs() {
            beats.tick().await;
            calls.heartbeat().await?;
            calls.get(&state).await?.collect().await?;
        }
        page(&mut calls, &workspace, &[("limit", "500"), ("include", "peer_info")]).await?;
    }
    Err("the server ended it".into())
}
