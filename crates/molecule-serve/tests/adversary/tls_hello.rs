//! A client that speaks TLS to a port that does not.

use crate::raw::World;

/// The beginning of a TLS 1.3 hello, as a browser writes it: a record of type handshake, and a hello in it.
fn hello() -> Vec<u8> {
    let mut hello = vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    hello.extend((0..512).map(|at| (at * 7 + 13) as u8));
    hello
}

#[test]
fn a_tls_hello_is_refused() {
    let world = World::new(|_| {});
    for _ in 0..20 {
        let mut raw = world.connect();
        raw.send(&hello());
        let told = raw.until_closed();
        assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 400 "), "{:?}", String::from_utf8_lossy(&told));
    }
    world.answers();
}
