//! A register and the agent's store: what must be writable before, what is saved, and the result of a failed save.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{HostOp, Slot};
use molecule_core::endpoint::Secrets;
use molecule_core::machines::{Call, Register};
use molecule_core::{ErrorKind, Event};
use serde_json::json;
use support::platform::REGISTER;
use support::*;

#[test]
fn without_a_token_and_a_writable_store_nothing_is_asked() {
    let mut agent = Agent::new();
    agent.store.fail("Prepare");
    let error = run(&mut agent, Register::new(), |seen| panic!("sent {seen}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(error.to_string(), "register failed: Prepare was refused: the disk is full; free some space");
}

#[test]
fn with_a_token_it_goes_on_with_a_warning() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.fail("Prepare");
    let mut platform = Platform::current();
    let mut driven = Driven::new(Register::new());
    driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert!(matches!(&driven.events[0], Event::Warning(said) if said.contains("disk is full")));
    assert_eq!(platform.count(REGISTER), 1);
}

#[test]
fn a_token_file_that_cannot_be_read_stops_before_anything_is_asked() {
    for damage in
        [|agent: &mut Agent| agent.store.fail("Load"), |agent: &mut Agent| agent.store.token = Some("".into())]
    {
        let mut agent = Agent::stored(&secret("first"));
        damage(&mut agent);
        let error = run(&mut agent, Register::new(), |seen| panic!("sent {seen}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    }
}

#[test]
fn a_minted_token_that_cannot_be_saved_is_held_and_saved_by_the_next_register() {
    let mut agent = Agent::new();
    agent.store.fail("Replace");
    let mut platform = Platform::current().without_token();
    let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenNotSaved);
    let told = error.to_string();
    assert!(told.contains("the disk is full") && told.contains("; keep this process running"), "{told}");
    run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).expect("the token is held");

    // The disk is still full: the agent registers with the token that it holds, and warns.
    let mut driven = Driven::new(Register::new());
    driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert!(matches!(&driven.events[0], Event::Warning(said) if said.contains("disk is full")), "{:?}", driven.events);
    assert_eq!(platform.last(REGISTER).bearer, Some(secret("minted1")));

    agent.store.mend();
    agent.take_trace();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("minted1")));
    let starts = agent.lines("start");
    assert!(starts[0].ends_with("Prepare") && starts[2].contains("Replace(Token"), "{starts:?}");

    agent.take_trace();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert!(!agent.take_trace().contains("Replace(Token"), "saved twice");
}

#[test]
fn an_inbound_secret_is_stored_once_and_a_blank_one_never() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::current();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.inbound, Some(secret("inbound")));
    assert_eq!(agent.lines("event InboundSecretChanged").len(), 1);

    // The same secret, none, and blank ones change nothing and write nothing.
    for announced in [Some(secret("inbound")), None, Some(String::new()), Some(" \n".to_owned())] {
        platform.inbound = announced;
        agent.take_trace();
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert!(!agent.take_trace().contains("InboundSecret"));
        assert_eq!(agent.session.inbound_secret().unwrap().expose(), secret("inbound"));
    }
    platform.inbound = Some(secret("newer"));
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.inbound, Some(secret("newer")));
}

#[test]
fn a_stored_inbound_secret_is_known_before_the_platform_says_it() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.inbound = Some(format!("{}\n", secret("inbound")));
    let mut platform = Platform::current();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert!(agent.lines("event InboundSecretChanged").is_empty());
    assert!(!agent.take_trace().contains("Replace"));
}

#[test]
fn an_inbound_secret_that_cannot_be_stored_is_a_warning_once_and_tried_again() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.fail("Replace");
    let mut platform = Platform::current();
    for warnings in [1, 0] {
        let mut driven = Driven::new(Register::new());
        driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
        let warned = driven.events.iter().filter(|event| matches!(event, Event::Warning(_))).count();
        assert_eq!(warned, warnings);
        assert_eq!(agent.session.inbound_secret().unwrap().expose(), secret("inbound"));
    }
    agent.store.mend();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.inbound, Some(secret("inbound")));
}

#[test]
fn what_is_written_is_the_token_and_nothing_else() {
    let mut agent = Agent::new();
    let mut driven = Driven::new(Register::new());
    let until = agent.now.mono + secs(60);
    let mut server = |seen: &Seen| match seen.path.as_str() {
        "/registry/register" => {
            Answer::json(200, json!({"status": "registered", "auth_token": format!(" {}\n", secret("minted"))})).into()
        }
        _ => Answer::json(200, json!({"id": ID, "status": "online"})).into(),
    };
    let mut written = None;
    while let next @ (Next::Outcome(..) | Next::Wake) = driven.next(&mut agent, until, &mut server) {
        for effect in driven.in_flight.values() {
            if let molecule_core::effect::Effect::Host(HostOp::Replace(Slot::Token, bytes)) = effect {
                written = Some(String::from_utf8(bytes.to_vec()).unwrap());
            }
        }
        let Next::Outcome(id, outcome) = next else { continue };
        driven.feed(&mut agent, id, outcome);
    }
    assert_eq!(written, Some(secret("minted")));
}
