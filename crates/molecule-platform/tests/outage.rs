//! The database is away: what each server says to a valid token.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ADMIN, Bench, error};
use molecule_platform::Dialect;
use molecule_proto::path;
use serde_json::json;

#[test]
fn aprils_server_calls_valid_tokens_invalid_and_only_the_view_tells() {
    let mut bench = Bench::new(Dialect::April);
    let (id, token) = bench.create("a");
    bench.register(&id, Some(&token));
    bench.platform.set_database_down(true);
    let invalid = (401, error("invalid workspace auth token"));
    assert_eq!(bench.state(&id, &token), invalid);
    assert_eq!(bench.get(&path::secret_values(&id), Some(token.expose())), invalid);
    assert_eq!(bench.get(&path::state(&id), Some(ADMIN)), (500, error("auth check failed")));
    assert_eq!(bench.beat(&id, Some(&token)), (500, error("failed to update")));
    assert_eq!(bench.register(&id, Some(&token)), (500, error("registration failed")));
    let card = json!({"workspace_id": id, "agent_card": {}});
    let failed = (500, error("failed to update card"));
    assert_eq!(bench.post(path::UPDATE_CARD, Some(token.expose()), &card), failed);
    assert_eq!(bench.get(&path::workspace(&id), None), (500, error("query failed")));
    assert_eq!(bench.get("/health", None).0, 200);
    let (status, body) = bench.post("/workspaces", Some(ADMIN), &json!({"name": "b", "external": true}));
    assert_eq!((status, &body["code"]), (503, &json!("platform_unavailable")));

    bench.platform.set_database_down(false);
    assert_eq!(bench.state(&id, &token).0, 200);
}

#[test]
fn the_current_server_says_so() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    bench.platform.set_database_down(true);
    let unavailable =
        json!({"error": "platform datastore unavailable — retry shortly", "code": "platform_unavailable"});
    assert_eq!(bench.state(&id, &token), (503, unavailable.clone()));
    assert_eq!(bench.beat(&id, Some(&token)), (503, unavailable.clone()));
    assert_eq!(bench.register(&id, Some(&token)), (503, unavailable.clone()));
    assert_eq!(bench.get(&path::workspace(&id), None), (503, unavailable));
    assert_eq!(bench.get("/health", None).0, 200);
    bench.platform.set_database_down(false);
    assert_eq!(bench.state(&id, &token).0, 200);
}
