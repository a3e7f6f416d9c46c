//! Discovery: the peers of a workspace, who may talk to whom, and the URLs (contract sections 6.2 to 6.5; April 4.4 to
//! 4.6).

#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, error};
use molecule_platform::Dialect;
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = list.as_array().unwrap().iter().map(|peer| peer["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

fn below(bench: &mut Bench, name: &str, parent: &WorkspaceId) -> (WorkspaceId, Token) {
    bench.platform.create_workspace_below(bench.now, name, parent).unwrap()
}

fn allowed(bench: &mut Bench, caller: &str, target: &str) -> Value {
    let body = json!({"caller_id": caller, "target_id": target});
    bench.post(path::CHECK_ACCESS, None, &body).1["allowed"].take()
}

#[test]
fn ancestors_descendants_and_siblings_may_talk_and_nephews_may_not() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let ((upper, _), (uncle, _)) = (bench.create("upper"), bench.create("uncle"));
        let (middle, _) = below(&mut bench, "middle", &upper);
        let (lower, token) = below(&mut bench, "lower", &middle);
        for (one, other, may) in
            [(&upper, &lower, true), (&upper, &uncle, true), (&uncle, &middle, false), (&uncle, &lower, false)]
        {
            assert_eq!(allowed(&mut bench, one.as_str(), other.as_str()), json!(may), "{dialect:?} {one} {other}");
            assert_eq!(allowed(&mut bench, other.as_str(), one.as_str()), json!(may), "{dialect:?} {other} {one}");
        }
        assert_eq!(names(&bench.get(&path::peers(&lower), Some(token.expose())).1), ["middle"], "{dialect:?}");
    }
}

#[test]
fn unknown_and_malformed_ids_may_talk_to_themselves_alone() {
    let mut bench = Bench::new(Dialect::Current);
    let (known, _) = bench.create("known");
    let unknown = "00000000-1111-4222-8333-444444444444";
    for (caller, target, may) in [
        ("zz", "zz", true),
        (unknown, unknown, true),
        (unknown, known.as_str(), false),
        (known.as_str(), "zz", false),
        (known.as_str(), &known.as_str().to_uppercase(), true),
    ] {
        assert_eq!(allowed(&mut bench, caller, target), json!(may), "{caller} {target}");
    }
}

#[test]
fn roots_are_siblings_on_aprils_server_alone() {
    for (dialect, may) in [(Dialect::April, true), (Dialect::Current, false)] {
        let mut bench = Bench::new(dialect);
        let stray = ["00000000-1111-4222-8333-444444444444", "00000000-1111-4222-8333-555555555555"];
        for id in stray {
            bench.register(&id.parse().unwrap(), None);
        }
        assert_eq!(allowed(&mut bench, stray[0], stray[1]), json!(may), "{dialect:?}");
    }
}

#[test]
fn a_removed_push_agent_is_not_listed_and_keeps_its_url_for_ever_unless_it_was_paused() {
    for (dialect, paused) in
        [(Dialect::April, false), (Dialect::Current, false), (Dialect::April, true), (Dialect::Current, true)]
    {
        let mut bench = Bench::new(dialect);
        let ((one, token), (other, other_token)) = (bench.create("one"), bench.create("other"));
        bench.register(&other, Some(&other_token));
        let discover =
            |bench: &mut Bench| bench.send_as("GET", &path::discover(&other), Some(token.expose()), Some(&one), "");
        let found = json!({"id": other, "name": "other", "url": "http://localhost:9/a2a"});
        assert_eq!(discover(&mut bench), (200, found.clone()), "{dialect:?}");
        if paused {
            bench.platform.pause(bench.now, &other, false).unwrap();
        }
        bench.platform.delete(bench.now, &other, false);
        let list = bench.get(&path::peers(&one), Some(token.expose())).1;
        assert!(!names(&list).contains(&"other"), "{dialect:?}");
        let gone = json!({"error": "workspace not available", "status": "removed"});
        // The cached URL has expired by then, but not the URL in the row.
        bench.wait(330);
        let expected = if paused { (503, gone) } else { (200, found) };
        assert_eq!(discover(&mut bench), expected, "{dialect:?}, paused: {paused}");
    }
}

#[test]
fn what_was_registered_is_kept_for_five_minutes_then_an_address_is_made_up() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("poll");
    let register = |bench: &mut Bench, url: &str| {
        let body = json!({"id": id, "agent_card": {}, "url": url, "delivery_mode": "poll"});
        assert_eq!(bench.post(path::REGISTER, Some(token.expose()), &body).0, 200);
    };
    register(&mut bench, "remote://no-inbound");
    register(&mut bench, "");
    let url = |bench: &mut Bench| {
        let answer = bench.send_as("GET", &path::discover(&id), Some(token.expose()), Some(&id), "");
        (answer.0, answer.1["url"].clone())
    };
    assert_eq!(url(&mut bench), (200, json!("remote://no-inbound")));
    for _ in 0..3 {
        bench.wait(100);
        bench.beat(&id, Some(&token));
    }
    assert_eq!(url(&mut bench), (200, json!(format!("http://ws-{id}:8000"))));
    bench.wait(200);
    assert_eq!(url(&mut bench).0, 503);
}

#[test]
fn aprils_search_falls_over_a_peer_without_a_role() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("one");
        bench.create("Two Words");
        let found = bench.get(&format!("{}?q=two+w%6Frds", path::peers(&id)), Some(token.expose()));
        match dialect {
            Dialect::April => assert_eq!(found, (500, Value::Null)),
            Dialect::Current => assert_eq!(names(&found.1), ["Two Words"]),
        }
    }
}

#[test]
fn a_caller_without_a_live_token_needs_none() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("one");
    assert_eq!(bench.get(&path::peers(&id), None), (401, error("missing workspace auth token")));
    assert_eq!(bench.get(&path::peers(&id), Some("wrong")), (401, error("invalid workspace auth token")));
    bench.platform.revoke_tokens(&id);
    assert_eq!(bench.get(&path::peers(&id), None).0, 200);
    assert_eq!(bench.get(&path::peers(&id), Some(token.expose())).0, 200);
}
