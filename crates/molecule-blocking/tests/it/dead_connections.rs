//! Kept connections that nobody is at the other end of any more, as after a sleep: they take a request and say nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use molecule_blocking::core::effect::{FaultKind, Limits, Phase};
use molecule_blocking::{Client, Transport};

use crate::common::*;

const KEPT: usize = 4;

/// Answers one request on each of the first [`KEPT`] connections, once all of them have one, and every request on later ones.
fn forgetful() -> Peer {
    let (opened, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(KEPT)));
    Peer::new(move |talk| {
        if opened.fetch_add(1, Ordering::SeqCst) >= KEPT {
            while talk.serve("alive") {}
            return;
        }
        talk.request();
        together.wait();
        talk.answer("200 OK", "first");
        while talk.request().is_some() {}
    })
}

/// Opens [`KEPT`] connections, which lie idle then.
fn open_all(peer: &Peer, client: &Client) {
    thread::scope(|scope| {
        for _ in 0..KEPT {
            scope.spawn(|| builder(&peer.url()).client(client.clone()).build().unwrap().send(&ONCE).unwrap());
        }
    });
    assert_eq!(peer.accepted(), KEPT);
}

#[test]
fn a_dead_kept_connection_takes_its_idle_neighbours_along_and_the_retry_opens_a_new_one() {
    let peer = forgetful();
    let client = Client::new(&Transport::default()).unwrap();
    open_all(&peer, &client);
    let limits = patient().answer(millis(300));
    let agent = builder(&peer.url()).client(client).timeouts(limits).build().unwrap();
    assert_eq!(agent.send(&AGAIN).unwrap(), "alive");
    assert_eq!(peer.requests().len(), KEPT + 2, "one was lost on a dead connection, and no second one");
    assert_eq!(peer.accepted(), KEPT + 1);
}

fn get(peer: &Peer) -> Request<Bytes> {
    Request::get(peer.url()).body(Bytes::new()).unwrap()
}

#[test]
fn a_request_that_must_not_meet_a_dead_connection_opens_a_new_one_and_leaves_the_old_one_to_others() {
    let peer = Peer::new(|talk| while talk.serve("ok") {});
    let client = Client::new(&Transport::default()).unwrap();
    let limits = Limits::of(Duration::from_secs(10), 100);
    client.send(get(&peer), limits).unwrap();
    client.send(get(&peer), limits.max_idle(Duration::from_secs(5))).unwrap();
    assert_eq!(peer.accepted(), 1, "it was heard a moment ago");
    client.send(get(&peer), limits.max_idle(Duration::ZERO)).unwrap();
    assert_eq!(peer.accepted(), 2);
    for _ in 0..3 {
        client.send(get(&peer), limits).unwrap();
    }
    assert_eq!(peer.accepted(), 2);
}

#[test]
fn a_slow_answer_on_a_new_connection_closes_no_other() {
    let opened = AtomicUsize::new(0);
    let peer = Peer::new(move |talk| match opened.fetch_add(1, Ordering::SeqCst) {
        1 => talk.stall(),
        _ => while talk.serve("ok") {},
    });
    let client = Client::new(&Transport::default()).unwrap();
    let limits = Limits::of(Duration::from_secs(10), 100);
    client.send(get(&peer), limits).unwrap();
    let short = limits.head(millis(200)).max_idle(Duration::ZERO);
    assert_eq!(client.send(get(&peer), short).unwrap_err().kind, FaultKind::Timeout(Phase::Head));
    client.send(get(&peer), limits).unwrap();
    assert_eq!(peer.accepted(), 2);
}
