//! Servers that write a ledger of delegations, or write their results to the feed (contract sections 12.3 and 14.2).

#![allow(clippy::unwrap_used)]

mod common;

use common::mail::{reply, said};
use common::{Bench, config};
use molecule_platform::{Config, Dialect, DispatchFault};
use molecule_proto::{DelegationRow, DelegationStatus, Direction, Rows, Token, WorkspaceId, path};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

fn two(config: Config) -> (Bench, Agent, Agent) {
    let mut bench = Bench::with(config);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    (bench, one, other)
}

fn delegate(bench: &mut Bench, from: &Agent, to: &Agent, task: &str, outcome: common::mail::Outcome) {
    let body = json!({"target_id": to.0, "task": task});
    assert_eq!(bench.post(&path::delegate(&from.0), Some(from.1.expose()), &body).0, 202);
    let (call, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, call, outcome);
}

fn list(bench: &mut Bench, of: &Agent) -> Vec<DelegationRow> {
    let (_, rows) = bench.get(&path::delegations(&of.0), Some(of.1.expose()));
    let rows: Rows<DelegationRow> = serde_json::from_value(rows).unwrap();
    assert_eq!(rows.skipped, 0);
    rows.rows
}

#[test]
fn a_ledger_has_one_row_for_each_delegation_and_shows_it_to_both_ends() {
    let (mut bench, one, other) = two(config(Dialect::Current).delegation_ledger(true));
    assert!(list(&mut bench, &one).is_empty());
    delegate(&mut bench, &one, &other, "first", said("done"));
    bench.wait(1);
    delegate(&mut bench, &one, &other, "second", reply(500, &json!({"error": "no"})));
    let sent = list(&mut bench, &one);
    let received = list(&mut bench, &other);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|row| row.is_ledger && row.direction == Some(Direction::Sent)));
    assert!(received.iter().all(|row| row.direction == Some(Direction::Received)));
    assert_eq!((&sent[0].status, sent[0].error.as_deref()), (&DelegationStatus::Failed, Some("no")));
    assert_eq!((&sent[1].status, sent[1].response_preview.as_deref()), (&DelegationStatus::Completed, Some("done")));
    assert_eq!((sent[1].summary.as_str(), &sent[1].target_id), ("first", &other.0.to_string()));
    let life = sent[1].deadline.unwrap().since(sent[1].created_at);
    assert_eq!(life.as_secs(), 6 * 3600);
}

#[test]
fn a_delegation_whose_target_falls_silent_is_stuck_after_ten_minutes() {
    let (mut bench, one, other) = two(config(Dialect::Current).delegation_ledger(true));
    let body = json!({"target_id": other.0, "task": "t"});
    bench.post(&path::delegate(&one.0), Some(one.1.expose()), &body);
    bench.turns();
    bench.turns_after(599_999);
    assert_eq!(list(&mut bench, &one)[0].status, DelegationStatus::Dispatched);
    bench.turns_after(1);
    assert_eq!(list(&mut bench, &one)[0].status, DelegationStatus::Stuck);
}

#[test]
fn results_are_pushed_to_the_feed_and_with_a_ledger_only_those_that_came_late_or_failed() {
    for (delegation_ledger, expected) in [(false, 3), (true, 2)] {
        let settings = config(Dialect::Current).delegation_ledger(delegation_ledger).pushes_results(true);
        let (mut bench, one, other) = two(settings);
        delegate(&mut bench, &one, &other, "at once", said("done"));
        delegate(&mut bench, &one, &other, "never", reply(500, &json!({"error": "no"})));
        delegate(&mut bench, &one, &other, "late", Err(DispatchFault::Closed));
        bench.beat(&other.0, Some(&other.1));
        let (call, _) = bench.turns().calls.remove(0);
        bench.platform.dispatched(bench.now, call, said("at last"));
        let rows = bench.feed(&one, "a2a_receive");
        let text = |row: &Value| row["response_body"]["text"].as_str().unwrap().to_owned();
        assert_eq!(rows.len(), expected, "{rows:?}");
        assert_eq!((text(&rows[0]).as_str(), &rows[0]["status"]), ("at last", &json!("ok")));
        assert_eq!((text(&rows[1]).as_str(), &rows[1]["error_detail"]), ("", &json!("no")));
        assert!(rows.iter().all(|row| row["method"] == "delegate_result" && row["source_id"] == json!(one.0)));
    }
}
