//! A body has a deadline for each piece and one for all of it.

use std::time::Duration;

use crate::raw::{Raw, World, assert_good};

/// A call that is refused for its time: told so, or cut, and closed in both cases.
fn assert_timed_out(world: &World, raw: &mut Raw) {
    let told = raw.until_closed();
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&told));
    world.answers();
    assert_eq!(world.all_runs(), 1, "a body that never came was handled");
}

#[test]
fn a_body_byte_by_byte_ends_at_its_deadline() {
    let world = World::new(|limits| {
        limits.body_gap = Duration::from_millis(500);
        limits.body_time = Duration::from_millis(500);
    });
    let mut raw = world.connect();
    let body = World::body("slow", &"x".repeat(2_000));
    assert!(raw.send(world.head(body.len()).as_bytes()));
    assert!(!raw.drip(body.as_bytes(), Duration::from_millis(20)), "all of the body went out");
    assert_timed_out(&world, &mut raw);
}

#[test]
fn a_body_byte_by_byte_within_its_deadlines_is_served() {
    let world = World::new(|limits| {
        limits.body_gap = Duration::from_secs(60);
        limits.body_time = Duration::from_secs(60);
    });
    let mut raw = world.connect();
    let body = World::body("slow", "slow but honest");
    assert!(raw.send(world.head(body.len()).as_bytes()));
    assert!(raw.drip(body.as_bytes(), Duration::from_millis(1)));
    assert_good(&raw.answer().unwrap(), "slow but honest");
    world.answers();
}

#[test]
fn a_body_that_stops_is_cut() {
    let world = World::new(|limits| {
        limits.body_gap = Duration::from_millis(300);
        limits.body_time = Duration::from_secs(600);
    });
    let body = World::body("half", "half");
    let mut raw = world.connect();
    assert!(raw.send(world.head(body.len()).as_bytes()));
    assert!(raw.send(&body.as_bytes()[..body.len() / 2]));
    assert_timed_out(&world, &mut raw);
}

#[test]
fn a_body_that_never_begins_is_cut() {
    let world = World::new(|limits| {
        limits.body_gap = Duration::from_millis(300);
        limits.body_time = Duration::from_secs(600);
    });
    let mut raw = world.connect();
    assert!(raw.send(world.head(100).as_bytes()));
    assert_timed_out(&world, &mut raw);
}

#[test]
fn a_chunk_that_stops_is_cut() {
    let world = World::new(|limits| {
        limits.body_gap = Duration::from_millis(300);
        limits.body_time = Duration::from_secs(600);
    });
    for begun in ["", "5", "5\r\n", "5\r\nab", "5\r\nabcde\r\n", "5\r\nabcde\r\n0\r\n"] {
        let mut raw = world.connect();
        assert!(raw.send(world.head_with("Transfer-Encoding: chunked\r\n").as_bytes()));
        assert!(raw.send(begun.as_bytes()));
        let told = raw.until_closed();
        assert!(
            told.is_empty() || told.starts_with(b"HTTP/1.1 408 "),
            "{begun:?}: {:?}",
            String::from_utf8_lossy(&told)
        );
    }
    world.answers();
    assert_eq!(world.all_runs(), 1);
}

#[test]
fn a_body_without_a_credential_is_not_read() {
    let world = World::new(|limits| limits.body_time = Duration::from_secs(600));
    let mut raw = world.connect();
    assert!(raw.send(world.head_of("wrong", "Content-Length: 1000000\r\n").as_bytes()));
    let reply = raw.answer().expect("the answer comes before the body");
    assert_eq!(reply.status, 401);
    assert!(reply.says_close(), "a body that is not read ends the connection: {reply:?}");
    raw.until_closed();
    world.answers();
}
