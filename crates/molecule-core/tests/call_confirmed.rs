//! A call whose bearer is refused asks the open view whether the bearer is dead or the platform's database is down
//! (contract section 7.3).

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::FaultKind;
use molecule_core::endpoint::{Auth, ListTokens, PollState, Secrets};
use molecule_core::machines::{Call, CallPeer, Delegations, Wait};
use molecule_core::proto::Message;
use molecule_core::{CallOutcome, Dialect, Error, ErrorKind, PeerCall, Route};
use serde_json::json;
use support::platform::{A2A, DELEGATIONS, PEER, SECRETS, STATE, VIEW};
use support::*;

fn invalid() -> Answer {
    Answer::error(401, "invalid workspace auth token")
}

/// The view's answers for a platform that is down.
fn away() -> [fn() -> Reply; 6] {
    [
        || Answer::error(500, "query failed").into(),
        || Answer::error(503, "starting").into(),
        || Answer::html(502).into(),
        || Answer::error(429, "rate limit exceeded").header("retry-after", "2").into(),
        || unsent(FaultKind::Connect).into(),
        || fault(FaultKind::Interrupted).into(),
    ]
}

/// Answers the view with `view`, and everything else with the platform's 401.
fn behind(view: fn() -> Reply, seen: &Seen) -> Reply {
    if seen.is(VIEW) { view() } else { invalid().into() }
}

fn agent() -> Agent {
    Agent::stored(&secret("first"))
}

fn is_unavailable(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable(), "{error}");
    let told = error.to_string();
    assert!(
        told.contains("; try again later") && !told.contains("register") && !told.contains("WORKSPACE_TOKEN"),
        "{told}"
    );
}

#[test]
fn a_database_that_is_down_is_unavailable_and_no_refused_bearer() {
    for view in away() {
        let error = run(&mut agent(), Call::new(Secrets), |seen| behind(view, seen)).unwrap_err();
        is_unavailable(&error);
        assert_eq!(error.attempts(), 4, "not tried again: {error}");
        let error = run(&mut agent(), Call::new(PollState), |seen| behind(view, seen)).unwrap_err();
        is_unavailable(&error);
        let error = run(&mut agent(), Call::new(ListTokens(Auth::Bearer)), |seen| behind(view, seen)).unwrap_err();
        is_unavailable(&error);
        let error = run(&mut agent(), Delegations::newest(), |seen| behind(view, seen)).unwrap_err();
        is_unavailable(&error);
    }
}

#[test]
fn a_database_that_comes_back_within_the_calls_time_is_not_told_of() {
    let mut platform = Platform::current();
    let mut agent = agent();
    let from = agent.now.mono;
    run(&mut agent, Call::new(Secrets), |seen| {
        let is_down = seen.at.since(from) < Duration::from_millis(1);
        if is_down { behind(away()[0], seen) } else { platform.serve(seen) }
    })
    .unwrap();
    assert_eq!(platform.count(SECRETS), 1);
}

#[test]
fn a_bearer_that_is_dead_is_unauthorized_at_once() {
    for view in [
        Answer::json(200, json!({"id": ID, "status": "online"})),
        // This answer comes from a gateway and does not show that the platform is down.
        Answer::html(401),
        Answer::empty(404),
        Answer::error(410, "Gone"),
    ] {
        let mut asked = Vec::new();
        let error = run(&mut agent(), Call::new(Secrets), |seen| {
            asked.push(seen.to_string());
            if seen.is(VIEW) { view.clone().into() } else { invalid().into() }
        })
        .unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthorized, 1), "{error}");
        assert_eq!(asked, [format!("{SECRETS} (bearer)"), VIEW.to_owned()], "the view was shown the bearer");
    }
}

#[test]
fn a_workspace_that_is_gone_is_told_as_such() {
    for answer in [
        Answer::json(410, json!({"error": "workspace removed", "id": ID})),
        Answer::json(200, json!({"id": ID, "status": "removed"})),
        Answer::error(404, "workspace not found"),
    ] {
        let error =
            run(
                &mut agent(),
                Call::new(Secrets),
                |seen| {
                    if seen.is(VIEW) { answer.clone().into() } else { invalid().into() }
                },
            )
            .unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Removed, "pull secrets"), "{error}");
    }
}

/// The loop registers, and the register asks the view.
#[test]
fn a_lane_of_the_loop_asks_for_itself() {
    let error = run(&mut agent(), Call::once(PollState), |seen| {
        assert!(seen.is(STATE), "sent {seen}");
        invalid().into()
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[test]
fn a_wait_goes_on_while_the_database_is_down() {
    let mut agent = agent();
    let from = agent.now.mono;
    let row = json!([{
        "delegation_id": PEER, "status": "completed", "created_at": "2026-11-22T21:39:49.835053Z",
        "response_preview": "the answer",
    }]);
    let over = run(&mut agent, Wait::for_delegation(PEER), |seen| {
        if seen.at.since(from) < secs(60) {
            return behind(away()[0], seen);
        }
        assert!(seen.is(DELEGATIONS), "sent {seen}");
        Answer::json(200, row.clone()).into()
    });
    assert!(agent.since(from) >= secs(60));
    over.unwrap();
}

fn call(dialect: Option<Dialect>, answer: Answer, view: fn() -> Reply) -> (molecule_core::Result<CallOutcome>, usize) {
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    // The view's answer shows the server's dialect.
    if dialect == Some(Dialect::Current) {
        let shown = json!({"id": ID, "status": "paused", "kind": "workspace"});
        run(&mut agent, molecule_core::machines::Register::new(), |_| Answer::json(200, shown.clone()).into()).unwrap();
    }
    let message = PeerCall::new(Message::text("hello")).route(Route::Proxy);
    let mut sent = 0;
    let end = run(&mut agent, CallPeer::new(PEER, message).unwrap(), |seen| {
        sent += usize::from(seen.is(A2A));
        if seen.is(VIEW) { view() } else { answer.clone().into() }
    });
    (end, sent)
}

#[test]
fn a_call_of_a_peer_is_not_denied_by_a_database_that_is_down() {
    let denied = || Answer::error(403, "access denied: workspaces cannot communicate per hierarchy rules");
    let caller = || Answer::error(401, "invalid caller auth token");
    let current = Some(Dialect::Current);
    for (dialect, answer) in [(current, caller()), (None, caller()), (None, denied())] {
        for view in away() {
            let (end, sent) = call(dialect, answer.clone(), view);
            let error = end.unwrap_err();
            is_unavailable(&error);
            assert_eq!((sent, error.operation()), (1, "call peer"), "a peer may have said so: {error}");
            assert!(error.message_id().is_some());
        }
    }
    let present: fn() -> Reply = || Answer::json(200, json!({"id": ID, "status": "online"})).into();
    let (end, _) = call(None, denied(), present);
    assert!(matches!(end, Ok(CallOutcome::Denied { .. })), "{end:?}");
    let (end, _) = call(current, denied(), || panic!("the current server's look-ups do not deny"));
    assert!(matches!(end, Ok(CallOutcome::Denied { .. })), "{end:?}");
    let (end, _) = call(current, caller(), present);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Unauthorized);
}
