//! The token that a peer made for this agent: it goes to that peer's published URL, and to nobody else.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::{ErrorKind, Options, PeerCall, Route};
use support::calls::{DIRECT, URL, call, call_direct, found};
use support::drive::FOR_PEER;
use support::platform::{A2A, DISCOVER, PEER};
use support::*;

const OTHER: &str = "9f39ce87-2726-40d6-bb91-05eb57b17ef2";

fn token() -> String {
    format!("{FOR_PEER}-4711")
}

/// An agent with a token of its own, and one of each of these peers.
fn agent(peers: &[&str]) -> Agent {
    let options = Agent::options().token(secret("first"));
    Agent::with(peers.iter().fold(options, |options: Options, peer| options.peer_token(peer, token())), 7)
}

#[test]
fn a_direct_call_carries_it_and_the_platform_never_sees_it() {
    let mut agent = agent(&[PEER]);
    let called = call_direct(&mut agent, PeerCall::new("hello"), || Answer::json(200, reply("yes")).into());
    let bearers: Vec<_> = called.seen.iter().map(|seen| (seen.is(DIRECT), seen.bearer.clone())).collect();
    assert_eq!(bearers, [(false, Some(secret("first"))), (true, Some(token()))]);
    let called = call(&mut agent, PeerCall::new("hello").route(Route::Proxy), |seen| {
        assert!(seen.is(A2A), "{seen}");
        Answer::json(200, reply("yes")).into()
    });
    assert_eq!(called.seen[0].bearer, Some(secret("first")));
    let trace = agent.take_trace();
    assert!(!trace.contains(FOR_PEER) && !format!("{:?}", agent.session.config()).contains(FOR_PEER), "{trace}");
}

#[test]
fn the_token_of_one_peer_goes_to_no_other() {
    let mut agent = agent(&[OTHER]);
    let called = call_direct(&mut agent, PeerCall::new("hello"), || Answer::json(200, reply("yes")).into());
    assert_eq!(called.messages()[0].bearer, None);
}

#[test]
fn a_peer_that_refuses_it_is_called_through_the_platform_with_the_agents_own_bearer() {
    for status in [401, 403] {
        let mut agent = agent(&[PEER]);
        let called = call_direct(&mut agent, PeerCall::new("hello"), || Answer::empty(status).into());
        let messages = called.messages();
        assert_eq!(messages.iter().map(|seen| seen.is(DIRECT)).collect::<Vec<_>>(), [true, false]);
        assert_eq!((&messages[0].bearer, &messages[1].bearer), (&Some(token()), &Some(secret("first"))));
        assert_eq!(
            messages[0].body["params"]["message"]["messageId"],
            messages[1].body["params"]["message"]["messageId"]
        );
    }
}

#[test]
fn a_url_that_may_not_be_called_directly_gets_no_token() {
    for url in [
        "http://peer.example/a2a",
        "https://10.0.0.7/a2a",
        &format!("{ORIGIN}/a2a"),
        "https://peer.example@evil.example/",
    ] {
        let mut agent = agent(&[PEER]);
        let called = call(&mut agent, PeerCall::new("hello"), |seen| match seen {
            seen if seen.is(DISCOVER) => found(url).into(),
            seen if seen.is(A2A) => Answer::json(200, reply("yes")).into(),
            other => panic!("{other}"),
        });
        assert!(called.seen.iter().all(|seen| seen.bearer == Some(secret("first"))), "{url}");
    }
}

#[test]
fn a_redirect_does_not_carry_it_on() {
    let mut agent = agent(&[PEER]);
    let elsewhere = || Answer::empty(307).header("location", "https://evil.example/").into();
    let called = call_direct(&mut agent, PeerCall::new("hello"), elsewhere);
    assert_eq!(called.requests().last().unwrap(), &format!("POST {URL} (bearer)"));
}

#[test]
fn a_token_that_makes_no_sense_is_refused_with_its_peer_and_never_quoted() {
    for (peer, token, part) in [
        ("not an id", "x", "peer_token(…)"),
        (PEER, "", "the token is empty"),
        (PEER, "two s3cr3t words", "no HTTP header can carry"),
    ] {
        let error = Agent::options().peer_token(peer, token).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("s3cr3t"), "{text}");
    }
    let options = Agent::options().peer_token(PEER, "s3cr3t");
    assert!(!format!("{options:?}").contains("s3cr3t"));
}
