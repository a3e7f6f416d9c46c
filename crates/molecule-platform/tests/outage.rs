//! The answers of each server to a valid token while the database is down.

#![allow(clippy::unwrap_used)]

mod common;

use common::mail::{message, said};
use common::{ADMIN, Bench, error};
use molecule_platform::{Answer, Config, Dialect};
use molecule_proto::{WorkspaceStatus, path};
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

/// Nobody can look up the tokens, so every caller passes the check and gets the error of the operation itself.
#[test]
fn registry_and_discovery_let_everybody_through_to_the_failure() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
        bench.platform.set_database_down(true);
        for bearer in [None, Some(&other.1)] {
            assert_eq!(bench.beat(&one.0, bearer), (500, error("failed to update")), "{dialect:?}");
            assert_eq!(bench.register(&one.0, bearer), (500, error("registration failed")), "{dialect:?}");
        }
        assert!(bench.platform.is_live(&one.0, &one.1), "a token was minted in its place");
    }
    let mut bench = Bench::new(Dialect::April);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    bench.platform.set_database_down(true);
    for bearer in [None, Some(other.1.expose())] {
        let discover = bench.send_as("GET", &path::discover(&other.0), bearer, Some(&one.0), "");
        assert_eq!(discover, (403, error("not authorized to discover this workspace")));
        assert_eq!(bench.get(&path::peers(&one.0), bearer), (500, error("lookup failed")));
    }
    let stale = (one.0.clone(), other.1.clone());
    let denied = error("access denied: workspaces cannot communicate per hierarchy rules");
    assert_eq!(bench.tell_now(&stale, &other.0, &message("m", "x")), (403, denied));
}

/// The check passes, because it needs no look-up. The operation after it fails, and changes nothing.
#[test]
fn a_privileged_bearer_meets_a_failed_query_on_every_route_of_a_workspace() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
        bench.platform.set_secret(bench.now, &one.0, "KEY", "value");
        let task = json!({"target_id": other.0, "task": "count", "delegation_id": other.0}).to_string();
        let token = format!("tokens/{}", other.0);
        let update = format!("delegations/{}/update", other.0);
        let mut routes = vec![
            ("GET", "activity", ""),
            ("POST", "notify", r#"{"message":"here"}"#),
            ("POST", "delegate", &task),
            ("GET", "delegations", ""),
            ("POST", "delegations/record", &task),
            ("POST", &update, r#"{"status":"completed"}"#),
            ("GET", "secrets", ""),
            ("POST", "secrets", r#"{"key":"KEY","value":"new"}"#),
            ("DELETE", "secrets/KEY", ""),
            ("POST", "pause", ""),
            ("POST", "resume", ""),
            ("POST", "hibernate", ""),
            ("GET", "tokens", ""),
            ("POST", "tokens", ""),
            ("DELETE", &token, ""),
        ];
        if dialect == Dialect::Current {
            routes.extend([
                ("POST", "external/rotate", "{}"),
                ("GET", "external/connection", ""),
                ("POST", "activity/ack", r#"{"seq":1}"#),
                ("POST", "broadcast", r#"{"message":"here"}"#),
            ]);
        }
        bench.platform.set_database_down(true);
        for (method, rest, body) in routes {
            let path = format!("{}/{rest}", path::workspace(&one.0));
            let answer = bench.send(method, &path, Some(ADMIN), body);
            assert_eq!(answer, (500, error("query failed")), "{dialect:?} {method} {rest}");
        }
        bench.platform.set_database_down(false);
        assert!(bench.platform.is_live(&one.0, &one.1) && bench.platform.live_tokens(&one.0) == 1);
        assert_eq!(bench.status(&one.0), WorkspaceStatus::Online);
        let secrets = bench.get(&path::secret_values(&one.0), Some(one.1.expose()));
        assert_eq!(secrets, (200, json!({"KEY": "value"})));
    }
}

/// April's route for a new token needs no credential if no administrator is configured.
#[test]
fn aprils_test_token_is_a_failed_query_too() {
    let mut bench = Bench::with(Config::new(Dialect::April));
    let (id, _) = bench.create("a");
    let path = format!("/admin/workspaces/{id}/test-token");
    bench.platform.set_database_down(true);
    assert_eq!(bench.get(&path, None), (500, error("query failed")));
    bench.platform.set_database_down(false);
    assert_eq!(bench.get(&path, None).0, 200);
}

#[test]
fn aprils_server_denies_known_callers_and_delivers_what_anonymous_ones_send_to_fresh_urls() {
    let mut bench = Bench::new(Dialect::April);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let old = bench.platform.create_workspace_at(bench.now, "old", "http://localhost:9/a2a").unwrap();
    bench.platform.set_database_down(true);
    let denied = error("access denied: workspaces cannot communicate per hierarchy rules");
    assert_eq!(bench.tell_now(&one, &other.0, &message("m", "x")), (403, denied));
    let discover = bench.send_as("GET", &path::discover(&other.0), Some(one.1.expose()), Some(&one.0), "");
    assert_eq!(discover, (403, error("not authorized to discover this workspace")));
    assert_eq!(bench.get(&path::peers(&one.0), Some(one.1.expose())), (500, error("lookup failed")));
    assert_eq!(bench.post(&path::a2a(&old), None, &message("m", "x")), (500, error("lookup failed")));
    assert_eq!(bench.get(&path::activity(&one.0), Some(ADMIN)), (500, error("query failed")));

    let request = http::Request::post(path::a2a(&other.0)).body(message("m", "x").to_string().into()).unwrap();
    let Answer::Later(ticket) = bench.platform.handle(bench.now, None, request) else { panic!("nobody is called") };
    let (call, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, call, said("here"));
    assert_eq!(bench.turns().answer(ticket).0, 200);
    bench.platform.set_database_down(false);
    assert!(bench.feed(&other, "a2a_receive").is_empty());
}

#[test]
fn the_current_server_calls_valid_tokens_invalid_and_only_discovery_says_so() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let (id, token) = &one;
    bench.platform.set_database_down(true);
    let invalid = (401, error("invalid workspace auth token"));
    let own = Some(token.expose());
    for path in [
        path::state(id),
        path::secret_values(id),
        path::activity(id),
        path::delegations(id),
        path::tokens(id),
        path::available_plugins(id),
        path::plugin_download(id, &"any".parse().unwrap(), None),
    ] {
        assert_eq!(bench.get(&path, own), invalid, "{path}");
    }
    let task = json!({"target_id": other.0, "task": "count"});
    assert_eq!(bench.post(&path::delegate(id), own, &task), invalid);
    assert_eq!(bench.post(&path::notify(id), own, &json!({"message": "here"})), invalid);
    assert_eq!(bench.post(&path::external_rotate(id), own, &json!({})), invalid);
    let caller = (401, error("invalid caller auth token"));
    assert_eq!(bench.tell_now(&one, &other.0, &message("m", "x")), caller);

    assert_eq!(bench.get(&path::workspace(id), None), (500, error("query failed")));
    assert_eq!(bench.beat(id, Some(token)), (500, error("failed to update")));
    assert_eq!(bench.register(id, Some(token)), (500, error("registration failed")));
    let card = json!({"workspace_id": id, "agent_card": {}});
    assert_eq!(bench.post(path::UPDATE_CARD, own, &card), (500, error("failed to update card")));

    let unavailable =
        json!({"error": "platform datastore unavailable — retry shortly", "code": "platform_unavailable"});
    let discover = bench.send_as("GET", &path::discover(&other.0), own, Some(id), "");
    assert_eq!(discover, (503, unavailable.clone()));
    assert_eq!(bench.get(&path::peers(id), own), (503, unavailable.clone()));
    let created = bench.post("/workspaces", Some(ADMIN), &json!({"name": "b", "external": true}));
    assert_eq!(created, (503, unavailable));
    assert_eq!(bench.get(&path::tokens(id), Some(ADMIN)), (500, error("query failed")));
    assert_eq!(bench.get("/health", None).0, 200);

    bench.platform.set_database_down(false);
    assert_eq!(bench.state(id, token).0, 200);
    assert!(bench.feed(&other, "a2a_receive").is_empty(), "what was refused was delivered");
}
