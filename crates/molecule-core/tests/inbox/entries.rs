//! What is in the inbox is listed, beside a running loop and without one.

use crate::support::*;
use molecule_core::effect::{Handled, Outcome};
use molecule_core::machines::ListInbox;
use molecule_core::{InboxListing, InboxState, TryAgain};

const PEER: &str = "9f39ce87-2726-40d6-bb91-05eb57b17ef2";

fn listed(run: &mut Received) -> InboxListing {
    let Received { agent, platform, .. } = run;
    crate::support::run(agent, ListInbox::new(), |seen| platform.serve(seen)).unwrap()
}

fn states(run: &mut Received) -> Vec<(String, InboxState)> {
    let listing = listed(run);
    assert!(listing.feed_failed.is_none() && !listing.is_cut, "{listing:?}");
    let shown = |entry: &molecule_core::InboxEntry| {
        let text = entry.message.as_ref().map(|message| message.text().into_owned()).unwrap_or_default();
        (text, entry.state)
    };
    listing.entries.iter().map(shown).collect()
}

fn all(expected: &[(&str, InboxState)]) -> Vec<(String, InboxState)> {
    expected.iter().map(|(text, state)| ((*text).to_owned(), *state)).collect()
}

#[test]
fn each_message_has_its_state() {
    for platform in [Platform::current(), Platform::april()] {
        let mut run = Received::with(molecule_core::InboxOptions::new().attempts(2), platform);
        // Before any loop there is no journal.
        assert_eq!(states(&mut run), all(&[]));
        let now = run.agent.now.unix;
        run.platform.feed.peer(now, PEER, "first");
        assert_eq!(states(&mut run), all(&[("first", InboxState::Waiting)]));
        run.handler(|_| Reply::Never);
        run.on(secs(10));
        assert_eq!(states(&mut run), all(&[("first", InboxState::Running)]));
        let now = run.agent.now.unix;
        run.platform.feed.peer(now, PEER, "second");
        run.on(secs(10));
        assert_eq!(states(&mut run), all(&[("first", InboxState::Running), ("second", InboxState::Waiting)]));
    }
}

#[test]
fn a_message_that_failed_or_was_put_off_is_offered_again_and_then_dead() {
    let mut run = Received::with(molecule_core::InboxOptions::new().attempts(2), Platform::current());
    let mut calls = 0;
    run.handler(move |_| {
        calls += 1;
        let later = || molecule_core::effect::Handle::returned(Err(TryAgain::new("busy").after(secs(60))));
        Reply::Now(if calls == 1 { later() } else { failed("no model") })
    });
    let row = run.user("hello");
    run.on(secs(10));
    assert_eq!(states(&mut run), all(&[("hello", InboxState::OfferedAgain)]));
    run.on(secs(120));
    let listing = listed(&mut run);
    let entry = &listing.entries[0];
    assert_eq!((entry.id.to_string(), entry.state, entry.attempts), (row.clone(), InboxState::Dead, 2));
    assert!(entry.why.as_deref().unwrap().contains("no model"));
    assert!(entry.sender.is_some() && entry.received_at.is_some());
    run.stopped_within();
    let mut run = run.restarted();
    let retry = molecule_core::machines::RetryDeadLetter::new(&row).unwrap();
    crate::support::run(&mut run.agent, retry, |_| panic!("a request")).unwrap();
    assert_eq!(states(&mut run), all(&[("hello", InboxState::Retried)]));
}

#[test]
fn a_message_that_is_handled_is_listed_until_its_reply_is_delivered() {
    let mut run = Received::usual();
    run.handler(|message| {
        Reply::Now(if message.text() == "later" { Outcome::Handled(Handled::Later) } else { replied("yes") })
    });
    run.user("later");
    run.user("now");
    run.on(secs(10));
    assert_eq!(run.notices(), ["yes"]);
    assert_eq!(states(&mut run), all(&[("later", InboxState::ReplyLater)]));
    // The journal alone still knows to whom the reply goes.
    run.platform.feed = Default::default();
    let listing = listed(&mut run);
    assert!(listing.entries[0].message.is_none() && listing.entries[0].sender.is_some(), "{listing:?}");
}

#[test]
fn without_the_feed_the_journals_part_is_listed_and_the_reason_told() {
    let mut run = Received::with(molecule_core::InboxOptions::new().attempts(1), Platform::current());
    run.handler(|_| Reply::Now(failed("no model")));
    run.user("hello");
    run.on(secs(10));
    let listing = crate::support::run(&mut run.agent, ListInbox::new(), |_| Answer::error(403, "no").into()).unwrap();
    assert_eq!(listing.entries.iter().map(|entry| entry.state).collect::<Vec<_>>(), [InboxState::Dead]);
    assert_eq!(listing.feed_failed.unwrap().status().unwrap(), 403);
}
