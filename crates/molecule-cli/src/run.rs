//! `molecule run`: an agent whose messages a program handles.

mod alive;
pub(crate) mod attachments;
mod forward;
mod health;
mod lines;
mod per_message;
pub(crate) mod program;
pub(crate) mod signals;
mod systemd;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use molecule_async::{Agent, Ended, Event, InboundMessage, InboxOptions, OnPause, Reply};
use molecule_serve::{A2aServe, Delivery, ServerLimits, ServerOptions};
use serde_json::json;
use tokio::task::JoinSet;

use crate::args;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::settings::{Settings, Workspace};
use alive::Alive;
use attachments::Incoming;
use forward::Forward;
use lines::Lines;
use per_message::PerMessage;
use program::Program;

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
    async fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, String> {
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

/// Runs the agents of all workspaces until each has ended. The result of each is one line: its workspace, and how it ended.
pub(crate) async fn run(settings: &Settings, args: &args::Run, output: &Output) -> Result<u8, Failure> {
    if !args.echo && args.forward.is_none() && args.command.is_empty() {
        return Err(Failure::usage(
            "no program handles the messages; give one behind `--`, or --forward URL, or --echo to try the connection",
        ));
    }
    if args.push.is_some() && settings.workspaces().len() > 1 {
        return Err(Failure::usage("--push listens for one workspace; choose it with --workspace"));
    }
    let mut agents = Vec::new();
    for workspace in settings.workspaces() {
        agents.push((workspace.label.clone(), agent(settings, workspace, args, output)?));
    }
    signals::stop(agents.iter().map(|(_, agent)| agent.stopper()).collect(), output.clone())?;
    let alive = agents.iter().map(|(label, agent)| (label.clone(), Alive::new(agent.clone())));
    let alive: health::Agents = Arc::new(alive.collect());
    if let Some(address) = &args.health {
        health::serve(address, alive.clone(), output).await?;
    }
    health::watch(alive);
    let mut running = JoinSet::new();
    for (workspace, agent) in agents {
        let (args, output) = (args.clone(), output.clone());
        let directory = settings.directory_of(&agent.workspace_id());
        running.spawn(async move {
            let ended = run_one(&workspace, agent, &args, directory, &output).await;
            (workspace, ended)
        });
    }
    let mut code = exit::OK;
    while let Some(joined) = running.join_next().await {
        let (workspace, ended) =
            joined.map_err(|error| Failure::new(exit::ERROR, format!("the program failed in itself: {error}")))?;
        let own = match ended {
            Ok(ended) => {
                output
                    .result(&json!({ "workspace": workspace, "ended": ended }), || format!("{workspace}: {ended}"))?;
                exit::of_end(ended)
            }
            Err(failure) => {
                output.failed(&failure);
                failure.code()
            }
        };
        code = code.max(own);
    }
    systemd::say("STOPPING=1");
    Ok(code)
}

fn agent(settings: &Settings, workspace: &Workspace, args: &args::Run, output: &Output) -> Result<Agent, Failure> {
    let inbox = InboxOptions::new()
        .concurrency(usize::from(args.jobs))
        .attempts(args.attempts)
        .drain(args.drain)
        .backlog(args::backlog(&args.backlog)?);
    let (label, told) = (workspace.label.clone(), output.clone());
    let tell = move |event: &Event| {
        if let Event::Online = event {
            systemd::say("READY=1");
        }
        told.event(&label, event);
    };
    let mut builder = settings.agent(workspace, args.name.as_deref())?.inbox(inbox).on_event(tell);
    if args.wait_on_pause {
        builder = builder.on_pause(OnPause::Wait);
    }
    Ok(builder.build()?)
}

async fn run_one(
    workspace: &str,
    agent: Agent,
    args: &args::Run,
    directory: PathBuf,
    output: &Output,
) -> Result<Ended, Failure> {
    let incoming = Incoming::new(&directory);
    let handler = Arc::new(if args.echo {
        Handler::Echo
    } else if let Some(url) = &args.forward {
        let forward = Forward::new(url, args.forward_anywhere, &directory)?;
        output.note(&format!("[{workspace}] {}", forward.about_secret()));
        Handler::Forward(forward)
    } else {
        let mut program = Program::new(workspace, &args.command, output);
        if args.with_secrets {
            // They are asked for before the loop, which registers only if nothing else has.
            let registration = agent.register().await?;
            if registration.paused && !args.wait_on_pause {
                return Ok(Ended::Paused);
            }
            program.give(&agent.pull_secrets().await?)?;
        }
        if args.per_message {
            Handler::PerMessage(PerMessage::new(agent.clone(), program, incoming))
        } else {
            Handler::Lines(Lines::start(agent.clone(), program, incoming)?)
        }
    });
    let handling = handler.clone();
    let handle = move |message: InboundMessage| {
        let handler = handling.clone();
        async move { handler.handle(message).await }
    };
    let ended = agent.run_agent(delivery(args), handle).await;
    handler.end().await;
    Ok(ended?)
}

/// How messages reach the agent.
fn delivery(args: &args::Run) -> Delivery {
    let Some(address) = &args.push else { return Delivery::Poll };
    let mut limits = ServerLimits::default();
    limits.handlers = usize::from(args.jobs);
    let mut server = ServerOptions::new().bind(address).drain(args.drain).limits(limits);
    if let Some(url) = &args.url {
        server = server.url(url);
    }
    if args.allow_unauthenticated {
        server = server.allow_unauthenticated();
    }
    if args.poll_if_unreachable { Delivery::Auto(server) } else { Delivery::Push(server) }
}
