//! An agent of either facade, and its server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use molecule_core::{Attachment, Ended, InboundMessage, Reply, Result, ServerOptions};
use molecule_host::Storage;
use molecule_serve::{A2aServe, Delivery, HandedOver, OtherCalls};
use tokio::runtime::Runtime;

use crate::world::World;

/// Which facade a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facade {
    Async,
    Blocking,
}

/// Makes a test for each facade.
#[macro_export]
macro_rules! scenario {
    ($name:ident, |$facade:ident| $body:block) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn scenario($facade: $crate::any::Facade) {
                $body
            }

            #[test]
            fn with_async() {
                scenario($crate::any::Facade::Async);
            }

            #[test]
            fn with_blocking() {
                scenario($crate::any::Facade::Blocking);
            }
        }
    };
}

/// A handler as tests write it: it may block.
pub type Handler = Arc<dyn Fn(InboundMessage) -> Result<Option<Reply>, String> + Send + Sync>;

/// Finds the file of an attachment.
pub type Finder = Box<dyn Fn(&Attachment) -> Option<PathBuf> + Send + Sync>;

/// Answers a text with the same text.
pub fn echo() -> Handler {
    Arc::new(|message: InboundMessage| Ok(Some(Reply::text(message.text()))))
}

#[derive(Clone)]
pub enum Agent {
    Async(Arc<Runtime>, molecule_async::Agent),
    Blocking(molecule_blocking::Agent),
}

pub enum Server {
    Async(Arc<Runtime>, molecule_serve::A2aServer),
    Blocking(molecule_serve::blocking::A2aServer),
}

impl Agent {
    /// An agent of a new workspace of this world.
    pub fn new(facade: Facade, world: &World) -> Self {
        Self::of(facade, world, Storage::Dir(world.home.clone()), None)
    }

    /// An agent with this storage, and with this directory for files.
    pub fn of(facade: Facade, world: &World, storage: Storage, uploads: Option<PathBuf>) -> Self {
        let (id, token) = world.platform.with(|platform, now| platform.create_workspace(now, "agent"));
        let url = world.platform.url();
        let token = token.expose().to_owned();
        match facade {
            Facade::Async => {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                let builder = molecule_async::Agent::builder(url, id).token(token).storage(storage);
                let agent = match uploads {
                    Some(directory) => builder.uploads_dir(directory),
                    None => builder,
                };
                let agent = agent.build().unwrap();
                Self::Async(Arc::new(runtime), agent)
            }
            Facade::Blocking => {
                let builder = molecule_blocking::Agent::builder(url, id).token(token).storage(storage);
                let agent = match uploads {
                    Some(directory) => builder.uploads_dir(directory),
                    None => builder,
                };
                let agent = agent.build().unwrap();
                Self::Blocking(agent)
            }
        }
    }

    pub fn start(&self, options: ServerOptions, handler: Handler) -> Result<Server> {
        match self {
            Self::Async(runtime, agent) => {
                let starting = agent.start_a2a_server(options, on_a_thread(handler));
                Ok(Server::Async(Arc::clone(runtime), runtime.block_on(starting)?))
            }
            Self::Blocking(agent) => {
                let handler = move |message: InboundMessage| handler(message);
                Ok(Server::Blocking(agent.start_a2a_server(options, handler)?))
            }
        }
    }

    pub fn start_with(&self, options: ServerOptions, handler: Handler, hook: impl OtherCalls) -> Result<Server> {
        match self {
            Self::Async(runtime, agent) => {
                let starting = agent.start_a2a_server_with(options, on_a_thread(handler), hook);
                Ok(Server::Async(Arc::clone(runtime), runtime.block_on(starting)?))
            }
            Self::Blocking(agent) => {
                let handler = move |message: InboundMessage| handler(message);
                Ok(Server::Blocking(agent.start_a2a_server_with(options, handler, hook)?))
            }
        }
    }

    pub fn run(&self, delivery: Delivery, handler: Handler) -> Result<Ended> {
        match self {
            Self::Async(runtime, agent) => runtime.block_on(agent.run_agent(delivery, on_a_thread(handler))),
            Self::Blocking(agent) => agent.run_agent(delivery, move |message: InboundMessage| handler(message)),
        }
    }

    pub fn stop(&self) {
        match self {
            Self::Async(_, agent) => agent.stopper().stop(),
            Self::Blocking(agent) => agent.stopper().stop(),
        }
    }

    pub fn secret(&self) -> String {
        let secret = match self {
            Self::Async(_, agent) => agent.inbound_secret(),
            Self::Blocking(agent) => agent.inbound_secret(),
        };
        secret.unwrap().expose().to_owned()
    }

    pub fn id(&self) -> molecule_core::proto::WorkspaceId {
        match self {
            Self::Async(_, agent) => agent.workspace_id(),
            Self::Blocking(agent) => agent.workspace_id(),
        }
    }

    /// Finds files that were handed over. It keeps no runtime, so that a handler may have it.
    pub fn finder(&self) -> Finder {
        match self.clone() {
            Self::Async(_, agent) => Box::new(move |file| agent.uploaded(file)),
            Self::Blocking(agent) => Box::new(move |file| agent.uploaded(file)),
        }
    }
}

fn on_a_thread(handler: Handler) -> impl molecule_async::Handler {
    move |message: InboundMessage| {
        let handler = Arc::clone(&handler);
        async move { tokio::task::spawn_blocking(move || handler(message)).await.unwrap() }
    }
}

impl Server {
    pub fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Async(_, server) => server.local_addr(),
            Self::Blocking(server) => server.local_addr(),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Async(_, server) => server.url().to_owned(),
            Self::Blocking(server) => server.url().to_owned(),
        }
    }

    pub fn stop(self) -> Result<()> {
        match self {
            Self::Async(runtime, server) => runtime.block_on(server.stop()),
            Self::Blocking(server) => server.stop(),
        }
    }

    pub fn stop_now(self) {
        match self {
            Self::Async(runtime, server) => {
                let _in = runtime.enter();
                server.stop_now();
            }
            Self::Blocking(server) => server.stop_now(),
        }
    }
}
