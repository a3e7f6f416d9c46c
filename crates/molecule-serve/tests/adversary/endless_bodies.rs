//! A body without end is refused at the limit, and its connection is cut soon after.

use crate::raw::{World, assert_good};

const PIECE: usize = 64 * 1024;
const LIMIT: usize = 1024 * 1024;
/// What a client may get rid of after the limit: the buffers of both sides' kernels, and what the server reads so that its answer is
/// seen.
const MOST: usize = 64 * 1024 * 1024;

#[test]
fn a_chunked_body_above_the_limit_is_not_read_to_its_end() {
    let world = World::new(|limits| limits.body_bytes = LIMIT);
    let mut raw = world.connect();
    assert!(raw.send(world.head_with("Transfer-Encoding: chunked\r\n").as_bytes()));
    let chunk = format!("{PIECE:x}\r\n{}\r\n", "x".repeat(PIECE));
    let mut sent = 0;
    while sent < 16 * MOST && raw.send(chunk.as_bytes()) {
        sent += PIECE;
    }
    assert!(sent < MOST, "{} MiB of the body went out", sent / 1024 / 1024);
    let told = raw.until_closed();
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 413 "), "{:?}", String::from_utf8_lossy(&told));
    world.answers();
}

#[test]
fn a_client_that_has_sent_a_little_more_than_the_limit_sees_the_answer() {
    let world = World::new(|limits| limits.body_bytes = LIMIT);
    for more in [1, PIECE, 8 * PIECE] {
        let mut raw = world.connect();
        assert!(raw.send(world.head_with("Transfer-Encoding: chunked\r\n").as_bytes()));
        let length = LIMIT + more;
        assert!(raw.send(format!("{length:x}\r\n{}", "x".repeat(length)).as_bytes()));
        let reply = raw.answer().expect("the server answers");
        assert_eq!((reply.status, reply.says_close()), (413, true), "{reply:?}");
        assert_eq!(raw.until_closed(), b"", "and nothing else");
    }
    // One at the limit is read to its end.
    let body = World::body("whole", "whole");
    let mut raw = world.connect();
    assert!(raw.send(world.head_with("Transfer-Encoding: chunked\r\n").as_bytes()));
    let padded = format!("{body}{}", " ".repeat(LIMIT - body.len()));
    assert!(raw.send(format!("{:x}\r\n{padded}\r\n0\r\n\r\n", padded.len()).as_bytes()));
    assert_good(&raw.answer().unwrap(), "whole");
}
