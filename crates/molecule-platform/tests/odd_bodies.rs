//! Invalid and unusual bodies, and the servers' answers to them.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, error};
use molecule_platform::Dialect;
use molecule_proto::path;
use serde_json::{Value, json};

const BOTH: [Dialect; 2] = [Dialect::April, Dialect::Current];

#[test]
fn u_0000_cannot_be_stored() {
    for dialect in BOTH {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        let token = token.expose();
        let url = "http://localhost:1/x";
        let card = json!({"id": id, "agent_card": {"deep": ["\0"]}, "url": url, "delivery_mode": "push"});
        assert_eq!(bench.post(path::REGISTER, Some(token), &card), (500, error("registration failed")));
        for field in ["current_task", "sample_error"] {
            let beat = json!({"workspace_id": id, field: "a\0b"});
            assert_eq!(bench.post(path::HEARTBEAT, Some(token), &beat), (500, error("failed to update")));
        }
        let card = json!({"workspace_id": id, "agent_card": "\0"});
        assert_eq!(bench.post(path::UPDATE_CARD, Some(token), &card), (500, error("failed to update card")));
    }
}

#[test]
fn names_in_any_case_and_bytes_behind_the_value_pass() {
    for dialect in BOTH {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        let body = format!("{{\"Workspace_ID\":\"{id}\",\"CURRENT_TASK\":\"x\",\"uptime_seconds\":null}} and more");
        assert_eq!(bench.send("POST", path::HEARTBEAT, Some(token.expose()), &body).0, 200);
        assert_eq!(bench.platform.reported_work(&id), Some(("x".to_owned(), 0)));
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused_and_spend_is_capped() {
    for dialect in BOTH {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        let mut beat = |field: &str, value: Value| {
            bench.post(path::HEARTBEAT, Some(token.expose()), &json!({"workspace_id": id, field: value})).0
        };
        assert_eq!(beat("uptime_seconds", json!(1.5)), 400);
        assert_eq!(beat("active_tasks", json!(1i64 << 31)), 500);
        assert_eq!(beat("runtime_metadata", json!([])), 400);
        assert_eq!(beat("monthly_spend", json!(99_999_999_999_999i64)), 200);
        assert_eq!(beat("monthly_spend", json!(0)), 200);
        assert_eq!(beat("monthly_spend", json!(-5)), 200);
        assert_eq!(bench.platform.reported_work(&id).unwrap().1, 1_000_000_000_000);
    }
}

#[test]
fn malformed_ids_have_an_answer_of_each_routes_own() {
    for dialect in BOTH {
        let mut bench = Bench::new(dialect);
        let (_, token) = bench.create("a");
        let token = Some(token.expose());
        let register = json!({"id": "zz", "agent_card": {}, "url": "http://localhost:1/x"});
        assert_eq!(bench.post(path::REGISTER, token, &register), (500, error("registration failed")));
        let beat = json!({"workspace_id": "zz"});
        assert_eq!(bench.post(path::HEARTBEAT, None, &beat), (500, error("failed to update")));
        assert_eq!(bench.get("/workspaces/zz/state", token), (401, error("invalid workspace auth token")));
        assert_eq!(bench.get("/workspaces/zz", None), (400, error("invalid workspace ID")));
        let secrets = (400, error("invalid workspace ID"));
        assert_eq!(bench.get("/workspaces/zz/secrets/values", Some(common::ADMIN)), secrets);
    }
}

#[test]
fn the_stored_url_of_a_bare_local_agent_sticks() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    let mut register = |url: &str| {
        let body = json!({"id": id, "agent_card": {}, "url": url, "delivery_mode": "push"});
        assert_eq!(bench.post(path::REGISTER, Some(token.expose()), &body).0, 200);
        bench.platform.workspace(&id).unwrap().url
    };
    assert_eq!(register("http://localhost:1/x"), "http://localhost:1/x");
    assert_eq!(register("http://localhost:2"), "http://localhost:2");
    assert_eq!(register("http://localhost:3"), "http://localhost:2");
    assert_eq!(register("https://agent.example/"), "http://localhost:2");
}
