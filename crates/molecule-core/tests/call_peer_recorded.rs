//! Every recorded answer of the two servers to a call, and its outcome.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;

use molecule_core::{PeerCall, Route};
use serde_json::Value;
use support::calls::{call, caller, word};
use support::*;

macro_rules! recordings {
    ($($name:literal,)*) => { [$(($name, include_str!(concat!("../../../fixtures/corpus/", $name, ".jsonl")))),*] };
}

const RECORDINGS: [(&str, &str); 6] = recordings![
    "april-2026",
    "april-2026-strict",
    "april-2026-tenant",
    "current-2026",
    "current-2026-strict",
    "current-2026-tenant",
];

/// The recorded answer. An empty body is recorded as `null`, one that is not JSON by its beginning.
fn recorded(exchange: &Value) -> Option<Answer> {
    let (request, response) = (&exchange["request"], &exchange["response"]);
    let path = request["path"].as_str()?.split('?').next()?;
    let status = u16::try_from(response["status"].as_u64()?).ok()?;
    if request["method"] != "POST" || !path.ends_with("/a2a") || status == 0 {
        return None;
    }
    let answer = match &response["body"] {
        Value::Null => Answer::empty(status),
        body if body.get("_head").is_some() => Answer::text(status, body["_head"].as_str()?),
        body => Answer::json(status, body.clone()),
    };
    Some(answer)
}

#[test]
fn every_recorded_answer_is_the_outcome_that_was_read_and_agreed_on() {
    let mut told = String::new();
    for (recording, lines) in RECORDINGS {
        for line in lines.lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            let Some(answer) = recorded(&exchange) else { continue };
            let called = call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |_| answer.clone().into());
            let end = match called.end {
                Ok(outcome) => word(&outcome),
                Err(error) => format!("error: {:?}", error.kind()),
            };
            writeln!(told, "{recording} | {} | {end}", exchange["label"].as_str().unwrap()).unwrap();
        }
    }
    assert_eq!(told, include_str!("golden/a2a_outcomes.txt"), "as it is now:\n{told}");
}
