//! The journal is compacted while the inbox works, and forgets nothing by it.

use crate::support::*;
use molecule_core::InboxOptions;

fn compactions(run: &Received) -> usize {
    run.agent.trace.iter().filter(|line| line.contains("Replace(Inbox")).count()
}

/// A loop that has handled so many messages with long replies that its journal was compacted. With `refused` the disk
/// refused that.
fn compacted(refused: bool) -> Received {
    let mut run = Received::with(InboxOptions::new().concurrency(1), Platform::current());
    run.handler(|message| match message.text().as_ref() {
        "poison" => Reply::Now(failed("no")),
        text => Reply::Now(replied(&format!("{text} {}", "x".repeat(20_000)))),
    });
    run.on(secs(10));
    if refused {
        run.agent.store.fail("Replace");
    }
    run.user("poison");
    (0..40).for_each(|number| drop(run.user(&number.to_string())));
    run.on(secs(120));
    assert!(compactions(&run) >= 1, "{:?}", run.driven.machine);
    assert_eq!(run.notices().len(), 40);
    run
}

#[test]
fn it_gets_shorter_and_still_knows_what_was_handled() {
    let run = compacted(false);
    assert!(run.agent.store.inbox.as_ref().unwrap().len() < 700_000);
    let mut run = run.restarted();
    run.user("new");
    run.on(secs(60));
    assert_eq!(run.texts(), ["new"]);
    let letters =
        crate::support::run(&mut run.agent, molecule_core::machines::DeadLetters::new(), |_| panic!()).unwrap();
    assert_eq!(letters.len(), 1);
}

#[test]
fn where_the_disk_refuses_it_the_longer_one_is_as_good() {
    let mut run = compacted(true);
    run.agent.store.mend();
    let mut run = run.restarted();
    run.user("new");
    run.on(secs(60));
    assert_eq!(run.texts(), ["new"]);
}
