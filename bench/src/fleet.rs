//! Many agents in one process, each sending one heartbeat after the other, and as many bare connections for comparison.
//!
//! Each fleet is a child process with a server of its own. Both fleets can therefore take turns on a machine that
//! others use as well, and neither needs more than half of the descriptors that a process may have.

use std::io::{self, BufRead, Write};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::bare::BareHyper;
use crate::child::Role;
use crate::meter::{Cost, cost};
use crate::server::Server;
use crate::{Outcome, async_agents, runtime};

/// The members of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Agents that share one client.
    Agents,
    /// Plain connections of hyper, without timeouts.
    Hyper,
    /// Plain connections of hyper, with the timeouts of a heartbeat.
    HyperWithLimits,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Agents, Self::Hyper, Self::HyperWithLimits];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Hyper => "hyper",
            Self::HyperWithLimits => "hyper-with-limits",
        }
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// If no kind has this name.
    pub fn of(name: &str) -> Outcome<Self> {
        Ok(Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or("no such fleet")?)
    }
}

/// A fleet in a child process, and its server.
#[derive(Debug)]
pub struct Fleet {
    // The order matters for dropping: the server must outlive its clients.
    role: Role,
    _server: Server,
}

impl Fleet {
    /// Starts a fleet with this number of members, and waits until they are connected.
    ///
    /// # Errors
    /// The errors of processes and sockets.
    pub fn start(kind: Kind, count: u32) -> Outcome<Self> {
        let server = Server::start()?;
        let mut role = Role::start(&["fleet", kind.name(), &server.port.to_string(), &count.to_string()])?;
        role.line()?;
        Ok(Self { role, _server: server })
    }

    /// Lets each member send `calls` heartbeats, all members concurrently, and returns the cost for the fleet's
    /// process.
    ///
    /// # Errors
    /// The fleet's error.
    pub fn round(&mut self, calls: u32) -> Outcome<Cost> {
        self.role.say(&calls.to_string())?;
        Cost::parse(&self.role.line()?)
    }
}

/// The child's side: runs a round for each number that it reads.
///
/// # Errors
/// The errors of the clients.
pub fn run(kind: Kind, port: u16, count: u32) -> Outcome {
    let runtime = runtime()?;
    match kind {
        Kind::Agents => rounds(&runtime, async_agents(port, count)?),
        Kind::Hyper => rounds(&runtime, runtime.block_on(connections(port, count))?),
        Kind::HyperWithLimits => {
            let connections = runtime.block_on(connections(port, count))?;
            rounds(&runtime, connections.into_iter().map(WithLimits).collect())
        }
    }
}

async fn connections(port: u16, count: u32) -> Outcome<Vec<BareHyper>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(BareHyper::connect(port).await?);
    }
    Ok(connections)
}

fn rounds(runtime: &Runtime, members: Vec<impl Member>) -> Outcome {
    // Opens the connections that are not open yet, and lets every buffer grow to its final size.
    let mut members = runtime.block_on(beat_all(members, 2))?;
    writeln!(io::stdout(), "ready")?;
    for line in io::stdin().lock().lines() {
        let calls = line?.trim().parse()?;
        let (spent, result) = cost(|| runtime.block_on(beat_all(members, calls)));
        members = result?;
        writeln!(io::stdout(), "{spent}")?;
    }
    Ok(())
}

/// Lets all members send their heartbeats concurrently, each in a task of its own.
async fn beat_all<M: Member>(members: Vec<M>, calls: u32) -> Outcome<Vec<M>> {
    let mut tasks = JoinSet::new();
    for member in members {
        tasks.spawn(member.beat(calls));
    }
    let mut members = Vec::new();
    while let Some(done) = tasks.join_next().await {
        members.push(done??);
    }
    Ok(members)
}

trait Member: Sized + Send + 'static {
    /// Sends `calls` heartbeats, one after the other.
    fn beat(self, calls: u32) -> impl Future<Output = Outcome<Self>> + Send;
}

impl Member for molecule_async::Agent {
    async fn beat(self, calls: u32) -> Outcome<Self> {
        for _ in 0..calls {
            self.heartbeat().await?;
        }
        Ok(self)
    }
}

impl Member for BareHyper {
    async fn beat(mut self, calls: u32) -> Outcome<Self> {
        for _ in 0..calls {
            self.heartbeat().await?;
        }
        Ok(self)
    }
}

struct WithLimits(BareHyper);

impl Member for WithLimits {
    async fn beat(mut self, calls: u32) -> Outcome<Self> {
        for _ in 0..calls {
            self.0.heartbeat_within_limits().await?;
        }
        Ok(self)
    }
}
