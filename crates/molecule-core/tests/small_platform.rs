//! The small platform of these tests gives the answers that were recorded from the servers.

#![allow(clippy::unwrap_used)]

mod support;

use std::mem::discriminant;

use http::Method;
use molecule_core::effect::Outcome;
use molecule_core::proto::Time;
use serde_json::{Value, json};
use support::platform::{HEARTBEAT, MINT, REGISTER, ROTATE, SECRETS, STATE, TOKENS, VIEW};
use support::*;

const APRIL: &str = include_str!("../../../fixtures/corpus/april-2026.jsonl");
const CURRENT: &str = include_str!("../../../fixtures/corpus/current-2026.jsonl");

/// A request to a route with this bearer, by its name among the secrets of these tests.
fn request(route: &str, bearer: Option<&str>, url: &str) -> Seen {
    let (method, path) = route.split_once(' ').unwrap();
    Seen {
        at: Time::default(),
        method: method.parse::<Method>().unwrap(),
        path: path.to_owned(),
        bearer: bearer.map(secret),
        body: json!({"id": ID, "url": url, "delivery_mode": "poll"}),
        headers: http::HeaderMap::new(),
    }
}

/// A workspace in each state that changes its answers.
fn workspaces(new: fn() -> Platform) -> Vec<Platform> {
    let state = |status: &str| Platform { status: status.to_owned(), ..new() };
    let gone = |purged| Platform { removed: true, purged, ..new() };
    vec![new(), new().without_token(), state("paused"), state("provisioning"), gone(false), gone(true)]
}

/// A path without its query, and each id as `:id`.
fn route(path: &str) -> String {
    let parts = path.split('?').next().unwrap().split('/');
    let is_id = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
    parts.map(|part| if is_id(part) { ":id" } else { part }).collect::<Vec<_>>().join("/")
}

/// Whether a body has the form of a recorded one: the same error and no key or type that is not there.
fn is_like(body: &[u8], recorded: &Value) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return recorded["_head"].as_str().is_some_and(|head| head.as_bytes() == body);
    };
    let keys = body.as_object().unwrap().iter();
    body.get("error") == recorded.get("error")
        && keys
            .clone()
            .all(|(key, value)| recorded.get(key).is_some_and(|known| discriminant(known) == discriminant(value)))
}

fn assert_recorded(recording: &str, seen: &Seen, outcome: Outcome) {
    let Outcome::Response(answer) = outcome else { panic!("{seen}: {outcome:?}") };
    let exchanges = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_asked = |request: &Value| {
        let path = request["path"].as_str().unwrap_or_default();
        request["method"] == seen.method.as_str() && route(path) == route(&seen.path)
    };
    // All routes that require a bearer refuse one in the same words.
    let mut such = exchanges.filter(|exchange| {
        exchange["response"]["status"] == answer.status().as_u16()
            && (answer.status() == http::StatusCode::UNAUTHORIZED || is_asked(&exchange["request"]))
    });
    // The owner chooses the keys of secrets.
    let known = match answer.status().as_u16() {
        200 if seen.is(SECRETS) => such.next().is_some(),
        _ => such.any(|exchange| is_like(answer.body(), &exchange["response"]["body"])),
    };
    assert!(known, "{seen} was never answered like this: {answer:?}");
}

#[test]
fn every_answer_was_recorded_from_the_server_of_its_dialect() {
    type Dialect = (fn() -> Platform, &'static str);
    let dialects: [Dialect; 2] = [(Platform::april, APRIL), (Platform::current, CURRENT)];
    for (new, recording) in dialects {
        for bearer in [Some("first"), Some("admin"), Some("unknown"), None] {
            for which in 0..workspaces(new).len() {
                for asked in [VIEW, REGISTER, HEARTBEAT, STATE, SECRETS, TOKENS, MINT, ROTATE] {
                    for url in ["", "https://agent.example/a2a"] {
                        let mut platform = workspaces(new).remove(which);
                        let seen = request(asked, bearer, url);
                        let Reply::Now(outcome) = platform.serve(&seen) else { panic!("{seen} has no answer") };
                        assert_recorded(recording, &seen, outcome);
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_that_is_revoked_goes_once() {
    for (new, recording) in [(Platform::april as fn() -> Platform, APRIL), (Platform::current, CURRENT)] {
        let mut platform = new();
        let mut ask = |route: &str| {
            let seen = request(route, Some("admin"), "");
            let Reply::Now(outcome) = platform.serve(&seen) else { panic!("{seen} has no answer") };
            (seen, outcome)
        };
        let (_, rows) = ask(TOKENS);
        let Outcome::Response(rows) = rows else { panic!("{rows:?}") };
        let rows: Value = serde_json::from_slice(rows.body()).unwrap();
        let revoke = format!("DELETE /workspaces/:id/tokens/{}", rows["tokens"][0]["id"].as_str().unwrap());
        for _ in 0..2 {
            let (seen, outcome) = ask(&revoke);
            assert_recorded(recording, &seen, outcome);
        }
    }
}
