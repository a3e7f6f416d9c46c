//! Connections that are used again.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use molecule_blocking::{Client, Transport};

use crate::common::*;

#[test]
fn a_connection_is_used_again() {
    let peer = Peer::new(|talk| while talk.serve("ok") {});
    let agent = agent(&peer.url());
    for _ in 0..5 {
        agent.send(&ONCE).unwrap();
    }
    assert_eq!((peer.accepted(), peer.requests().len()), (1, 5));
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_costs_no_request() {
    let (closed, told) = channel();
    let closed = Mutex::new(closed);
    let peer = Peer::new(move |talk| {
        talk.serve("ok");
        talk.close();
        let _ = closed.lock().unwrap().send(());
    });
    let agent = agent(&peer.url());
    for _ in 0..5 {
        assert_eq!(agent.send(&ONCE).unwrap(), "ok");
        told.recv_timeout(millis(5000)).unwrap();
    }
    assert_eq!((peer.accepted(), peer.requests().len()), (5, 5));
}

#[test]
fn a_connection_whose_server_says_close_is_not_kept() {
    let peer = Peer::new(|talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        talk.stall();
    });
    let agent = agent(&peer.url());
    for _ in 0..3 {
        agent.send(&ONCE).unwrap();
    }
    assert_eq!(peer.accepted(), 3);
}

#[test]
fn agents_with_one_client_share_its_connections() {
    let peer = Peer::new(|talk| while talk.serve("ok") {});
    let client = Client::new(&Transport::default()).unwrap();
    for _ in 0..3 {
        let agent = builder(&peer.url()).client(client.clone()).build().unwrap();
        agent.send(&ONCE).unwrap();
    }
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_cookie_is_never_said_even_where_the_applications_tree_turns_on_those_of_ureq() {
    let peer = Peer::new(|talk| {
        while talk.request().is_some() {
            talk.send("HTTP/1.1 200 OK\r\nset-cookie: session=secret; Path=/\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let agent = agent(&peer.url());
    for _ in 0..3 {
        assert_eq!(agent.send(&ONCE).unwrap(), "ok");
    }
    assert_eq!((peer.accepted(), peer.requests().len()), (1, 3));
    for request in peer.requests() {
        assert!(!request.to_ascii_lowercase().contains("cookie"), "{request}");
    }
    // They are turned on here: the tests ask for them.
    assert_eq!(ureq::agent().cookie_jar_lock().iter().count(), 0);
}
