//! A message whose handler fails is offered again after a wait, and is a dead letter after the last attempt.

use crate::support::*;
use molecule_core::effect::{FaultKind, Handle};
use molecule_core::{Event, InboxOptions};

#[test]
fn it_is_offered_again_with_a_doubled_wait() {
    let mut run = Received::with(InboxOptions::new().attempts(12), Platform::current());
    run.handler(|_| Reply::Now(failed("the disk of the handler is full")));
    run.user("hello");
    run.on(secs(3000));
    let offers = run.offers();
    assert_eq!(offers.iter().map(|offer| offer.attempt).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    for (number, pair) in offers.windows(2).enumerate() {
        let most = (1u64 << number).min(300);
        let wait = pair[1].at.since(pair[0].at);
        assert!(wait >= secs(most) / 2 && wait <= secs(most) + secs(1), "wait {number}: {wait:?}");
    }
    let events = run.events();
    let failed = |event: &&Event| matches!(event, Event::HandlerFailed { error, .. } if error.contains("is full"));
    assert_eq!(events.iter().filter(failed).count(), 12);
    let dead = |event: &&Event| matches!(event, Event::DeadLetter { attempts: 12, .. });
    assert_eq!(events.iter().filter(dead).count(), 1);
    assert!(run.notices().is_empty());
}

#[test]
fn an_attempt_that_ended_the_process_counts() {
    let mut run = Received::usual();
    run.handler(|_| Reply::Never);
    run.user("poison");
    for attempt in 1..=3 {
        run.on(secs(2));
        assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [attempt]);
        run = run.restarted();
        run.handler(|_| Reply::Never);
    }
    run.on(secs(60));
    assert!(run.offers().is_empty());
    let dead =
        |event: &Event| matches!(event, Event::DeadLetter { attempts: 3, why, .. } if why.contains("process ended"));
    assert!(run.events().iter().any(dead));
}

/// A handler that was not called, or was dropped half-way, has not failed. It must not be called again without a pause
/// either: what hinders it may hinder it every time.
#[test]
fn a_handler_that_could_not_run_to_its_end_costs_no_attempt_and_is_tried_after_a_pause() {
    for outcome in [|| Handle::not_called(&"no thread"), || fault(FaultKind::Cancelled)] {
        let mut run = Received::usual();
        let mut calls = 0;
        run.handler(move |_| {
            calls += 1;
            Reply::Now(if calls <= 20 { outcome() } else { silent() })
        });
        run.user("hello");
        run.on(secs(60));
        let offers = run.offers();
        assert_eq!(offers.len(), 21);
        assert!(offers.iter().all(|offer| offer.attempt == 1), "{offers:?}");
        assert!(offers.windows(2).all(|pair| pair[1].at.since(pair[0].at) >= secs(1)), "{offers:?}");
        assert!(!run.events().iter().any(|event| matches!(event, Event::HandlerFailed { .. })));
    }
}
