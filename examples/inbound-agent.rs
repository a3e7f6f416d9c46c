//! An agent that is called: the platform pushes messages to it, another agent calls it directly, and both get its answers
//! in the same exchange. Blocking.
//!
//! ```console
//! $ cargo run --example inbound-agent
//! $ export MOLECULE_PLATFORM_URL=… MOLECULE_WORKSPACE_ID=… MOLECULE_WORKSPACE_TOKEN=…
//! $ MOLECULE_A2A_BIND=0.0.0.0:8080 MOLECULE_REPORTED_URL=https://agent.example.com/a2a cargo run --example inbound-agent
//! ```
//!
//! Without any variable it runs against an embedded platform.

use std::error::Error;
use std::process::ExitCode;

use molecule_blocking::{Agent, AgentCard, Ended, InboundMessage, PeerCall, Reply, Result, Route, Storage};
use molecule_examples::embedded::{Embedded, PEER_TOKEN};
use molecule_examples::{Settings, story};
use molecule_serve::{A2aServe, Delivery};

fn main() -> ExitCode {
    story::conclude(live())
}

fn live() -> Result<Ended, Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let server = settings.server();
    let mut builder = Agent::builder(&settings.platform, &settings.workspace_id)
        .card(AgentCard::new(settings.name).description("is called, blocking"))
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

    let running = agent.clone();
    std::thread::scope(|scope| {
        let loops = scope.spawn(move || running.run_agent(Delivery::Auto(server), answer));
        if let Some(embedded) = &settings.embedded {
            embedded.push("hello");
            if let Err(error) = call_directly(embedded, &agent) {
                story::tell("colleague", error);
            }
            embedded.pause();
        }
        Ok(loops.join().expect("a loop does not panic")?)
    })
}

/// Answers a message. The platform's own turns come here as well, and nobody reads an answer to them.
fn answer(message: InboundMessage) -> Result<Option<Reply>> {
    story::tell_message(&message);
    if !message.sender().may_be_answered() {
        return Ok(None);
    }
    Ok(Some(Reply::text(format!("you wrote: {}", message.text()))))
}

/// Lets another agent call this one past the platform, with the token on which both owners agreed.
fn call_directly(embedded: &Embedded, agent: &Agent) -> Result<()> {
    let (id, token) = embedded.colleague();
    let colleague = Agent::builder(embedded.url(), id)
        .token(token)
        .storage(Storage::Memory)
        .peer_token(agent.workspace_id(), PEER_TOKEN)
        .build()?;
    colleague.register()?;
    let message = "are you there?";
    let outcome = colleague.call_peer(agent.workspace_id(), PeerCall::new(message).route(Route::Direct))?;
    story::tell_outcome("colleague", message, &outcome);
    Ok(())
}
