//! Measures resident memory, each figure in a process of its own.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::bare::BareHyper;
use crate::child::Role;
use crate::meter::{descriptors, resident_kib};
use crate::{Outcome, async_agents, blocking_agent, runtime};

/// The content of the measured process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Nothing.
    Nothing,
    /// Blocking agents that registered and sent heartbeats.
    Blocking,
    /// Async agents, each in a task of its own, which sent their heartbeats concurrently.
    Agents,
    /// Async agents with running loops, after their registers and first heartbeats.
    Loops,
    /// Plain connections of hyper, each in a task of its own, which sent their heartbeats concurrently.
    Hyper,
}

impl What {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Nothing, "nothing"),
        (Self::Blocking, "blocking"),
        (Self::Agents, "agents"),
        (Self::Loops, "loops"),
        (Self::Hyper, "hyper"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(what, _)| *what == self).map_or("", |(_, name)| name)
    }

    /// The value with this name.
    ///
    /// # Errors
    /// If no value has this name.
    pub fn of(name: &str) -> Outcome<Self> {
        Ok(Self::ALL.into_iter().find(|(_, it)| *it == name).ok_or("nothing of this name has memory")?.0)
    }
}

/// The resident memory of a process with `count` of these, in KiB: the median of three processes.
///
/// # Errors
/// The errors of the process.
pub fn resident(what: What, port: u16, count: u32) -> Outcome<f64> {
    let once = |_| -> Outcome<f64> {
        let mut role = Role::start(&["memory", what.name(), &port.to_string(), &count.to_string()])?;
        Ok(role.line()?.parse()?)
    };
    let mut figures = (0..3).map(once).collect::<Outcome<Vec<_>>>()?;
    figures.sort_by(f64::total_cmp);
    Ok(figures[1])
}

/// The number of heartbeats that each one sends before the measurement.
const BEATS: u32 = 3;

/// The child's side.
///
/// # Errors
/// The errors of the clients.
pub fn run(what: What, port: u16, count: u32) -> Outcome {
    match what {
        What::Nothing => say_resident(0),
        What::Blocking => {
            let agents = (0..count).map(|_| blocking_agent(port)).collect::<Outcome<Vec<_>>>()?;
            for agent in &agents {
                agent.register()?;
                (0..10).try_for_each(|_| agent.heartbeat().map(drop))?;
            }
            say_resident(count)
        }
        What::Agents | What::Hyper => runtime()?.block_on(async {
            let (done, mut all) = unbounded_channel();
            if what == What::Agents {
                for agent in async_agents(port, count)? {
                    tokio::spawn(agent_task(agent, done.clone()));
                }
            } else {
                for _ in 0..count {
                    tokio::spawn(hyper_task(BareHyper::connect(port).await?, done.clone()));
                }
            }
            for _ in 0..count {
                all.recv().await.ok_or("a task is gone")??;
            }
            say_resident(count)
        }),
        What::Loops => runtime()?.block_on(async {
            let agents = async_agents(port, count)?;
            for agent in agents.clone() {
                tokio::spawn(async move { agent.run_heartbeat_loop().await });
            }
            while !agents.iter().all(|agent| agent.health().last_beat.is_some()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // There is no fixed number of connections: agents that start later reuse those of others.
            say_resident(0)
        }),
    }
}

type Done = UnboundedSender<Outcome>;

/// Sends the heartbeats, reports the end of them, and then never ends, so that its memory stays allocated.
async fn agent_task(agent: molecule_async::Agent, done: Done) {
    for _ in 0..BEATS {
        if let Err(error) = agent.heartbeat().await {
            let _ = done.send(Err(error.into()));
        }
    }
    let _ = done.send(Ok(()));
    std::future::pending::<()>().await;
    drop(agent);
}

async fn hyper_task(mut bare: BareHyper, done: Done) {
    for _ in 0..BEATS {
        if let Err(error) = bare.heartbeat().await {
            let _ = done.send(Err(error));
        }
    }
    let _ = done.send(Ok(()));
    std::future::pending::<()>().await;
    drop(bare);
}

/// Writes this process's resident memory, after a check that it has at least this number of descriptors.
fn say_resident(connections: u32) -> Outcome {
    let open = descriptors()?;
    if open < connections as usize {
        return Err(format!("{open} descriptors are less than {connections} connections").into());
    }
    writeln!(io::stdout(), "{}", resident_kib()?)?;
    Ok(())
}
