//! Clients that go away in the middle.

use crate::raw::{World, assert_good};

#[test]
fn a_client_that_goes_away_before_its_request_ends_causes_nothing() {
    let world = World::new(|_| {});
    let call = world.call("early", "early");
    for cut in [0, 1, 10, call.len() / 2, call.len() - 1] {
        for reset in [false, true] {
            let mut raw = world.connect();
            assert!(raw.send(&call[..cut]));
            if reset { raw.reset() } else { drop(raw) }
        }
    }
    world.answers();
    assert_eq!(world.runs("early"), 0);
}

#[test]
fn a_handler_goes_on_without_its_caller_and_its_answer_is_kept() {
    let world = World::new(|_| {});
    for (number, reset) in [(0, false), (1, true)] {
        let text = format!("wait {number}");
        let mut raw = world.connect();
        assert!(raw.send(&world.call(&text, &text)));
        world.wait_for_runs(&text, 1);
        if reset {
            raw.reset()
        } else {
            drop(raw)
        }
        world.answers();
        world.gate.open(1);
        // The caller sends the same message again, and gets the answer of the first run.
        let mut again = world.connect();
        assert!(again.send(&world.call(&text, &text)));
        assert_good(&again.answer().unwrap(), &text);
        assert_eq!(world.runs(&text), 1);
    }
    world.answers();
}

/// A server may take it for a client that is gone. Whatever it does, the message sent again is answered, by one run.
#[test]
fn a_client_that_ends_its_writing_loses_no_message() {
    let world = World::new(|_| {});
    for number in 0..20 {
        let text = format!("half-closed {number}");
        let mut raw = world.connect();
        assert!(raw.send(&world.call(&text, &text)));
        raw.finish();
        match raw.answer() {
            Some(reply) => assert_good(&reply, &text),
            None => {
                let mut again = world.connect();
                assert!(again.send(&world.call(&text, &text)));
                assert_good(&again.answer().unwrap(), &text);
            }
        }
        assert_eq!(world.runs(&text), 1);
    }
    world.answers();
}

#[test]
fn a_client_that_never_reads_its_answer_holds_nothing_else() {
    let world = World::new(|_| {});
    let text = "x".repeat(2 * 1024 * 1024);
    // Their answers are larger than what the sockets hold.
    let deaf: Vec<_> = (0..8)
        .map(|number| {
            let mut raw = world.connect();
            assert!(raw.send(&world.call(&format!("deaf-{number}"), &text)));
            raw
        })
        .collect();
    world.wait_for_runs(&text, 8);
    world.answers();
    drop(deaf);
    world.answers();
}
