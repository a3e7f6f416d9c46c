//! Agents with servers of their own call each other, and agents that poll.

#![allow(clippy::unwrap_used)]

use molecule_core::CallOutcome;
use molecule_sim::{library, run};

/// The outcomes of the calls in a kept scenario: push to push through the platform, at will and directly, push to poll,
/// and poll to push twice.
fn outcomes(name: &str) -> Vec<CallOutcome> {
    let (_, scenario) = library::all().unwrap().into_iter().find(|(known, _)| known == name).unwrap();
    let result = run(&scenario);
    assert_eq!(result.broken, None);
    result.outcomes
}

fn is_answered(outcome: &CallOutcome) -> bool {
    matches!(outcome, CallOutcome::Replied(reply) if reply.texts().concat().starts_with("re: "))
}

#[test]
fn on_the_current_server() {
    let outcomes = outcomes("two-servers-and-a-poll-agent-talk-on-currents-server");
    let [proxied, at_will, direct, to_poll, of_poll, of_poll_at_will] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    for answered in [proxied, at_will, of_poll, of_poll_at_will] {
        assert!(is_answered(answered), "{answered:?}");
    }
    // The server serves nobody without the secret, which the platform alone has.
    assert!(matches!(direct, CallOutcome::PeerError { .. }), "{direct:?}");
    assert_eq!(*to_poll, CallOutcome::AcceptedForPoll);
}

#[test]
fn on_aprils_server() {
    let outcomes = outcomes("two-servers-and-a-poll-agent-talk-on-aprils-server");
    let [proxied, at_will, direct, _, of_poll, of_poll_at_will] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    for answered in [proxied, at_will, direct, of_poll, of_poll_at_will] {
        assert!(is_answered(answered), "{answered:?}");
    }
}
