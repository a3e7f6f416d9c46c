//! Mistakes of an agent's own server, made between it and its driver.

use bytes::Bytes;
use http::{Response, StatusCode};
use molecule_core::machines::Answer;
use molecule_sim::Saboteur;
use serde_json::{Value, json};

fn is(answer: &Answer, status: StatusCode) -> bool {
    matches!(answer, Answer::Ready(answer) if answer.status() == status)
}

/// An answer that says nothing.
fn nothing() -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"kind": "message", "parts": []}});
    Answer::Ready(Response::new(Bytes::from(body.to_string())))
}

/// Changes the result in an answer.
fn changed(answer: Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let Answer::Ready(answer) = answer else { return answer };
    let (head, body) = answer.into_parts();
    let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
    match value.get_mut("result") {
        Some(result) => {
            change(result);
            Answer::Ready(Response::from_parts(head, value.to_string().into()))
        }
        None => Answer::Ready(Response::from_parts(head, body)),
    }
}

/// Lets everybody in.
pub(super) struct OpensTheDoor;

impl Saboteur for OpensTheDoor {
    fn replies(&mut self, answer: Answer) -> Answer {
        if is(&answer, StatusCode::UNAUTHORIZED) { nothing() } else { answer }
    }
}

/// Says something where nothing is to be said.
pub(super) struct Chats;

impl Saboteur for Chats {
    fn replies(&mut self, answer: Answer) -> Answer {
        changed(answer, |result| {
            if result["parts"].as_array().is_some_and(Vec::is_empty) {
                result["parts"] = json!([{"kind": "text", "text": "done"}]);
            }
        })
    }
}

/// Says the same in other words each time.
#[derive(Default)]
pub(super) struct Rephrases(u64);

impl Saboteur for Rephrases {
    fn replies(&mut self, answer: Answer) -> Answer {
        self.0 += 1;
        changed(answer, |result| {
            if result["parts"].as_array().is_some_and(|parts| !parts.is_empty()) {
                result["messageId"] = json!(self.0);
            }
        })
    }
}

/// Cuts messages that were cut before.
pub(super) struct CutsAgain;

impl Saboteur for CutsAgain {
    fn replies(&mut self, answer: Answer) -> Answer {
        if is(&answer, StatusCode::SERVICE_UNAVAILABLE) { Answer::Cut } else { answer }
    }
}

/// Accepts messages for which it has no room.
pub(super) struct SaysYes;

impl Saboteur for SaysYes {
    fn replies(&mut self, answer: Answer) -> Answer {
        if let Answer::Cut = answer { nothing() } else { answer }
    }
}

/// Keeps no answer.
pub(super) struct Forgets;

impl Saboteur for Forgets {
    fn forgets(&mut self) -> bool {
        true
    }
}
