//! One agent: how it is made, and how it runs.

use std::path::Path;
use std::sync::Arc;

use molecule_async::{Agent, Ended, Event, InboundMessage, InboxOptions, OnPause};
use molecule_serve::{A2aServe, Delivery, ServerLimits, ServerOptions};
use tokio::sync::Notify;

use super::attachments::Incoming;
use super::forward::Forward;
use super::lines::Lines;
use super::per_message::PerMessage;
use super::program::Program;
use super::{Handler, secrets, systemd};
use crate::args;
use crate::exit::Failure;
use crate::output::Output;
use crate::settings::{Settings, Workspace};

pub(super) fn agent(
    settings: &Settings,
    workspace: &Workspace,
    args: &args::Run,
    output: &Output,
) -> Result<Agent, Failure> {
    let inbox = InboxOptions::new()
        .concurrency(usize::from(args.jobs))
        .attempts(args.attempts)
        .drain(args.drain)
        .trail(args.trail)
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

/// Runs the agent until it ends, and then ends its program. `look` asks for a look for new secrets.
pub(super) async fn run(
    workspace: &str,
    agent: Agent,
    args: &args::Run,
    directory: &Path,
    look: &Arc<Notify>,
    output: &Output,
) -> Result<Ended, Failure> {
    let incoming = Incoming::new(directory);
    let mut watch = None;
    let handler = Arc::new(if args.echo {
        Handler::Echo
    } else if let Some(url) = &args.forward {
        let forward = Forward::new(url, args.forward_anywhere, directory)?;
        output.note(&format!("[{workspace}] {}", forward.about_secret()));
        Handler::Forward(forward)
    } else {
        let program = Program::new(workspace, &args.command, output);
        let mut known = None;
        if args.with_secrets || args.reload_on_secrets.is_some() {
            // They are asked for before the loop, which registers only if nothing else has.
            let registration = agent.register().await?;
            if registration.paused && !args.wait_on_pause {
                return Ok(Ended::Paused);
            }
            let secrets = agent.pull_secrets().await?;
            if args.with_secrets {
                program.give(&secrets)?;
            }
            known = Some(secrets);
        }
        let handler = if args.per_message {
            Handler::PerMessage(PerMessage::new(agent.clone(), program.clone(), incoming))
        } else {
            Handler::Lines(Lines::start(agent.clone(), program.clone(), incoming)?)
        };
        if let (Some(act), Some(known)) = (args.reload_on_secrets, known) {
            watch = Some((act, known, program));
        }
        handler
    });
    let handling = handler.clone();
    let handle = move |message: InboundMessage| {
        let handler = handling.clone();
        async move { handler.handle(message).await }
    };
    let looking = async {
        match watch {
            Some((act, known, program)) => {
                let every = args.secrets_every;
                let reload = secrets::Reload { agent: &agent, program: &program, handler: &handler, act };
                reload.follow(known, every, args.with_secrets, look).await;
            }
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = agent.run_agent(delivery(args), handle) => ended,
        () = looking => unreachable!("it looks for as long as the agent runs"),
    };
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
