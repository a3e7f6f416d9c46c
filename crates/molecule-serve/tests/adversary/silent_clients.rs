//! A client that connects and says nothing is closed at the head's deadline.

use std::time::Duration;

use crate::raw::World;

#[test]
fn a_client_that_connects_and_is_silent_is_closed() {
    let world = World::new(|limits| limits.head_time = Duration::from_millis(300));
    let mut silent: Vec<_> = (0..50).map(|_| world.connect()).collect();
    world.answers();
    for raw in &mut silent {
        let told = raw.until_closed();
        assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&told));
    }
    world.answers();
    assert_eq!(world.all_runs(), 2);
}

#[test]
fn silent_clients_leave_room_for_others() {
    let world = World::new(|limits| {
        limits.connections = 20;
        limits.connections_per_address = 10;
        limits.head_time = Duration::from_millis(500);
    });
    // As many as one address may have, and more: those beyond it wait or are closed, and all are at the deadline.
    let mut silent: Vec<_> = (0..40).map(|_| world.connect()).collect();
    for raw in &mut silent {
        raw.until_closed();
    }
    world.answers();
}
