//! Scenarios about calls of peers: each call ends as its scenario says, and together they show every outcome that the
//! simulator can produce.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use molecule_core::CallOutcome;
use molecule_sim::{library, run};

fn word(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Replied(_) => "replied",
        CallOutcome::Queued { .. } => "queued",
        CallOutcome::AcceptedForPoll => "accepted for poll",
        CallOutcome::AnswerLater => "answer later",
        CallOutcome::DeliveredReplyLost => "delivered, reply lost",
        CallOutcome::Busy { .. } => "busy",
        CallOutcome::Waking { .. } => "waking",
        CallOutcome::NotEnrolled { .. } => "not enrolled",
        CallOutcome::OverBudget => "over budget",
        CallOutcome::Denied { .. } => "denied",
        CallOutcome::NotFound => "not found",
        CallOutcome::NoUrl { .. } => "no URL",
        CallOutcome::Unreachable => "unreachable",
        CallOutcome::UnsafeUrl => "unsafe URL",
        CallOutcome::PeerError { .. } => "peer error",
        other => panic!("an outcome that is not known here: {other:?}"),
    }
}

/// The outcomes of the calls in a kept scenario.
fn outcomes(name: &str) -> Vec<&'static str> {
    let (_, scenario) = library::all().unwrap().into_iter().find(|(known, _)| known == name).unwrap();
    let run = run(&scenario);
    assert_eq!(run.broken, None, "{name}");
    run.outcomes.iter().map(word).collect()
}

#[test]
fn a_refusal_is_remembered_and_the_message_goes_through_the_platform() {
    assert_eq!(outcomes("a-peer-that-wants-the-secret-is-called-through-the-platform"), ["replied"; 3]);
    assert_eq!(outcomes("a-peers-url-changes-within-the-ttl"), ["replied"; 4]);
}

#[test]
fn what_was_lost_goes_no_other_way() {
    assert!(
        outcomes("the-reply-of-a-direct-call-is-lost-and-nothing-is-sent-again").is_empty(),
        "all of them are errors"
    );
}

#[test]
fn who_has_no_time_or_polls_gets_it_later() {
    assert_eq!(outcomes("a-busy-peers-message-is-queued-and-drained-by-its-heartbeat"), ["queued"]);
    assert_eq!(outcomes("a-poll-peer-gets-it-in-its-feed"), ["accepted for poll", "no URL"]);
}

#[test]
fn every_outcome_is_reached() {
    let current = outcomes("every-way-a-call-of-a-peer-ends-on-currents-server");
    let april = outcomes("every-way-a-call-of-a-peer-ends-on-aprils-server");
    let reached: BTreeSet<_> = current.iter().chain(&april).copied().collect();
    let all = [
        "replied",
        "queued",
        "accepted for poll",
        "answer later",
        "delivered, reply lost",
        "busy",
        "waking",
        "not enrolled",
        "over budget",
        "denied",
        "not found",
        "no URL",
        "unreachable",
        "unsafe URL",
        "peer error",
    ];
    assert_eq!(reached, BTreeSet::from(all), "{current:?} {april:?}");
}
