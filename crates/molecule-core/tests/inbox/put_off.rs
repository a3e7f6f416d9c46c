//! A handler that asks for another try: the message is offered again, no attempt counts, and it ends after a day.

use crate::support::*;
use molecule_core::effect::{Handle, Outcome};
use molecule_core::{Event, InboxOptions, TryAgain};

fn later(why: &str) -> Outcome {
    Handle::returned(Err(TryAgain::new(why)))
}

fn waits(run: &mut Received) -> Vec<u64> {
    let wait = |event: Event| match event {
        Event::PutOff { wait, .. } => Some(wait.as_secs()),
        _ => None,
    };
    run.events().into_iter().filter_map(wait).collect()
}

#[test]
fn it_costs_no_attempt_and_waits_longer_each_time() {
    let mut run = Received::with(InboxOptions::new().attempts(1), Platform::current());
    let mut calls = 0;
    run.handler(move |_| {
        calls += 1;
        Reply::Now(if calls <= 12 { later("no model") } else { replied("at last") })
    });
    run.user("hello");
    run.on(secs(3600));
    let offers = run.offers();
    assert_eq!(offers.len(), 13);
    assert!(offers.iter().all(|offer| offer.attempt == 1), "{offers:?}");
    for (number, wait) in waits(&mut run).into_iter().enumerate() {
        let most = (1u64 << number).min(300);
        assert!((most / 2..=most).contains(&wait), "wait {number}: {wait}");
    }
    assert_eq!(run.notices(), ["at last"]);
}

#[test]
fn the_handler_may_say_how_long_it_waits_at_least() {
    for (asked, least) in [(90, 90), (7200, 3600)] {
        let mut run = Received::usual();
        run.handler(move |_| Reply::Now(Handle::returned(Err(TryAgain::new("full").after(secs(asked))))));
        run.user("hello");
        run.on(secs(10));
        assert_eq!(waits(&mut run), [least], "{asked}");
    }
}

#[test]
fn failures_beside_it_count_as_ever() {
    let mut run = Received::usual();
    let mut calls = 0;
    run.handler(move |_| {
        calls += 1;
        Reply::Now(if calls % 2 == 1 { later("busy") } else { failed("no") })
    });
    run.user("hello");
    run.on(secs(600));
    assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [1, 1, 2, 2, 3, 3]);
    assert!(run.events().iter().any(|event| matches!(event, Event::DeadLetter { attempts: 3, .. })));
}

/// The time counts from the first wish, also over restarts, and whatever else happens to the message.
#[test]
fn after_a_day_of_it_the_message_is_a_dead_letter() {
    let mut run = Received::usual();
    run.handler(|_| Reply::Now(later("no model")));
    run.user("hello");
    run.on(secs(600));
    run.stopped_within();
    run.agent.advance(secs(23 * 3600));
    let mut run = run.restarted();
    run.handler(|_| Reply::Now(later("no model")));
    run.on(secs(2400));
    assert!(!run.events().iter().any(|event| matches!(event, Event::DeadLetter { .. })));
    run.on(secs(1200));
    let events = run.events();
    let is_dead = |event: &&Event| matches!(event, Event::DeadLetter { why, .. } if why.contains("no model") && why.contains("for 24 h"));
    assert_eq!(events.iter().filter(is_dead).count(), 1, "{events:?}");
    run.offers();
    run.on(secs(3600));
    assert!(run.offers().is_empty());
}

#[test]
fn a_process_that_ends_in_a_later_attempt_counts_it() {
    let mut run = Received::usual();
    run.handler(|_| Reply::Now(later("busy")));
    run.user("poison");
    run.on(secs(10));
    for attempt in 1..=3 {
        run = run.restarted();
        run.handler(|_| Reply::Never);
        run.on(secs(3));
        assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [attempt]);
    }
    run = run.restarted();
    run.on(secs(60));
    assert!(run.offers().is_empty());
}
