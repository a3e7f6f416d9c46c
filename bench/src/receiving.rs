//! Agents that receive messages from a model of the platform.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use molecule_async::Stopper;
use molecule_core::proto::WorkspaceId;
use molecule_core::{Event, InboundMessage, InboxOptions, Reply};
use molecule_host::Storage;
use molecule_platform::{Config, Dialect, Server, serve};

use crate::{Outcome, runtime};

/// How long a step of a figure may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A workspace of the model, and its bearer.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The bearer of its agent.
    pub token: String,
}

/// Serves a model of the current server without a rate limit, in a thread of this process.
///
/// # Errors
/// The errors of the socket.
pub fn platform() -> Outcome<Server> {
    Ok(serve(Config::new(Dialect::Current), "127.0.0.1:0")?)
}

/// Creates a workspace, whose agent is registered once: from then on its messages wait in its feed.
///
/// # Errors
/// The errors of the agent.
pub fn workspace(server: &Server) -> Outcome<Workspace> {
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "bench"));
    let token = token.expose().to_owned();
    let builder = molecule_blocking::Agent::builder(server.url(), &id).token(&token).no_proxy();
    builder.storage(Storage::Memory).build()?.register()?;
    Ok(Workspace { id, token })
}

/// A facade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facade {
    /// `molecule-blocking`.
    Blocking,
    /// `molecule-async`, on a runtime of one thread.
    Async,
}

impl Facade {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blocking, Self::Async];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Async => "async",
        }
    }

    /// The facade with this name.
    ///
    /// # Errors
    /// If none has it.
    pub fn of(name: &str) -> Outcome<Self> {
        Ok(Self::ALL.into_iter().find(|facade| facade.name() == name).ok_or("no such facade")?)
    }
}

/// An agent whose loop runs in a thread. It stops at once when this is dropped.
#[derive(Debug)]
pub struct Receiving {
    stopper: Stopper,
    thread: Option<JoinHandle<Outcome>>,
}

/// The handler of a benchmark, which never fails.
pub type Handler = Arc<dyn Fn(&InboundMessage) -> Option<Reply> + Send + Sync>;

/// The agent of one workspace, with its files in a directory.
#[derive(Debug)]
pub struct Receiver<'a> {
    /// The platform's base URL.
    pub url: &'a str,
    /// Its workspace.
    pub workspace: &'a Workspace,
    /// The directory of its files.
    pub home: &'a Path,
    /// The options of its inbox.
    pub inbox: InboxOptions,
}

impl Receiver<'_> {
    /// Runs its loop in a thread.
    ///
    /// # Errors
    /// The errors of the builder and of the operating system.
    pub fn start(
        self,
        facade: Facade,
        told: impl Fn(&Event) + Send + Sync + 'static,
        handler: Handler,
    ) -> Outcome<Receiving> {
        let storage = Storage::Dir(self.home.to_owned());
        let (stopper, thread) = match facade {
            Facade::Blocking => {
                let builder = molecule_blocking::Agent::builder(self.url, &self.workspace.id).inbox(self.inbox);
                let builder = builder.token(&self.workspace.token).storage(storage).no_proxy().on_event(told);
                let agent = builder.build()?;
                let run = move |agent: molecule_blocking::Agent| -> Outcome {
                    agent.run_agent_loop(move |message: InboundMessage| Ok::<_, String>(handler(&message)))?;
                    Ok(())
                };
                (agent.stopper(), thread::spawn(move || run(agent)))
            }
            Facade::Async => {
                let builder = molecule_async::Agent::builder(self.url, &self.workspace.id).inbox(self.inbox);
                let builder = builder.token(&self.workspace.token).storage(storage).no_proxy().on_event(told);
                let agent = builder.build()?;
                let run = move |agent: molecule_async::Agent| -> Outcome {
                    runtime()?.block_on(agent.run_agent_loop(move |message: InboundMessage| {
                        let handler = handler.clone();
                        async move { Ok::<_, String>(handler(&message)) }
                    }))?;
                    Ok(())
                };
                (agent.stopper(), thread::spawn(move || run(agent)))
            }
        };
        Ok(Receiving { stopper, thread: Some(thread) })
    }
}

impl Receiving {
    /// Stops the loop in an orderly way.
    ///
    /// # Errors
    /// The loop's error.
    pub fn stop(mut self) -> Outcome {
        self.stopper.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err("the loop panicked".into()),
            None => Ok(()),
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.stopper.stop_now();
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic, and the figure has failed.
            let _ = thread.join();
        }
    }
}

/// Waits until each of these workspaces has an open event stream.
///
/// # Errors
/// If they have not in time.
pub fn wait_for_streams(server: &Server, workspaces: &[Workspace]) -> Outcome {
    let has_stream = |platform: &molecule_platform::Platform| {
        workspaces.iter().rev().all(|workspace| platform.open_streams(&workspace.id) > 0)
    };
    if server.wait_until(has_stream, PATIENCE) { Ok(()) } else { Err("the streams do not open".into()) }
}
