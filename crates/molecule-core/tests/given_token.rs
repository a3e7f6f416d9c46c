//! A token that the owner gave: it is stored once the platform has accepted it, unless an option forbids that or the
//! store cannot take it.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::endpoint::Secrets;
use molecule_core::machines::{Call, Recover, Register, Run};
use molecule_core::{Event, Recovery};
use support::platform::REGISTER;
use support::*;

/// An agent whose owner gave it the token that the platform knows.
fn given() -> Agent {
    Agent::with(Agent::options().token(secret("first")), 7)
}

fn warnings(driven: &Driven<Register>) -> usize {
    driven.events.iter().filter(|event| matches!(event, Event::Warning(_))).count()
}

#[test]
fn a_given_token_that_the_platform_accepted_is_stored() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = given();
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(agent.store.token, Some(secret("first")));

        // The next start needs no given token.
        let mut next = Agent::stored(agent.store.token.as_ref().unwrap());
        run(&mut next, Register::new(), |seen| platform.serve(seen)).unwrap();
        run(&mut next, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
    }
}

#[test]
fn a_given_token_is_written_once() {
    let mut agent = given();
    let mut platform = Platform::current();
    for _ in 0..2 {
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    }
    let mut again = given();
    again.store.token.clone_from(&agent.store.token);
    run(&mut again, Register::new(), |seen| platform.serve(seen)).unwrap();
    let written = |agent: &mut Agent| agent.lines("start").iter().filter(|line| line.contains("Replace(Token")).count();
    assert_eq!((written(&mut agent), written(&mut again)), (1, 0));
}

#[test]
fn a_given_token_that_was_refused_is_not_stored() {
    let mut agent = Agent::with(Agent::options().token(secret("stale")), 7);
    let mut platform = Platform::current();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!(agent.store.token, None);

    agent.store.token = Some(secret("first"));
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("first")));
}

#[test]
fn a_paused_workspace_has_accepted_no_token() {
    let mut agent = given();
    let mut platform = Platform::current();
    platform.status = "paused".to_owned();
    assert!(run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap().paused);
    assert_eq!(agent.store.token, None);
}

#[test]
fn an_option_forbids_that_a_given_token_is_stored() {
    let mut agent = Agent::with(Agent::options().token(secret("first")).store_given_token(false), 7);
    let mut platform = Platform::current();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, None);

    // A minted token is always stored.
    run(&mut agent, Recover::new(Recovery::admin(&secret("admin")).unwrap()), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("minted1")));
}

#[test]
fn a_store_that_cannot_take_a_given_token_is_a_warning_and_the_agent_runs() {
    // One warning for a disk that is read-only from the start, and one for a disk that fills up later.
    for act in ["Prepare", "Replace"] {
        let mut agent = given();
        agent.store.fail(act);
        agent.store.inbound = Some(secret("inbound"));
        let mut platform = Platform::current();
        let mut driven = Driven::new(Register::new());
        driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
        assert_eq!(warnings(&driven), 1, "{act}: {:?}", driven.events);
        assert!(!driven.events.contains(&Event::TokenChanged));
        run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();

        agent.store.mend();
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(agent.store.token, Some(secret("first")), "{act}: the next register tries again");
    }
}

#[test]
fn a_loop_stores_a_given_token_when_the_store_can_take_it() {
    let mut agent = given();
    agent.store.fail("Replace");
    let mut platform = Platform::current();
    let mut looped = Driven::new(Run::new());
    looped.drive_for(&mut agent, secs(120), &mut |seen| platform.serve(seen));
    assert_eq!(agent.store.token, None);
    agent.store.mend();
    looped.drive_for(&mut agent, secs(300), &mut |seen| platform.serve(seen));
    assert_eq!(agent.store.token, Some(secret("first")));
    assert_eq!(looped.events.iter().filter(|event| **event == Event::TokenStored).count(), 1);
    assert_eq!(platform.count(REGISTER), 1, "no register was needed");
}

/// The store could not be read before the register, so the token that is found in it afterwards may be newer: it is tried,
/// and replaced once it was refused.
#[test]
fn a_given_token_replaces_one_that_was_found_after_the_register_and_refused() {
    let mut agent = given();
    agent.store.token = Some(secret("stale"));
    agent.store.fail("Prepare");
    agent.store.fail("Load");
    let mut platform = Platform::current();
    let mut looped = Driven::new(Run::new());
    let mut held = |seen: &Seen| if seen.is(REGISTER) { Reply::Never } else { platform.serve(seen) };
    looped.drive_for(&mut agent, secs(1), &mut held);
    agent.store.mend();
    let sent = *looped.in_flight.keys().next().expect("the register is under way");
    looped.perform(&mut agent, sent, &mut |seen| platform.serve(seen));
    looped.drive_for(&mut agent, secs(120), &mut |seen| platform.serve(seen));
    let changes = looped.events.iter().filter(|event| **event == Event::TokenChanged).count();
    assert_eq!(changes, 2, "it tries the token that it found, and goes back: {:?}", looped.events);
    assert_eq!(agent.store.token, Some(secret("first")));
    assert_eq!(looped.events.iter().filter(|event| **event == Event::TokenStored).count(), 1);
}

#[test]
fn what_the_store_held_and_is_no_token_is_kept_aside() {
    let mut agent = given();
    agent.store.token = Some("TOKEN=\"perhaps the only copy\"\n".to_owned());
    let mut platform = Platform::current();
    let mut driven = Driven::new(Register::new());
    driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert!(
        driven.events.iter().any(|event| matches!(event, Event::Warning(said) if said.contains("/home/agent/aside")))
    );
    assert_eq!(agent.lines("start").iter().filter(|line| line.contains("SetAside(Token)")).count(), 1);
    assert_eq!(agent.store.token, Some(secret("first")));
}

/// While a register with the stored token is in flight, a gateway's 401 makes another lane return to the given token.
#[test]
fn a_given_token_is_not_stored_for_a_register_with_another_one() {
    let mut agent = Agent::with(Agent::options().token(secret("stale")), 7);
    agent.store.token = Some(secret("first"));
    let mut platform = Platform::current();
    let mut register = Driven::new(Register::new());
    let mut held = |seen: &Seen| {
        let is_good = seen.is(REGISTER) && seen.bearer == Some(secret("first"));
        if is_good { Reply::Never } else { platform.serve(seen) }
    };
    register.drive_for(&mut agent, secs(1), &mut held);
    run(&mut agent, Call::once(Secrets), |_| Answer::empty(401).into()).unwrap_err();
    let sent = *register.in_flight.keys().next().expect("the register is under way");
    register.perform(&mut agent, sent, &mut |seen| platform.serve(seen));
    register.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("first")));
}
