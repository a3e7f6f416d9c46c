//! Many handlers that end in the same moment.

use crate::raw::{World, assert_good, wait_until};

#[test]
fn a_burst_of_a_hundred_calls_that_end_at_once_is_answered() {
    const CALLS: usize = 100;
    let world = World::new(|limits| {
        limits.handlers = CALLS;
        limits.connections_per_address = CALLS + 10;
    });
    for round in 0..5 {
        let texts: Vec<String> = (0..CALLS).map(|number| format!("wait {round} {number}")).collect();
        let mut clients: Vec<_> = texts.iter().map(|_| world.connect()).collect();
        let before = world.all_runs();
        for (raw, text) in clients.iter_mut().zip(&texts) {
            assert!(raw.send(&world.call(text, text)));
        }
        wait_until("all handlers run", || world.all_runs() - before == CALLS);
        world.gate.open(CALLS);
        for (raw, text) in clients.iter_mut().zip(&texts) {
            assert_good(&raw.answer().unwrap(), text);
        }
        world.answers();
    }
}

#[test]
fn calls_beyond_the_handlers_wait_for_their_turn() {
    const CALLS: usize = 100;
    let world = World::new(|limits| {
        limits.handlers = 4;
        limits.queue = CALLS;
        limits.connections_per_address = CALLS + 10;
    });
    let texts: Vec<String> = (0..CALLS).map(|number| format!("wait {number}")).collect();
    let mut clients: Vec<_> = texts.iter().map(|_| world.connect()).collect();
    for (raw, text) in clients.iter_mut().zip(&texts) {
        assert!(raw.send(&world.call(text, text)));
    }
    wait_until("four handlers run", || world.all_runs() == 4);
    world.gate.open(CALLS);
    for (raw, text) in clients.iter_mut().zip(&texts) {
        assert_good(&raw.answer().unwrap(), text);
        assert_eq!(world.runs(text), 1);
    }
    world.answers();
}

#[test]
fn beyond_the_queue_a_new_message_is_cut_and_one_that_comes_again_is_told_503() {
    let world = World::new(|limits| {
        limits.handlers = 1;
        limits.queue = 1;
    });
    let mut running = world.connect();
    assert!(running.send(&world.call("running", "wait running")));
    world.wait_for_runs("wait running", 1);
    // Two more: one waits in the queue, and the other is cut.
    let mut more = ["first", "second"].map(|id| {
        let mut raw = world.connect();
        assert!(raw.send(&world.call(id, id)));
        (id, raw)
    });
    wait_until("one is cut", || more.iter_mut().any(|(_, raw)| raw.has_ended()));
    let [mut first, second] = more;
    let is_first_cut = first.1.has_ended();
    let ((cut, mut refused), (queued, mut waits)) = if is_first_cut { (first, second) } else { (second, first) };
    assert!(refused.answer().is_none(), "the platform queues what was cut, and passes on what was answered");
    let mut again = world.connect();
    assert!(again.send(&world.call(cut, cut)));
    let told = again.answer().expect("a second cut would lose the message");
    assert_eq!(told.status, 503);
    assert_eq!(world.all_runs(), 1);
    world.gate.open(1);
    assert_good(&running.answer().unwrap(), "wait running");
    assert_good(&waits.answer().unwrap(), queued);
    assert_eq!(world.runs(cut), 0);
    let mut last = world.connect();
    assert!(last.send(&world.call(cut, cut)));
    assert_good(&last.answer().unwrap(), cut);
    world.answers();
}
