//! An agent's own A2A server, of either facade, and calls to it.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use molecule_core::{InboundMessage, Result, ServerOptions};
use molecule_serve::{A2aServe as _, Delivery};
use serde_json::{Value, json};

use crate::facade::{Agent, Driven, MessageHandler, RUNTIME};
use crate::log::PATIENCE;
use crate::running::RunningLoop;

/// A server that runs. It stops at once when it is dropped.
pub struct RunningServer(Running);

enum Running {
    Blocking(molecule_serve::blocking::A2aServer),
    Async(molecule_serve::A2aServer),
}

impl RunningServer {
    /// The URL that is registered.
    pub fn url(&self) -> &str {
        match &self.0 {
            Running::Blocking(server) => server.url(),
            Running::Async(server) => server.url(),
        }
    }

    /// The address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.0 {
            Running::Blocking(server) => server.local_addr(),
            Running::Async(server) => server.local_addr(),
        }
    }

    /// Stops it after what it works on, and has the agent register what its builder says.
    ///
    /// # Errors
    /// Those of the register.
    pub fn stop(self) -> Result<()> {
        match self.0 {
            Running::Blocking(server) => server.stop(),
            Running::Async(server) => RUNTIME.block_on(server.stop()),
        }
    }

    /// Calls it, with this bearer, with a message; returns the status and the answer.
    ///
    /// # Panics
    /// If the server cannot be called, or does not answer in time with HTTP.
    pub fn call(&self, bearer: Option<&str>, id: &str, text: &str) -> (u16, Value) {
        let message = json!({"role": "user", "messageId": id, "parts": [{"kind": "text", "text": text}]});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "message/send", "params": {"message": message}});
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.local_addr()).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let bearer = bearer.map(|bearer| format!("Authorization: Bearer {bearer}\r\n")).unwrap_or_default();
        let length = body.len();
        let head =
            format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}Content-Length: {length}\r\n\r\n");
        // A server that refuses the head reads nothing more.
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        let answer = String::from_utf8(answer).expect("an answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunningServer").field(&self.url()).finish()
    }
}

impl Agent {
    /// Starts a server with this handler, and registers its URL.
    ///
    /// # Errors
    /// Those of `start_a2a_server`.
    pub fn serve(&self, options: ServerOptions, handler: impl MessageHandler) -> Result<RunningServer> {
        let running = match &self.driven {
            Driven::Blocking(agent) => Running::Blocking(agent.start_a2a_server(options, handler)?),
            Driven::Async(agent) => {
                let started = async { agent.start_a2a_server(options, futures(handler)).await };
                Running::Async(RUNTIME.block_on(started)?)
            }
        };
        Ok(RunningServer(running))
    }

    /// Runs the agent on a thread, with a server if the delivery wants one.
    pub fn start_delivered(&self, delivery: Delivery, handler: impl MessageHandler) -> RunningLoop {
        RunningLoop::start_by(self, move |agent| match &agent.driven {
            Driven::Blocking(agent) => agent.run_agent(delivery, handler),
            Driven::Async(agent) => RUNTIME.block_on(async { agent.run_agent(delivery, futures(handler)).await }),
        })
    }
}

/// The handler of a scenario as the async facade's. Its code runs where it may block without holding back other scenarios.
fn futures(
    handler: impl MessageHandler,
) -> impl Fn(InboundMessage) -> std::pin::Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync + 'static {
    let handler = Arc::new(handler);
    move |message| {
        let handler = Arc::clone(&handler);
        Box::pin(async move { tokio::task::block_in_place(|| handler(message)) })
    }
}

type Answer = std::result::Result<Option<molecule_core::Reply>, String>;
