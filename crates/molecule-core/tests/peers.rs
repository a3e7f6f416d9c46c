//! Listing and discovering peers and checking access, in both dialects.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::endpoint::CheckAccess;
use molecule_core::machines::{Beat, Call, DiscoverPeer, ListPeers};
use molecule_core::proto::{Peer, WorkspaceStatus};
use molecule_core::{ErrorKind, Event, PeerUrl, Result};
use serde_json::{Value, json};
use support::platform::VIEW;
use support::*;

const PEERS: &str = "GET /registry/:id/peers";

fn agent() -> Agent {
    Agent::with(Agent::options().token(secret("first")), 7)
}

/// An agent that knows which server it speaks to.
fn told(platform: Platform) -> Agent {
    let (mut agent, mut platform) = (agent(), platform);
    run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
    agent.take_trace();
    agent
}

fn row(number: u32, name: &str, role: Option<&str>, url: &str) -> Value {
    json!({
        "id": peer_id(number), "name": name, "role": role, "tier": 3, "status": "online", "agent_card": null, "url": url,
        "parent_id": null, "active_tasks": 0,
    })
}

fn peer_id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn rows() -> Value {
    json!([
        row(1, "Alpha", None, "https://alpha.example/a2a"),
        row(2, "beta", Some("Researcher"), "remote://no-inbound"),
        row(3, "gamma", Some("writer of ALPHA news"), ""),
    ])
}

fn list(agent: &mut Agent, question: ListPeers, answer: Answer) -> (Result<Vec<Peer>>, Vec<Seen>) {
    let mut seen = Vec::new();
    let list = run(agent, question, |request| {
        seen.push(request.clone());
        answer.clone().into()
    });
    (list, seen)
}

fn names(list: Result<Vec<Peer>>) -> Vec<String> {
    list.unwrap().into_iter().map(|peer| peer.name).collect()
}

#[test]
fn the_list_names_the_caller_and_one_bad_row_does_not_hide_the_others() {
    let mut agent = agent();
    let mut answer = rows();
    let odd = [json!(null), json!("gold"), json!({"id": "../admin", "name": "evil"}), json!({"name": "nobody"})];
    answer.as_array_mut().unwrap().extend(odd);
    answer.as_array_mut().unwrap().push(json!({"id": peer_id(4), "tier": "gold", "role": 7, "status": null}));
    let mut driven = Driven::new(ListPeers::all());
    let mut callers = Vec::new();
    let list = driven.finish(&mut agent, &mut |seen: &Seen| {
        callers.push(seen.headers["x-workspace-id"].clone());
        Answer::json(200, answer.clone()).into()
    });
    let list = list.unwrap();
    let told: Vec<_> = list.iter().map(|peer| (peer.name.as_str(), peer.role.as_deref(), peer.tier)).collect();
    assert_eq!(
        told,
        [
            ("Alpha", None, 3),
            ("beta", Some("Researcher"), 3),
            ("gamma", Some("writer of ALPHA news"), 3),
            ("", None, 0)
        ]
    );
    assert_eq!(list[3].status, WorkspaceStatus::Other(String::new()));
    assert_eq!(callers, [ID]);
    assert_eq!(driven.events, [Event::Warning("the list of peers has 4 entries that make no sense".to_owned())]);
}

#[test]
fn a_null_list_is_an_empty_one_and_a_page_is_none() {
    assert!(list(&mut agent(), ListPeers::all(), Answer::text(200, "null")).0.unwrap().is_empty());
    let error = list(&mut agent(), ListPeers::all(), Answer::html(200)).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Routing);
    let error = list(&mut agent(), ListPeers::all(), Answer::error(404, "workspace not found")).0.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Refused, "list peers"));
}

#[test]
fn the_current_server_filters_and_for_april_or_an_unknown_one_the_client_does() {
    let asked = |mut agent: Agent| {
        let (found, seen) = list(&mut agent, ListPeers::matching("alpha"), Answer::json(200, rows()));
        (names(found), seen[0].path.clone())
    };
    let all = PEERS.strip_prefix("GET ").unwrap().to_owned();
    let filtered = vec!["Alpha".to_owned(), "gamma".to_owned()];
    assert_eq!(asked(told(Platform::april())), (filtered.clone(), all.clone()));
    assert_eq!(asked(agent()), (filtered, all.clone()));
    // What the server leaves in stays in: its own idea of case counts.
    let everything = vec!["Alpha".to_owned(), "beta".to_owned(), "gamma".to_owned()];
    assert_eq!(asked(told(Platform::current())), (everything, format!("{all}?q=alpha")));
}

#[test]
fn an_empty_filter_is_none_and_one_with_a_nul_is_refused_unsent() {
    let (_, seen) = list(&mut told(Platform::current()), ListPeers::matching(""), Answer::json(200, rows()));
    assert!(seen[0].is(PEERS), "{}", seen[0]);
    let (refused, seen) = list(&mut agent(), ListPeers::matching("a\0b"), Answer::json(200, rows()));
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), seen.len()), (ErrorKind::Config, 0));
    assert!(error.to_string().contains("U+0000"), "{error}");
}

/// Discovers a peer. Returns also whether the platform was asked.
fn discover(agent: &mut Agent, number: u32, answer: Answer) -> (Result<Option<PeerUrl>>, bool) {
    let mut asked = false;
    let found = run(agent, DiscoverPeer::new(peer_id(number)).unwrap(), |seen| {
        if seen.is(VIEW) {
            // The call asks the view after a refused bearer and after April's 403: the platform is up.
            return Answer::json(200, json!({"id": ID, "status": "online"})).into();
        }
        assert!(seen.is(&format!("GET /registry/discover/{}", peer_id(number))), "{seen}");
        assert_eq!(seen.headers["x-workspace-id"], ID);
        asked = true;
        answer.clone().into()
    });
    (found, asked)
}

fn found(number: u32, url: &str) -> Answer {
    Answer::json(200, json!({"id": peer_id(number), "url": url, "name": "peer"}))
}

#[test]
fn a_discovered_url_is_used_for_five_minutes_and_then_asked_for_again() {
    let mut agent = agent();
    let url = |text: &str| PeerUrl::read(text);
    let (first, second) = ("https://one.example/a2a", "https://two.example/a2a");
    let told = discover(&mut agent, 1, found(1, first));
    assert_eq!((told.0.unwrap(), told.1), (url(first), true));
    agent.advance(secs(299));
    let told = discover(&mut agent, 1, found(1, second));
    assert_eq!((told.0.unwrap(), told.1), (url(first), false));
    agent.advance(secs(2));
    let told = discover(&mut agent, 1, found(1, second));
    assert_eq!((told.0.unwrap(), told.1), (url(second), true));
    agent.session.invalidate_peer_url(peer_id(1)).unwrap();
    let told = discover(&mut agent, 1, found(1, first));
    assert_eq!((told.0.unwrap(), told.1), (url(first), true));
    let error = agent.session.invalidate_peer_url("../admin").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_list_teaches_where_peers_are_called() {
    let mut agent = agent();
    list(&mut agent, ListPeers::all(), Answer::json(200, rows())).0.unwrap();
    let (url, asked) = discover(&mut agent, 1, found(1, "https://other.example"));
    assert_eq!((url.unwrap(), asked), (PeerUrl::read("https://alpha.example/a2a"), false));
    // A poll agent shows whatever it registered, so the platform may still know another URL.
    assert!(discover(&mut agent, 2, found(2, "https://beta.example")).1);
}

#[test]
fn what_leads_nowhere_is_no_url_and_is_remembered_for_a_minute() {
    for answer in [
        Answer::json(503, json!({"error": "workspace not available", "status": "removed"})),
        Answer::error(503, "workspace URL failed safety check"),
        Answer::error(403, "not authorized to discover this workspace"),
        Answer::error(404, "workspace not found"),
        found(1, "remote://no-inbound"),
        found(1, "not a url at all"),
        found(1, "http://ws-00000000-0000-4000-8000-000000000001:8000"),
        found(1, "http://ws-00000000-000:8000"),
    ] {
        let mut agent = agent();
        let (url, asked) = discover(&mut agent, 1, answer.clone());
        assert_eq!((url.unwrap(), asked), (None, true), "{answer:?}");
        agent.advance(secs(59));
        let (url, asked) = discover(&mut agent, 1, found(1, "https://peer.example"));
        assert_eq!((url.unwrap(), asked), (None, false), "{answer:?}");
        agent.advance(secs(2));
        assert!(discover(&mut agent, 1, found(1, "https://peer.example")).0.unwrap().is_some());
    }
}

#[test]
fn what_says_nothing_about_the_peer_is_an_error_and_is_not_remembered() {
    for (answer, kind) in [
        (Answer::empty(403), ErrorKind::OriginRefused),
        (Answer::error(403, "no such door"), ErrorKind::Refused),
        (Answer::empty(404), ErrorKind::Routing),
        (Answer::html(404), ErrorKind::Routing),
        (Answer::error(500, "lookup failed"), ErrorKind::Unavailable),
        (Answer::json(503, json!({"error": "down", "code": "platform_unavailable"})), ErrorKind::Unavailable),
        (Answer::error(401, "invalid workspace auth token"), ErrorKind::Unauthorized),
        (Answer::json(200, json!({"name": "peer"})), ErrorKind::Protocol),
    ] {
        let mut agent = agent();
        let (refused, _) = discover(&mut agent, 1, answer.clone());
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (kind, "discover peer"), "{answer:?}");
        assert!(discover(&mut agent, 1, found(1, "https://peer.example")).1, "{answer:?}");
    }
}

#[test]
fn access_is_asked_for_without_a_bearer() {
    let mut agent = agent();
    let allowed = run(&mut agent, Call::new(CheckAccess::new(peer_id(1)).unwrap()), |seen| {
        assert!(seen.is("POST /registry/check-access") && seen.bearer.is_none(), "{seen}");
        assert_eq!(seen.body, json!({"caller_id": ID, "target_id": peer_id(1)}));
        Answer::json(200, json!({"allowed": true})).into()
    });
    assert!(allowed.unwrap());
    for id in ["", "../admin", "7fda77bf"] {
        assert_eq!(CheckAccess::new(id).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(DiscoverPeer::new(id).unwrap_err().kind(), ErrorKind::Config);
    }
}
