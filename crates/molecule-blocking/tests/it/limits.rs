//! Each limit of a request, and that no other one stands in its way.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use molecule_blocking::ErrorKind;

use crate::common::*;

#[test]
fn a_late_head_is_a_timeout() {
    let peer = Peer::new(|talk| {
        talk.request();
        talk.stall();
    });
    let agent = builder(&peer.url()).timeouts(patient().answer(millis(200))).build().unwrap();
    let started = Instant::now();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1), "{error}");
    assert!(error.to_string().contains("no answer within the limit"), "{error}");
    assert!((millis(200)..millis(1500)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[test]
fn a_head_that_drips_is_a_timeout() {
    let (never, pause) = channel::<()>();
    let pause = Mutex::new(pause);
    let peer = Peer::new(move |talk| {
        talk.request();
        for byte in "HTTP/1.1 200 OK\r\nx-long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".bytes() {
            talk.send([byte]);
            let _ = pause.lock().unwrap().recv_timeout(millis(20));
        }
    });
    let agent = builder(&peer.url()).timeouts(patient().answer(millis(250))).build().unwrap();
    let started = Instant::now();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!((millis(250)..millis(1000)).contains(&started.elapsed()), "{:?}", started.elapsed());
    drop(never);
}

#[test]
fn a_body_that_stalls_is_a_timeout() {
    let peer = Peer::new(|talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
        talk.stall();
    });
    let agent = builder(&peer.url()).timeouts(patient().read(millis(200))).build().unwrap();
    let started = Instant::now();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("the answer stalled"), "{error}");
    assert!((millis(200)..millis(1500)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

/// Sends the head, then a byte of the body every 40 ms.
fn dripping(bytes: usize) -> Peer {
    // Nobody ever sends, so that waiting for it is a pause.
    let (never, pause) = channel::<()>();
    let pause = Arc::new(Mutex::new((never, pause)));
    Peer::new(move |talk| {
        talk.request();
        talk.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n"));
        for _ in 0..bytes {
            talk.send("x");
            let _ = pause.lock().unwrap().1.recv_timeout(millis(40));
        }
    })
}

#[test]
fn a_body_that_drips_is_held_to_the_total_limit() {
    let peer = dripping(100);
    let limits = patient().request(millis(300)).read(millis(250));
    let agent = builder(&peer.url()).timeouts(limits).build().unwrap();
    let started = Instant::now();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("did not end within the total limit"), "{error}");
    assert!((millis(300)..millis(1000)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[test]
fn a_body_that_drips_faster_than_the_read_limit_is_read() {
    let peer = dripping(10);
    let agent = builder(&peer.url()).timeouts(patient().read(millis(250))).build().unwrap();
    let started = Instant::now();
    assert_eq!(agent.send(&ONCE).unwrap(), "xxxxxxxxxx");
    assert!(started.elapsed() > millis(300), "it took longer than the read limit: {:?}", started.elapsed());
}

#[test]
fn the_read_limit_does_not_hurry_the_head() {
    let (never, pause) = channel::<()>();
    let pause = Mutex::new((never, pause));
    let peer = Peer::new(move |talk| {
        while talk.request().is_some() {
            let _ = pause.lock().unwrap().1.recv_timeout(millis(300));
            talk.answer("200 OK", "thought about it");
        }
    });
    let agent = builder(&peer.url()).timeouts(patient().read(millis(100))).build().unwrap();
    // The second one on the same connection, whose first body is behind it.
    for _ in 0..2 {
        assert_eq!(agent.send(&ONCE).unwrap(), "thought about it");
    }
    assert_eq!(peer.accepted(), 1);
}
