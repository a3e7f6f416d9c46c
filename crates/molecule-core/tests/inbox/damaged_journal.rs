//! A journal that is damaged, torn or too large never stops the agent.

use crate::support::*;
use molecule_core::Event;

/// A stopped loop that has handled three messages.
fn handled() -> Received {
    let mut run = Received::usual();
    for text in ["one", "two", "three"] {
        run.user(text);
    }
    run.on(secs(20));
    run.stopped_within();
    assert_eq!(run.texts().len(), 3);
    run
}

fn warned(run: &mut Received, words: &str) -> bool {
    run.events().iter().any(|event| matches!(event, Event::Warning(said) if said.contains(words)))
}

#[test]
fn a_torn_last_record_is_dropped() {
    let mut run = handled();
    let journal = run.agent.store.inbox.as_mut().unwrap();
    journal.extend_from_slice(b"\n4f 01234567 {\"handled\":{\"row\":");
    let mut run = run.restarted();
    run.user("four");
    run.on(secs(20));
    assert_eq!(run.texts(), ["four"]);
    assert!(!warned(&mut run, "damaged"));
}

#[test]
fn a_damaged_one_is_set_aside_and_what_can_be_read_stays_known() {
    let mut run = handled();
    let journal = run.agent.store.inbox.as_mut().unwrap();
    let at = journal.windows(8).position(|word| word == b"\"begun\":").unwrap();
    journal[at + 1] = b'X';
    let mut run = run.restarted();
    run.user("four");
    run.on(secs(20));
    assert_eq!(run.texts(), ["four"]);
    assert!(warned(&mut run, "damaged"));
    let mut run = run.restarted();
    run.on(secs(20));
    assert!(run.texts().is_empty(), "what was read of it was not stored");
    assert!(!warned(&mut run, "damaged"));
}

#[test]
fn one_that_is_too_large_is_set_aside() {
    let mut run = handled();
    run.agent.store.too_large = true;
    let mut run = run.restarted();
    run.on(secs(20));
    assert!(warned(&mut run, "64 MiB"));
    assert_eq!(run.texts().len(), 3, "nobody knows that they were handled");
    let mut run = run.restarted();
    run.on(secs(20));
    assert!(run.texts().is_empty());
}
