//! What an agent can do with a server, in the same words on both facades.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::{Attachment, Plan, ServerOptions};

/// Has an agent called by the platform and by other agents, instead of asking for its messages. It is implemented for
/// `molecule_async::Agent` and `molecule_blocking::Agent`, each with that facade's handlers.
///
/// ```no_run
/// use molecule_async::{Agent, InboundMessage, Reply, Result};
/// use molecule_serve::{A2aServe, Delivery, ServerOptions};
///
/// #[tokio::main]
/// async fn main() -> Result<()> {
///     let agent = Agent::from_env()?;
///     let options = ServerOptions::new().bind("0.0.0.0:8080").url("https://agent.example.com/a2a");
///     let handler = async |message: InboundMessage| Ok::<_, String>(Some(Reply::text(message.text())));
///     let ended = agent.run_agent(Delivery::Auto(options), handler).await?;
///     println!("{ended}");
///     Ok(())
/// }
/// ```
pub trait A2aServe<H> {
    /// What [`start_a2a_server`](Self::start_a2a_server) returns: a `Result` with the server, or a future of it.
    type Starting;

    /// What [`run_agent`](Self::run_agent) returns: a `Result` with the reason of the end, or a future of it.
    type Running;

    /// Starts a server, and registers the agent in push mode with its URL. First the address is bound: if that fails, nothing
    /// is registered. When this returns, the server takes calls, and the platform knows it.
    ///
    /// Register before a loop beats: a heartbeat of an agent that the platform cannot reach starts the clock after which waiting
    /// messages are dropped. So start the server first, and then the loop; or let [`run_agent`](Self::run_agent) do both.
    ///
    /// # Errors
    /// `Config` if the options are not valid or the address cannot be bound, and those of a register. No server runs then.
    fn start_a2a_server(&self, options: ServerOptions, handler: H) -> Self::Starting;

    /// The same with a hook for the platform's other calls to paths below the registered one (contract section 10.4), such as
    /// `GET …/internal/file/read?path=`. The hook is called on a thread of its own, after the caller was authenticated; what it
    /// returns `None` for is answered 404. Without a hook all are.
    ///
    /// # Errors
    /// Those of [`start_a2a_server`](Self::start_a2a_server).
    fn start_a2a_server_with(&self, options: ServerOptions, handler: H, hook: impl OtherCalls) -> Self::Starting;

    /// Runs the agent until its loop ends: it receives messages in the way that is asked for, has the handler answer them, and sends
    /// heartbeats. A server that it started is stopped at the end.
    ///
    /// # Errors
    /// Those of the facade's `run_agent_loop` and of [`start_a2a_server`](Self::start_a2a_server).
    fn run_agent(&self, delivery: Delivery, handler: H) -> Self::Running;
}

/// The files that the platform hands over to an agent's server. It is implemented for the agents of both facades.
pub trait HandedOver {
    /// The file of an attachment that the platform handed over to this agent's server. `None` for any other: anybody may write a
    /// URI into a message, also one that names a file of this machine.
    fn uploaded(&self, attachment: &Attachment) -> Option<PathBuf>;
}

/// A hook for calls of the platform that are no messages.
pub trait OtherCalls: Fn(Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync + 'static {}

impl<F> OtherCalls for F where F: Fn(Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync + 'static {}

/// How messages reach an agent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Delivery {
    /// The agent asks for them. It needs no port.
    Poll,
    /// The platform sends them to the agent's server, and each is answered in the same exchange. What no push has brought, since
    /// the agent was stopped or out of reach, is read from the feed: at the start, and every five minutes.
    Push(ServerOptions),
    /// The platform sends them to the agent's server while it reaches it; while it does not, the agent asks for them.
    Auto(ServerOptions),
}

impl Delivery {
    pub(crate) fn server(self) -> Option<(ServerOptions, Plan)> {
        match self {
            Self::Poll => None,
            Self::Push(options) => Some((options, Plan::Push)),
            Self::Auto(options) => Some((options, Plan::Auto)),
        }
    }
}

/// What an agent registers when its server has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterStop {
    Register,
    Nothing,
}
