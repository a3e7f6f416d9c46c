//! Bytes that are no HTTP.

use std::time::Duration;

use crate::raw::World;

/// Bytes that look random, the same for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn garbage_is_closed() {
    // Some noise is the beginning of a head, and ends at its deadline.
    let world = World::new(|limits| limits.head_time = Duration::from_millis(300));
    let mut rows: Vec<Vec<u8>> = (0..40).map(|seed| noise(seed, 1 + 97 * seed as usize)).collect();
    rows.extend([
        vec![0; 100_000],
        vec![b'\n'; 50_000],
        b"\r\n".repeat(20_000),
        vec![b'A'; 100_000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET /\r\n\r\n".to_vec(),
        b"\x05\x01\x00".to_vec(),
        "GET / HTTP/1.1\r\nHost: \u{fffd}\u{202e}\r\n\r\n".into(),
    ]);
    for row in rows {
        let mut raw = world.connect();
        raw.send(&row);
        raw.finish();
        let told = String::from_utf8_lossy(&raw.until_closed()).into_owned();
        let first = told.lines().next().unwrap_or_default();
        let refused = ["", "HTTP/1.1 400 ", "HTTP/1.1 408 ", "HTTP/1.1 431 "];
        assert!(
            first.is_empty() || refused[1..].iter().any(|refusal| first.starts_with(refusal)),
            "{:?}… got {told:?}",
            String::from_utf8_lossy(&row[..row.len().min(40)])
        );
    }
    world.answers();
    assert_eq!(world.all_runs(), 1);
}
