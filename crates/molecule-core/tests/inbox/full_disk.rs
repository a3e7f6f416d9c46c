//! While the disk is full nothing is handled that could not be remembered, and nothing is lost.

use std::collections::BTreeSet;

use crate::support::platform::A2A;
use crate::support::*;
use molecule_core::{Event, Lane};

fn lane(event: &Event) -> Option<(&'static str, u32)> {
    match event {
        Event::Degraded { lane: Lane::Inbox, failures, error, .. } => {
            assert!(error.contains("free some space"), "{error}");
            Some(("degraded", *failures))
        }
        Event::Recovered { lane: Lane::Inbox, failures, .. } => Some(("recovered", *failures)),
        _ => None,
    }
}

#[test]
fn messages_wait_until_there_is_room_and_the_application_hears_of_both() {
    let mut run = Received::usual();
    run.on(secs(10));
    run.agent.store.fail("Append");
    run.user("hello");
    run.on(secs(12));
    assert!(run.texts().is_empty());
    let failures = run.agent.session.health().inbox_failures;
    let told: Vec<_> = run.events().iter().filter_map(lane).collect();
    assert!(failures >= 3, "{failures}");
    assert_eq!(told, (1..=failures).map(|failures| ("degraded", failures)).collect::<Vec<_>>());
    run.agent.store.mend();
    run.on(secs(70));
    assert_eq!(run.texts(), ["hello"]);
    assert_eq!(run.agent.session.health().inbox_failures, 0);
    let told: Vec<_> = run.events().iter().filter_map(lane).collect();
    assert!(matches!(told.last(), Some(("recovered", _))), "{told:?}");
}

#[test]
fn a_reply_is_sent_only_once_it_is_remembered() {
    let mut run = Received::usual();
    run.handler(|_| Reply::After(secs(10), replied("done")));
    run.user("hello");
    run.on(secs(6));
    run.agent.store.fail("Append");
    run.on(secs(120));
    assert!(run.notices().is_empty());
    run.agent.store.mend();
    run.on(secs(70));
    assert_eq!((run.notices(), run.texts().len()), (vec!["done".to_owned()], 1));
}

#[test]
fn a_journal_that_cannot_be_appended_to_does_not_grow_in_memory() {
    let mut run = Received::usual();
    run.on(secs(10));
    run.agent.store.fail("Append");
    for _ in 0..200 {
        run.platform.feed.add(run.agent.now.unix, serde_json::json!({"activity_type": "agent_log"}));
        run.on(secs(40));
    }
    run.agent.store.mend();
    let before = run.agent.store.inbox.clone().unwrap().len();
    run.on(secs(120));
    let grown = run.agent.store.inbox.clone().unwrap().len() - before;
    assert!(grown < 2_000, "{grown} bytes for one cursor");
}

/// The key of the replies' ids is stored before it is used: with another one a second process would send the same reply
/// under a second id.
#[test]
fn a_key_that_could_not_be_stored_is_never_used() {
    let mut run = Received::usual();
    run.agent.store.fail("Replace");
    let at = run.agent.now.unix;
    run.platform.feed.peer(at, crate::support::platform::PEER, "hello");
    run.on(secs(60));
    assert!(run.texts().is_empty());
    assert!(run.agent.session.health().inbox_failures > 0);
    assert!(run.events().iter().filter_map(lane).count() > 2);
    run.agent.store.mend();
    run.platform.weather = Box::new(|seen| seen.is(A2A).then(|| Answer::error(503, "busy").into()));
    run.on(secs(120));
    assert_eq!(run.texts(), ["hello"]);
    let mut run = run.restarted();
    run.platform.weather = Box::new(|_| None);
    run.on(secs(600));
    let sent = run.platform.seen.iter().filter(|seen| seen.is(A2A));
    let ids: BTreeSet<_> = sent.map(|seen| seen.body["params"]["message"]["messageId"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}
