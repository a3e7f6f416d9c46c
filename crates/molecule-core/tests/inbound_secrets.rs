//! The secret with which the platform authenticates to the agent: the ones that are good, also after a change and a restart.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use molecule_core::effect::{HostResult, Outcome};
use molecule_core::machine::Machine;
use molecule_core::machines::{Beat, Register};
use molecule_core::{Event, Result, ServerOptions};
use support::*;

/// The secrets that are good now, the current one first.
fn good(agent: &Agent) -> Vec<String> {
    agent.session.inbound_secrets(agent.now).iter().map(|secret| secret.expose().to_owned()).collect()
}

/// Sends a heartbeat whose answer announces a secret.
fn announce(agent: &mut Agent, name: &str) {
    let mut platform = Platform::current();
    platform.inbound = Some(secret(name));
    run(agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
}

/// Reads the store, as a register does before its first request, which fails here. Returns its warnings.
fn load(agent: &mut Agent) -> Vec<String> {
    let mut driven = Driven::new(Register::new());
    driven.finish(agent, &mut |_| Answer::error(404, "workspace not found").into()).unwrap_err();
    let warnings = driven.events.iter().filter(|event| matches!(event, Event::Warning(_)));
    warnings.map(ToString::to_string).collect()
}

#[test]
fn a_secret_that_was_replaced_stays_good_for_five_minutes() {
    let mut agent = Agent::stored(&secret("first"));
    announce(&mut agent, "one");
    announce(&mut agent, "two");
    assert_eq!(good(&agent), [secret("two"), secret("one")]);
    agent.advance(Duration::from_secs(200));
    announce(&mut agent, "three");
    assert_eq!(good(&agent), [secret("three"), secret("one"), secret("two")]);
    agent.advance(Duration::from_secs(99));
    assert_eq!(good(&agent), [secret("three"), secret("one"), secret("two")]);
    agent.advance(Duration::from_secs(1));
    assert_eq!(good(&agent), [secret("three"), secret("two")]);
    agent.advance(Duration::from_secs(200));
    assert_eq!(good(&agent), [secret("three")]);
    // The same secret again replaces nothing.
    announce(&mut agent, "three");
    assert_eq!(good(&agent), [secret("three")]);
}

#[test]
fn a_computer_that_sleeps_ends_the_five_minutes_too() {
    let mut agent = Agent::stored(&secret("first"));
    announce(&mut agent, "one");
    announce(&mut agent, "two");
    agent.now.unix = agent.now.unix + Duration::from_secs(300);
    assert_eq!(good(&agent), [secret("two")]);
}

#[test]
fn secrets_that_alternate_are_kept_once_each_and_few_of_them() {
    let mut agent = Agent::stored(&secret("first"));
    for number in 0..20 {
        announce(&mut agent, &format!("number {number}"));
        announce(&mut agent, "again");
    }
    let good = good(&agent);
    assert_eq!((good.len(), &good[0]), (5, &secret("again")));
    assert!(!good[1..].contains(&secret("again")), "kept twice");
}

#[test]
fn after_a_restart_it_is_known_that_there_is_a_secret_before_any_answer_has_brought_one() {
    let mut agent = Agent::stored(&secret("first"));
    assert!(!agent.session.inbound_secrets(agent.now).is_none_known(), "the store was not read");
    agent.store.inbound = Some(secret("stored"));
    load(&mut agent);
    assert_eq!(good(&agent), [secret("stored")]);
    assert!(!agent.session.inbound_secrets(agent.now).is_none_known());
    // It is replaced like one that an answer brought.
    announce(&mut agent, "new");
    assert_eq!(good(&agent), [secret("new"), secret("stored")]);
}

#[test]
fn it_is_loaded_once_and_never_over_an_announced_one() {
    let mut agent = Agent::stored(&secret("first"));
    announce(&mut agent, "announced");
    agent.store.inbound = Some(secret("older"));
    load(&mut agent);
    assert_eq!(good(&agent), [secret("announced")]);
}

#[test]
fn without_one_it_is_certain_only_once_the_store_was_read_and_has_none() {
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    agent.store.fail("Load");
    assert_eq!(load(&mut agent).len(), 1);
    assert!(!agent.session.inbound_secrets(agent.now).is_none_known(), "the store could not be read");
    for damaged in ["", " \n"] {
        let mut agent = Agent::stored(&secret("first"));
        agent.store.inbound = Some(damaged.to_owned());
        let warnings = load(&mut agent);
        assert!(warnings[0].contains("holds is no secret"), "{warnings:?}");
        assert!(!agent.session.inbound_secrets(agent.now).is_none_known(), "the store had one");
        // The next answer brings it.
        announce(&mut agent, "new");
        assert_eq!(good(&agent), [secret("new")]);
    }
    let mut agent = Agent::stored(&secret("first"));
    assert_eq!(load(&mut agent), [""; 0]);
    assert!(agent.session.inbound_secrets(agent.now).is_none_known());
    assert_eq!(good(&agent), [""; 0]);
}

/// Another process of the same agent, whose server has read the store, after this time.
fn restarted(agent: Agent, after: Duration) -> Agent {
    let mut next = Agent::stored(&secret("first"));
    (next.store, next.now) = (agent.store, agent.now);
    next.advance(after);
    support::inbound::Server::of(next, ServerOptions::new()).agent
}

#[test]
fn a_secret_that_was_replaced_stays_good_for_the_rest_of_its_five_minutes_after_a_restart() {
    let replaced = || {
        let mut agent = Agent::stored(&secret("first"));
        announce(&mut agent, "one");
        announce(&mut agent, "two");
        agent.advance(secs(100));
        announce(&mut agent, "three");
        agent
    };
    for (after, expected) in [
        (0, vec!["three", "one", "two"]),
        (199, vec!["three", "one", "two"]),
        (200, vec!["three", "two"]),
        (299, vec!["three", "two"]),
        (300, vec!["three"]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(secret).collect();
        assert_eq!(good(&restarted(replaced(), secs(after))), expected, "after {after} s");
        // Two restarts do not make the time longer.
        let twice = restarted(restarted(replaced(), secs(after / 2)), secs(after - after / 2));
        assert_eq!(good(&twice), expected, "after {after} s");
    }
    // It goes on after the restart, and the next replacement keeps it.
    let mut agent = restarted(replaced(), secs(150));
    announce(&mut agent, "four");
    assert_eq!(good(&restarted(agent, secs(49))), ["four", "one", "two", "three"].map(secret));
}

#[test]
fn replaced_secrets_that_cannot_be_read_or_are_of_the_future_are_passed_over() {
    let now = Agent::new().now.unix.as_secs();
    for (what, content) in [
        ("nothing", String::new()),
        ("no line", "\n\n".to_owned()),
        ("no time", format!("soon {}\n", secret("old"))),
        ("no secret", format!("{now} \n")),
        ("the future", format!("{} {}\n", now + 1, secret("old"))),
        ("the past", format!("{} {}\n", now - 300, secret("old"))),
        ("the current one", format!("{now} {}\n", secret("new"))),
    ] {
        let mut agent = Agent::stored(&secret("first"));
        (agent.store.inbound, agent.store.replaced_secrets) = (Some(secret("new")), Some(content));
        assert_eq!(good(&restarted(agent, secs(0))), [secret("new")], "{what}");
    }
    let many: String = (0..50).map(|number| format!("{now} {}\n", secret(&number.to_string()))).collect();
    let mut agent = Agent::stored(&secret("first"));
    (agent.store.inbound, agent.store.replaced_secrets) = (Some(secret("new")), Some(many));
    assert_eq!(good(&restarted(agent, secs(0))).len(), 5);
}

#[test]
fn no_secret_is_printed() {
    let mut agent = Agent::stored(&secret("first"));
    announce(&mut agent, "one");
    announce(&mut agent, "two");
    let printed = format!("{:?} {:?}", agent.session.inbound_secrets(agent.now), agent.session);
    assert!(!printed.contains(MARK), "{printed}");
}

/// Drives a machine to its end. Returns the good secrets at each replacement in the store, before its outcome is known.
fn good_during_saves<T: std::fmt::Debug, M: Machine<Output = Result<T>> + std::fmt::Debug>(
    agent: &mut Agent,
    machine: M,
    platform: &mut Platform,
) -> Vec<Vec<String>> {
    let (mut driven, mut found) = (Driven::new(machine), Vec::new());
    let until = agent.now.mono + Duration::from_secs(60);
    loop {
        match driven.next(agent, until, &mut |seen| platform.serve(seen)) {
            Next::Outcome(id, outcome) => {
                if let Outcome::Host(HostResult::Replaced) = &outcome {
                    found.push(good(agent));
                }
                driven.feed(agent, id, outcome);
            }
            Next::Done => return found,
            Next::Wake | Next::Later => {}
        }
    }
}

#[test]
fn an_announced_secret_is_good_before_anything_is_stored() {
    let (mut agent, mut platform) = (Agent::new(), Platform::current().without_token());
    platform.inbound = Some(secret("one"));
    // First the token is stored, then the secret.
    let both = good_during_saves(&mut agent, Register::new(), &mut platform);
    assert_eq!(both, [[secret("one")], [secret("one")]]);
    platform.inbound = Some(secret("two"));
    let during = good_during_saves(&mut agent, Beat::new(), &mut platform);
    // First the one that was replaced is stored, then the new one.
    let both = [secret("two"), secret("one")];
    assert_eq!(during, [both.clone(), both], "the platform may use either by now");
}
