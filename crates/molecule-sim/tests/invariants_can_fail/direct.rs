//! Mistakes of an agent's own server with direct peers, tasks and files.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use molecule_core::machines::Answer;
use molecule_sim::Saboteur;
use serde_json::{Value, json};

/// The body of a request, changed.
fn changed(request: &mut Request<Bytes>, change: impl FnOnce(&mut Value)) {
    if let Ok(mut body) = serde_json::from_slice(request.body()) {
        change(&mut body);
        *request.body_mut() = body.to_string().into();
    }
}

/// The body of an answer, changed.
fn told(answer: Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let Answer::Ready(answer) = answer else { return answer };
    let (head, body) = answer.into_parts();
    let body = match serde_json::from_slice::<Value>(&body) {
        Ok(mut value) => {
            change(&mut value);
            value.to_string().into()
        }
        Err(_) => body,
    };
    Answer::Ready(Response::from_parts(head, body))
}

/// Takes the token of one peer for that of another.
pub(super) struct MixesUpPeers;

impl Saboteur for MixesUpPeers {
    fn arrives(&mut self, request: &mut Request<Bytes>) {
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let other = match bearer.split_once("of-agent-000") {
            Some((before, behind)) => format!("{before}of-agent-001{behind}"),
            None => bearer.replace("of-agent-001", "of-agent-000").replace("of-agent-002", "of-agent-000"),
        };
        if !bearer.is_empty() {
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&other).unwrap());
        }
    }
}

/// Stores files of a peer, as if it were the platform.
pub(super) struct TrustsPeersWithFiles;

impl Saboteur for TrustsPeersWithFiles {
    fn replies(&mut self, answer: Answer) -> Answer {
        match answer {
            Answer::Ready(answer) if answer.status() == StatusCode::NOT_FOUND => {
                Answer::Ready(Response::new(Bytes::from_static(br#"{"files":[]}"#)))
            }
            answer => answer,
        }
    }
}

/// Says that files are stored that are not.
pub(super) struct SaysStored;

impl Saboteur for SaysStored {
    fn replies(&mut self, answer: Answer) -> Answer {
        match answer {
            Answer::Ready(answer) if answer.body().starts_with(br#"{"files":"#) => {
                Answer::Ready(Response::new(Bytes::from_static(br#"{"files":[]}"#)))
            }
            answer => answer,
        }
    }
}

/// Shows a task to whoever asks for it: each request has the platform's credential.
#[derive(Default)]
pub(super) struct ShowsTasksToAll {
    seen: Option<HeaderValue>,
}

impl Saboteur for ShowsTasksToAll {
    fn arrives(&mut self, request: &mut Request<Bytes>) {
        let Some(bearer) = request.headers().get(AUTHORIZATION).cloned() else { return };
        let is_peers = bearer.to_str().is_ok_and(|bearer| bearer.contains("peer-token"));
        match (&self.seen, is_peers) {
            (Some(secret), true) => drop(request.headers_mut().insert(AUTHORIZATION, secret.clone())),
            (_, false) => self.seen = Some(bearer),
            (None, true) => {}
        }
    }
}

/// Shows tasks that are cancelled as if they were worked on.
pub(super) struct RevivesTasks;

impl Saboteur for RevivesTasks {
    fn replies(&mut self, answer: Answer) -> Answer {
        told(answer, |body| {
            let state = &mut body["result"]["status"]["state"];
            if *state == "canceled" {
                *state = json!("working");
            }
        })
    }
}

/// Says that tasks are cancelled that go on.
#[derive(Default)]
pub(super) struct CancelsInWordsAlone {
    is_asked: bool,
}

impl Saboteur for CancelsInWordsAlone {
    fn arrives(&mut self, request: &mut Request<Bytes>) {
        changed(request, |body| {
            self.is_asked = body["method"] == "tasks/cancel";
            if self.is_asked {
                body["method"] = json!("tasks/get");
            }
        });
    }

    fn replies(&mut self, answer: Answer) -> Answer {
        if !std::mem::take(&mut self.is_asked) {
            return answer;
        }
        told(answer, |body| {
            if body["result"]["kind"] == "task" && body["result"]["status"]["state"] == "working" {
                body["result"]["status"]["state"] = json!("canceled");
            }
        })
    }
}

/// Shows the whole history of a task, however much was asked for.
pub(super) struct TellsAll;

impl Saboteur for TellsAll {
    fn arrives(&mut self, request: &mut Request<Bytes>) {
        changed(request, |body| {
            if let Some(params) = body["params"].as_object_mut() {
                params.remove("historyLength");
            }
        });
    }
}
