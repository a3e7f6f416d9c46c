//! How often names are looked up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use molecule_blocking::core::effect::Limits;
use molecule_blocking::{Client, Transport};
use molecule_conformance::{ClosedPort, Once, PeerAction, ScriptedPeer};

use crate::common::*;

/// A client to which every name has these addresses at its first lookup, and those later; and how often it looked.
fn client(first: Vec<SocketAddr>, later: Vec<SocketAddr>) -> (Client, Arc<AtomicUsize>) {
    let looked = Arc::new(AtomicUsize::new(0));
    let count = looked.clone();
    let names = move |_: &str, _: u16| -> io::Result<Vec<SocketAddr>> {
        Ok(if count.fetch_add(1, Ordering::SeqCst) == 0 { first.clone() } else { later.clone() })
    };
    (Client::with_names(&Transport::default(), names).unwrap(), looked)
}

#[test]
fn a_failover_by_dns_is_found_by_the_next_request() {
    let (peer, closed) = (saying("moved"), ClosedPort::new());
    let (client, looked) = client(vec![closed.address(); 2], vec![peer.address()]);
    let agent = builder("http://platform.example").allow_insecure_http().client(client).timeouts(patient());
    assert_eq!(agent.build().unwrap().send(&Once).unwrap(), "moved");
    assert_eq!(looked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_kept_connection_needs_no_lookup_and_a_new_one_none_within_a_minute() {
    // The second answer on a connection is its last.
    let last = || PeerAction::answer_with("200 OK", "connection: close\r\n", "ok");
    let (peer, closed) = (
        ScriptedPeer::start(move |connection| {
            connection.perform([PeerAction::Take, PeerAction::ok(), PeerAction::Take, last(), PeerAction::Listen]);
        }),
        ClosedPort::new(),
    );
    let (client, looked) = client(vec![closed.address(), peer.address()], Vec::new());
    for _ in 0..6 {
        let request = Request::get("http://peer.example/").body(Bytes::new()).unwrap();
        assert_eq!(client.send(request, Limits::of(Duration::from_secs(10), 100)).unwrap().body(), "ok");
    }
    assert_eq!((looked.load(Ordering::SeqCst), peer.opened()), (1, 3));
}
