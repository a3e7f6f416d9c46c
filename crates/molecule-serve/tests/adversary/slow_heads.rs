//! The head has one deadline for all of it, however its bytes come.

use std::time::Duration;

use crate::raw::{World, assert_good};

#[test]
fn a_head_byte_by_byte_ends_at_its_deadline() {
    let world = World::new(|limits| limits.head_time = Duration::from_millis(400));
    let mut raw = world.connect();
    // A head of which a byte comes every 20 ms takes seconds.
    let head = world.head_with(&format!("X-Padding: {}\r\n", "x".repeat(2_000)));
    assert!(!raw.drip(head.as_bytes(), Duration::from_millis(20)), "all of the head went out");
    let told = raw.until_closed();
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&told));
    world.answers();
    assert_eq!(world.all_runs(), 1);
}

#[test]
fn a_head_byte_by_byte_within_its_deadline_is_served() {
    let world = World::new(|limits| limits.head_time = Duration::from_secs(60));
    let mut raw = world.connect();
    let body = World::body("slow", "slow but honest");
    assert!(raw.drip(world.head(body.len()).as_bytes(), Duration::from_millis(1)));
    assert!(raw.send(body.as_bytes()));
    assert_good(&raw.answer().unwrap(), "slow but honest");
    world.answers();
}

#[test]
fn the_deadline_counts_for_later_requests_of_a_connection_too() {
    let world = World::new(|limits| limits.head_time = Duration::from_millis(400));
    let mut raw = world.connect();
    assert!(raw.send(&world.call("first", "first")));
    assert_good(&raw.answer().unwrap(), "first");
    // The second head begins, and never ends.
    assert!(raw.send(b"POST / HTTP/1.1\r\nHost: "));
    let told = raw.until_closed();
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&told));
    world.answers();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let world = World::new(|_| {});
    for lines in [
        format!("X-Padding: {}\r\n", "x".repeat(64 * 1024)),
        (0..4_000).map(|number| format!("X-Padding-{number}: x\r\n")).collect(),
    ] {
        let mut raw = world.connect();
        raw.send(world.head_with(&format!("Content-Length: 0\r\n{lines}")).as_bytes());
        // The rest of the head may still be on its way when the server closes, which can take its answer away.
        let told = raw.until_closed();
        assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 431 "), "{:?}", String::from_utf8_lossy(&told));
        world.answers();
    }
    let mut raw = world.connect();
    raw.send(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000)).as_bytes());
    let told = raw.until_closed();
    let refusals: [&[u8]; 2] = [b"HTTP/1.1 431 ", b"HTTP/1.1 414 "];
    assert!(told.is_empty() || refusals.iter().any(|refusal| told.starts_with(refusal)));
    world.answers();
}
