//! An agent that answers every message with its text, async.
//!
//! ```console
//! $ export MOLECULE_PLATFORM_URL=… MOLECULE_WORKSPACE_ID=… MOLECULE_WORKSPACE_TOKEN=…
//! $ cargo run --example echo-agent-async
//! ```

// The program prints for the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;

use molecule_async::{Agent, InboundMessage, Reply, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let agent = Agent::from_env()?;
    let stopper = agent.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    println!("ended: {}", agent.run_agent_loop(echo).await?);
    Ok(())
}

/// Answers a message with its text. The platform's own turns come here as well, and nobody reads an answer to them.
async fn echo(message: InboundMessage) -> Result<Option<Reply>> {
    println!("{}: {}", message.sender(), message.text());
    if !message.sender().may_be_answered() {
        return Ok(None);
    }
    Ok(Some(Reply::text(message.text())))
}
