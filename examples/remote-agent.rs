//! A remote agent's whole life, blocking: it registers, pulls secrets, installs a plugin, sends heartbeats, answers
//! messages, ends when the platform says so, and is called by another agent.
//!
//! ```console
//! $ cargo run --example remote-agent
//! ```
//!
//! Without settings it uses an embedded platform, whose owner writes to it and then pauses it. With `MOLECULE_PLATFORM_URL` and
//! `MOLECULE_WORKSPACE_ID` it is an agent of a real platform.

use std::error::Error;
use std::process::ExitCode;

use molecule_blocking::{Agent, AgentCard, Ended, InboundMessage, Reply, Result, Storage};
use molecule_examples::embedded::Embedded;
use molecule_examples::{Settings, story};

fn main() -> ExitCode {
    story::conclude(live())
}

fn live() -> Result<Ended, Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let mut builder = Agent::builder(&settings.platform, &settings.workspace_id)
        .card(AgentCard::new(settings.name).description("lives a whole life, blocking"))
        .heartbeat_interval(settings.heartbeat)
        .state_interval(settings.state)
        .storage(settings.storage)
        .origin(settings.origin)
        .on_event(story::tell_event);
    if let Some(token) = settings.token {
        builder = builder.token(token);
    }
    if let Some(url) = settings.reported_url {
        builder = builder.reported_url(url);
    }
    if let Some(id) = settings.org_id {
        builder = builder.org_id(id);
    }
    let agent = builder.build()?;
    let stopper = agent.stopper();
    story::on_interrupt(move || stopper.stop())?;

    let registration = agent.register()?;
    story::tell_registration(&registration);
    if !registration.paused {
        story::tell_secrets(&agent.pull_secrets()?);
    }
    if let Some(plugin) = &settings.plugin {
        story::tell_installed(&agent.install_plugin(plugin.as_str())?);
    }
    if let Some(embedded) = &settings.embedded {
        embedded.write_and_pause("hello");
    }
    let ended = agent.run_agent_loop(answer)?;
    if let Some(embedded) = &settings.embedded {
        leave_word(embedded, &agent)?;
    }
    Ok(ended)
}

/// Answers a message. The platform's own turns come here as well, and nobody reads an answer to them.
fn answer(message: InboundMessage) -> Result<Option<Reply>> {
    story::tell_message(&message);
    if !message.sender().may_be_answered() {
        return Ok(None);
    }
    Ok(Some(Reply::text(format!("you wrote: {}", message.text()))))
}

/// Lets another agent of the same platform call this one, which reads the message when it runs again.
fn leave_word(embedded: &Embedded, agent: &Agent) -> Result<()> {
    let (id, token) = embedded.colleague();
    let colleague = Agent::builder(embedded.url(), id).token(token).storage(Storage::Memory).build()?;
    colleague.register()?;
    let message = "welcome back";
    let outcome = colleague.call_peer(agent.workspace_id(), message)?;
    story::tell_outcome("colleague", message, &outcome);
    Ok(())
}
