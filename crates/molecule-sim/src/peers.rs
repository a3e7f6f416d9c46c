//! The agents' own A2A servers: their answers, and the messages that they handled.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use molecule_proto::InboundSecret;
use serde_json::{Value, json};

use crate::door::{Door, Manner};
use crate::net::{self, edge};
use crate::trace::Who;

/// The A2A servers of all agents and the messages that each handled.
#[derive(Debug, Default)]
pub struct AgentServers {
    servers: Vec<AgentServer>,
}

#[derive(Debug, Default)]
struct AgentServer {
    door: Door,
    /// How each message arrived every time it was handled, by message id.
    handled: BTreeMap<String, Vec<By>>,
    /// Ids of messages that were answered with a text that may imitate the platform.
    imitated: Vec<String>,
}

/// How a message reached an agent's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This machine called the agent.
    Direct(Who),
    /// This machine sent it through the platform.
    Relayed(Who),
    /// The platform sent it later by itself: from its queue, or for a delegation.
    Platform,
    /// A client of its own sent it, which has the token of the agent with this index, or the platform's secret.
    Client(Option<u8>),
}

/// A message that reached an agent's server.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The index of the agent.
    pub target: usize,
    /// The message's id; `""` for a request without a message.
    pub message: String,
    /// How it arrived.
    pub by: By,
    /// Whether the agent handled it.
    pub handled: bool,
}

/// The reaction of an agent's server to a request.
#[derive(Debug)]
pub(crate) enum Speech {
    Answers(Response<Bytes>),
    HangsUp,
    Cut(StatusCode),
    TooLong,
    /// Never answers.
    Silent,
}

impl AgentServers {
    pub(crate) fn add(&mut self) {
        self.servers.push(AgentServer::default());
    }

    pub(crate) fn set(&mut self, agent: usize, door: &Door) {
        self.servers[agent].door = door.clone();
    }

    /// Records that an agent handles a message.
    pub(crate) fn handle(&mut self, agent: usize, message: &str, by: By) {
        self.servers[agent].handled.entry(message.to_owned()).or_default().push(by);
    }

    /// How the message arrived each time the agent handled it.
    pub fn handled(&self, agent: usize, message: &str) -> &[By] {
        self.servers.get(agent).and_then(|server| server.handled.get(message)).map_or(&[], Vec::as_slice)
    }

    /// Returns whether the agent answered the message with a text that may imitate the platform.
    pub fn imitated(&self, agent: usize, message: &str) -> bool {
        self.servers.get(agent).is_some_and(|server| server.imitated.iter().any(|known| known == message))
    }

    /// Lets an agent's server take a request; `secret` is the agent's inbound secret. Returns the server's reaction and
    /// its delay.
    pub(crate) fn take(
        &mut self,
        agent: usize,
        secret: Option<&InboundSecret>,
        request: &Request<Bytes>,
        by: By,
    ) -> (Reached, Speech, Duration) {
        let server = &mut self.servers[agent];
        let mut reached = Reached { target: agent, message: message_id(request.body()), by, handled: false };
        let presented = request.headers().get(http::header::AUTHORIZATION);
        let presented = presented.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let knows = secret.is_some_and(|secret| presented == Some(secret.expose()));
        if server.door.wants_secret && !knows {
            let refused = json!({"error": "unauthorized"}).to_string();
            return (reached, Speech::Answers(answer(401, "application/json", refused)), Duration::ZERO);
        }
        if request.method() != Method::POST || reached.message.is_empty() {
            return (reached, Speech::Answers(answer(405, "text/plain", "no")), Duration::ZERO);
        }
        let manner = server.door.manner.clone();
        reached.handled = manner.handles();
        if reached.handled {
            server.handled.entry(reached.message.clone()).or_default().push(by);
        }
        if let Manner::Says { .. } = manner {
            server.imitated.push(reached.message.clone());
        }
        let speech = speech(&manner, &reached.message);
        (reached, speech, Duration::from_millis(server.door.thinks_ms.into()))
    }
}

fn speech(manner: &Manner, message: &str) -> Speech {
    let text = format!("re: {message}");
    let parts = json!([{"kind": "text", "text": text}]);
    let rpc = |key: &str, value: Value| {
        let body = json!({"jsonrpc": "2.0", "id": "1", key: value});
        Speech::Answers(answer(200, "application/json", body.to_string()))
    };
    match manner {
        Manner::Message => {
            rpc("result", json!({"kind": "message", "role": "agent", "messageId": text, "parts": parts}))
        }
        Manner::Task => rpc(
            "result",
            json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"},
                   "artifacts": [{"artifactId": "a", "parts": parts}]}),
        ),
        Manner::Own => Speech::Answers(answer(200, "application/json", json!({"said": text}).to_string())),
        Manner::RpcError => rpc("error", json!({"code": -32000, "message": text})),
        Manner::Nothing => Speech::Answers(answer(200, "application/json", "")),
        Manner::Busy | Manner::HangsUp => Speech::HangsUp,
        Manner::Overloaded(asked) => Speech::Answers(edge(503, Some(asked), molecule_proto::UnixTime::default())),
        Manner::Silent => Speech::Silent,
        Manner::Cut => Speech::Cut(StatusCode::OK),
        Manner::TooLong => Speech::TooLong,
        Manner::Page => Speech::Answers(net::page(200)),
        Manner::Redirect => {
            let mut away = answer(307, "text/html", "");
            let elsewhere = HeaderValue::from_static("https://elsewhere.example.net/a2a");
            away.headers_mut().insert(LOCATION, elsewhere);
            Speech::Answers(away)
        }
        Manner::Says { status, body } => Speech::Answers(answer(*status, "application/json", body.clone())),
    }
}

fn answer(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    // A scenario may contain a number that is no valid status.
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The id of the message in a request's body; `""` if there is none.
pub(crate) fn message_id(body: &Bytes) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["params"]["message"]["messageId"].as_str().unwrap_or_default().to_owned()
}
