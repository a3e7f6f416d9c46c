//! The recorder's push agents. A word in the message or the step of the script decides their reply.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use molecule_platform::DispatchFault;
use serde_json::{Value, json};

use crate::exchange::Line;

type Outcome = Result<http::Response<Bytes>, DispatchFault>;

/// The steps at which an agent closes the connection without an answer.
const CLOSING: [&str; 4] = [
    "a2a agent closes",
    "a2a agent closes, same id",
    "heartbeat while the agent still closes",
    "a2a agent closes, person",
];
/// The steps at which an agent answers late, with the delay in milliseconds.
const SLOW: [(&str, u64); 5] = [
    ("a2a agent slow", 60_000),
    ("a2a person, agent slower than the budget", 1_800),
    ("a2a agent caller, same delay", 1_800),
    // Both calls are in flight at once, and end in the order in which they started.
    ("delegate no key twice 1", 4),
    ("delegate no key twice 2", 4),
];

/// The hosts and ports at which agents listen.
pub(crate) struct Agents(BTreeSet<String>);

impl Agents {
    /// The agents that received a request in a recording.
    pub(crate) fn of(lines: &[Line]) -> Self {
        let hosts = lines.iter().filter_map(|line| match line {
            Line::Received(received) => Some(received.headers["host"].clone()),
            Line::Exchange(_) => None,
        });
        Self(hosts.collect())
    }

    /// Returns whether an agent listens at the request's host.
    pub(crate) fn listen_at(&self, request: &http::Request<Bytes>) -> bool {
        self.0.contains(request.headers()["host"].to_str().unwrap())
    }

    /// The outcome of a call at a step of the script, and the delay until it comes.
    pub(crate) fn answer(&self, step: &str, request: &http::Request<Bytes>) -> (Duration, Outcome) {
        if !self.listen_at(request) {
            let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), request.uri().port_u16().unwrap());
            return (Duration::ZERO, Err(DispatchFault::Connect(Some(address))));
        }
        let delay = SLOW.iter().find(|(slow, _)| *slow == step).map_or(0, |(_, delay)| *delay);
        let closes = CLOSING.contains(&step);
        let outcome = if closes { Err(DispatchFault::Closed) } else { Ok(reply(request)) };
        (Duration::from_millis(delay), outcome)
    }
}

fn reply(request: &http::Request<Bytes>) -> http::Response<Bytes> {
    if request.method() == http::Method::GET || request.uri().path_and_query().unwrap().as_str().contains("/internal/")
    {
        return answer(404, &json!({"error": "not here"}).to_string());
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    let text = body.pointer("/params/message/parts/0/text").and_then(Value::as_str).unwrap_or_default();
    let id = &body["id"];
    let said = |id: &Value, text: &str| {
        // The JSON has the format of the recorder's language, because a delegation's preview shows the exact text.
        format!(
            "{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"result\": {{\"kind\": \"message\", \"role\": \"agent\", \"messageId\": \
             \"r-1\", \"parts\": [{{\"kind\": \"text\", \"text\": {}}}]}}}}",
            json!(format!("got {text}"))
        )
    };
    match text.strip_prefix("mode ") {
        Some("rpc-error") => answer(
            200,
            &format!(
                "{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"error\": {{\"code\": -32603, \"message\": \"boom\", \"data\": \
                 {{\"x\": 1}}}}}}"
            ),
        ),
        Some("http-500") => answer(500, &json!({"error": {"code": -32603, "message": "boom"}}).to_string()),
        Some("busy-503") => answer(503, &json!({"error": "busy"}).to_string()),
        Some("busy-429") => answer(429, &json!({"error": "slow down", "retry_after": 7}).to_string()),
        Some("unauthorized") => answer(401, &json!({"error": {"code": 1, "message": "who"}}).to_string()),
        Some("gone-404") => answer(404, "<h1>gone</h1>"),
        Some("empty") => answer(200, ""),
        Some("accepted-empty") => answer(202, ""),
        Some("no-content") => answer(204, ""),
        Some("text") => answer(200, "plain words"),
        Some("error-string") => answer(200, &json!({"error": "sorry"}).to_string()),
        Some("created") => answer(201, &said(id, text)),
        Some("bad-id") => answer(200, &said(&json!("another"), text)),
        Some("redirect") => {
            let mut response = answer(302, "");
            response.headers_mut().insert(LOCATION, http::HeaderValue::from_static("/elsewhere"));
            response
        }
        Some("task") => {
            let task = json!({"kind": "task", "id": "t-1", "contextId": "c-1", "status": {"state": "completed"},
                "artifacts": [{"artifactId": "a", "parts": [{"kind": "text", "text": format!("done {text}")}]}]});
            answer(200, &json!({"jsonrpc": "2.0", "id": id, "result": task}).to_string())
        }
        Some(_) | None => answer(200, &said(id, text)),
    }
}

fn answer(status: u16, body: &str) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap()
}
