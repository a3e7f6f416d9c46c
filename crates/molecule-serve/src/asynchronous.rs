//! Servers of `molecule-async`'s agents, on the caller's runtime.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use molecule_async::{Agent, Handler, InboundMessage};
use molecule_core::effect::{Handle, Outcome};
use molecule_core::endpoint::{ActivityFeed, ActivityPage};
use molecule_core::{Attachment, Ended, Event, Plan, Result, ServerOptions};
use molecule_host::trace::Span;
use molecule_host::{Host, SharedSession};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::agents::{A2aServe, AfterStop, Delivery, HandedOver, OtherCalls};
use crate::facade::{Facade, Hook};
use crate::server::{Bound, Stop, runtime_is_missing};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A server that runs. It [stops at once](Self::stop_now) when it is dropped.
pub struct A2aServer {
    agent: Agent,
    local_addr: SocketAddr,
    url: String,
    stop: watch::Sender<Stop>,
    task: JoinHandle<()>,
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
    pub async fn stop(self) -> Result<()> {
        self.end(AfterStop::Register).await
    }

    /// Stops the server in the same way, and has nothing registered, by a loop either: for a program that starts again with the same
    /// URL. What the platform pushes meanwhile waits there, or fails.
    pub async fn stop_and_stay_registered(self) {
        // Nothing is sent that could fail.
        let _ = self.end(AfterStop::Nothing).await;
    }

    /// Stops the server at once: connections are closed, and handlers are dropped at their next `.await`. This registers
    /// nothing; a loop that runs registers what the builder says.
    pub fn stop_now(self) {}

    async fn end(mut self, after: AfterStop) -> Result<()> {
        self.stop.send_replace(Stop::Drain);
        // A panic in it has been printed.
        let _ = (&mut self.task).await;
        let agent = self.agent.clone();
        self.stays = after == AfterStop::Nothing;
        drop(self);
        match after {
            AfterStop::Register => agent.register().await.map(drop),
            AfterStop::Nothing => Ok(()),
        }
    }
}

impl Drop for A2aServer {
    fn drop(&mut self) {
        self.task.abort();
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

/// A handler that is ready at its first poll is polled by the task of its caller's connection, and else goes on in a task of its own. As
/// anywhere on tokio, it must not block its thread: use `spawn_blocking`.
impl<H: Handler> A2aServe<H> for Agent {
    type Starting = Boxed<Result<A2aServer>>;
    type Running = Boxed<Result<Ended>>;

    fn start_a2a_server(&self, options: ServerOptions, handler: H) -> Self::Starting {
        let agent = self.clone();
        Box::pin(async move { start(agent, options, Arc::new(handler), None, Plan::Push).await })
    }

    fn start_a2a_server_with(&self, options: ServerOptions, handler: H, hook: impl OtherCalls) -> Self::Starting {
        let agent = self.clone();
        Box::pin(async move { start(agent, options, Arc::new(handler), Some(Arc::new(hook)), Plan::Push).await })
    }

    fn run_agent(&self, delivery: Delivery, handler: H) -> Self::Running {
        let (agent, handler) = (self.clone(), Arc::new(handler));
        Box::pin(async move {
            let Some((options, plan)) = delivery.server() else {
                return agent.run_agent_loop(shared(handler)).await;
            };
            let server = start(agent.clone(), options, Arc::clone(&handler), None, plan).await?;
            let ended = agent.run_agent_loop(shared(handler)).await;
            stop_after(server, &ended).await;
            ended
        })
    }
}

impl HandedOver for Agent {
    fn uploaded(&self, attachment: &Attachment) -> Option<PathBuf> {
        self.parts().1.uploads()?.path(attachment.uri()?)
    }
}

/// Stops the server of a loop that has ended.
async fn stop_after(server: A2aServer, ended: &Result<Ended>) {
    let agent = server.agent.clone();
    match ended {
        // Messages wait in the feed then, until the agent starts again.
        Ok(Ended::Stopped) => {
            if let Err(error) = server.stop().await {
                let lost = format!("the platform was not told that the server has stopped: {error}");
                agent.parts().0.tell(&Event::Warning(lost));
            }
        }
        // A paused or deleted workspace is sent nothing; neither is a platform that refuses the token.
        _ => server.stop_and_stay_registered().await,
    }
}

/// The same handler as a handler of its own.
fn shared<H: Handler>(handler: Arc<H>) -> impl Handler {
    move |message: InboundMessage| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(message).await }
    }
}

async fn start<H: Handler>(
    agent: Agent,
    options: ServerOptions,
    handler: Arc<H>,
    hook: Option<Hook>,
    plan: Plan,
) -> Result<A2aServer> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| runtime_is_missing())?;
    let bound = Bound::new(AsyncAgent { agent: agent.clone(), handler }, &options, hook)?;
    let (local_addr, url) = (bound.local_addr, bound.url.clone());
    let (stop, stopped) = watch::channel(Stop::No);
    let (opens, opened) = oneshot::channel();
    // Whoever starts the server may be gone.
    let task = runtime.spawn(bound.serve(stopped, || opens.send(()).unwrap_or_default()));
    // From here on the server ends with this value.
    let server = A2aServer { agent: agent.clone(), local_addr, url, stop, task, stays: false };
    // It is gone if the server's task panicked; the register then tells what is wrong.
    let _ = opened.await;
    let (session, _) = agent.parts();
    session.lock().serve(server.url(), plan)?;
    session.look_again();
    agent.register().await?;
    Ok(server)
}

/// An agent with its handler.
struct AsyncAgent<H> {
    agent: Agent,
    handler: Arc<H>,
}

impl<H: Handler> Facade for AsyncAgent<H> {
    fn session(&self) -> &SharedSession {
        self.agent.parts().0
    }

    fn host(&self) -> &Host {
        self.agent.parts().1
    }

    /// It is polled by a task of its own.
    async fn handle(&self, Handle { message }: Handle, span: Span) -> Outcome {
        let handler = &self.handler;
        let handling = pin!(span.around(async move { Handle::returned(handler.handle(message).await) }));
        catch_panic(handling).await
    }

    async fn look_up(&self, feed: ActivityFeed) -> Result<ActivityPage> {
        self.agent.send(&feed).await
    }
}

/// Has a handler's panic be an outcome.
async fn catch_panic(mut handling: Pin<&mut impl Future<Output = Outcome>>) -> Outcome {
    poll_fn(|cx| {
        // Nothing polls it again after a panic.
        let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| Poll::Ready(Handle::caught(payload)))
    })
    .await
}
