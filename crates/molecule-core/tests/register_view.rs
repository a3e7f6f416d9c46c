//! The open view before a register: what it says, and which requests are then not sent.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::Register;
use molecule_core::proto::WorkspaceStatus;
use molecule_core::{Dialect, Error, ErrorKind};
use serde_json::json;
use support::platform::{REGISTER, VIEW};
use support::*;

/// Registers with this answer of the view. No other request may be sent.
fn refused(agent: &mut Agent, answer: Answer) -> Error {
    run(agent, Register::new(), |seen| {
        assert!(seen.is(VIEW) && seen.bearer.is_none(), "sent {seen}");
        answer.clone().into()
    })
    .unwrap_err()
}

#[test]
fn a_removed_workspace_is_never_registered() {
    let gone = || Answer::json(410, json!({"error": "workspace removed", "id": ID}));
    let april = || Answer::json(200, json!({"id": ID, "status": "removed"}));
    let purged = || Answer::error(404, "workspace not found");
    for (answer, held, kind) in [
        (gone(), true, ErrorKind::Removed),
        (gone(), false, ErrorKind::Removed),
        (april(), true, ErrorKind::Removed),
        (april(), false, ErrorKind::Removed),
        (purged(), true, ErrorKind::Removed),
        (purged(), false, ErrorKind::NotCreated),
    ] {
        let mut agent = if held { Agent::stored(&secret("first")) } else { Agent::new() };
        let error = refused(&mut agent, answer);
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.operation(), "register");
        assert!(error.to_string().contains("; create "), "no remedy: {error}");
        assert_eq!(agent.store.token, held.then(|| secret("first")), "the store changed");
        assert!(!agent.session.health().registered);
    }
}

#[test]
fn a_404_of_somebody_else_is_a_routing_problem() {
    for answer in [Answer::empty(404), Answer::html(404), Answer::text(404, "not here")] {
        let error = refused(&mut Agent::stored(&secret("first")), answer);
        assert_eq!(error.kind(), ErrorKind::Routing);
        assert!(error.to_string().contains("MOLECULE_ORG_ID"), "{error}");
    }
    let gate = json!({"error": "missing tenant routing header", "code": "TENANT_ORG_HEADER_REQUIRED"});
    let error = refused(&mut Agent::new(), Answer::json(400, gate));
    assert_eq!(error.kind(), ErrorKind::Routing);
    let error = refused(&mut Agent::new(), Answer::html(200));
    assert_eq!(error.kind(), ErrorKind::Routing);
}

#[test]
fn nothing_is_sent_to_a_paused_workspace() {
    for mut platform in [Platform::current(), Platform::april()] {
        platform.status = "paused".to_owned();
        let mut agent = Agent::stored(&secret("first"));
        let registered = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert!(registered.paused);
        assert_eq!(platform.count(REGISTER), 0, "it was registered");
        assert_eq!(platform.status, "paused");
        let health = agent.session.health();
        assert_eq!((health.registered, health.status), (false, Some(WorkspaceStatus::Paused)));
        assert_eq!(health.dialect, Some(platform.dialect));
    }
}

#[test]
fn other_statuses_are_registered() {
    for status in ["provisioning", "offline", "failed", "awaiting_agent", "degraded", "hibernated", "a new word"] {
        let mut platform = Platform::current();
        platform.status = status.to_owned();
        run(&mut Agent::stored(&secret("first")), Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(platform.count(REGISTER), 1, "{status}");
    }
}

#[test]
fn a_view_that_is_down_is_asked_again_and_then_the_error() {
    let error = {
        let mut asked = 0;
        let error = run(&mut Agent::stored(&secret("first")), Register::new(), |seen| {
            assert!(seen.is(VIEW), "sent {seen}");
            asked += 1;
            Answer::error(503, "starting").into()
        });
        assert_eq!(asked, 4);
        error.unwrap_err()
    };
    assert_eq!((error.kind(), error.operation(), error.attempts()), (ErrorKind::Unavailable, "register", 4));
    assert!(error.is_retryable());
    // A machine that boots agents and platform together may start the database a little later.
    let error = refused(&mut Agent::stored(&secret("first")), Answer::error(500, "query failed"));
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unavailable, 4));
}

#[test]
fn the_view_tells_the_dialect() {
    for (view, dialect) in [
        (json!({"id": ID, "status": "paused", "kind": "workspace"}), Dialect::Current),
        (json!({"id": ID, "status": "paused"}), Dialect::April),
    ] {
        let mut agent = Agent::new();
        run(&mut agent, Register::new(), |_| Answer::json(200, view.clone()).into()).unwrap();
        assert_eq!(agent.session.health().dialect, Some(dialect));
    }
}

#[test]
fn a_register_repeats_the_views_500_as_any_other_that_passes() {
    let mut platform = Platform::current();
    let mut down = 3;
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Register::new(), |seen| {
        if seen.is(VIEW) && down > 0 {
            down -= 1;
            return Answer::error(500, "query failed").into();
        }
        platform.serve(seen)
    })
    .unwrap();
    assert_eq!(platform.count(REGISTER), 1);
}
