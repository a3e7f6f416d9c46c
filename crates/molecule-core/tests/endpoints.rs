//! The request of each endpoint: method, path, credential, body and the cap of the answer.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Debug;

use bytes::Bytes;
use molecule_core::effect::Effect;
use molecule_core::endpoint::Auth;
use molecule_core::endpoint::*;
use molecule_core::machines::Call;
use molecule_core::proto::{AgentCard, HeartbeatRequest, Token};
use serde::Serialize;
use serde_json::{Value, json};
use support::platform::PEER;
use support::*;

/// Method and path, the bearer, the body, and the cap of the answer of a call's request.
fn asked<E>(endpoint: E) -> (String, Option<String>, Value, u64)
where
    E: Endpoint + Debug,
    E::Answer: Debug,
{
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    let mut driven = Driven::new(Call::new(endpoint));
    driven.settle(&mut agent);
    let Some(Effect::Http(request, limits)) = driven.in_flight.values().next() else { panic!("no request") };
    assert_eq!(request.headers().contains_key("content-type"), !request.body().is_empty());
    let seen = Seen::new(request, agent.now);
    (format!("{} {}", seen.method, seen.path), seen.bearer, seen.body, limits.max_body)
}

#[test]
fn requests_are_those_of_the_contract() {
    let own = Some(secret("first"));
    let admin = || Auth::Admin(Token::new(&secret("admin")).unwrap());
    let by_admin = Some(secret("admin"));
    let row = "00000000-0000-4000-8000-000000000001";
    let (small, medium, large) = (64 * 1024, 1024 * 1024, 4 * 1024 * 1024);
    let view = asked(View);
    assert_eq!(view, ("GET /workspaces/:id".into(), None, Value::Null, medium));
    let state = asked(PollState);
    assert_eq!(state, ("GET /workspaces/:id/state".into(), own.clone(), Value::Null, small));
    let secrets = asked(Secrets);
    assert_eq!(secrets, ("GET /workspaces/:id/secrets/values".into(), own.clone(), Value::Null, medium));
    let budget = asked(Budget);
    assert_eq!(budget, ("GET /workspaces/:id/budget".into(), own.clone(), Value::Null, small));
    let beat = asked(Heartbeat(HeartbeatRequest::new(ID.parse().unwrap())));
    assert_eq!((beat.0, beat.1, beat.3), ("POST /registry/heartbeat".into(), own.clone(), small));
    let card = asked(UpdateCard(AgentCard::new("tester")));
    let body = json!({"workspace_id": ID, "agent_card": {"name": "tester"}});
    assert_eq!(card, ("POST /registry/update-card".into(), own.clone(), body, small));
    let rotate = asked(Rotate(admin()));
    assert_eq!(rotate, ("POST /workspaces/:id/external/rotate".into(), by_admin.clone(), json!({}), medium));
    let rotate = asked(Rotate(Auth::Bearer));
    assert_eq!(rotate.1, own);
    let mint = asked(MintToken(admin()));
    assert_eq!(mint, ("POST /workspaces/:id/tokens".into(), by_admin.clone(), json!({}), small));
    let list = asked(ListTokens(admin()));
    assert_eq!(list, ("GET /workspaces/:id/tokens?limit=200".into(), by_admin.clone(), Value::Null, large));
    let revoke = asked(RevokeToken(row.parse().unwrap(), admin()));
    assert_eq!(revoke, (format!("DELETE /workspaces/:id/tokens/{row}"), by_admin, Value::Null, small));
    let peers = asked(Peers::default());
    assert_eq!(peers, ("GET /registry/:id/peers".into(), own.clone(), Value::Null, large));
    let peers = asked(Peers::default().matching("a b"));
    assert_eq!(peers.0, "GET /registry/:id/peers?q=a%20b");
    let discover = asked(Discover(PEER.parse().unwrap()));
    assert_eq!(discover, ("GET /registry/discover/:peer".into(), own, Value::Null, small));
    let access = asked(CheckAccess::new(PEER).unwrap());
    let body = json!({"caller_id": ID, "target_id": PEER});
    assert_eq!(access, ("POST /registry/check-access".into(), None, body, small));
}

macro_rules! corpus {
    ($($name:literal,)*) => { [$(include_str!(concat!("../../../fixtures/corpus/", $name, ".jsonl"))),*] };
}

/// The recordings of both servers.
const CORPUS: [&str; 2] = corpus!["april-2026", "current-2026",];

/// How many good answers to this method and path were recorded; `:id` is any one segment. Each reads as the endpoint's answer,
/// which is written as it was read.
fn recorded<E>(endpoint: &E, request: &str) -> usize
where
    E: Endpoint,
    E::Answer: Serialize,
{
    let (method, pattern) = request.split_once(' ').unwrap();
    let is_asked = |asked: &Value| {
        let path = asked["path"].as_str().unwrap().split('?').next().unwrap();
        let same = |(segment, part): (&str, &str)| part == ":id" || segment == part;
        let same_length = path.split('/').count() == pattern.split('/').count();
        asked["method"] == method && same_length && path.split('/').zip(pattern.split('/')).all(same)
    };
    let mut read = 0;
    for line in CORPUS.into_iter().flat_map(str::lines) {
        let line: Value = serde_json::from_str(line).unwrap();
        let status = line["response"]["status"].as_u64().unwrap_or_default();
        if !(200..300).contains(&status) || !is_asked(&line["request"]) {
            continue;
        }
        let body = &line["response"]["body"];
        let answer = http::Response::new(Bytes::from(body.to_string()));
        let answer = endpoint.decode(&answer).unwrap_or_else(|error| panic!("{request}: {error:?}: {body}"));
        assert_eq!(serde_json::to_value(answer).unwrap(), *body, "{request}");
        read += 1;
    }
    read
}

#[test]
fn recorded_answers_are_those_of_the_declarations() {
    let beat = Heartbeat(HeartbeatRequest::new(ID.parse().unwrap()));
    let read = [
        recorded(&beat, "POST /registry/heartbeat"),
        recorded(&UpdateCard(AgentCard::new("tester")), "POST /registry/update-card"),
        recorded(&AvailablePlugins, "GET /workspaces/:id/plugins/available"),
        recorded(&MintToken(Auth::Bearer), "POST /workspaces/:id/tokens"),
        recorded(&ListTokens(Auth::Bearer), "GET /workspaces/:id/tokens"),
        recorded(&Budget, "GET /workspaces/:id/budget"),
    ];
    assert_eq!(read, [90, 9, 2, 4, 8, 4]);
}

#[test]
fn secrets_are_pulled_and_print_no_value() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::current();
    let secrets = run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
    assert_eq!(secrets.get("OPENAI_API_KEY"), Some(&*secret("openai")));
    assert!(agent.take_trace().ends_with("done {\"OPENAI_API_KEY\": \"[redacted]\"}"));
}
