//! A thousand async agents in one process, which share one client and its pool. Their starts are spread over time, and
//! each loop ends for itself.
//!
//! ```console
//! $ cargo run --release --example many-agents -- 1000
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use molecule_async::{Agent, Client, Ended, Storage, Transport};
use molecule_examples::fleet::{self, Tally};
use tokio::task::JoinSet;

fn main() -> Result<(), Box<dyn Error>> {
    fleet::raise_descriptor_limit();
    let size = fleet::size(1_000)?;
    let (server, workspaces) = fleet::platform(size)?;
    // The agents' stores are in memory here, so that a few threads suffice for blocking work.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
    runtime.block_on(async {
        let client = Client::new(&Transport::default())?;
        let tally = Arc::new(Tally::default());
        let (started, mut loops, mut stoppers) = (Instant::now(), JoinSet::new(), Vec::new());
        for (id, token) in &workspaces {
            let tally = Arc::clone(&tally);
            let agent = Agent::builder(server.url(), id)
                .token(token.expose())
                .storage(Storage::Memory)
                .client(client.clone())
                .stagger(Duration::from_secs(2))
                .heartbeat_interval(Duration::from_secs(2))
                .state_interval(Duration::from_secs(2))
                .on_event(move |event| tally.count(event))
                .build()?;
            stoppers.push(agent.stopper());
            loops.spawn(async move { agent.run_heartbeat_loop().await });
        }
        let online = Arc::clone(&tally);
        tokio::task::spawn_blocking(move || online.wait_for(size, started)).await??;

        // The platform deletes one workspace: its loop ends, and no other one.
        let first = workspaces.first().map(|(id, _)| id.clone()).ok_or("no agents")?;
        server.with(|platform, now| platform.delete(now, &first, false));
        let mut ends = Vec::new();
        if let Some(ended) = loops.join_next().await {
            ends.push(ended??);
        }
        stoppers.iter().for_each(|stopper| stopper.stop());
        while let Some(ended) = loops.join_next().await {
            ends.push(ended??);
        }
        fleet::tell_ends(&ends, &tally);
        assert_eq!(ends.first(), Some(&Ended::Deleted));
        Ok(())
    })
}
