//! An agent that is called: the platform pushes messages to it, another agent calls it directly, and both get its answers
//! in the same exchange. Async.
//!
//! ```console
//! $ cargo run --example inbound-agent-async
//! $ export MOLECULE_PLATFORM_URL=… MOLECULE_WORKSPACE_ID=… MOLECULE_WORKSPACE_TOKEN=…
//! $ MOLECULE_A2A_BIND=0.0.0.0:8080 MOLECULE_REPORTED_URL=https://agent.example.com/a2a cargo run --example inbound-agent-async
//! ```
//!
//! Without any variable it runs against an embedded platform.

use std::error::Error;
use std::process::ExitCode;

use molecule_async::{Agent, AgentCard, Ended, InboundMessage, PeerCall, Reply, Result, Route, Storage};
use molecule_examples::embedded::{Embedded, PEER_TOKEN};
use molecule_examples::{Settings, story};
use molecule_serve::{A2aServe, Delivery};

#[tokio::main]
async fn main() -> ExitCode {
    story::conclude(live().await)
}

async fn live() -> Result<Ended, Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let server = settings.server();
    let mut builder = Agent::builder(&settings.platform, &settings.workspace_id)
        .card(AgentCard::new(settings.name).description("is called, async"))
        .heartbeat_interval(settings.heartbeat)
        .state_interval(settings.state)
        .storage(settings.storage)
        .origin(settings.origin)
        .on_event(story::tell_event);
    if let Some(token) = settings.token {
        builder = builder.token(token);
    }
    let agent = builder.build()?;
    let stopper = agent.stopper();
    story::on_interrupt(move || stopper.stop())?;

    let running = tokio::spawn(agent.run_agent(Delivery::Auto(server), answer));
    if let Some(embedded) = settings.embedded {
        let embedded = tokio::task::spawn_blocking(move || {
            embedded.push("hello");
            embedded
        });
        let embedded = embedded.await?;
        if let Err(error) = call_directly(&embedded, &agent).await {
            story::tell("colleague", error);
        }
        embedded.pause();
        return Ok(running.await??);
    }
    Ok(running.await??)
}

/// Answers a message. The platform's own turns come here as well, and nobody reads an answer to them.
async fn answer(message: InboundMessage) -> Result<Option<Reply>> {
    story::tell_message(&message);
    if !message.sender().may_be_answered() {
        return Ok(None);
    }
    Ok(Some(Reply::text(format!("you wrote: {}", message.text()))))
}

/// Lets another agent call this one past the platform, with the token on which both owners agreed.
async fn call_directly(embedded: &Embedded, agent: &Agent) -> Result<()> {
    let (id, token) = embedded.colleague();
    let colleague = Agent::builder(embedded.url(), id)
        .token(token)
        .storage(Storage::Memory)
        .peer_token(agent.workspace_id(), PEER_TOKEN)
        .build()?;
    colleague.register().await?;
    let message = "are you there?";
    let outcome = colleague.call_peer(agent.workspace_id(), PeerCall::new(message).route(Route::Direct)).await?;
    story::tell_outcome("colleague", message, &outcome);
    Ok(())
}
