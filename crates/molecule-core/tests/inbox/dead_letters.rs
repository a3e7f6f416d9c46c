//! Dead letters are listed, and are offered again where the application asks for it.

use crate::support::*;
use molecule_core::machines::{DeadLetters, RetryDeadLetter, Run};
use molecule_core::{DeadLetter, ErrorKind};

fn letters(run: &mut Received) -> Vec<DeadLetter> {
    crate::support::run(&mut run.agent, DeadLetters::new(), |_| panic!("a request")).unwrap()
}

fn retry(run: &mut Received, row: &str) -> molecule_core::Result<()> {
    crate::support::run(&mut run.agent, RetryDeadLetter::new(row).unwrap(), |_| panic!("a request"))
}

/// A loop with one dead letter, and its row.
fn with_letter() -> (Received, String) {
    let mut run = Received::usual();
    run.handler(|_| Reply::Now(failed("no")));
    let row = run.user("poison");
    run.on(secs(30));
    assert_eq!(run.offers().len(), 3);
    (run, row)
}

#[test]
fn they_are_listed_with_their_content() {
    let (mut run, row) = with_letter();
    let letters = letters(&mut run);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.message.id().to_string(), letter.message.text().as_ref()), (row, "poison"));
    assert_eq!((letter.attempts, letter.is_retried), (3, false));
    assert!(letter.why.contains("no"), "{}", letter.why);
}

#[test]
fn a_running_loop_offers_one_again_with_all_its_attempts() {
    let (mut run, row) = with_letter();
    run.handler(|_| Reply::Now(replied("at last")));
    retry(&mut run, &row).unwrap();
    run.on(secs(30));
    assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [1]);
    assert_eq!(run.notices(), ["at last"]);
    assert!(letters(&mut run).is_empty());
    assert_eq!(retry(&mut run, &row).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn one_that_fails_again_is_a_dead_letter_again() {
    let (mut run, row) = with_letter();
    retry(&mut run, &row).unwrap();
    retry(&mut run, &row).unwrap();
    run.on(secs(30));
    assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(!letters(&mut run)[0].is_retried);
}

#[test]
fn without_a_loop_the_next_one_offers_it() {
    let (run, row) = with_letter();
    let mut run = run.restarted();
    retry(&mut run, &row).unwrap();
    assert!(letters(&mut run)[0].is_retried);
    run.on(secs(30));
    assert_eq!(run.texts(), ["poison"]);
}

/// The order is in the journal also if the loop ends before it could follow it.
#[test]
fn an_order_to_a_loop_that_ends_is_kept() {
    let (mut run, row) = with_letter();
    retry(&mut run, &row).unwrap();
    run.stopped_within();
    let mut run = run.restarted();
    assert!(letters(&mut run)[0].is_retried);
    run.on(secs(30));
    assert_eq!(run.texts(), ["poison"]);
}

/// A loop that was dropped half-way is no running loop: nobody would follow the order, and every later heartbeat would
/// say that its handlers run.
#[test]
fn a_dropped_loop_runs_no_longer() {
    let (mut run, row) = with_letter();
    run.handler(|_| Reply::Never);
    run.user("slow");
    run.on(secs(10));
    assert_eq!(run.agent.session.health().handling, 1);
    run.driven = Driven::new(Run::with_inbox());
    run.agent.store.locked = None;
    assert_eq!(run.agent.session.health().handling, 0);
    retry(&mut run, &row).unwrap();
    assert!(letters(&mut run)[0].is_retried, "the order is nowhere");
    run.offers();
    run.on(secs(60));
    assert_eq!(run.texts(), ["poison"], "one of its conversation at a time");
}

/// A loop without a handler has the agent's lock, and offers nothing: it records the order for the next loop.
#[test]
fn a_loop_without_a_handler_records_the_order_for_the_next_one() {
    let (run, row) = with_letter();
    let mut run = run.restarted();
    run.driven = Driven::new(Run::new());
    run.on(secs(10));
    retry(&mut run, &row).unwrap();
    run.on(secs(40));
    assert!(letters(&mut run)[0].is_retried);

    // What the disk refuses is told, and recorded once there is room.
    let (run, row) = with_letter();
    let mut run = run.restarted();
    run.driven = Driven::new(Run::new());
    run.on(secs(10));
    run.agent.store.fail("Append");
    retry(&mut run, &row).unwrap();
    run.on(secs(40));
    let warned = run.events().iter().any(|event| event.to_string().contains("save the inbox failed"));
    assert!(warned, "the order is lost without a word");
    run.agent.store.mend();
    run.stopped_within();
    assert!(letters(&mut run)[0].is_retried);
    let mut run = run.restarted();
    run.on(secs(30));
    assert_eq!(run.texts(), ["poison"]);
}
