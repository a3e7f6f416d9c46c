//! Servers of `molecule-blocking`'s agents. Each has a thread of its own, on which a runtime lives that nobody sees; handlers have
//! threads too.

use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use molecule_blocking::{Agent, Handler, InboundMessage};
use molecule_core::effect::{Handle, Outcome};
use molecule_core::endpoint::{ActivityFeed, ActivityPage};
use molecule_core::{Attachment, Ended, Error, Event, Plan, Result, ServerOptions};
use molecule_host::trace::Span;
use molecule_host::{Host, SharedSession};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::agents::{A2aServe, AfterStop, Delivery, HandedOver, OtherCalls};
use crate::facade::{Facade, Hook};
use crate::race::race;
use crate::server::{Bound, Stop};
use crate::threads::on_a_thread;

/// The threads for what is no handler: the disk, large bodies, looks into the feed, hooks.
const OTHER_THREADS: usize = 32;

/// A server that runs. It [stops at once](Self::stop_now) when it is dropped.
pub struct A2aServer {
    agent: Agent,
    local_addr: SocketAddr,
    url: String,
    stop: Option<watch::Sender<Stop>>,
    thread: Option<JoinHandle<()>>,
    /// The platform is not told that the server has ended.
    stays: bool,
}

impl A2aServer {
    /// The address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The URL that is registered.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server: it listens no longer, and handlers that run have the time of
    /// [`ServerOptions::drain`](crate::ServerOptions) to end; what waits is answered that the agent is busy. Then the agent registers
    /// what its builder says: that it polls, or another URL.
    ///
    /// # Errors
    /// Those of a register. The server has stopped all the same.
    pub fn stop(self) -> Result<()> {
        self.end(AfterStop::Register)
    }

    /// Stops the server in the same way, and has nothing registered, by a loop either: for a program that starts again with the same
    /// URL. What the platform pushes meanwhile waits there, or fails.
    pub fn stop_and_stay_registered(self) {
        // Nothing is sent that could fail.
        let _ = self.end(AfterStop::Nothing);
    }

    /// Stops the server at once: connections are closed, and handlers are left to themselves. This registers nothing; a
    /// loop that runs registers what the builder says.
    pub fn stop_now(self) {}

    fn end(mut self, after: AfterStop) -> Result<()> {
        if let Some(stop) = &self.stop {
            stop.send_replace(Stop::Drain);
        }
        self.join();
        let agent = self.agent.clone();
        self.stays = after == AfterStop::Nothing;
        drop(self);
        match after {
            AfterStop::Register => agent.register().map(drop),
            AfterStop::Nothing => Ok(()),
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for A2aServer {
    fn drop(&mut self) {
        // The server ends when its sender is gone.
        self.stop = None;
        self.join();
        if !self.stays {
            let (session, _) = self.agent.parts();
            session.lock().unserve();
            session.look_again();
        }
    }
}

impl fmt::Debug for A2aServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("A2aServer").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl<H: Handler> A2aServe<H> for Agent {
    type Starting = Result<A2aServer>;
    type Running = Result<Ended>;

    fn start_a2a_server(&self, options: ServerOptions, handler: H) -> Self::Starting {
        start(self, options, Arc::new(handler), None, Plan::Push)
    }

    fn start_a2a_server_with(&self, options: ServerOptions, handler: H, hook: impl OtherCalls) -> Self::Starting {
        start(self, options, Arc::new(handler), Some(Arc::new(hook)), Plan::Push)
    }

    fn run_agent(&self, delivery: Delivery, handler: H) -> Self::Running {
        let handler = Arc::new(handler);
        let Some((options, plan)) = delivery.server() else {
            return self.run_agent_loop(shared(handler));
        };
        let server = start(self, options, Arc::clone(&handler), None, plan)?;
        let ended = self.run_agent_loop(shared(handler));
        stop_after(server, &ended);
        ended
    }
}

impl HandedOver for Agent {
    fn uploaded(&self, attachment: &Attachment) -> Option<PathBuf> {
        self.parts().1.uploads()?.path(attachment.uri()?)
    }
}

/// Stops the server of a loop that has ended.
fn stop_after(server: A2aServer, ended: &Result<Ended>) {
    let agent = server.agent.clone();
    match ended {
        // Messages wait in the feed then, until the agent starts again.
        Ok(Ended::Stopped) => {
            if let Err(error) = server.stop() {
                let lost = format!("the platform was not told that the server has stopped: {error}");
                agent.parts().0.tell(&Event::Warning(lost));
            }
        }
        // A paused or deleted workspace is sent nothing; neither is a platform that refuses the token.
        _ => server.stop_and_stay_registered(),
    }
}

/// The same handler as a handler of its own.
fn shared<H: Handler>(handler: Arc<H>) -> impl Handler {
    move |message: InboundMessage| handler.handle(message)
}

fn start<H: Handler>(
    agent: &Agent,
    options: ServerOptions,
    handler: Arc<H>,
    hook: Option<Hook>,
    plan: Plan,
) -> Result<A2aServer> {
    let (opens, opened) = sync_channel(1);
    let (stop, stopped) = watch::channel(Stop::No);
    let facade = BlockingAgent { agent: agent.clone(), handler };
    let thread = thread::Builder::new()
        .name("molecule-serve".to_owned())
        .spawn(move || serve(facade, &options, hook, stopped, &opens))
        .map_err(|error| no_thread(&error))?;
    let bound = opened.recv().unwrap_or_else(|_| Err(panicked()));
    let (local_addr, url) = match bound {
        Ok(bound) => bound,
        Err(error) => {
            let _ = thread.join();
            return Err(error);
        }
    };
    // From here on the server ends with this value.
    let server =
        A2aServer { agent: agent.clone(), local_addr, url, stop: Some(stop), thread: Some(thread), stays: false };
    let (session, _) = agent.parts();
    session.lock().serve(server.url(), plan)?;
    session.look_again();
    agent.register()?;
    Ok(server)
}

/// Serves on this thread, until the server is told to stop.
fn serve<H: Handler>(
    facade: BlockingAgent<H>,
    options: &ServerOptions,
    hook: Option<Hook>,
    stopped: watch::Receiver<Stop>,
    opens: &SyncSender<Result<(SocketAddr, String)>>,
) {
    let threads = options.limits_in_force().handlers + OTHER_THREADS;
    let built = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(threads)
        .thread_name("molecule-handler")
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return drop(opens.send(Err(no_thread(&error)))),
    };
    runtime.block_on(async {
        match Bound::new(facade, options, hook) {
            Ok(bound) => {
                let told = (bound.local_addr, bound.url.clone());
                let mut dropped = stopped.clone();
                let serving = bound.serve(stopped, || drop(opens.send(Ok(told))));
                // Or the server's handle is gone.
                race(serving, async { while dropped.changed().await.is_ok() {} }).await;
            }
            Err(error) => drop(opens.send(Err(error))),
        }
    });
    // A handler that hangs is left to itself.
    runtime.shutdown_background();
}

fn no_thread(error: &std::io::Error) -> Error {
    Error::config(format!("the server cannot be started: {error}"), "raise the limits of threads and of open files")
}

fn panicked() -> Error {
    Error::config("the server's thread panicked", "its message is on standard error; report it")
}

/// An agent with its handler.
struct BlockingAgent<H> {
    agent: Agent,
    handler: Arc<H>,
}

impl<H: Handler> Facade for BlockingAgent<H> {
    fn session(&self) -> &SharedSession {
        self.agent.parts().0
    }

    fn host(&self) -> &Host {
        self.agent.parts().1
    }

    async fn handle(&self, Handle { message }: Handle, span: Span) -> Outcome {
        let handler = Arc::clone(&self.handler);
        let handling = on_a_thread(move || {
            // The text of an error is the application's code, too.
            let handle = || span.in_scope(|| Handle::returned(handler.handle(message)));
            catch_unwind(AssertUnwindSafe(handle)).unwrap_or_else(Handle::caught)
        });
        handling.await.unwrap_or_else(|| Handle::not_called(&"no thread could be started for it"))
    }

    async fn look_up(&self, feed: ActivityFeed) -> Result<ActivityPage> {
        let agent = self.agent.clone();
        let read = on_a_thread(move || agent.send(&feed));
        read.await.unwrap_or_else(|| Err(Error::cancelled("look a sender up")))
    }
}
