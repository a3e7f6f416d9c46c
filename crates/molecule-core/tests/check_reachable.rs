//! The check whether the platform reaches the agent's server: one message of the agent to itself, and what each answer of the
//! contract's section 9.4, and of April's 7.2, says.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use molecule_core::effect::{FaultKind, Outcome, Phase};
use molecule_core::machines::CheckReachable;
use molecule_core::proto::WorkspaceStatus;
use molecule_core::{ErrorKind, ReachFailure, Reachability, Result};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::{SELF_A2A, VIEW};
use support::*;

/// The answer of the agent's own server to a check.
fn echo(seen: &Seen) -> Value {
    let nonce = &seen.body["params"]["message"]["metadata"]["molecule.reachability"];
    let message = json!({"kind": "message", "role": "agent", "messageId": "a", "parts": [],
        "metadata": {"molecule.reachability": nonce}});
    json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": message})
}

/// The result of a check to which the platform answers so, and the requests that it sent.
fn check(mut answer: impl FnMut(&Seen) -> Reply) -> (Result<Reachability>, Vec<Seen>) {
    let mut agent = caller();
    let mut requests = Vec::new();
    let end = run(&mut agent, CheckReachable::new(), |seen| {
        if seen.is(VIEW) {
            return Answer::json(200, json!({"id": ID, "status": "online"})).into();
        }
        requests.push(seen.clone());
        answer(seen)
    });
    (end, requests)
}

fn why(answer: Answer) -> ReachFailure {
    match check(|_| answer.clone().into()).0 {
        Ok(Reachability::Unreachable { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_of_the_agent_to_itself_that_comes_back_shows_that_it_is_reached() {
    let (end, requests) = check(|seen| Reply::After(secs(2), Answer::json(200, echo(seen)).outcome()));
    let Ok(Reachability::Reachable { took, .. }) = end else { panic!("{end:?}") };
    assert_eq!(took, Duration::from_secs(2));
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert!(request.is(SELF_A2A) && request.bearer == Some(secret("first")), "{request}");
    assert_eq!(request.headers["x-workspace-id"], ID);
    let params = &request.body["params"];
    let nonce = params["message"]["metadata"]["molecule.reachability"].as_str().unwrap();
    assert!((16..=64).contains(&nonce.len()), "{nonce}");
    assert_eq!((&request.body["method"], &params["message"]["parts"]), (&json!("message/send"), &json!([])));
    // A message that the platform queues must not delay others later.
    assert_eq!(params["expires_in_seconds"], 60);
}

#[test]
fn each_check_has_a_number_and_a_message_of_its_own() {
    let mut agent = caller();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let end = run(&mut agent, CheckReachable::new(), |request| {
            seen.push(request.body["params"]["message"].clone());
            Answer::json(200, echo(request)).into()
        });
        assert!(matches!(end, Ok(Reachability::Reachable { .. })), "{end:?}");
    }
    for key in ["messageId", "metadata"] {
        assert_ne!(seen[0][key], seen[1][key]);
    }
}

#[test]
fn every_answer_about_the_agent_is_its_reason() {
    let json = Answer::json;
    let no_url = |status: &str| json(503, json!({"error": "workspace has no URL", "status": status}));
    let queued = json!({"queued": true, "queue_id": "16fbce34-b9f3-4274-9310-2d6cf9256ac5", "queue_depth": 1});
    let wait = |secs| Some(Duration::from_secs(secs));
    let denied = |message: &str| ReachFailure::Denied { message: message.to_owned() };
    let error = |status: u16, message: &str| ReachFailure::ErrorAnswer {
        status: Some(http::StatusCode::from_u16(status).unwrap()),
        code: None,
        message: message.to_owned(),
    };
    let other = json!({"jsonrpc": "2.0", "id": 1, "result": {"kind": "message", "role": "agent", "parts": [],
        "metadata": {"molecule.reachability": "another number"}}});
    let hierarchy = "access denied: workspaces cannot communicate per hierarchy rules";
    let rows = [
        (
            json(200, json!({"status": "queued", "delivery_mode": "poll", "method": "message/send"})),
            ReachFailure::PollMode,
        ),
        (json(202, queued.clone()), ReachFailure::NoAnswer),
        (json(200, json!({"status": "queued", "method": "message/send", "queued": true})), ReachFailure::NoAnswer),
        (json(200, json!({"status": "queued", "delivery_mode": "push-async"})), ReachFailure::NoAnswer),
        (
            json(503, json!({"error": "workspace agent busy", "busy": true, "retry_after": 30})),
            ReachFailure::Busy { retry_after: wait(30) },
        ),
        (
            json(503, json!({"error": "asleep", "waking": true, "retry_after": 15})),
            ReachFailure::Waking { retry_after: wait(15) },
        ),
        (
            json(503, json!({"error": "warming", "warming": true, "retry_after": 5})),
            ReachFailure::Waking { retry_after: wait(5) },
        ),
        (
            Answer::error(503, "workspace not yet enrolled in inbound auth (RFC #2312)"),
            ReachFailure::NotEnrolled { retry_after: None },
        ),
        (
            json(503, json!({"error": "workspace re-registering, retry shortly", "retry_after_seconds": 30})),
            ReachFailure::NotEnrolled { retry_after: wait(30) },
        ),
        (Answer::error(502, "failed to reach workspace agent"), ReachFailure::NoConnection),
        (Answer::error(502, "workspace URL is not publicly routable"), ReachFailure::UnsafeUrl),
        (no_url("awaiting_agent"), ReachFailure::NoUrl { status: Some(WorkspaceStatus::AwaitingAgent) }),
        (no_url("removed"), ReachFailure::NoUrl { status: Some(WorkspaceStatus::Removed) }),
        (Answer::error(403, hierarchy), denied(hierarchy)),
        (Answer::error(403, "tool call failed"), denied("tool call failed")),
        (json(402, json!({"error": "workspace budget limit exceeded"})), ReachFailure::OverBudget),
        (Answer::error(404, "workspace not found"), ReachFailure::NotFound),
        (Answer::error(401, "Unauthorized"), error(401, "Unauthorized")),
        (Answer::error(404, "Not Found"), error(404, "Not Found")),
        (Answer::error(429, "Too Many Requests"), error(429, "Too Many Requests")),
        (Answer::error(302, "Found"), error(302, "Found")),
        (
            json(200, json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no such method"}})),
            ReachFailure::ErrorAnswer { status: None, code: Some(-32601), message: "no such method".to_owned() },
        ),
        (json(200, reply("hello")), ReachFailure::OtherAnswer),
        (json(200, other), ReachFailure::OtherAnswer),
        (Answer::text(200, "It works!"), ReachFailure::OtherAnswer),
        (json(200, json!({"error": "agent returned empty response body"})), ReachFailure::OtherAnswer),
        (Answer::empty(204), ReachFailure::OtherAnswer),
    ];
    for (answer, expected) in rows {
        let why = why(answer);
        assert_eq!(why, expected);
        let text = why.to_string();
        assert!(text.len() > 20 && !text.contains('\n'), "{text}");
    }
}

#[test]
fn a_server_that_never_answers_is_not_reached_after_the_limit_of_a_request() {
    let mut agent = caller();
    let from = agent.now.mono;
    let hung = |_: &Seen| Reply::After(secs(30), fault(FaultKind::Timeout(Phase::Head)));
    let end = run(&mut agent, CheckReachable::new(), hung);
    assert_eq!(end.unwrap(), Reachability::Unreachable { why: ReachFailure::NoAnswer });
    assert_eq!(agent.since(from), secs(30));
}

#[test]
fn an_answer_about_the_caller_is_an_error_and_says_nothing_of_the_server() {
    let limited = || {
        let spent = json!({"error": "rate limit exceeded", "retry_after": 60});
        Answer::json(429, spent).header("x-ratelimit-limit", "600").header("retry-after", "60").outcome()
    };
    let rows: [(&dyn Fn() -> Outcome, ErrorKind); 5] = [
        (&limited, ErrorKind::RateLimited),
        (&|| Answer::error(401, "invalid caller auth token").outcome(), ErrorKind::Unauthorized),
        (&|| Answer::error(503, "delivery-mode lookup failed; retry").outcome(), ErrorKind::Unavailable),
        (&|| Answer::html(502).outcome(), ErrorKind::Unavailable),
        (&|| unsent(FaultKind::Connect), ErrorKind::Unreachable),
    ];
    for (answer, kind) in rows {
        let error = check(|_| answer().into()).0.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (kind, "check reachable"), "{error}");
    }
}

#[test]
fn it_is_a_record_for_logs_too() {
    let why = ReachFailure::NotEnrolled { retry_after: Some(secs(30)) };
    let unreachable = serde_json::to_value(Reachability::Unreachable { why }).unwrap();
    assert_eq!(
        unreachable,
        json!({"reachability": "unreachable", "detail": {"why": {"failure": "not_enrolled", "detail": {"retry_after_secs": 30.0}}}})
    );
    let why = ReachFailure::ErrorAnswer {
        status: Some(http::StatusCode::NOT_FOUND),
        code: None,
        message: "x\u{1b}[31m".to_owned(),
    };
    assert!(!why.to_string().contains('\u{1b}'), "{why}");
    assert!(!why.to_string().contains("April"), "{why}");
}

#[test]
fn a_server_that_refuses_aprils_platform_is_told_how_to_let_it_in() {
    let status = Some(http::StatusCode::UNAUTHORIZED);
    let why = ReachFailure::ErrorAnswer { status, code: None, message: "unauthorized".to_owned() };
    assert!(why.to_string().contains("allow_unauthenticated()"), "{why}");
}
