//! Both shapes of the list of delegations, merged to one view of each delegation.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;

use molecule_core::machines::{DelegationOf, Delegations};
use molecule_core::proto::{DelegationStatus, Direction};
use molecule_core::{DelegationEnd, DelegationView, ErrorKind, Event};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::{DELEGATIONS, PEER};
use support::*;

const DELEGATED: &str = "1ac764f8-8302-4fd9-b0fd-da0d0e2ad217";

fn fold(rows: Value) -> Vec<DelegationView> {
    run(&mut caller(), Delegations::newest(), |seen| {
        assert!(seen.is(DELEGATIONS) && seen.bearer.is_some(), "{seen}");
        Answer::json(200, rows.clone()).into()
    })
    .unwrap()
}

/// A row of the activity list, this many seconds after the hour.
fn row(second: u32, status: &str, more: Value) -> Value {
    let mut row = json!({
        "id": "b7833309-3df5-40a1-ba26-0565c8def1a6", "type": "delegation", "source_id": ID, "target_id": PEER,
        "summary": format!("at {second}"), "status": status, "created_at": format!("2026-11-22T21:00:{second:02}Z"),
        "delegation_id": DELEGATED,
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn handle() -> String {
    json!({ "delegation_id": DELEGATED }).to_string()
}

#[test]
fn rows_of_one_delegation_are_one_view() {
    let views = fold(json!([
        row(5, "completed", json!({"response_preview": "got do it", "direction": "sent"})),
        row(3, "completed", json!({"response_preview": handle(), "direction": "sent"})),
    ]));
    let [view] = &views[..] else { panic!("{views:?}") };
    assert_eq!((view.id.as_str(), &view.status), (DELEGATED, &DelegationStatus::Completed));
    assert_eq!(view.end(), Some(DelegationEnd::Answered("got do it".to_owned())));
    assert_eq!((view.created_at.to_string().as_str(), view.summary.as_str()), ("2026-11-22T21:00:03Z", "at 5"));
    assert_eq!((view.source_id.as_ref().unwrap().as_str(), view.target_id.as_ref().unwrap().as_str()), (ID, PEER));
    assert_eq!(view.direction, Some(Direction::Sent));
}

#[test]
fn ends_are_told_by_what_the_rows_hold() {
    let end = |status: &str, more: Value| fold(json!([row(5, status, more), row(3, "pending", json!({}))]))[0].end();
    let failed = json!({"error": "access denied", "response_preview": handle()});
    assert_eq!(end("failed", failed), Some(DelegationEnd::Failed("access denied".to_owned())));
    let handle_with_error = json!({"error": "x", "delegation_id": DELEGATED}).to_string();
    let failed = json!({"error": "x", "response_preview": handle_with_error});
    assert_eq!(end("failed", failed), Some(DelegationEnd::Failed("x".to_owned())));
    let poll = json!({"status": "queued", "delivery_mode": "poll", "method": "message/send"}).to_string();
    assert_eq!(end("completed", json!({"response_preview": poll})), Some(DelegationEnd::AcceptedForPoll));
    let boom = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "boom"}}).to_string();
    let peer_error = DelegationEnd::PeerError { code: -32603, message: "boom".to_owned() };
    assert_eq!(end("completed", json!({"response_preview": boom})), Some(peer_error));
    assert_eq!(end("completed", json!({})), Some(DelegationEnd::NoAnswer));
    assert_eq!(end("completed", json!({"response_preview": handle()})), Some(DelegationEnd::NoAnswer));
    // A reply that quotes the marker of poll mode is still a reply.
    let quoted = r#"it says {"status":"queued","delivery_mode":"poll"}"#;
    assert_eq!(end("completed", json!({"response_preview": quoted})), Some(DelegationEnd::Answered(quoted.to_owned())));
    for open in ["pending", "dispatched", "queued", "in_progress", "stuck", "delegated", "something new"] {
        assert_eq!(end(open, json!({})), None, "{open}");
    }
}

#[test]
fn an_end_is_one_sentence_that_is_fit_to_print() {
    for (end, told) in [
        (DelegationEnd::Answered("the docs\nare indexed".to_owned()), "answered: the docs\nare indexed"),
        (DelegationEnd::NoAnswer, "over, without an answer"),
        (DelegationEnd::AcceptedForPoll, "accepted: the peer finds it when it polls"),
        (
            DelegationEnd::PeerError { code: -1, message: "a\u{1b}[31m".to_owned() },
            r"the peer failed: a\u{1b}[31m (-1)",
        ),
        (DelegationEnd::Failed("no\nway".to_owned()), r"failed: no\nway"),
        (DelegationEnd::Failed(String::new()), "failed"),
    ] {
        assert_eq!(end.to_string(), told);
    }
}

#[test]
fn what_is_over_in_one_row_is_over_and_else_the_newest_row_counts() {
    // April's server leaves the delegation's row at `queued` after the queue has delivered.
    let drained = fold(json!([
        row(3, "completed", json!({"response_preview": "late"})),
        row(5, "queued", json!({"response_preview": "{\"queued\": true}"})),
    ]));
    assert_eq!(drained[0].end(), Some(DelegationEnd::Answered("late".to_owned())));
    let waiting = fold(json!([
        row(5, "queued", json!({"response_preview": "{\"queued\": true}"})),
        row(3, "dispatched", json!({}))
    ]));
    assert_eq!((&waiting[0].status, &waiting[0].preview), (&DelegationStatus::Queued, &None));
    // Rows of pushed results have statuses of their own.
    let pushed = fold(json!([row(9, "ok", json!({})), row(3, "dispatched", json!({}))]));
    assert_eq!(pushed[0].status, DelegationStatus::Dispatched);
    // One row says completed and one failed: the newest counts.
    let twice =
        fold(json!([row(3, "failed", json!({"error": "x"})), row(5, "completed", json!({"response_preview": "y"}))]));
    assert_eq!(twice[0].end(), Some(DelegationEnd::Answered("y".to_owned())));
}

#[test]
fn a_ledgers_row_is_a_delegation() {
    let views = fold(json!([{
        "_ledger": true, "delegation_id": DELEGATED, "source_id": PEER, "target_id": ID, "direction": "received",
        "summary": "do it", "status": "stuck", "created_at": "2026-11-22T21:00:03Z", "updated_at": "2026-11-22T21:10:03Z",
        "last_heartbeat": "2026-11-22T21:00:09Z", "deadline": "2026-11-23T03:00:03Z",
    }]));
    let [view] = &views[..] else { panic!("{views:?}") };
    assert_eq!((view.is_over(), &view.direction), (false, &Some(Direction::Received)));
    assert_eq!(view.updated_at.to_string(), "2026-11-22T21:10:03Z");
    assert_eq!(view.deadline.unwrap().to_string(), "2026-11-23T03:00:03Z");
}

#[test]
fn one_bad_row_does_not_hide_the_others_and_rows_without_an_id_are_left_out() {
    let mut no_id = row(7, "failed", json!({}));
    no_id.as_object_mut().unwrap().remove("delegation_id");
    let rows =
        json!([null, 7, {"status": "completed"}, no_id, row(5, "completed", json!({"target_id": "", "error": 7}))]);
    let mut driven = Driven::new(Delegations::newest());
    let views = driven.finish(&mut caller(), &mut |_: &Seen| Answer::json(200, rows.clone()).into()).unwrap();
    assert_eq!((views.len(), &views[0].target_id), (1, &None));
    assert_eq!(driven.events, [Event::Warning("the list of delegations has 3 entries that make no sense".to_owned())]);
}

#[test]
fn the_newest_delegation_comes_first_and_one_is_found_by_its_id() {
    let rows = json!([
        row(3, "completed", json!({"delegation_id": "first"})),
        row(9, "completed", json!({"delegation_id": "a third"})),
        row(5, "completed", json!({"delegation_id": "second"})),
    ]);
    let ids: Vec<_> = fold(rows.clone()).into_iter().map(|view| view.id).collect();
    assert_eq!(ids, ["a third", "second", "first"]);
    let look = |id: &str| run(&mut caller(), DelegationOf::new(id), |_| Answer::json(200, rows.clone()).into());
    assert_eq!(look("second").unwrap().id, "second");
    let error = look("fourth").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::NotFound, false));
    assert!(error.to_string().contains("\"fourth\""), "{error}");
}

macro_rules! recordings {
    ($($name:literal,)*) => { [$(($name, include_str!(concat!("../../../fixtures/corpus/", $name, ".jsonl")))),*] };
}

#[test]
fn every_recorded_list_is_folded_as_was_read_and_agreed_on() {
    let mut told = String::new();
    for (recording, lines) in recordings!["april-2026", "current-2026",] {
        for line in lines.lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            let (request, response) = (&exchange["request"], &exchange["response"]);
            let is_list = request["path"].as_str().is_some_and(|path| path.ends_with("/delegations"));
            if !is_list || request["method"] != "GET" || response["status"] != 200 {
                continue;
            }
            writeln!(told, "{recording} | {}", exchange["label"].as_str().unwrap()).unwrap();
            for view in fold(response["body"].clone()) {
                writeln!(told, "    {} {} {:?}", view.id, view.created_at, view.end()).unwrap();
            }
        }
    }
    assert_eq!(told, include_str!("golden/delegations.txt"), "as it is now:\n{told}");
}
