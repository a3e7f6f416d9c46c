//! The status of a queued message, also on a server that does not offer it.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::{Beat, QueuedItem};
use molecule_core::proto::{QueueItem, QueueStatus};
use molecule_core::{ErrorKind, Result};
use serde_json::json;
use support::calls::caller;
use support::*;

const ITEM: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";

/// Asks for the status. Returns also whether the platform was asked.
fn look(agent: &mut Agent, answer: Answer) -> (Result<QueueItem>, bool) {
    let mut asked = false;
    let item = run(agent, QueuedItem::new(ITEM).unwrap(), |seen| {
        assert!(seen.is(&format!("GET /workspaces/:id/a2a/queue/{ITEM}")) && seen.bearer.is_some(), "{seen}");
        asked = true;
        answer.clone().into()
    });
    (item, asked)
}

/// An agent that knows the server's dialect.
fn told(mut platform: Platform) -> Agent {
    let mut agent = caller();
    run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
    agent
}

fn item() -> Answer {
    let body = json!({
        "queue_id": ITEM, "workspace_id": ID, "status": "queued", "priority": 50, "attempts": 0,
        "enqueued_at": "2026-11-22 21:39:57.150091+00",
    });
    Answer::json(200, body)
}

#[test]
fn an_item_shows_where_it_stands() {
    let (item, _) = look(&mut caller(), item());
    let item = item.unwrap();
    assert_eq!((item.queue_id.as_str(), item.status), (ITEM, QueueStatus::Queued));
    assert_eq!(item.enqueued_at.unwrap().0.to_string(), "2026-11-22T21:39:57.150091Z");
}

#[test]
fn an_unknown_item_is_not_found_and_may_be_asked_for_again() {
    let mut agent = told(Platform::current());
    for _ in 0..2 {
        let unknown = Answer::json(404, json!({"error": "queue item not found", "retryable": true}));
        let (end, asked) = look(&mut agent, unknown);
        let error = end.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16(), asked), (ErrorKind::NotFound, 404, true));
    }
    assert_eq!(look(&mut agent, Answer::error(403, "access denied")).0.unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn a_server_without_the_route_is_asked_once() {
    let no_route = || Answer::text(404, "404 page not found");
    let other = || Answer::error(404, "not found");
    for (mut agent, answers) in [
        (caller(), [no_route(), other()]),
        (told(Platform::april()), [no_route(), Answer::empty(404)]),
        (told(Platform::april()), [Answer::html(404), Answer::empty(404)]),
    ] {
        for (number, answer) in answers.into_iter().enumerate() {
            let (end, asked) = look(&mut agent, answer);
            let error = end.unwrap_err();
            assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, "look at the queue"), "{error}");
            assert_eq!(asked, number == 0, "remembered");
        }
    }
}

#[test]
fn a_server_that_was_replaced_by_a_newer_one_is_asked_again() {
    let mut agent = told(Platform::april());
    assert_eq!(look(&mut agent, Answer::text(404, "404 page not found")).0.unwrap_err().kind(), ErrorKind::Unsupported);
    let mut platform = Platform::current();
    run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
    let (end, asked) = look(&mut agent, item());
    assert!(asked && end.is_ok(), "{end:?}");
}

#[test]
fn a_404_of_something_before_the_server_is_not_remembered() {
    for (mut agent, answer, kind) in [
        (caller(), Answer::empty(404), ErrorKind::Routing),
        (caller(), Answer::html(404), ErrorKind::Routing),
        (told(Platform::current()), Answer::empty(404), ErrorKind::Routing),
        (told(Platform::current()), Answer::text(404, "404 page not found"), ErrorKind::Unsupported),
        (caller(), Answer::error(500, "lookup failed"), ErrorKind::Unavailable),
    ] {
        let (end, _) = look(&mut agent, answer.clone());
        assert_eq!(end.unwrap_err().kind(), kind, "{answer:?}");
        let (end, asked) = look(&mut agent, item());
        assert!(asked && end.is_ok(), "{answer:?} was remembered");
    }
}

#[test]
fn an_id_that_is_none_is_refused_unsent() {
    for id in ["", "zz", "../admin"] {
        assert_eq!(QueuedItem::new(id).unwrap_err().kind(), ErrorKind::Config);
    }
}
