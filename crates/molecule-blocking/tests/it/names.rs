//! Where names lead: how often they are looked up, and which of their addresses are called.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use molecule_blocking::core::connection::Reach;
use molecule_blocking::core::effect::{Fault, FaultKind, Limits, Sent};
use molecule_blocking::{Client, Transport};

use crate::common::*;

/// An address where nobody listens: the port was free a moment ago.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A client to which every name has these addresses at its first lookup, and those later; and how often it looked.
fn client(first: Vec<SocketAddr>, later: Vec<SocketAddr>) -> (Client, Arc<AtomicUsize>) {
    let looked = Arc::new(AtomicUsize::new(0));
    let count = looked.clone();
    let names = move |_: &str, _: u16| -> io::Result<Vec<SocketAddr>> {
        Ok(if count.fetch_add(1, Ordering::SeqCst) == 0 { first.clone() } else { later.clone() })
    };
    (Client::with_names(&Transport::default(), names).unwrap(), looked)
}

fn ask(client: &Client, reach: Reach) -> Result<Bytes, Fault> {
    let request = Request::get("http://peer.example/").body(Bytes::new()).unwrap();
    let limits = Limits::of(Duration::from_secs(10), 100).reach(reach);
    client.send(request, limits).map(http::Response::into_body)
}

#[test]
fn a_failover_by_dns_is_found_by_the_next_request() {
    let peer = Peer::new(|talk| while talk.serve("moved") {});
    let (client, looked) = client(vec![closed(), closed()], vec![peer.address]);
    let agent = builder("http://platform.example").allow_insecure_http().client(client).timeouts(patient());
    assert_eq!(agent.build().unwrap().send(&ONCE).unwrap(), "moved");
    assert_eq!(looked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_kept_connection_needs_no_lookup_and_a_new_one_none_within_a_minute() {
    let peer = Peer::new(|talk| {
        // The second answer on a connection is its last.
        for connection in ["keep-alive", "close"] {
            talk.request();
            talk.send(format!("HTTP/1.1 200 OK\r\nconnection: {connection}\r\ncontent-length: 2\r\n\r\nok"));
        }
        talk.stall();
    });
    let (client, looked) = client(vec![closed(), peer.address], Vec::new());
    for _ in 0..6 {
        assert_eq!(ask(&client, Reach::Anywhere).unwrap(), "ok");
    }
    assert_eq!((looked.load(Ordering::SeqCst), peer.accepted()), (1, 3));
}

#[test]
fn every_address_of_a_name_is_tried() {
    let peer = Peer::new(|talk| while talk.serve("ok") {});
    let mut many = vec![closed(); 20];
    many.push(peer.address);
    assert_eq!(ask(&client(many, Vec::new()).0, Reach::Anywhere).unwrap(), "ok");
}

#[test]
fn a_peers_name_that_leads_to_this_machine_or_a_private_network_is_not_called() {
    let peer = Peer::new(|talk| while talk.serve("secrets of this machine") {});
    for address in
        ["10.0.0.7:80", "192.168.1.1:80", "169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:127.0.0.1]:80"]
    {
        let (client, _) = client(vec![peer.address, address.parse().unwrap()], Vec::new());
        let fault = ask(&client, Reach::Public).unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::OutOfReach), "{address}");
        assert!(fault.source.unwrap().to_string().contains("peer.example leads to 127.0.0.1"));
    }
    assert_eq!(peer.accepted(), 0);
    // Beside a platform that is on this machine too.
    let (client, _) = client(vec!["10.0.0.7:80".parse().unwrap(), peer.address], Vec::new());
    assert_eq!(ask(&client, Reach::PublicOrLoopback).unwrap(), "secrets of this machine");
}

#[test]
fn a_connection_that_was_opened_for_the_platform_carries_nothing_to_a_peer() {
    let peer = Peer::new(|talk| while talk.serve("ok") {});
    let (client, _) = client(vec![peer.address], vec![peer.address]);
    ask(&client, Reach::Anywhere).unwrap();
    assert_eq!(ask(&client, Reach::Public).unwrap_err().kind, FaultKind::OutOfReach);
    ask(&client, Reach::PublicOrLoopback).unwrap();
    assert_eq!((peer.accepted(), peer.requests().len()), (2, 2));
}
