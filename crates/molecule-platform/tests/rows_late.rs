//! Rows of a feed that become visible after their creation, as on the real servers: a cursor at the newest row misses
//! some.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::Bench;
use common::mail::message;
use molecule_platform::Dialect;
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::Value;

const MESSAGES: u32 = 40;

/// Sends messages one second apart and reads the feed after each, from a cursor at the newest row. Returns the ids that
/// the reader saw, and all ids.
fn seen_by_a_cursor_at_the_newest_row(late: Duration) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut bench = Bench::new(Dialect::Current);
    let (one, other) = (bench.push_agent("one"), bench.poll_agent("other"));
    bench.platform.set_rows_late(late);
    let mut cursor = None;
    let mut seen = BTreeSet::new();
    for number in 0..MESSAGES + 30 {
        if number < MESSAGES {
            assert_eq!(bench.tell_now(&one, &other.0, &message(&format!("m-{number}"), "x")).0, 200);
        }
        bench.wait(1);
        for row in page(&mut bench, &other, cursor.as_deref()) {
            let id = row["id"].as_str().unwrap().to_owned();
            cursor = Some(id.clone());
            seen.insert(id);
        }
    }
    let rows = bench.platform.activity(&other.0);
    (seen, rows.iter().map(|row| row.id.to_string()).collect())
}

fn page(bench: &mut Bench, reader: &(WorkspaceId, Token), cursor: Option<&str>) -> Vec<Value> {
    let cursor = cursor.map_or(String::new(), |cursor| format!("&since_id={cursor}"));
    let path = format!("{}?limit=500{cursor}", path::activity(&reader.0));
    let (status, body) = bench.get(&path, Some(reader.1.expose()));
    assert_eq!(status, 200, "{body}");
    let mut rows = body.as_array().unwrap().clone();
    if cursor.is_empty() {
        rows.reverse();
    }
    rows
}

#[test]
fn a_cursor_at_the_newest_row_loses_rows_that_come_late() {
    let (seen, all) = seen_by_a_cursor_at_the_newest_row(Duration::from_secs(20));
    assert!(seen.len() < all.len() && seen.is_subset(&all), "{} of {}", seen.len(), all.len());
}

#[test]
fn no_row_is_late_unless_somebody_says_so() {
    let (seen, all) = seen_by_a_cursor_at_the_newest_row(Duration::ZERO);
    assert_eq!((seen.len(), seen), (40, all));
}

#[test]
fn every_row_is_visible_in_the_end_under_the_time_at_which_it_was_made() {
    let mut bench = Bench::new(Dialect::April);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    bench.platform.set_rows_late(Duration::from_secs(30));
    let made = bench.now.unix;
    let body = serde_json::json!({"activity_type": "agent_log", "summary": "here"});
    for (id, token) in [&one, &other] {
        assert_eq!(bench.post(&path::activity(id), Some(token.expose()), &body).0, 200);
    }
    assert!(page(&mut bench, &one, None).is_empty() || page(&mut bench, &other, None).is_empty(), "none is late");
    bench.wait(30);
    for reader in [&one, &other] {
        let rows = page(&mut bench, reader, None);
        assert_eq!(rows.len(), 1);
        assert_eq!(bench.platform.activity(&reader.0)[0].created_at, made);
    }
}
