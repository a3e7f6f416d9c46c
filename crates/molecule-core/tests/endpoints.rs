//! The request of each endpoint: method, path, credential, body and the cap of the answer.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Debug;

use bytes::Bytes;
use molecule_core::ErrorKind;
use molecule_core::effect::Effect;
use molecule_core::endpoint::Auth;
use molecule_core::endpoint::*;
use molecule_core::machines::Call;
use molecule_core::proto::{ActivityType, AgentCard, HeartbeatRequest, MemoryScope, Token};
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

#[test]
fn a_page_of_the_feed_is_asked_for_with_the_parameters_of_the_contract() {
    let own = Some(secret("first"));
    let cap = 128 * 1024 * 1024;
    let row = "00000000-0000-4000-8000-000000000001";
    let all = asked(ActivityFeed::new());
    assert_eq!(all, ("GET /workspaces/:id/activity".into(), own.clone(), Value::Null, cap));
    let after = ActivityFeed::new().since_id(row.parse().unwrap()).limit(500).peer_info().max_body(7);
    let query = format!("limit=500&since_id={row}&include=peer_info");
    assert_eq!(asked(after), (format!("GET /workspaces/:id/activity?{query}"), own.clone(), Value::Null, 7));
    let before = ActivityFeed::new()
        .activity_type(ActivityType::A2aReceive)
        .source(ActivitySource::Agent)
        .since(Duration::from_millis(1500))
        .peer_id(PEER.parse().unwrap())
        .before("2026-11-22T21:39:47.237554Z".parse().unwrap());
    let query = "type=a2a_receive&source=agent&since_secs=2&peer_id=:peer&before_ts=2026-11-22T21:39:47.237554Z";
    assert_eq!(asked(before).0, format!("GET /workspaces/:id/activity?{query}"));
    // The server refuses 0.
    assert_eq!(asked(ActivityFeed::new().since(Duration::ZERO)).0, "GET /workspaces/:id/activity?since_secs=1");
    let ack = asked(AckActivity(7));
    assert_eq!(ack, ("POST /workspaces/:id/activity/ack".into(), own, json!({"acked_seq": 7}), 64 * 1024));
}

#[test]
fn notes_are_written_and_listed_as_the_contract_says() {
    let own = Some(secret("first"));
    let body = json!({"content": "the sky is blue", "scope": "TEAM"});
    let commit = asked(CommitMemory::new("the sky is blue", MemoryScope::Team));
    assert_eq!(commit, ("POST /workspaces/:id/memories".into(), own.clone(), body, 64 * 1024));
    let all = asked(Memories::default());
    assert_eq!(all, ("GET /workspaces/:id/memories".into(), own, Value::Null, 4 * 1024 * 1024));
    let some = asked(Memories::default().scope(MemoryScope::Local).query("blue & sky"));
    assert_eq!(some.0, "GET /workspaces/:id/memories?scope=LOCAL&q=blue%20%26%20sky");
}

/// It does not pass by itself, so that a second request would only make the agent wait.
#[test]
fn a_server_without_the_plugin_for_notes_is_asked_once() {
    for said in [r#"{"error":"memory plugin is not configured (set MEMORY_PLUGIN_URL)"}"#, r#"{"error":"busy"}"#] {
        let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
        let mut requests = 0;
        let error = run(&mut agent, Call::new(Memories::default()), |_| {
            requests += 1;
            Answer::text(503, said.to_owned()).into()
        });
        let error = error.unwrap_err();
        let is_final = said.contains("plugin");
        assert_eq!((error.kind() == ErrorKind::Unsupported, requests == 1), (is_final, is_final), "{error}");
        assert_eq!(error.to_string().contains("MEMORY_PLUGIN_URL"), is_final, "{error}");
    }
}

#[test]
fn a_row_to_read_on_from_that_is_gone_is_not_found_and_no_wrong_address() {
    let gone = |body: &str| {
        let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
        let body = body.to_owned();
        let asked = ActivityFeed::new().since_id("00000000-0000-4000-8000-000000000001".parse().unwrap());
        run(&mut agent, Call::once(asked), move |_| Answer::text(410, body.clone()).into()).unwrap_err().kind()
    };
    let said = r#"{"error":"since_id cursor not found (it may have been pruned); reset with since_secs"}"#;
    assert_eq!(gone(said), ErrorKind::NotFound);
    assert_eq!(gone(r#"{"error":"gone"}"#), ErrorKind::Routing);
}

#[test]
fn a_row_of_the_feed_that_cannot_be_read_hides_no_other() {
    let row = |n: u32, text: &str| {
        format!(
            r#"{{"id":"00000000-0000-4000-8000-{n:012}","workspace_id":"{ID}","activity_type":"a2a_receive",
                "source_id":null,"created_at":"2026-11-22T21:39:47.237554Z","seq":{n},"request_body":{text}}}"#
        )
    };
    let read = |rows: &[String]| {
        let body = format!("[{}]", rows.join(","));
        let mut answer = http::Response::new(Bytes::from(body));
        answer.headers_mut().insert("date", "Sun, 22 Nov 2026 21:39:48 GMT".parse().unwrap());
        ActivityFeed::new().decode(&answer).unwrap()
    };
    let seqs = |page: &ActivityPage| page.rows.iter().filter_map(|row| row.seq).collect::<Vec<_>>();
    let broken = row(2, "null").replace("\"source_id\":null", "\"source_id\":\"not an id\"");
    let page = read(&[row(1, "\"half \\ud83d\""), broken, "{\"id\":7}".into(), "null".into(), row(3, "{}")]);
    assert_eq!((seqs(&page), page.unplaced, page.is_cut), (vec![1, 3], 2, false));
    assert_eq!(page.unreadable[0].id.as_str(), "00000000-0000-4000-8000-000000000002");
    assert_eq!(page.unreadable[0].seq, Some(2));
    assert_eq!(page.date.unwrap().to_string(), "2026-11-22T21:39:48Z");
    // A row that needs more memory than a page may is passed over; those that fit no more are left for the next page.
    let huge = format!("[{}0]", "0,".repeat(700_000));
    let large = format!("\"{}\"", "x".repeat(15 << 20));
    let page = read(&[row(1, "{}"), row(2, &huge), row(3, &large), row(4, &large), row(5, "{}")]);
    assert_eq!((seqs(&page), page.unreadable.len(), page.is_cut), (vec![1, 3], 1, true));
    assert!(ActivityFeed::new().decode(&http::Response::new(Bytes::from_static(b"{}"))).is_err());
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

#[test]
fn an_entry_of_the_memory_is_read_and_written_with_a_version_alone() {
    let own = Some(secret("first"));
    let read = asked(ReadMemory("molecule.fleet.lease".parse().unwrap()));
    let path = "GET /workspaces/:id/memory/molecule.fleet.lease";
    assert_eq!(read, (path.into(), own.clone(), Value::Null, 1024 * 1024));
    let set = asked(SetMemory::new("k".parse().unwrap(), json!({"a": 1}), 0));
    let body = json!({"key": "k", "value": {"a": 1}, "if_match_version": 0});
    assert_eq!(set, ("POST /workspaces/:id/memory".into(), own, body, 64 * 1024));
    for (value, kind) in [(json!("a\0b"), ErrorKind::Config), (json!("x".repeat(300_000)), ErrorKind::TooLarge)] {
        let refused = SetMemory::new("k".parse().unwrap(), value, 1).draft(&ID.parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
}

#[test]
fn the_answers_of_the_memory_are_values_where_the_platform_itself_gives_them() {
    let answer = |status: u16, body: Value| {
        http::Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
    };
    let read = ReadMemory("k".parse().unwrap());
    let missing = answer(404, json!({"error": "key not found"}));
    assert!(read.accepts(&missing));
    assert_eq!(read.decode(&missing).unwrap(), None);
    assert!(!read.accepts(&answer(404, json!({"error": "workspace not found"}))));
    let entry =
        answer(200, json!({"key": "k", "value": [1], "version": 3, "updated_at": "2026-11-22T22:24:19.25758Z"}));
    assert_eq!(read.decode(&entry).unwrap().unwrap().version, 3);

    let set = SetMemory::new("k".parse().unwrap(), json!(2), 99);
    for current in [Some(1), None] {
        let body = json!({"error": "if_match_version mismatch: …", "expected_version": 99, "current_version": current});
        let conflict = answer(409, body);
        assert!(set.accepts(&conflict));
        assert_eq!(set.decode(&conflict).unwrap(), MemoryWrite::Conflict(current));
    }
    assert!(!set.accepts(&answer(409, json!({"error": "conflict"}))), "a proxy's");
    assert!(!set.accepts(&answer(500, json!({"error": "failed to set memory"}))), "an outcome that nobody knows");
    let done = answer(200, json!({"status": "ok", "key": "k", "version": 100}));
    assert_eq!(set.decode(&done).unwrap(), MemoryWrite::Done(100));
    assert!(set.decode(&answer(200, json!({"status": "ok", "key": "other", "version": 100}))).is_err());
}
