//! The platform's answers to a call, and the outcome of each: every row of the contract's section 9.4, and of April's
//! 7.2, whatever dialect the agent expects.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{FaultKind, Outcome, Phase};
use molecule_core::machines::Beat;
use molecule_core::{CallOutcome, ErrorKind, PeerCall, Route};
use serde_json::{Value, json};
use support::calls::{Called, call, caller, word};
use support::platform::{A2A, VIEW};
use support::*;

const QUEUE_ID: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";

/// The outcomes of a call through each server's proxy, when every request gets this answer.
fn calls(answer: &Answer) -> [Called; 3] {
    [None, Some(Platform::april()), Some(Platform::current())].map(|platform| {
        let mut agent = caller();
        if let Some(mut platform) = platform {
            run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
        }
        let mut called = call(&mut agent, PeerCall::new("hello").route(Route::Proxy), |seen| {
            if seen.is(VIEW) {
                // The call asks the view after a refused bearer and after April's 403: the platform is up.
                return Answer::json(200, json!({"id": ID, "status": "online"})).into();
            }
            assert!(seen.is(A2A) && seen.bearer.is_some(), "{seen}");
            assert_eq!(seen.headers["x-workspace-id"], ID);
            answer.clone().into()
        });
        called.seen.retain(|seen| !seen.is(VIEW));
        called
    })
}

fn json(status: u16, body: Value) -> Answer {
    Answer::json(status, body)
}

#[test]
fn every_row_is_its_outcome_by_its_body() {
    let queued = json!({"queued": true, "queue_id": QUEUE_ID, "queue_depth": 2, "message": "workspace agent busy"});
    let boot =
        json!({"status": "queued", "method": "message/send", "queued": true, "queue_id": QUEUE_ID, "queue_depth": 1});
    let id = QUEUE_ID.parse::<molecule_core::proto::QueueId>().unwrap();
    let poll = json!({"status": "queued", "delivery_mode": "poll", "method": "message/send"});
    let later = json!({"status": "queued", "delivery_mode": "push-async", "method": "message/send"});
    let busy = json!({"error": "workspace agent busy — retry after a short backoff", "busy": true, "retry_after": 30});
    let native = json!({"error": "busy", "busy": true, "retry_after": 30, "native_session": true});
    let lost = json!({"error": "too long", "delivery_confirmed": true, "truncated": true, "max_bytes": 67_108_864});
    let cut = |confirmed: bool| json!({"error": "failed to read agent response", "delivery_confirmed": confirmed});
    let task = json!({
        "kind": "task", "id": "t-1", "status": {"state": "completed"},
        "artifacts": [{"artifactId": "a", "parts": [{"kind": "text", "text": "done"}]}],
    });
    let rpc_error = json!({"code": -32603, "message": "boom", "data": {"x": 1}});
    let page = r#"peer error: None None "a web page was answered, as by a website and no agent" None"#.to_owned();
    let no_url = |status: &str| json!({"error": "workspace has no URL", "status": status});
    let hierarchy = "access denied: workspaces cannot communicate per hierarchy rules";
    let rows: Vec<(Answer, String)> = vec![
        (json(200, poll), "accepted for poll".into()),
        (json(200, reply("hello")), "message: hello".into()),
        (json(201, reply("hello")), "message: hello".into()),
        (json(200, json!({"jsonrpc": "2.0", "id": 7, "result": task})), "task: done".into()),
        (json(200, json!({"status": "ok", "result": {"x": 1}})), r#"other: {"x":1}"#.into()),
        (json(200, json!({"x": 1})), r#"other: {"x":1}"#.into()),
        (json(200, json!({"kind": "message", "role": "agent", "parts": ["bare"]})), "message: bare".into()),
        (Answer::text(200, "plain words"), "text: plain words".into()),
        (Answer::text(200, "<answer>plain markup</answer>"), "text: <answer>plain markup</answer>".into()),
        // A website at the peer's URL, which the platform relays as it relays an agent.
        (
            Answer::text(200, " <!DOCTYPE html><title>Welcome</title>").header("content-type", "application/json"),
            page.clone(),
        ),
        (Answer::text(200, "<HTML><body>Welcome</body></HTML>"), page),
        (json(200, later), "answer later".into()),
        (json(200, json!({"status": "queued"})), "answer later".into()),
        (json(202, queued.clone()), format!("queued: {:?} {:?}", Some(&id), Some(2))),
        (json(202, json!({"queued": true})), "queued: None None".into()),
        (json(200, boot), format!("queued: {:?} {:?}", Some(&id), Some(1))),
        (json(503, busy).header("retry-after", "30"), "busy in 30 s".into()),
        (json(503, json!({"error": "busy", "busy": true, "retry_after": 3600})), "busy in 60 s".into()),
        (json(503, json!({"error": "busy", "busy": true, "retry_after": 0})), "busy in 1 s".into()),
        (json(503, native).header("retry-after", "30"), "busy in 30 s".into()),
        (Answer::error(502, "failed to reach workspace agent"), "unreachable".into()),
        (Answer::error(502, "workspace URL is not publicly routable"), "unsafe URL".into()),
        (Answer::error(500, "failed to create proxy request"), "unsafe URL".into()),
        (json(503, no_url("awaiting_agent")), "no URL: Some(AwaitingAgent)".into()),
        (json(503, no_url("paused")), "no URL: Some(Paused)".into()),
        (json(503, no_url("removed")), "no URL: Some(Removed)".into()),
        (json(503, no_url("provisioning")), "no URL: Some(Provisioning)".into()),
        (json(503, json!({"error": "asleep", "waking": true, "retry_after": 15})), "waking in 15 s".into()),
        (json(503, json!({"error": "starts", "restarting": true})), "waking".into()),
        (json(503, json!({"error": "warming", "warming": true, "retry_after": 5})), "waking in 5 s".into()),
        (Answer::error(503, "workspace not yet enrolled in inbound auth (RFC #2312)"), "not enrolled".into()),
        (
            json(503, json!({"error": "workspace re-registering, retry shortly", "retry_after_seconds": 30})),
            "not enrolled in 30 s".into(),
        ),
        (json(503, json!({"error": "asleep", "waking": true, "retry_after": 3600})), "waking in 60 s".into()),
        (
            json(503, json!({"error": "workspace re-registering, retry", "retry_after_seconds": u64::MAX})),
            "not enrolled in 60 s".into(),
        ),
        (Answer::error(404, "workspace not found"), "not found".into()),
        (Answer::error(403, hierarchy), format!("denied: {hierarchy}")),
        (
            Answer::error(403, "access denied: target workspace is in a different org"),
            "denied: access denied: target workspace is in a different org".into(),
        ),
        (Answer::error(403, "tool call failed"), "denied: tool call failed".into()),
        (Answer::error(403, "invalid caller ID"), "denied: invalid caller ID".into()),
        (
            json(402, json!({"error": "workspace budget limit exceeded", "exceeded_periods": ["monthly"]})),
            "over budget".into(),
        ),
        (Answer::error(402, "workspace budget limit exceeded"), "over budget".into()),
        (
            Answer::error(500, "Internal Server Error"),
            r#"peer error: None Some(500) "Internal Server Error" None"#.into(),
        ),
        (Answer::error(503, "busy"), r#"peer error: None Some(503) "busy" None"#.into()),
        (Answer::error(429, "slow down"), r#"peer error: None Some(429) "slow down" None"#.into()),
        (Answer::error(401, "Unauthorized"), r#"peer error: None Some(401) "Unauthorized" None"#.into()),
        (Answer::error(404, "Not Found"), r#"peer error: None Some(404) "Not Found" None"#.into()),
        (Answer::error(403, "Forbidden"), r#"peer error: None Some(403) "Forbidden" None"#.into()),
        (Answer::error(302, "Found"), r#"peer error: None Some(302) "Found" None"#.into()),
        (Answer::error(200, "agent returned empty response body"), "delivered, reply lost".into()),
        (Answer::error(202, "agent returned empty response body"), "delivered, reply lost".into()),
        (Answer::empty(200), "delivered, reply lost".into()),
        (Answer::empty(202), "delivered, reply lost".into()),
        (Answer::empty(204), "delivered, reply lost".into()),
        (Answer::error(200, "sorry"), r#"peer error: None None "sorry" None"#.into()),
        (
            json(200, json!({"jsonrpc": "2.0", "id": 1, "error": rpc_error})),
            r#"peer error: Some(-32603) None "boom" Some(Object {"x": Number(1)})"#.into(),
        ),
        (
            json(200, json!({"jsonrpc": "2.0", "id": 1})),
            r#"peer error: None None "the answer has neither a result nor an error" None"#.into(),
        ),
        (json(502, lost), "delivered, reply lost".into()),
        (json(502, cut(true)), "delivered, reply lost".into()),
        (json(502, cut(false)), r#"peer error: None Some(502) "failed to read agent response" None"#.into()),
    ];
    for (answer, expected) in rows {
        for called in calls(&answer) {
            assert_eq!(called.seen.len(), 1, "sent again after {answer:?}");
            assert_eq!(word(&called.end.unwrap()), expected, "{answer:?}");
        }
    }
}

#[test]
fn what_says_nothing_about_the_message_is_an_error() {
    let limited = json!({"error": "rate limit exceeded", "retry_after": 1});
    let tenant = json!({"error": "missing tenant routing header", "code": "TENANT_ORG_HEADER_REQUIRED"});
    let long = json!({"error": "request body exceeds 16777216 byte limit", "truncated": true, "max_bytes": 16_777_216});
    let parts = "params.message must contain either 'parts' (v0.3) or 'content' (v0.2 compat)";
    for (answer, kind, requests, retryable) in [
        (json(429, limited), ErrorKind::RateLimited, 4, true),
        (json(503, unavailable()), ErrorKind::Unavailable, 4, true),
        (Answer::error(503, "delivery-mode lookup failed; retry"), ErrorKind::Unavailable, 1, true),
        (Answer::error(500, "lookup failed"), ErrorKind::Unavailable, 1, true),
        (Answer::error(401, "missing caller auth token"), ErrorKind::Unauthorized, 1, false),
        (Answer::error(401, "invalid caller auth token"), ErrorKind::Unauthorized, 1, false),
        (Answer::error(401, "caller ID does not match workspace auth token"), ErrorKind::Unauthorized, 1, false),
        (Answer::error(400, "invalid JSON"), ErrorKind::Refused, 1, false),
        (Answer::error(400, parts), ErrorKind::Refused, 1, false),
        (json(413, long), ErrorKind::Refused, 1, false),
        (json(400, tenant), ErrorKind::Routing, 1, false),
        (Answer::empty(404), ErrorKind::Routing, 1, false),
        (Answer::text(404, "404 page not found"), ErrorKind::Unsupported, 1, false),
        (Answer::empty(403), ErrorKind::OriginRefused, 1, false),
        (Answer::html(302).header("location", "https://sign-in.example"), ErrorKind::Redirected, 1, false),
        // The platform labels every reply as JSON, whatever the peer sent. A sign-in page therefore comes from a
        // gateway.
        (Answer::html(200), ErrorKind::Routing, 1, false),
        // A gateway's answer: the state of the server behind it is unknown.
        (Answer::html(502), ErrorKind::Unavailable, 1, false),
        (Answer::html(504), ErrorKind::Unavailable, 1, false),
    ] {
        for called in calls(&answer) {
            assert_eq!(called.seen.len(), requests, "{answer:?}");
            let error = called.end.unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{answer:?}: {error}");
            assert_eq!(error.operation(), "call peer");
            let id = called.seen[0].body["params"]["message"]["messageId"].as_str();
            assert_eq!(error.message_id(), id, "{answer:?}");
        }
    }
}

#[test]
fn a_status_that_may_be_the_peers_neither_kills_the_credential_nor_cuts_the_rate_budget() {
    for answer in [
        Answer::error(401, "Unauthorized"),
        Answer::error(429, "slow down").header("retry-after", "60"),
        Answer::error(429, "rate limit exceeded"),
        Answer::error(404, "Not Found"),
        Answer::error(410, "workspace removed"),
        Answer::error(403, "Forbidden").header("x-ratelimit-limit", "1").header("x-ratelimit-remaining", "0"),
    ] {
        let mut agent = caller();
        agent.store.token = Some(secret("newer"));
        let before = agent.session.health();
        let called = call(&mut agent, PeerCall::new("hello").route(Route::Proxy), |_| answer.clone().into());
        assert!(matches!(called.end, Ok(CallOutcome::PeerError { .. })), "{:?}", called.end);
        let mut after = agent.session.health();
        assert_eq!(
            (after.counters.requests, after.counters.failures),
            (1, 0),
            "a peer's refusal is an outcome: {answer:?}"
        );
        after.counters = before.counters;
        assert_eq!(after, before);
        assert_eq!((agent.store.token_reads, called.seen.len()), (0, 1), "{answer:?}");
        assert!(called.events.is_empty());
    }
}

#[test]
fn the_platforms_own_words_about_the_bearer_make_the_call_look_for_a_newer_one() {
    let mut agent = caller();
    agent.store.token = Some(secret("newer"));
    let called = call(&mut agent, PeerCall::new("hello").route(Route::Proxy), |seen| {
        if seen.bearer == Some(secret("newer")) {
            return Answer::json(200, reply("hello")).into();
        }
        Answer::error(401, "invalid caller auth token").into()
    });
    assert_eq!(word(&called.end.unwrap()), "message: hello");
    assert_eq!(called.seen.len(), 2);
    assert_eq!(called.seen[0].body, called.seen[1].body);
}

#[test]
fn the_platforms_own_rate_limit_is_waited_for_under_the_same_id() {
    let mut agent = caller();
    let mut limits = 2;
    let called = call(&mut agent, PeerCall::new("hello").route(Route::Proxy), |_| {
        if limits == 0 {
            return Answer::json(200, reply("hello")).into();
        }
        limits -= 1;
        json(429, json!({"error": "rate limit exceeded", "retry_after": 7})).header("retry-after", "7").into()
    });
    assert_eq!(word(&called.end.unwrap()), "message: hello");
    let waits: Vec<_> = called.seen.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    assert!(waits.len() == 2 && waits.iter().all(|wait| (secs(7)..secs(12)).contains(wait)), "{waits:?}");
    assert!(called.seen.iter().all(|seen| seen.body == called.seen[0].body));
}

fn unavailable() -> Value {
    json!({"error": "datastore unavailable", "code": "platform_unavailable"})
}

#[test]
fn the_peer_may_have_a_message_only_if_a_request_was_sent() {
    use ErrorKind::*;
    type End = fn() -> Outcome;
    let ends: [(End, ErrorKind, bool, bool); 11] = [
        (|| unsent(FaultKind::Tls), Tls, false, false),
        (|| unsent(FaultKind::Connect), Unreachable, true, false),
        (|| unsent(FaultKind::Timeout(Phase::Connect)), Timeout, true, false),
        // A message that the platform itself turned away has reached nobody.
        (|| json(503, unavailable()).header("retry-after", "1").outcome(), Unavailable, true, false),
        (|| Answer::html(429).header("retry-after", "1").outcome(), RateLimited, true, false),
        // A gateway may ask for a retry although it has passed the message on.
        (|| Answer::html(503).header("retry-after", "1").outcome(), Unavailable, false, true),
        (|| fault(FaultKind::Tls), Tls, false, true),
        (|| fault(FaultKind::Interrupted), Interrupted, false, true),
        (|| fault(FaultKind::Protocol), Protocol, false, true),
        (|| fault(FaultKind::Timeout(Phase::Total)), Timeout, false, true),
        (|| Answer::html(502).outcome(), Unavailable, false, true),
    ];
    for (end, kind, retryable, may_have_it) in ends {
        let called = call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |_| end().into());
        let error = called.end.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{:?}: {error}", end());
        let told = error.to_string();
        assert_eq!(told.contains("the peer may have the message"), may_have_it, "{:?}: {told}", end());
        assert!(told.contains("; "), "no remedy: {told}");
    }
}

#[test]
fn what_a_peer_says_of_its_failure_is_made_fit_to_print() {
    let [called, ..] = calls(&Answer::error(500, "a\u{1b}[31m\nfailed: b"));
    assert_eq!(called.end.unwrap().to_string(), r"the peer failed: a\u{1b}[31m\nfailed: b (500 Internal Server Error)");
    let [called, ..] = calls(&Answer::error(403, "access denied: \u{7}"));
    assert_eq!(called.end.unwrap().to_string(), r"denied: access denied: \u{7}");
}

/// A gateway echoes the request, or the peer quotes a bearer that it has learnt.
#[test]
fn a_relayed_answer_that_quotes_the_bearer_is_redacted() {
    let bearer = secret("first");
    let quoted = format!("you said Bearer {bearer}, and {bearer} again");
    let mut not_text = format!("{quoted} ").into_bytes();
    not_text.push(0xff);
    for answer in [
        json(200, reply(&quoted)),
        Answer::text(200, &quoted),
        Answer::bytes(not_text.into()),
        json(200, json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": quoted, "data": {"x": quoted}}})),
        json(200, json!({"x": quoted})),
        Answer::error(200, &quoted),
        Answer::error(500, &quoted),
        Answer::error(403, &format!("access denied: {quoted}")),
        Answer::error(401, &format!("invalid caller auth token {quoted}")),
        json(503, json!({"error": "down", "code": format!("platform_unavailable {quoted}")})),
    ] {
        for called in calls(&answer) {
            let told = match called.end {
                Ok(outcome) => format!("{outcome} {outcome:?}"),
                Err(error) => format!("{error} {error:?} {:?} {:?}", error.code(), error.server_message()),
            };
            assert!(!told.contains(MARK), "{answer:?}: {told}");
            assert!(told.contains("[redacted]") || told.contains("down"), "{answer:?}: {told}");
        }
    }
}
