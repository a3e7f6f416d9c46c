//! A lock that cannot be taken, on a read-only disk or one without locks: the loop runs if the agent holds a token.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::Run;
use molecule_core::{Ended, ErrorKind, Event};
use support::*;

fn warnings(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| if let Event::Warning(said) = event { Some(said.as_str()) } else { None })
        .collect()
}

/// Runs the loop for a while and stops it.
fn runs(agent: Agent) {
    let mut run = Looped::new(agent, Platform::current());
    run.on(secs(120));
    let told = run.events();
    assert!(told.contains(&Event::Online), "{told:?}");
    let about_the_lock: Vec<_> = warnings(&told).into_iter().filter(|said| said.contains("without its lock")).collect();
    let [said] = about_the_lock[..] else { panic!("{told:?}") };
    assert!(said.contains("Lock was refused: the disk is full; free some space"), "{said}");
    run.stop(false);
    // There is no lock to release.
    assert_eq!(run.end().unwrap(), Ended::Stopped);
}

#[test]
fn with_a_given_token_the_loop_runs_and_says_so() {
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    for act in ["Lock", "Prepare", "Load", "Replace"] {
        agent.store.fail(act);
    }
    runs(agent);
}

#[test]
fn with_a_stored_token_the_loop_runs_and_says_so() {
    let mut agent = Agent::stored(&secret("first"));
    for act in ["Lock", "Prepare", "Replace"] {
        agent.store.fail(act);
    }
    runs(agent);
}

#[test]
fn without_a_token_the_loop_ends_and_names_the_lock() {
    for unreadable in [false, true] {
        let mut agent = Agent::new();
        agent.store.fail("Lock");
        if unreadable {
            agent.store.fail("Load");
        }
        let error = run(&mut agent, Run::new(), |seen| panic!("sent {seen}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("Lock was refused"), "{error}");
    }
}
