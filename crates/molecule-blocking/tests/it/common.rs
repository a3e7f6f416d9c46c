//! Agents, an endpoint for them, and a platform that takes them in.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use molecule_blocking::core::endpoint::{Endpoint, Mismatch, Repeat};
use molecule_blocking::core::session::{Auth, Draft};
use molecule_blocking::{Agent, AgentBuilder, Result, Storage, Timeouts, WorkspaceId};
use molecule_conformance::{Act, Connection, Peer, Received};

pub(crate) const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// Nothing in these tests takes longer, whatever goes wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// An agent that holds a token and keeps it in memory. Its platform is on this machine, which no proxy stands before.
pub(crate) fn builder(platform: &str) -> AgentBuilder {
    Agent::builder(platform, ID).token("tok-123").storage(Storage::Memory)
}

pub(crate) fn agent(platform: &str) -> Agent {
    builder(platform).build().unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Limits that no test reaches, for a test to replace one of them.
pub(crate) fn patient() -> Timeouts {
    let limits = Timeouts::new().connect(PATIENCE).answer(PATIENCE).read(PATIENCE);
    limits.request(PATIENCE).call(PATIENCE).peer(PATIENCE)
}

/// `GET /probe`, whose answer is its text.
#[derive(Debug, Clone)]
pub(crate) struct Probe;

impl Endpoint for Probe {
    type Answer = String;
    const OPERATION: &'static str = "probe";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "text";
    const MAX_BODY: u64 = 1000;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, "/probe", Auth::Open))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<String, Mismatch> {
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }
}

/// Answers every request like this.
pub(crate) fn saying(text: &'static str) -> Peer {
    Peer::answering(move |_| vec![Act::answer("200 OK", text)])
}

/// A platform that takes the agent in, unless `first` has handled a request itself and says so.
pub(crate) fn platform(first: impl Fn(&mut Connection, &str) -> bool + Send + Sync + 'static) -> Peer {
    Peer::start(move |connection| {
        while let Some(request) = connection.request() {
            if !first(connection, request.path()) {
                connection.perform(platform_says(&request));
            }
        }
    })
}

/// What a platform that takes the agent in says to a request.
pub(crate) fn platform_says(request: &Received) -> Vec<Act> {
    let body = match request.path() {
        "/registry/register" => r#"{"status":"registered","delivery_mode":"poll"}"#.to_owned(),
        "/registry/heartbeat" => r#"{"status":"ok"}"#.to_owned(),
        path if path.ends_with("/state") => {
            format!(r#"{{"workspace_id":"{ID}","status":"online","paused":false,"deleted":false}}"#)
        }
        path if path.ends_with("/secrets/values") => r#"{"OPENAI_API_KEY":"sk-1"}"#.to_owned(),
        path if path.ends_with(ID) => format!(r#"{{"id":"{ID}","name":"w","status":"online","kind":"workspace"}}"#),
        _ => return vec![Act::answer("404 Not Found", "")],
    };
    vec![Act::answer("200 OK", &body)]
}
