//! The authentication rules that the recordings do not cover.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{ADMIN, Bench, error};
use molecule_platform::{Config, Dialect, Now, Platform, TokenKind};
use molecule_proto::{WorkspaceId, path};
use serde_json::json;

#[test]
fn the_token_of_a_removed_id_authenticates_nothing_and_spoils_the_id() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.register(&id, Some(&token));
        assert_eq!(bench.platform.delete(bench.now, &id, false), Some(0));
        assert!(!bench.platform.is_live(&id, &token));
        assert_eq!(bench.state(&id, &token), (401, error("invalid workspace auth token")));
        assert_eq!(bench.beat(&id, Some(&token)).0, 200);
        assert_eq!(bench.get(&path::state(&id), Some(ADMIN)).0, 404);

        let (status, body) = bench.register(&id, Some(&token));
        assert_eq!(status, 200);
        let dead = molecule_proto::Token::new(body["auth_token"].as_str().unwrap()).unwrap();
        for stale in [None, Some(&token), Some(&dead)] {
            assert_eq!(bench.beat(&id, stale).0, 401);
            assert_eq!(bench.register(&id, stale).0, 401);
        }
        assert_eq!(bench.get(&path::state(&id), Some(ADMIN)).0, 401);
        let removed = if dialect == Dialect::April { 200 } else { 410 };
        assert_eq!(bench.get(&path::workspace(&id), None).0, removed);
    }
}

#[test]
fn an_api_token_alone_leaves_the_register_door_open_on_the_current_server() {
    for (dialect, beat) in [(Dialect::April, 401), (Dialect::Current, 200)] {
        let mut bench = Bench::new(dialect);
        let (id, _) = bench.create("a");
        assert_eq!(bench.platform.revoke_tokens(&id), 1);
        bench.platform.mint_token(bench.now, &id, TokenKind::Api).unwrap();
        assert_eq!(bench.beat(&id, None).0, beat);
    }
}

#[test]
fn after_all_tokens_are_revoked_the_next_register_mints_one() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.platform.revoke_tokens(&id);
        assert_eq!(bench.state(&id, &token).0, 401);
        let (status, body) = bench.register(&id, Some(&token));
        let minted = molecule_proto::Token::new(body["auth_token"].as_str().unwrap()).unwrap();
        assert_eq!((status, bench.state(&id, &minted).0), (200, 200));
        assert_eq!(bench.register(&id, None).0, 401);
    }
}

#[test]
fn fifty_live_tokens_are_enough() {
    let mut bench = Bench::new(Dialect::April);
    let (id, token) = bench.create("a");
    for _ in 1..50 {
        assert_eq!(bench.post(&path::tokens(&id), Some(token.expose()), &json!({})).0, 201);
    }
    let refused = (429, error("maximum 50 active tokens per workspace"));
    assert_eq!(bench.post(&path::tokens(&id), Some(token.expose()), &json!({})), refused);
    assert_eq!(bench.get(&path::tokens(&id), Some(token.expose())).1["count"], 50);
    let page = bench.get(&format!("{}?limit=7&offset=45", path::tokens(&id)), Some(token.expose())).1;
    assert_eq!(page["count"], 5);
}

#[test]
fn without_an_admin_token_a_workspaces_token_administers_and_aprils_development_is_open() {
    let body = json!({"name": "b", "runtime": "external"});
    let create = |bench: &mut Bench, bearer: Option<&str>| bench.post("/workspaces", bearer, &body).0;

    let mut current = Bench::with(Config::new(Dialect::Current));
    assert_eq!(create(&mut current, None), 401);
    let (_, token) = current.create("a");
    assert_eq!(create(&mut current, Some(token.expose())), 201);
    assert_eq!(create(&mut current, Some("wrong")), 401);

    let mut april = Bench::with(Config::new(Dialect::April));
    assert_eq!(create(&mut april, Some("wrong")), 201);

    let mut fresh = Bench::with(Config::new(Dialect::April).development(false));
    assert_eq!(create(&mut fresh, None), 201, "nobody holds a token yet");
    assert_eq!(create(&mut fresh, None), 401);
}

#[test]
fn an_organisation_token_of_april_opens_every_workspace_but_state_and_secrets() {
    let mut bench = Bench::new(Dialect::April);
    let (id, _) = bench.create("a");
    let (_, body) = bench.post("/org/tokens", Some(ADMIN), &json!({"name": "t"}));
    let org = body["auth_token"].as_str().unwrap().to_owned();
    assert_eq!(bench.post(&path::tokens(&id), Some(&org), &json!({})).0, 201);
    assert_eq!(bench.get(&path::state(&id), Some(&org)).0, 401);
    assert_eq!(bench.get(&path::secret_values(&id), Some(&org)).0, 401);
    for _ in 1..10 {
        assert_eq!(bench.post("/org/tokens", Some(ADMIN), &json!({"name": "t"})).0, 200);
    }
    assert_eq!(bench.post("/org/tokens", Some(ADMIN), &json!({"name": "t"})).0, 429);
}

#[test]
fn a_foreign_origin_is_turned_away_with_an_empty_403() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut platform = Platform::new(Config::new(dialect));
        let mut status = |origin: &str| {
            let request = http::Request::get("/health").header("host", "127.0.0.1:8080").header("origin", origin);
            let answer = platform.handle(Now::default(), None, request.body(Bytes::new()).unwrap()).ready().unwrap();
            (answer.status().as_u16(), answer.body().is_empty() && answer.headers().is_empty())
        };
        assert_eq!(status("http://127.0.0.1:8080"), (200, false));
        assert_eq!(status("http://127.0.0.1:8080/"), (403, true));
    }
}

#[test]
fn the_same_seed_gives_the_same_ids_and_tokens() {
    let ids = |seed| {
        let mut bench = Bench::with(Config::new(Dialect::Current).seed(seed));
        let (id, token) = bench.create("a");
        (id, token.expose().to_owned())
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}

#[test]
fn a_secret_for_an_unknown_id_is_the_one_that_its_register_gets() {
    let mut bench = Bench::new(Dialect::Current);
    let id = WorkspaceId::from_random([9; 16]);
    let beat = bench.beat(&id, None).1["platform_inbound_secret"].clone();
    assert_eq!(bench.platform.status(&id), None);
    assert_eq!(bench.beat(&id, None).1["platform_inbound_secret"], beat);
    assert_eq!(bench.register(&id, None).1["platform_inbound_secret"], beat);
    let stray = bench.platform.workspace(&id).unwrap();
    assert_eq!((stray.runtime.as_str(), stray.parent_id, stray.tier), ("hermes", None, 1));
}

#[test]
fn the_block_that_is_shown_again_holds_the_marker_and_no_token() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    let (_, shown) = bench.get(&path::external_connection(&id), Some(token.expose()));
    assert_eq!(shown["connection"]["auth_token"], "");
    assert!(shown["connection"]["python_snippet"].as_str().unwrap().contains(molecule_proto::ROTATE_MARKER));

    let (_, rotated) = bench.post(&path::external_rotate(&id), Some(token.expose()), &json!({}));
    let minted = rotated["connection"]["auth_token"].as_str().unwrap();
    assert!(rotated["connection"]["python_snippet"].as_str().unwrap().contains(minted));
    assert_eq!((bench.state(&id, &token).0, bench.platform.live_tokens(&id)), (401, 1));
}

#[test]
fn the_owner_of_a_model_can_read_the_newest_live_token() {
    let mut platform = Platform::new(Config::new(Dialect::Current));
    let now = Now::default();
    let (id, first) = platform.create_workspace(now, "a");
    assert_eq!(platform.newest_token(&id), Some(first));
    let rotated = platform.rotate(now, &id);
    assert!(rotated.is_some());
    assert_eq!(platform.newest_token(&id), rotated);
    platform.revoke_tokens(&id);
    assert_eq!(platform.newest_token(&id), None);
}
