//! An A2A server for clients that know no platform: it answers each message with its text.
//!
//! ```console
//! $ cargo run --example a2a-server -- [--task-mode] [--bind 127.0.0.1:9000]
//! ```
//!
//! It prints its URL. With `--task-mode` an answer is a task that waits for further messages; the text `done` completes it.
//! With `A2A_BEARER` in the environment callers need this bearer, else they need none. Ctrl-C stops it.
//!
//! An agent always belongs to a platform. This one's is embedded, and it is April's: that one announces no secret, so that
//! clients without a credential can be served.

// The program prints for the person who started it.
#![allow(clippy::print_stdout)]

use std::error::Error;

use molecule_async::{Agent, AgentCard, InboundMessage, Reply, Result, Storage};
use molecule_platform::{Config, Dialect, serve};
use molecule_serve::{A2aServe, ServerOptions};

/// The workspace that the bearer's holder is taken for.
const CALLER: &str = "0c0ffee0-0000-4000-8000-000000000001";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let platform = serve(Config::new(Dialect::April), "127.0.0.1:0")?;
    let (id, token) = platform.with(|platform, now| platform.create_workspace(now, "a2a-server"));
    let agent = Agent::builder(platform.url(), &id)
        .card(AgentCard::new("a2a-server").description("answers each message with its text"))
        .token(token.expose())
        .storage(Storage::Memory)
        .no_proxy()
        .build()?;
    let stopper = agent.stopper();
    ctrlc::set_handler(move || stopper.stop())?;

    let server = agent.start_a2a_server(options()?, echo).await?;
    println!("{}", server.url());
    agent.run_heartbeat_loop().await?;
    Ok(server.stop().await?)
}

/// Reads the arguments and the bearer.
fn options() -> Result<ServerOptions, String> {
    let mut options = match std::env::var("A2A_BEARER") {
        Ok(bearer) => ServerOptions::new().peer_token(CALLER, bearer),
        Err(_) => ServerOptions::new().allow_unauthenticated(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        options = match (argument.as_str(), arguments.len()) {
            ("--task-mode", _) => options.task_mode(),
            ("--bind", 1..) => options.bind(arguments.next().unwrap_or_default()),
            _ => return Err(format!("{argument:?} is not one of --task-mode and --bind ADDRESS")),
        };
    }
    Ok(options)
}

async fn echo(message: InboundMessage) -> Result<Option<Reply>> {
    let text = message.text();
    let reply = Reply::text(format!("you wrote: {text}"));
    Ok(Some(if text == "done" { reply.completes_task() } else { reply }))
}
