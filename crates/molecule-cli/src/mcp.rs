//! `molecule mcp`: the workspace as tools of a coding agent, by the Model Context Protocol over stdin and stdout.
//!
//! ```text
//! stdin ─► rmcp ─► server ─► tools ─► the SDK's calls ─► platform
//!                              │
//!                              ├─► inbox: messages that wait until the coding agent pops or answers them
//!                              ▼               ▲
//! stdout ◄─ rmcp ◄─ one text  ─┘               └── handler of the agent's loop, which beats and reads the feed meanwhile
//! ```
//!
//! `rmcp` frames the protocol and knows its revisions. The tools, their texts and the rules of the inbox are this module's.
//! stdout carries the protocol alone; everything for people goes to stderr.

mod channel;
mod endpoints;
mod inbox;
mod member;
mod message;
mod options;
mod params;
mod server;
mod stdin;
mod tools;
mod untrusted;

use std::sync::Arc;
use std::time::Duration;

use molecule_async::{InboxOptions, OnPause};
use rmcp::service::{ServerInitializeError, serve_server};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::run::signals::Signals;
use crate::settings::Settings;
use member::Member;
use options::Options;
use server::Server;
use stdin::Stdin;

/// How long replies that were accepted are still sent once the client has gone. The next start sends what is left.
const DRAIN: Duration = Duration::from_secs(5);

/// The most messages of a workspace that are held for the coding agent at the same time.
const MOST_HELD: usize = 1000;

/// Serves until the client closes stdin, or a signal ends the program.
pub(crate) async fn run(settings: &Settings, args: &args::Mcp, output: &Output) -> Result<u8, Failure> {
    let options = Options::read(settings, args)?;
    let output = &if options.is_verbose { output.verbose() } else { output.clone() };
    let mut members = Vec::new();
    for workspace in settings.workspaces() {
        let inbox = InboxOptions::new().hand_over(true).concurrency(MOST_HELD).drain(DRAIN).backlog(options.backlog);
        let builder = settings.agent(workspace, args.name.as_deref())?.inbox(inbox).on_pause(OnPause::Wait);
        let directory = settings.directory_of(workspace.id());
        members.push(Arc::new(Member::new(&workspace.label, builder, &directory, output)?));
    }
    let mut signals =
        Signals::new().map_err(|error| Failure::new(exit::ERROR, format!("signals cannot be received: {error}")))?;
    let (close, mut closing) = watch::channel(false);
    let close = Arc::new(close);
    let mut online = JoinSet::new();
    for member in &members {
        online.spawn(member.clone().stay_online(options.duties, closing.clone(), output.clone()));
    }
    let transport = AsyncRwTransport::new_server(Stdin::new(close.clone()), tokio::io::stdout());
    let server = Server::new(members.clone(), options, closing.clone());
    let serving = tokio::spawn(serve(server, transport, output.clone()));
    tokio::select! {
        _ = closing.wait_for(|is_closing| *is_closing) => {}
        () = signals.next() => {
            output.note("stopping: what the tools have accepted is finished; another signal ends at once");
            close.send_replace(true);
        }
    }
    let finished = async {
        // The transport waits a few seconds for calls that still run. One that only waits ends at once.
        let _ = serving.await;
        members.iter().for_each(|member| member.agent().stopper().stop());
        while online.join_next().await.is_some() {}
    };
    tokio::select! {
        () = finished => {}
        () = signals.next() => members.iter().for_each(|member| member.agent().stopper().stop_now()),
    }
    Ok(exit::OK)
}

async fn serve(
    server: Server,
    transport: AsyncRwTransport<rmcp::RoleServer, Stdin, tokio::io::Stdout>,
    output: Output,
) {
    match serve_server(server, transport).await {
        Ok(running) => {
            // Its reason is the end of stdin, or a failure of stdout, after which nobody reads.
            let _ = running.waiting().await;
        }
        // A client that leaves before it has begun.
        Err(ServerInitializeError::ConnectionClosed(_)) => {}
        Err(error) => output.warning(&format!("the client did not begin as the protocol says: {error}")),
    }
}
