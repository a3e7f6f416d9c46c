//! Programs of other authors that speak A2A with an agent's own server: they send messages, ask for tasks and cancel them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Uri};
use molecule_proto::{TASKS_CANCEL, TASKS_GET, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::agent::peer_token;
use crate::forms::form;
use crate::peers::By;
use crate::relay::AgentRequest;
use crate::served::Reaction;
use crate::weather::{Gust, Route};
use crate::world::{Happening, World};

/// A request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientAsk {
    /// The agent whose token for the server it has; `None`: it has the platform's secret, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<u8>,
    /// What it asks for.
    pub call: ClientCall,
    /// After this many seconds it hangs up.
    pub limit_s: u16,
}

/// What a client asks for. Tasks are counted from the newest one that the server has shown to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientCall {
    /// `message/send`.
    Send {
        /// The task that it goes on with; `None`: a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<u8>,
        /// Whether it waits for the answer.
        blocking: bool,
    },
    /// `tasks/get`.
    Get {
        /// The task.
        task: u8,
        /// The most messages of its history that are asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        history: Option<u8>,
    },
    /// `tasks/cancel`.
    Cancel(u8),
    /// Files, as the platform hands them over.
    Files,
}

/// The clients of a world.
#[derive(Default)]
pub(crate) struct Clients {
    asked: u64,
    /// The requests on their way.
    requests: BTreeMap<u64, (Request<Bytes>, ClientAsk, bool)>,
    /// By agent: the tasks that its server has shown, the newest last.
    tasks: BTreeMap<usize, Vec<String>>,
}

impl Clients {
    /// Notes the task in an answer.
    pub(crate) fn learn(&mut self, agent: usize, reaction: &Reaction) {
        let Reaction::Answers(_, body) = reaction else { return };
        let result = &body["result"];
        if let (Some("task"), Some(id)) = (result["kind"].as_str(), result["id"].as_str()) {
            let known = self.tasks.entry(agent).or_default();
            if !known.iter().any(|task| task == id) {
                known.push(id.to_owned());
            }
        }
    }

    fn task(&self, agent: usize, number: u8) -> &str {
        let known = self.tasks.get(&agent).map_or(&[][..], Vec::as_slice);
        known.iter().rev().nth(usize::from(number) % known.len().max(1)).map_or("no-task", String::as_str)
    }
}

impl World<'_> {
    /// The tokens that an agent has for the servers of the others.
    pub(crate) fn tokens_for_peers(&self, agent: usize) -> Vec<(WorkspaceId, String)> {
        let others = self.agents.iter().enumerate().filter(|(other, _)| *other != agent);
        let takes = others.filter(|(_, other)| other.setup.server.as_ref().is_some_and(|server| server.peer_tokens));
        takes.map(|(other, peer)| (peer.workspace.clone(), peer_token(agent, other))).collect()
    }

    /// The tokens that the others have for an agent's server.
    pub(crate) fn tokens_of_peers(&self, agent: usize) -> Vec<(WorkspaceId, String)> {
        if !self.agents[agent].setup.server.as_ref().is_some_and(|server| server.peer_tokens) {
            return Vec::new();
        }
        let others = self.agents.iter().enumerate().filter(|(other, _)| *other != agent);
        others.map(|(other, peer)| (peer.workspace.clone(), peer_token(other, agent))).collect()
    }

    /// Lets a client ask an agent; `act` is the number of the action.
    pub(crate) fn client(&mut self, act: usize, agent: usize, ask: ClientAsk) {
        let Some(url) = self.agents[agent].reported_url.clone() else { return };
        let bearer = match ask.peer {
            Some(peer) => Some(peer_token(peer.into(), agent)),
            None => {
                self.platform.inbound_secret(&self.agents[agent].workspace).map(|secret| secret.expose().to_owned())
            }
        };
        let (path, kind, body) = self.asked_of(act, agent, ask.call);
        let uri: Uri = format!("{url}{path}").parse().expect("an agent's URL is one");
        let host = uri.authority().map_or("", |host| host.as_str()).to_owned();
        let mut request = Request::post(uri).body(body).expect("the request is valid");
        let headers = request.headers_mut();
        let text = |text: &str| HeaderValue::from_str(text).expect("it is visible ASCII");
        headers.insert(HOST, text(&host));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.extend(bearer.map(|bearer| (AUTHORIZATION, text(&format!("Bearer {bearer}")))));
        let gust = self.gust(agent, Some(Route::Direct));
        if let Some(Gust::LostBefore { .. } | Gust::Refused | Gust::Unresolved) = gust {
            return;
        }
        self.clients.asked += 1;
        let number = self.clients.asked;
        self.clients.requests.insert(number, (request, ask, gust == Some(Gust::Twice)));
        let arrives = Duration::from_millis(self.rng.u64(1..60));
        self.plan(self.now + arrives, Happening::ClientAsks(number));
        self.plan(self.now + Duration::from_secs(ask.limit_s.into()), Happening::ClientLeaves(number));
    }

    /// The path below the URL, the content type and the body of a request.
    fn asked_of(&self, act: usize, agent: usize, call: ClientCall) -> (&'static str, &'static str, Bytes) {
        let task = |number| self.clients.task(agent, number);
        let (method, params): (&str, Value) = match call {
            ClientCall::Files => return (INGEST, FORM, form(act, 1)),
            ClientCall::Send { task: of, blocking } => {
                let mut message = json!({
                    "kind": "message", "role": "user", "messageId": format!("client-{act}"),
                    "parts": [{"kind": "text", "text": format!("message {act}")}],
                });
                if let Some(number) = of {
                    message["taskId"] = json!(task(number));
                }
                ("message/send", json!({"message": message, "configuration": {"blocking": blocking}}))
            }
            ClientCall::Get { task: number, history } => {
                let mut params = json!({"id": task(number)});
                if let Some(history) = history {
                    params["historyLength"] = json!(history);
                }
                (TASKS_GET, params)
            }
            ClientCall::Cancel(number) => (TASKS_CANCEL, json!({"id": task(number)})),
        };
        let body = json!({"jsonrpc": "2.0", "id": act, "method": method, "params": params});
        ("", "application/json", body.to_string().into())
    }

    /// Delivers a client's request.
    pub(crate) fn client_asks(&mut self, number: u64) {
        let Some((request, ask, is_twice)) = self.clients.requests.remove(&number) else { return };
        let Some(agent) = self.serves_at(request.uri()) else { return };
        let by = By::Client(ask.peer);
        if is_twice {
            self.deliver(agent, AgentRequest::Copy, request.clone(), by);
        }
        self.deliver(agent, AgentRequest::Client(number), request, by);
    }
}

/// The path of files below an agent's URL.
const INGEST: &str = "/internal/chat/uploads/ingest";

/// The content type of a form.
pub(crate) const FORM: &str = "multipart/form-data; boundary=sim";
