//! Registers: the token and the body of the request, and how each dialect's answer is handled.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Fault, FaultKind, Outcome, Sent};
use molecule_core::endpoint::Secrets;
use molecule_core::machines::{Call, Register};
use molecule_core::proto::DeliveryMode;
use molecule_core::{Dialect, ErrorKind, Event, TokenUse};
use serde_json::json;
use support::platform::{REGISTER, VIEW};
use support::*;

#[test]
fn a_first_start_mints_a_token_and_saves_it_before_anything_else() {
    let mut agent = Agent::new();
    let mut platform = Platform::current().without_token();
    let registered = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!((registered.paused, registered.token), (false, TokenUse::Minted));
    assert_eq!((registered.delivery_mode, registered.dialect), (Some(DeliveryMode::Poll), Dialect::Current));
    assert_eq!(agent.store.token, Some(secret("minted1")));
    assert_eq!(agent.store.inbound, Some(secret("inbound")));
    assert_eq!(
        agent.lines("start").join("\n"),
        "start 1 Load(Token)\n\
         start 2 Load(InboundSecret)\n\
         start 3 Prepare\n\
         start 4 GET /workspaces/:id\n\
         start 5 POST /registry/register\n\
         start 6 Replace(Token, 22 bytes)\n\
         start 7 Replace(InboundSecret, 22 bytes)"
    );
    let trace = agent.take_trace();
    // The part of the trace that begins with the answer that carries the token.
    let trace = &trace[trace.find("feed 5").unwrap()..];
    let at = |line: &str| trace.find(line).unwrap_or_else(|| panic!("no {line} in\n{trace}"));
    assert!(at("feed 6 Host(Replaced)") < at("event"), "an event before the save:\n{trace}");
    assert!(at("event TokenChanged") < at("event Registered"));
    assert_eq!(agent.session.inbound_secret().unwrap().expose(), secret("inbound"));
    assert!(agent.session.health().registered);
    assert_eq!(agent.session.health().dialect, Some(Dialect::Current));
    run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
}

#[test]
fn a_restart_registers_with_the_stored_token() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = Agent::stored(&secret("first"));
        let registered = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!((registered.token, registered.dialect), (TokenUse::Held, platform.dialect));
        assert_eq!(platform.last(REGISTER).bearer, Some(secret("first")));
        assert_eq!(platform.last(VIEW).bearer, None, "the open view needs no bearer");
        assert_eq!(agent.store.token, Some(secret("first")));
        assert_eq!(platform.minted, 0);
    }
}

#[test]
fn a_poll_agent_says_so_and_sends_an_empty_url() {
    let mut platform = Platform::current();
    run(&mut Agent::stored(&secret("first")), Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(
        platform.last(REGISTER).body,
        json!({"id": ID, "agent_card": {"name": "tester"}, "url": "", "delivery_mode": "poll"})
    );
}

#[test]
fn a_push_agent_sends_its_url() {
    let mut agent = Agent::with(Agent::options().reported_url("https://agent.example/a2a/inbound"), 7);
    agent.store.token = Some(secret("first"));
    let mut platform = Platform::current();
    let registered = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(registered.delivery_mode, Some(DeliveryMode::Push));
    let body = &platform.last(REGISTER).body;
    assert_eq!((&body["url"], &body["delivery_mode"]), (&json!("https://agent.example/a2a/inbound"), &json!("push")));
}

#[test]
fn aprils_server_gets_a_placeholder_and_that_is_remembered() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::april();
    let mut driven = Driven::new(Register::new());
    let registered = driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert_eq!((registered.delivery_mode, registered.dialect), (None, Dialect::April));
    let urls: Vec<_> = platform.seen.iter().filter(|seen| seen.is(REGISTER)).map(|seen| &seen.body["url"]).collect();
    assert_eq!(urls, [&json!(""), &json!("http://localhost:9/no-inbound")]);
    assert!(platform.seen.iter().filter(|seen| seen.is(REGISTER)).all(|seen| seen.body["delivery_mode"] == "poll"));
    let told = |event: &Event| matches!(event, Event::PollUnsupported { placeholder, .. } if placeholder == urls[1]);
    assert!(driven.events.iter().any(told), "{:?}", driven.events);

    platform.seen.clear();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(platform.count(REGISTER), 1, "tried again without a URL");
}

#[test]
fn only_the_refusal_of_april_calls_for_a_placeholder() {
    for said in ["url is required for push-mode workspaces", "invalid request", ""] {
        let mut platform = Platform::current();
        platform.weather = Box::new(move |seen| seen.is(REGISTER).then(|| Answer::error(400, said).into()));
        let mut agent = Agent::stored(&secret("first"));
        let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
        assert_eq!((error.kind(), platform.count(REGISTER)), (ErrorKind::Refused, 1), "{said:?}");
    }
}

#[test]
fn a_push_url_that_april_refuses_is_named() {
    let mut agent = Agent::with(Agent::options().reported_url("http://127.0.0.1:8000/a2a"), 7);
    agent.store.token = Some(secret("first"));
    let mut platform = Platform::april();
    platform.weather = Box::new(|seen| seen.is(REGISTER).then(|| Answer::error(400, "invalid request body").into()));
    let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!((error.kind(), platform.count(REGISTER)), (ErrorKind::Refused, 1));
    let told = error.to_string();
    assert!(told.contains("refused the reported URL") && told.contains("MOLECULE_REPORTED_URL"), "{told}");
    assert!(told.contains("localhost"), "{told}");
}

#[test]
fn a_current_servers_reason_for_refusing_a_url_is_passed_on() {
    let mut agent = Agent::with(Agent::options().reported_url("http://169.254.1.1/a2a"), 7);
    agent.store.token = Some(secret("first"));
    let reason = "url targets a blocked address: link-local";
    let mut platform = Platform::current();
    platform.weather = Box::new(move |seen| seen.is(REGISTER).then(|| Answer::error(400, reason).into()));
    let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!((error.kind(), error.server_message()), (ErrorKind::Refused, Some(reason)));
}

#[test]
fn a_given_token_wins_and_on_a_401_the_stored_one_is_tried() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
        agent.store.token = Some(secret("first"));
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        let bearers: Vec<_> = platform.seen.iter().filter_map(|seen| seen.bearer.clone()).collect();
        assert_eq!((bearers.first(), bearers.last()), (Some(&secret("given")), Some(&secret("first"))));
        assert_eq!(agent.store.token, Some(secret("first")));
    }
}

#[test]
fn a_minted_token_is_stored_and_wins_over_the_given_one() {
    let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
    let mut platform = Platform::current().without_token();
    let registered = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(registered.token, TokenUse::Minted);
    assert_eq!(agent.store.token, Some(secret("minted1")));
    run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
}

#[test]
fn without_a_token_where_one_was_issued_the_remedies_are_named() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = Agent::new();
        let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TokenNotHeld);
        assert_eq!(
            error.to_string(),
            "register failed: the platform already issued a token for this workspace and none is stored here \
             (missing workspace auth token); take the token shown when the workspace was created: give \
             token(…), or set MOLECULE_WORKSPACE_TOKEN and build with from_env() or or_env(); or ask an admin to rotate it (recover with an admin credential)"
        );
        assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (401, 1));
        assert!(!agent.session.health().registered);
    }
}

#[test]
fn a_revoked_token_is_named_as_such() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = Agent::stored(&secret("old"));
        let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Revoked);
        let told = error.to_string();
        assert!(told.contains("was revoked") && told.contains("recover with an admin credential"), "{told}");
        assert_eq!(agent.store.token, Some(secret("old")), "nothing else is stored");
    }
}

#[test]
fn where_no_token_is_live_a_stale_one_is_replaced() {
    for platform in [Platform::current(), Platform::april()] {
        let mut platform = platform.without_token();
        let mut agent = Agent::stored(&secret("old"));
        let registered = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(registered.token, TokenUse::Minted);
        assert_eq!(agent.store.token, Some(secret("minted1")));
    }
}

#[test]
fn an_answer_that_was_lost_is_explained_where_it_may_have_carried_the_token() {
    let mut platform = Platform::current().without_token();
    platform.weather = Box::new(|seen| seen.is(REGISTER).then(|| fault(FaultKind::Interrupted).into()));
    let error = run(&mut Agent::new(), Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 4));
    assert!(error.to_string().contains("the lost answer carried it"), "{error}");
}

/// The server acted on the register, and then a gateway refuses.
#[test]
fn a_lost_answer_is_explained_before_a_401_that_is_not_the_platforms() {
    let mut platform = Platform::current().without_token();
    let mut lost = false;
    platform.weather = Box::new(move |seen| {
        let first = seen.is(REGISTER) && !std::mem::replace(&mut lost, true);
        seen.is(REGISTER).then(|| if first { fault(FaultKind::Interrupted).into() } else { Answer::empty(401).into() })
    });
    let error = run(&mut Agent::new(), Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthorized, 2));
    assert!(error.to_string().contains("the lost answer carried it"), "{error}");
}

/// A gateway's answer replaces the register's own, and then no answer comes. A held token does not help: if no token is
/// live any more, the register mints one.
#[test]
fn a_lost_answer_is_explained_whatever_comes_after_it() {
    for held in [None, Some(secret("old"))] {
        let mut platform = Platform::current().without_token();
        let mut lost = false;
        platform.weather = Box::new(move |seen| {
            let first = seen.is(REGISTER) && !std::mem::replace(&mut lost, true);
            let refused = || Outcome::Failed(Fault::new(Sent::No, FaultKind::Connect)).into();
            seen.is(REGISTER).then(|| if first { Answer::empty(502).into() } else { refused() })
        });
        let mut agent = held.as_deref().map_or_else(Agent::new, Agent::stored);
        let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unreachable, 4));
        assert!(error.to_string().contains("the lost answer carried it"), "{error}");
    }
}

/// The first answer is lost with its token. The second request is told that a token exists.
#[test]
fn a_register_that_is_repeated_after_a_lost_mint_says_what_is_wrong() {
    let mut platform = Platform::current().without_token();
    let mut lost = false;
    let error = run(&mut Agent::new(), Register::new(), |seen| {
        let reply = platform.serve(seen);
        if seen.is(REGISTER) && !std::mem::replace(&mut lost, true) {
            return fault(FaultKind::Interrupted).into();
        }
        reply
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TokenNotHeld);
}

#[test]
fn an_empty_token_in_the_answer_is_none() {
    let mut platform = Platform::april();
    platform.weather = Box::new(|seen| {
        let answer = json!({"status": "registered", "auth_token": ""});
        seen.is(REGISTER).then(|| Answer::json(200, answer).into())
    });
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("first")));
}
