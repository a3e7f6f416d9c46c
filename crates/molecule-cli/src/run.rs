//! `molecule run`: an agent whose messages a program handles.

mod alive;
pub(crate) mod attachments;
mod exits;
mod forward;
mod health;
mod lines;
mod member;
mod per_message;
pub(crate) mod program;
mod reaper;
mod secrets;
pub(crate) mod signals;
mod supervisor;
mod systemd;
pub(crate) mod unhandled;
pub(crate) mod wire;

use molecule_async::{InboundMessage, Reply};

use crate::args::{self, OnSecrets};
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::settings::Settings;
use forward::Forward;
use lines::Lines;
use per_message::PerMessage;
use signals::{Hangups, Signals};
use supervisor::Supervisor;
use unhandled::Unhandled;

/// What handles the messages of one workspace.
enum Handler {
    /// Answers with the message's own text.
    Echo,
    /// One program that lives as long as the agent.
    Lines(Lines),
    /// A program for each message.
    PerMessage(PerMessage),
    /// A program that listens.
    Forward(Forward),
}

impl Handler {
    async fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, Unhandled> {
        match self {
            Self::Echo if message.sender().may_be_answered() => Ok(Some(Reply::text(message.text()))),
            Self::Echo => Ok(None),
            Self::Lines(lines) => lines.handle(message).await,
            Self::PerMessage(per_message) => per_message.handle(message).await,
            Self::Forward(forward) => forward.handle(message).await,
        }
    }

    /// Ends the program, which has no message any more.
    async fn end(&self) {
        if let Self::Lines(lines) = self {
            lines.end().await;
        }
    }
}

/// Runs the agents of all workspaces until each has ended.
pub(crate) async fn run(settings: Settings, args: &args::Run, output: &Output) -> Result<u8, Failure> {
    check(&settings, args)?;
    let failed = |error| Failure::new(exit::ERROR, format!("signals cannot be received: {error}"));
    let signals = (Signals::new().map_err(failed)?, Hangups::new().map_err(failed)?);
    reaper::reap().map_err(failed)?;
    output.in_background()?;
    let all = health::Agents::default();
    let supervisor = Supervisor::new(settings, args, output, all.clone());
    let agents = supervisor.prepare()?;
    if let Some(address) = &args.health {
        health::serve(address, all.clone(), output).await?;
    }
    health::watch(all);
    let ended = supervisor.run(agents, signals).await;
    output.finish().await;
    ended
}

fn check(settings: &Settings, args: &args::Run) -> Result<(), Failure> {
    if !args.echo && args.forward.is_none() && args.command.is_empty() {
        return Err(Failure::usage(
            "no program handles the messages; give one behind `--`, or --forward URL, or --echo to try the connection",
        ));
    }
    if args.push.is_some() && settings.workspaces().len() > 1 {
        return Err(Failure::usage("--push listens for one workspace; choose it with --workspace"));
    }
    if args.per_message && args.reload_on_secrets == Some(OnSecrets::Hup) {
        return Err(Failure::usage(
            "--reload-on-secrets hup is for a program that lives on; with --per-message give `restart`",
        ));
    }
    Ok(())
}
