//! One message that comes by a push and by the feed is handled once, whichever comes first.

use molecule_core::ServerOptions;
use serde_json::json;

use crate::both::Both;
use crate::support::inbound::{Server, text};
use crate::support::{Received, Reply, replied, secs};

#[test]
fn a_push_whose_sender_is_looked_up_is_not_the_inboxs() {
    let mut both = Both::with(Received::usual(), ServerOptions::new());
    both.on(secs(10));
    let ticket = both.serve(|server| server.push(&text("m", "hello")).later());
    // The platform writes the row before it pushes, and the loop reads it before the look has its answer.
    both.show("m");
    both.on(secs(30));
    assert_eq!(both.offered(), 0);
    both.serve(|server| {
        server.shows(Vec::new());
        let (id, _) = server.handler();
        server.reply(id, "done");
        assert_eq!(server.answer_to(ticket).json()["result"]["parts"][0]["text"], "done");
    });
    both.on(secs(60));
    assert_eq!(both.offered(), 0);
}

#[test]
fn what_a_push_has_handled_is_not_offered_by_the_inbox() {
    let mut both = Both::new();
    both.on(secs(10));
    both.serve(|server| {
        let ticket = server.push(&text("m", "hello")).later();
        let (id, _) = server.handler();
        server.reply(id, "done");
        server.answer_to(ticket).json();
    });
    both.show("m");
    both.show("n");
    both.on(secs(30));
    assert_eq!(both.received.texts(), ["hello"], "n alone");
}

#[test]
fn what_a_push_handles_waits_in_the_inbox_until_its_end() {
    let mut both = Both::new();
    both.on(secs(10));
    let (id, _) = both.serve(|server| {
        server.push(&text("m", "hello")).later();
        server.handler()
    });
    both.show("m");
    both.on(secs(30));
    assert_eq!(both.offered(), 0);
    both.serve(|server| server.reply(id, "done"));
    both.on(secs(30));
    assert_eq!(both.offered(), 0);
    // One that the server leaves is the inbox's.
    both.serve(|server| server.push(&text("n", "hello")).later());
    both.show("n");
    both.on(secs(10));
    assert_eq!(both.offered(), 0);
    both.serve(Server::drain);
    let at = both.serve(|server| server.wake.unwrap().at.since(server.agent.now.mono));
    both.serve(|server| server.advance(at));
    both.on(secs(10));
    assert_eq!(both.offered(), 1);
}

#[test]
fn what_the_inbox_has_is_answered_without_parts_once_it_has_handled_it() {
    let mut both = Both::new();
    both.received.handler(|_| Reply::After(secs(20), replied("done")));
    both.on(secs(1));
    both.show("m");
    both.on(secs(10));
    assert_eq!(both.offered(), 1);
    // The platform would show an answer in the row, which the inbox of the next process leaves alone then.
    let ticket = both.serve(|server| server.push(&text("m", "hello")).later());
    both.serve(|server| server.advance(secs(1)));
    assert!(both.serve(|server| server.handlers.is_empty() && !server.is_answered(ticket)));
    both.on(secs(30));
    let empty = both.serve(|server| {
        server.advance(secs(1));
        server.answer_to(ticket).json()["result"]["parts"].clone()
    });
    assert_eq!(empty, json!([]));
    let again = both.serve(|server| {
        let ticket = server.push(&text("m", "hello")).later();
        server.answer_to(ticket).json()["result"]["parts"].clone()
    });
    assert_eq!(again, json!([]), "it was handled");
    assert_eq!(both.received.notices().len(), 1, "its reply goes its own way");
}

#[test]
fn what_a_push_has_handled_is_known_to_the_next_process() {
    let mut both = Both::new();
    both.on(secs(10));
    both.serve(|server| {
        server.push(&text("m", "hello")).later();
        let (id, _) = server.handler();
        server.reply(id, "done");
    });
    let mut both = Both::of(both.received.restarted());
    both.show("m");
    both.on(secs(30));
    assert_eq!(both.offered(), 0);
}

#[test]
fn a_message_that_waits_in_a_loop_that_ended_is_handled_by_its_push() {
    let mut both = Both::new();
    both.received.handler(|_| Reply::Never);
    both.on(secs(1));
    both.show("m");
    both.show("n");
    both.on(secs(10));
    assert_eq!(both.offered(), 1, "n waits for m");
    both.received.agent.session.raise_stop(true);
    both.received.end().unwrap();
    both.serve(|server| server.push(&text("n", "hello")).later());
    assert_eq!(both.server.handlers.len(), 1);
}

#[test]
fn what_the_inbox_handled_before_a_restart_is_not_handled_by_a_push() {
    let mut both = Both::new();
    both.on(secs(1));
    both.show("m");
    both.on(secs(10));
    assert_eq!(both.offered(), 1);
    let mut both = Both::of(both.received.restarted());
    both.on(secs(10));
    both.serve(|server| {
        for (id, is_new) in [("m", false), ("n", true)] {
            server.push(&text(id, "hello")).later();
            assert_eq!(server.handlers.len(), usize::from(is_new), "{id}");
        }
    });
}

#[test]
fn a_message_that_only_waits_in_the_inbox_is_handled_by_its_push() {
    let mut both = Both::new();
    both.received.handler(|_| Reply::After(secs(20), replied("done")));
    both.on(secs(1));
    both.show("m");
    both.show("n");
    both.on(secs(10));
    assert_eq!(both.offered(), 1, "n waits for m");
    let ticket = both.serve(|server| server.push(&text("n", "hello")).later());
    both.serve(|server| {
        let (id, _) = server.handler();
        server.reply(id, "in the exchange");
        assert_eq!(server.answer_to(ticket).json()["result"]["parts"][0]["text"], "in the exchange");
    });
    both.on(secs(120));
    assert_eq!(both.offered(), 0, "it was handled");
}

#[test]
fn the_push_of_what_the_inbox_handled_is_answered_once_the_next_process_would_know_it() {
    let mut both = Both::new();
    both.received.agent.store.append_takes = secs(5);
    both.on(secs(1));
    both.show("m");
    both.on(secs(12));
    assert_eq!(both.offered(), 1);
    let ticket = both.serve(|server| server.push(&text("m", "hello")).later());
    both.serve(|server| server.advance(secs(1)));
    assert!(both.serve(|server| !server.is_answered(ticket)), "a crash now would have it handled once more");
    both.on(secs(5));
    both.serve(|server| server.advance(secs(1)));
    assert!(both.serve(|server| server.is_answered(ticket)));
}

#[test]
fn the_push_of_what_the_inbox_handled_does_not_wait_for_a_full_disk() {
    let mut both = Both::new();
    both.received.handler(|_| Reply::After(secs(20), replied("done")));
    both.on(secs(1));
    both.show("m");
    both.on(secs(10));
    both.received.agent.store.fail("Append");
    let ticket = both.serve(|server| server.push(&text("m", "hello")).later());
    both.on(secs(30));
    both.serve(|server| server.advance(secs(1)));
    assert!(both.serve(|server| server.is_answered(ticket)));
    assert_eq!(both.offered(), 1, "and it is handled once");
}

#[test]
fn a_second_row_of_what_was_handled_keeps_no_push_waiting() {
    let mut both = Both::of(Received::usual());
    both.received.handler(|_| Reply::After(secs(20), replied("done")));
    both.on(secs(1));
    both.show("m");
    both.show("m");
    both.on(secs(60));
    assert_eq!(both.offered(), 1);
    both.serve(|server| {
        let ticket = server.push(&text("m", "hello")).later();
        assert_eq!(server.answer_to(ticket).json()["result"]["parts"], json!([]));
    });
}
