//! A workspace's memory as a register: compare-and-set on versions (contract section 18.1; April 11). Each test is one row of
//! what both servers were seen to do.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ADMIN, Bench, error};
use molecule_platform::Dialect;
use molecule_proto::{MemoryEntry, Token, WorkspaceId, path};
use serde_json::{Value, json};

/// A workspace whose memory is written and read with its own token.
struct Memory {
    bench: Bench,
    id: WorkspaceId,
    token: Token,
}

impl Memory {
    fn new(dialect: Dialect) -> Self {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        Self { bench, id, token }
    }

    fn post(&mut self, body: &Value) -> (u16, Value) {
        self.bench.post(&path::memory(&self.id), Some(self.token.expose()), body)
    }

    fn set(&mut self, value: &Value, version: u64) -> (u16, Value) {
        self.post(&json!({"key": "k", "value": value, "if_match_version": version}))
    }

    fn entry(&self) -> String {
        path::memory_entry(&self.id, &"k".parse().unwrap())
    }

    fn get(&mut self) -> (u16, Value) {
        let path = self.entry();
        self.bench.get(&path, Some(self.token.expose()))
    }

    fn list(&mut self) -> (u16, Value) {
        self.bench.get(&path::memory(&self.id), Some(self.token.expose()))
    }

    fn version(&mut self) -> u64 {
        self.get().1["version"].as_u64().unwrap()
    }
}

fn ok(version: u64) -> (u16, Value) {
    (200, json!({"status": "ok", "key": "k", "version": version}))
}

fn conflict(expected: u64, current: Option<u64>) -> (u16, Value) {
    let error = match current {
        Some(_) => "if_match_version mismatch",
        None => "if_match_version mismatch: key does not exist",
    };
    (409, json!({"error": error, "expected_version": expected, "current_version": current}))
}

fn on_both(test: impl Fn(Memory)) {
    [Dialect::April, Dialect::Current].map(Memory::new).into_iter().for_each(test);
}

#[test]
fn a_write_that_names_the_current_version_is_the_next_one() {
    on_both(|mut memory| {
        assert_eq!(memory.set(&json!("a"), 0), ok(1));
        assert_eq!(memory.set(&json!("b"), 1), ok(2));
        assert_eq!(memory.get().1["value"], "b");
    });
}

#[test]
fn a_write_that_names_another_version_changes_nothing() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        memory.set(&json!("b"), 1);
        for expected in [1, 3, 99] {
            assert_eq!(memory.set(&json!("c"), expected), conflict(expected, Some(2)));
        }
        assert_eq!((memory.version(), memory.get().1["value"].clone()), (2, json!("b")));
    });
}

#[test]
fn a_version_of_a_key_that_does_not_exist_is_a_conflict_with_null() {
    on_both(|mut memory| assert_eq!(memory.set(&json!("a"), 7), conflict(7, None)));
}

#[test]
fn version_0_creates_a_key_that_does_not_exist() {
    on_both(|mut memory| assert_eq!(memory.set(&json!({"a": [1]}), 0), ok(1)));
}

#[test]
fn of_many_creates_one_is_stored_and_the_others_are_told_so_or_cannot_know() {
    on_both(|mut memory| {
        let answers: Vec<_> = (0..20).map(|writer| memory.set(&json!(writer), 0)).collect();
        assert_eq!(answers[0], ok(1));
        assert!(answers[1..].iter().all(|answer| *answer == conflict(0, Some(1))), "{answers:?}");
        memory.bench.platform.set_memory_create_race(true);
        assert_eq!(memory.set(&json!("late"), 0), (500, error("failed to set memory")));
        // A write with a version never gets the 500.
        assert_eq!(memory.set(&json!("late"), 9), conflict(9, Some(1)));
        assert_eq!(memory.get().1["value"], 0, "the first one's value");
    });
}

#[test]
fn of_many_writes_with_one_version_one_is_stored() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        let answers: Vec<_> = (0..20).map(|writer| memory.set(&json!(writer), 1).0).collect();
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|status| **status == 409).count(), 19);
        assert_eq!(memory.version(), 2);
    });
}

#[test]
fn a_version_that_is_no_whole_number_is_refused_and_null_overwrites() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        for version in [json!("2"), json!(2.0), json!(2.5)] {
            let body = json!({"key": "k", "value": "b", "if_match_version": version});
            assert_eq!(memory.post(&body).0, 400, "{version}");
        }
        assert_eq!(memory.version(), 1);
        assert_eq!(memory.post(&json!({"key": "k", "value": "b", "if_match_version": null})), ok(2));
    });
}

#[test]
fn a_write_without_a_version_overwrites() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        assert_eq!(memory.post(&json!({"key": "k", "value": "b"})), ok(2));
        assert_eq!(memory.post(&json!({"key": "k", "value": "c"})), ok(3));
    });
}

#[test]
fn a_write_without_a_value_or_with_nul_fails() {
    on_both(|mut memory| {
        let failed = (500, error("failed to set memory"));
        assert_eq!(memory.post(&json!({"key": "k"})), failed);
        for value in [json!("a\0b"), json!({"a": ["\0"]}), json!({"\0": 1})] {
            assert_eq!(memory.set(&value, 0), failed, "{value}");
        }
        assert_eq!(memory.post(&json!({"key": "a\0b", "value": 1})), failed);
        assert_eq!(memory.post(&json!({"value": 1})), (400, error("key is required")));
        assert_eq!(memory.get(), (404, error("key not found")));
    });
}

#[test]
fn a_stopped_database_is_a_401_for_the_own_token_and_nothing_is_written() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        memory.bench.platform.set_database_down(true);
        assert_eq!(memory.set(&json!("b"), 1), (401, error("invalid workspace auth token")));
        let body = json!({"key": "k", "value": "b", "if_match_version": 1});
        assert_eq!(memory.bench.post(&path::memory(&memory.id), Some(ADMIN), &body).0, 500);
        for path in [path::memory(&memory.id), memory.entry()] {
            for method in ["GET", "DELETE"] {
                let status = memory.bench.send(method, &path, Some(ADMIN), "").0;
                assert!(status == 500 || path.ends_with("/memory") && method == "DELETE", "{method} {path}: {status}");
            }
        }
        memory.bench.platform.set_database_down(false);
        assert_eq!(memory.version(), 1);
    });
}

#[test]
fn a_read_shows_the_entry_with_its_version_or_says_that_there_is_none() {
    on_both(|mut memory| {
        assert_eq!(memory.get(), (404, error("key not found")));
        memory.set(&json!("a"), 0);
        let entry = json!(MemoryEntry::new("k", json!("a"), 1, memory.bench.now.unix));
        assert_eq!(memory.get(), (200, entry.clone()));
        assert_eq!(memory.list(), (200, json!([entry])));
    });
}

/// So who was away meanwhile may take the new value for the one that it knows: a register is never deleted.
#[test]
fn a_deleted_key_begins_again_at_version_1() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        memory.set(&json!("b"), 1);
        let (entry, own) = (memory.entry(), memory.token.expose().to_owned());
        for _ in 0..2 {
            assert_eq!(memory.bench.send("DELETE", &entry, Some(&own), ""), (200, json!({"status": "deleted"})));
        }
        assert_eq!(memory.set(&json!("c"), 2), conflict(2, None));
        assert_eq!(memory.set(&json!("c"), 0), ok(1));
    });
}

#[test]
fn an_expired_entry_is_hidden_from_reads_and_not_from_the_check_of_versions() {
    on_both(|mut memory| {
        assert_eq!(memory.post(&json!({"key": "k", "value": "a", "ttl_seconds": 60})), ok(1));
        assert!(memory.get().1["expires_at"].is_string());
        memory.bench.wait(60);
        assert_eq!(memory.get(), (404, error("key not found")));
        assert_eq!(memory.list(), (200, json!([])));
        assert_eq!(memory.set(&json!("b"), 0), conflict(0, Some(1)));
        // A write without a lifetime takes the old one away.
        assert_eq!(memory.set(&json!("b"), 1), ok(2));
        memory.bench.wait(3600);
        assert_eq!(memory.get().1["value"], "b");
    });
}

#[test]
fn a_key_with_a_slash_can_be_written_and_neither_read_nor_deleted() {
    on_both(|mut memory| {
        assert_eq!(memory.post(&json!({"key": "a/b", "value": 1})).0, 200);
        for path in ["a/b", "a%2Fb"].map(|key| format!("{}/{key}", path::memory(&memory.id))) {
            for method in ["GET", "DELETE"] {
                let answer = memory.bench.send(method, &path, Some(memory.token.expose()), "");
                assert_eq!(answer, (404, json!("404 page not found")), "{method} {path}");
            }
        }
    });
}

#[test]
fn a_value_keeps_its_meaning_and_not_its_spelling() {
    on_both(|mut memory| {
        let body = r#"{"key":"k","value":{"b":1.50,"a":1e3,"n":9007199254740993},"if_match_version":0}"#;
        let answer = memory.bench.send("POST", &path::memory(&memory.id), Some(memory.token.expose()), body);
        assert_eq!(answer, ok(1));
        let shown = memory.get().1["value"].to_string();
        assert_eq!(shown, r#"{"a":1000.0,"b":1.5,"n":9007199254740993}"#);
    });
}

#[test]
fn the_memory_of_a_paused_workspace_works() {
    on_both(|mut memory| {
        memory.bench.platform.pause(memory.bench.now, &memory.id, true).unwrap();
        assert_eq!(memory.set(&json!("a"), 0), ok(1));
        assert_eq!(memory.version(), 1);
    });
}

#[test]
fn the_memory_of_a_deleted_workspace_is_closed_to_its_token_and_open_to_an_administrator() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        memory.bench.platform.delete(memory.bench.now, &memory.id, false);
        assert_eq!(memory.get(), (401, error("invalid workspace auth token")));
        assert_eq!(memory.set(&json!("b"), 1).0, 401);
        let body = json!({"key": "k", "value": "b", "if_match_version": 1});
        assert_eq!(memory.bench.post(&path::memory(&memory.id), Some(ADMIN), &body), ok(2));
        let entry = memory.entry();
        assert_eq!(memory.bench.get(&entry, Some(ADMIN)).0, 200);
    });
}

#[test]
fn everybody_with_a_token_of_the_workspace_writes_and_nobody_else_does() {
    on_both(|mut memory| {
        memory.set(&json!("a"), 0);
        let (_, stranger) = memory.bench.create("b");
        let body = json!({"key": "k", "value": "b", "if_match_version": 1});
        let refused = memory.bench.post(&path::memory(&memory.id), Some(stranger.expose()), &body);
        assert_eq!(refused, (401, error("invalid workspace auth token")));
        let minted = memory.bench.post(&path::tokens(&memory.id), Some(memory.token.expose()), &json!({})).1;
        let second = minted["auth_token"].as_str().unwrap();
        assert_eq!(memory.bench.post(&path::memory(&memory.id), Some(second), &body), ok(2));
    });
}
