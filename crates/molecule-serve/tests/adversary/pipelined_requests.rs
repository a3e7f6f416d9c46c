//! Requests that are written before their predecessors are answered.

use crate::raw::{World, assert_good};

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let world = World::new(|_| {});
    let texts: Vec<String> = (0..20).map(|number| format!("number {number}")).collect();
    let all: Vec<u8> = texts.iter().flat_map(|text| world.call(text, text)).collect();
    let mut raw = world.connect();
    assert!(raw.send(&all));
    for text in &texts {
        assert_good(&raw.answer().unwrap(), text);
        assert_eq!(world.runs(text), 1);
    }
    world.answers();
}

#[test]
fn a_request_behind_a_refused_one_is_judged_by_itself() {
    let world = World::new(|_| {});
    let mut raw = world.connect();
    // Its body is read or the connection is closed: never is a part of it taken for a request.
    let body = world.call("hidden", "hidden");
    let mut all = world.head_of("wrong", &format!("Content-Length: {}\r\n", body.len())).into_bytes();
    all.extend(body);
    all.extend(world.call("behind", "behind"));
    assert!(raw.send(&all));
    assert_eq!(raw.answer().unwrap().status, 401);
    if let Some(reply) = raw.answer() {
        assert_good(&reply, "behind");
    }
    assert_eq!(world.runs("hidden"), 0);
    world.answers();
}

#[test]
fn a_flood_of_pipelined_requests_is_read_no_faster_than_it_is_answered() {
    let world = World::new(|_| {});
    let mut raw = world.connect();
    // Nobody reads the answers while these are written: the server must not collect them.
    let card = b"GET /.well-known/agent-card.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    for _ in 0..50 {
        assert!(raw.send(&card));
    }
    for _ in 0..10_000 {
        assert_eq!(raw.answer().unwrap().status, 200);
    }
    world.answers();
}
