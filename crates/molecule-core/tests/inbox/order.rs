//! Messages of one conversation are handled one after another, in the order of the feed; those of several at the same
//! time.

use std::collections::BTreeMap;

use crate::support::*;
use molecule_core::{InboxOptions, Sender};

fn peer(number: usize) -> String {
    format!("414bc5a3-02a7-47dc-b86f-{number:012}")
}

#[test]
fn one_conversation_keeps_its_order_and_its_next_message_waits() {
    let mut run = Received::usual();
    run.handler(|message| Reply::After(secs(2), replied(&format!("re {}", message.text()))));
    for text in ["one", "two", "three"] {
        run.user(text);
    }
    run.on(secs(30));
    let offers = run.offers();
    assert_eq!(offers.iter().map(|offer| offer.text.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
    for pair in offers.windows(2) {
        assert!(pair[1].at.since(pair[0].at) >= secs(2), "two at once: {pair:?}");
    }
    assert!(offers.iter().all(|offer| offer.attempt == 1));
    assert_eq!(run.notices(), ["re one", "re two", "re three"]);
}

#[test]
fn several_conversations_are_handled_together_and_no_more_than_allowed() {
    let mut run = Received::with(InboxOptions::new().concurrency(3), Platform::current());
    run.handler(|_| Reply::After(secs(1), silent()));
    let at = run.agent.now.unix;
    for number in 0..10 {
        for text in ["first", "second"] {
            run.platform.feed.peer(at, &peer(number), text);
        }
    }
    run.on(secs(60));
    let offers = run.offers();
    assert_eq!(offers.len(), 20);
    let mut by_time: BTreeMap<_, usize> = BTreeMap::new();
    offers.iter().for_each(|offer| *by_time.entry(offer.at).or_default() += 1);
    assert_eq!(by_time.values().max(), Some(&3), "{by_time:?}");
    for number in 0..10 {
        let of = |sender: &Sender| matches!(sender, Sender::Peer { id, .. } if id.as_str() == peer(number));
        let texts: Vec<_> =
            offers.iter().filter(|offer| of(offer.message.0.sender())).map(|offer| &offer.text).collect();
        assert_eq!(texts, ["first", "second"]);
    }
}

#[test]
fn a_busy_conversation_does_not_starve_another() {
    let mut run = Received::with(InboxOptions::new().concurrency(1), Platform::current());
    run.handler(|_| Reply::After(secs(1), silent()));
    for number in 0..100 {
        run.user(&number.to_string());
    }
    run.platform.feed.peer(run.agent.now.unix, &peer(1), "let me in");
    run.on(secs(20));
    let texts = run.texts();
    assert!(texts.iter().take(3).any(|text| text == "let me in"), "{texts:?}");
}

#[test]
fn a_message_whose_handler_fails_holds_back_its_own_conversation_alone() {
    let mut run = Received::usual();
    run.handler(|message| Reply::Now(if message.text() == "poison" { failed("no") } else { silent() }));
    run.user("poison");
    run.user("after it");
    run.platform.feed.peer(run.agent.now.unix, &peer(1), "beside it");
    run.on(secs(30));
    assert_eq!(run.texts(), ["poison", "beside it", "poison", "poison", "after it"]);
}

/// More handlers may start at once than a machine gives steps.
#[test]
fn hundreds_of_handlers_start_together() {
    let mut run = Received::with(InboxOptions::new().concurrency(300), Platform::current());
    run.handler(|_| Reply::After(secs(20), replied("done")));
    let at = run.agent.now.unix;
    (0..300).for_each(|number| drop(run.platform.feed.peer(at, &peer(number), "hello")));
    run.on(secs(10));
    assert_eq!((run.offers().len(), run.agent.session.health().handling), (300, 300));
    run.on(secs(60));
    assert_eq!(run.agent.session.health().handling, 0);
}

/// An append takes as long as the disk needs, however much it saves.
#[test]
fn one_append_begins_as_many_attempts_as_there_is_room_for() {
    let mut run = Received::with(InboxOptions::new().concurrency(300), Platform::current());
    run.handler(|_| Reply::After(secs(60), replied("done")));
    run.on(secs(10));
    run.agent.store.append_takes = secs(1);
    let at = run.agent.now.unix;
    (0..300).for_each(|number| drop(run.platform.feed.peer(at, &peer(number), "hello")));
    // The feed is read within 5 s, and its cursor may be saved before.
    run.on(secs(9));
    assert_eq!(run.offers().len(), 300);
}
