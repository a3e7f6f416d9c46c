//! A push agent's A2A server, which answers messages as configured and logs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use molecule_conformance::{self as conformance, Certificate, Connection, PeerAction, Received};
use molecule_core::proto::{Message, RpcAnswer, RpcRequest};
use serde_json::Value;

use crate::log::Log;

/// How the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// With a message: `got` and the text that it received.
    Echo,
    /// The same for requests with this bearer, and 401 for others.
    EchoTo(String),
    /// With a message without parts, whose metadata is the received message's, as an agent's server answers a check.
    GiveBack,
    /// With this status, these header lines and this body.
    Answer(u16, &'static str, &'static str),
    /// By closing the connection.
    Close,
    /// Never.
    Hang,
    /// With a body of this many megabytes.
    Flood(u64),
}

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Header names in lower case, with their values.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

impl Heard {
    /// The id of the message.
    pub fn message_id(&self) -> &str {
        self.body["params"]["message"]["messageId"].as_str().unwrap_or_default()
    }
}

impl From<&Received> for Heard {
    fn from(request: &Received) -> Self {
        let headers = request.headers().map(|(name, value)| (name, value.to_owned())).collect();
        Self { headers, body: serde_json::from_slice(&request.body).unwrap_or_default() }
    }
}

/// The A2A server of an agent on a loopback port.
#[derive(Debug)]
pub struct PeerServer {
    port: conformance::ScriptedPeer,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    heard: Log<Heard>,
}

impl PeerServer {
    /// Starts a server that answers in this manner.
    ///
    /// # Panics
    /// If there is no free loopback port.
    pub fn new(manner: Manner) -> Self {
        Self::start(manner, None)
    }

    /// Starts the same over TLS, with this certificate.
    ///
    /// # Panics
    /// If there is no free loopback port.
    pub fn secure(manner: Manner, certificate: Certificate) -> Self {
        Self::start(manner, Some(certificate))
    }

    fn start(manner: Manner, certificate: Option<Certificate>) -> Self {
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared { manner: Mutex::new(manner), heard: Log::default() });
        let serving = Arc::clone(&shared);
        let port = conformance::ScriptedPeer::start(move |connection| {
            connection.perform(certificate.map(PeerAction::Secure));
            if let Some(request) = connection.request() {
                serving.answer(connection, &Heard::from(&request));
            }
        });
        Self { port, scheme, shared }
    }

    /// Its URL. April's server accepts only `localhost` as a name of this machine.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}/a2a", self.scheme, self.port.port())
    }

    /// Changes how it answers from now on.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// The requests that it received so far.
    pub fn heard(&self) -> &Log<Heard> {
        &self.shared.heard
    }
}

impl Shared {
    fn answer(&self, connection: &mut Connection, heard: &Heard) {
        self.heard.push(heard.clone());
        let manner = self.manner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let act = match manner {
            Manner::Echo => echo(heard),
            Manner::EchoTo(secret) if heard.headers.get("authorization") == Some(&format!("Bearer {secret}")) => {
                echo(heard)
            }
            Manner::EchoTo(_) => answer(401, "", r#"{"error":"unauthorized"}"#),
            Manner::GiveBack => give_back(heard),
            Manner::Answer(status, headers, body) => answer(status, headers, body),
            Manner::Close => PeerAction::Cut,
            Manner::Hang => PeerAction::Listen,
            Manner::Flood(megabytes) => return flood(connection, megabytes),
        };
        connection.perform([act]);
    }
}

/// The reply to a message; a request without a message gets no answer.
fn echo(heard: &Heard) -> PeerAction {
    let Ok(request) = serde_json::from_value::<RpcRequest>(heard.body.clone()) else { return PeerAction::Close };
    let message = request.send_params().map(|params| params.message);
    let text = message.iter().flat_map(Message::texts).collect::<Vec<_>>().join(" ");
    let reply = Message::reply(format!("got {text}")).with_id("r-1");
    let reply = RpcAnswer::result(request.id.unwrap_or_default(), reply);
    let reply = serde_json::to_string(&reply).expect("an answer is JSON");
    answer(200, "Content-Type: application/json\r\n", &reply)
}

/// A message with the metadata of the received one.
fn give_back(heard: &Heard) -> PeerAction {
    let Ok(request) = serde_json::from_value::<RpcRequest>(heard.body.clone()) else { return PeerAction::Close };
    let metadata = request.send_params().map(|params| params.message.metadata).unwrap_or_default();
    let mut reply = Message::reply("").with_id("r-1");
    (reply.parts, reply.metadata) = (Vec::new(), metadata);
    let reply = RpcAnswer::result(request.id.unwrap_or_default(), reply);
    let reply = serde_json::to_string(&reply).expect("an answer is JSON");
    answer(200, "Content-Type: application/json\r\n", &reply)
}

fn answer(status: u16, headers: &str, body: &str) -> PeerAction {
    PeerAction::answer_with(&format!("{status} Because"), &format!("{headers}Connection: close\r\n"), body)
}

fn flood(connection: &mut Connection, megabytes: u64) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
    let piece = vec![b' '; 1024 * 1024];
    for _ in 0..megabytes {
        connection.send(&piece);
    }
}
