//! A hundred blocking agents in one process, which share one client. Each loop has a thread.
//!
//! ```console
//! $ cargo run --release --example many-agents-blocking -- 100
//! ```

use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use molecule_blocking::{Agent, Client, Ended, Storage, Transport};
use molecule_examples::fleet::{self, Tally};

fn main() -> Result<(), Box<dyn Error>> {
    fleet::raise_descriptor_limit();
    let size = fleet::size(100)?;
    let (server, workspaces) = fleet::platform(size)?;
    let client = Client::new(&Transport::default())?;
    let tally = Arc::new(Tally::default());
    let (started, mut stoppers) = (Instant::now(), Vec::new());
    let (sender, ended) = mpsc::channel();
    for (id, token) in &workspaces {
        let counted = Arc::clone(&tally);
        let agent = Agent::builder(server.url(), id)
            .token(token.expose())
            .storage(Storage::Memory)
            .client(client.clone())
            .stagger(Duration::from_secs(2))
            .heartbeat_interval(Duration::from_secs(2))
            .state_interval(Duration::from_secs(2))
            .on_event(move |event| counted.count(event))
            .build()?;
        stoppers.push(agent.stopper());
        let sender = sender.clone();
        // The loop itself needs a small stack; each of its requests runs in a small thread of its own.
        thread::Builder::new().stack_size(256 * 1024).spawn(move || sender.send(agent.run_heartbeat_loop()))?;
    }
    drop(sender);
    tally.wait_for(size, started)?;

    // The platform deletes one workspace: its loop ends, and no other one.
    let first = workspaces.first().map(|(id, _)| id.clone()).ok_or("no agents")?;
    server.with(|platform, now| platform.delete(now, &first, false));
    let mut ends = vec![ended.recv()??];
    stoppers.iter().for_each(|stopper| stopper.stop());
    ends.extend(ended.iter().collect::<Result<Vec<_>, _>>()?);
    fleet::tell_ends(&ends, &tally);
    assert_eq!(ends.first(), Some(&Ended::Deleted));
    Ok(())
}
