//! A handler that only hands messages on: all of them are offered, and what ends with the process costs nothing.

use crate::support::*;
use molecule_core::{Event, InboxOptions};

fn handing_over(concurrency: usize) -> Received {
    Received::with(InboxOptions::new().hand_over(true).concurrency(concurrency), Platform::current())
}

/// The messages whose end is saved.
fn done(run: &mut Received) -> usize {
    run.events().iter().filter(|event| matches!(event, Event::MessageDone { .. })).count()
}

#[test]
fn all_messages_are_offered_also_those_of_one_sender_and_in_their_order() {
    let mut run = handing_over(4);
    run.handler(|_| Reply::Never);
    for text in ["one", "two", "three", "four", "five"] {
        run.user(text);
    }
    run.on(secs(10));
    assert_eq!(run.texts(), ["one", "two", "three", "four"]);
    assert_eq!(run.agent.session.health().handling, 0, "they wait for somebody else");
}

#[test]
fn a_message_that_the_process_ended_with_is_no_dead_letter_however_often() {
    let mut run = handing_over(8);
    run.user("first");
    run.user("second");
    for _ in 0..10 {
        run.handler(|_| Reply::Never);
        run.on(secs(10));
        assert_eq!(run.texts(), ["first", "second"], "neither is held back as a suspect");
        assert!(!run.events().iter().any(|event| matches!(event, Event::DeadLetter { .. })));
        run = run.restarted();
    }
    run.handler(|message| Reply::Now(replied(&format!("re {}", message.text()))));
    run.on(secs(10));
    assert!(run.offers().iter().all(|offer| offer.attempt == 1));
    assert_eq!((run.notices(), done(&mut run)), (vec!["re first".to_owned(), "re second".to_owned()], 2));
    let mut next = run.restarted();
    next.on(secs(10));
    assert!(next.offers().is_empty());
}

/// The messages that a process of the usual kind died with are not held back as suspects either.
#[test]
fn what_another_handler_died_with_is_offered_together() {
    let mut run = Received::with(InboxOptions::new().attempts(1), Platform::current());
    run.handler(|_| Reply::Never);
    run.user("poison");
    run.platform.feed.peer(run.agent.now.unix, "414bc5a3-02a7-47dc-b86f-000000000001", "beside it");
    run.on(secs(10));
    assert_eq!(run.offers().len(), 2);
    let Received { agent, platform, .. } = run.restarted();
    let mut next = handing_over(8);
    (next.agent.store, next.agent.now, next.platform) = (agent.store, agent.now, platform);
    next.handler(|_| Reply::Never);
    next.on(secs(10));
    assert_eq!(next.texts(), ["poison", "beside it"]);
}

#[test]
fn a_handler_that_fails_still_counts() {
    let mut run = handing_over(8);
    run.handler(|_| Reply::Now(failed("a fault of its own")));
    run.user("hello");
    run.on(secs(60));
    assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    let events = run.events();
    assert!(events.iter().any(|event| matches!(event, Event::DeadLetter { attempts: 3, .. })), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::MessageDone { .. })));
}

#[test]
fn a_stop_waits_for_no_handler_and_the_message_comes_again() {
    let mut run = handing_over(8);
    run.handler(|_| Reply::Never);
    run.user("hello");
    run.on(secs(10));
    assert_eq!(run.texts(), ["hello"]);
    let stopped = run.stopped_within();
    assert!(stopped < secs(2), "{stopped:?}");
    let mut next = run.restarted();
    next.handler(|_| Reply::Now(silent()));
    next.on(secs(10));
    assert_eq!((next.texts(), done(&mut next)), (vec!["hello".to_owned()], 1));
}
