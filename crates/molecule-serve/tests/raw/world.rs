//! An agent of a platform on this machine, whose server the tests call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use molecule_async::{Agent, InboundMessage, Reply as Said, Storage};
use molecule_core::proto::WorkspaceId;
use molecule_platform::{Config, Dialect, Server, serve};
use molecule_serve::{A2aServe, A2aServer, ServerLimits, ServerOptions};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::connection::{PATIENCE, Raw, Reply, wait_until};

/// A running server with its agent, and the platform that the agent registered with.
pub(crate) struct World {
    pub(crate) platform: Server,
    pub(crate) id: WorkspaceId,
    pub(crate) agent: Agent,
    pub(crate) runtime: Runtime,
    /// `None` once it was stopped.
    server: Option<A2aServer>,
    secret: String,
    runs: Arc<Mutex<BTreeMap<String, usize>>>,
    pub(crate) gate: Gate,
    next: std::sync::atomic::AtomicU64,
}

/// Handlers of messages whose text begins with `wait` wait here.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    /// Lets this number of handlers go on.
    pub(crate) fn open(&self, count: usize) {
        self.0.add_permits(count);
    }
}

impl World {
    /// A server with the default limits, some of them changed.
    pub(crate) fn new(change: impl FnOnce(&mut ServerLimits)) -> Self {
        Self::with(change, |options| options)
    }

    /// The same, with other options as well.
    pub(crate) fn with(
        change: impl FnOnce(&mut ServerLimits),
        options: impl FnOnce(ServerOptions) -> ServerOptions,
    ) -> Self {
        let mut limits = ServerLimits::default();
        change(&mut limits);
        let platform = serve(Config::new(Dialect::Current), "127.0.0.1:0").unwrap();
        let (id, token) = platform.with(|platform, now| platform.create_workspace(now, "adversary"));
        let agent = Agent::builder(platform.url(), &id)
            .token(token.expose())
            .storage(Storage::Memory)
            .heartbeat_interval(Duration::from_millis(50))
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let runs = Arc::new(Mutex::new(BTreeMap::new()));
        let gate = Gate(Arc::new(Semaphore::new(0)));
        let handler = {
            let (runs, gate) = (Arc::clone(&runs), gate.clone());
            move |message: InboundMessage| answer(message, Arc::clone(&runs), gate.clone())
        };
        // Nobody but the tests calls, so the platform has no rows that would say who it is.
        let options = options(ServerOptions::new().look_up_senders(false).limits(limits));
        let server = runtime.block_on(agent.start_a2a_server(options, handler)).unwrap();
        let secret = agent.inbound_secret().expect("the register's answer has it").expose().to_owned();
        let next = Default::default();
        Self { platform, id, agent, runtime, server: Some(server), secret, runs, gate, next }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().local_addr()
    }

    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.address())
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// A message id that no other message has.
    pub(crate) fn fresh(&self, what: &str) -> String {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{what}-{number}")
    }

    /// A good call, as one piece of bytes.
    pub(crate) fn call(&self, message_id: &str, text: &str) -> Vec<u8> {
        let body = Self::body(message_id, text);
        [self.head(body.len()).into_bytes(), body.into_bytes()].concat()
    }

    /// The body of a good call.
    pub(crate) fn body(message_id: &str, text: &str) -> String {
        let part = serde_json::json!({"kind": "text", "text": text});
        let message = serde_json::json!({"kind": "message", "messageId": message_id, "role": "user", "parts": [part]});
        let params = serde_json::json!({"message": message});
        serde_json::json!({"jsonrpc": "2.0", "id": message_id, "method": "message/send", "params": params}).to_string()
    }

    /// The head of a good call whose body has this length.
    pub(crate) fn head(&self, length: usize) -> String {
        self.head_with(&format!("Content-Length: {length}\r\n"))
    }

    /// The head of a call with these lines for the length of its body.
    pub(crate) fn head_with(&self, lines: &str) -> String {
        self.head_of(&self.secret, lines)
    }

    /// The same with another bearer.
    pub(crate) fn head_of(&self, secret: &str, lines: &str) -> String {
        let host = self.address();
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n{lines}\r\n"
        )
    }

    /// Checks that a new connection gets a good answer, and returns the time that this took.
    pub(crate) fn answers(&self) -> Duration {
        let id = self.fresh("good");
        let start = Instant::now();
        let mut raw = self.connect();
        assert!(raw.send(&self.call(&id, &id)));
        let reply = raw.answer().expect("a good call gets an answer");
        let took = start.elapsed();
        assert_good(&reply, &id);
        took
    }

    /// How often the handler has run for messages with this text.
    pub(crate) fn runs(&self, text: &str) -> usize {
        self.runs.lock().unwrap().get(text).copied().unwrap_or(0)
    }

    /// How often the handler has run at all.
    pub(crate) fn all_runs(&self) -> usize {
        self.runs.lock().unwrap().values().sum()
    }

    /// Waits until the handler has run this often for messages with this text.
    pub(crate) fn wait_for_runs(&self, text: &str, count: usize) {
        wait_until(&format!("{count} runs of {text:?}"), || self.runs(text) >= count);
    }

    /// Takes the server out, for a test that stops it.
    pub(crate) fn take_server(&mut self) -> A2aServer {
        self.server.take().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What waits at the gate must not keep the runtime.
        self.gate.0.close();
        let _guard = self.runtime.enter();
        drop(self.server.take());
    }
}

/// Checks the answer to a message with this text.
pub(crate) fn assert_good(reply: &Reply, text: &str) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.text(), format!("you wrote: {text}"));
}

async fn answer(
    message: InboundMessage,
    runs: Arc<Mutex<BTreeMap<String, usize>>>,
    gate: Gate,
) -> Result<Option<Said>, String> {
    let text = message.text().into_owned();
    *runs.lock().unwrap().entry(text.clone()).or_default() += 1;
    if text.starts_with("wait") {
        let waited = tokio::time::timeout(PATIENCE, gate.0.acquire()).await;
        waited.map_err(|_| "nobody opened the gate")?.map_err(|closed| closed.to_string())?.forget();
    }
    Ok(Some(Said::text(format!("you wrote: {text}"))))
}
