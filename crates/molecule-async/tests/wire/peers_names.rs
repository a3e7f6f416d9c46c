//! A name under which a peer is called directly leads to public addresses, and to this machine where the platform is on it too.

use bytes::Bytes;
use http::Request;
use molecule_async::core::connection::Reach;
use molecule_async::core::effect::{FaultKind, Limits, Sent};
use molecule_async::{Client, Transport};

use crate::peer::{Peer, json};
use crate::support::SOON;

fn request(peer: &Peer) -> Request<Bytes> {
    Request::post(format!("http://peer.example:{}/a2a", peer.port())).body(Bytes::new()).unwrap()
}

fn limits(reach: Reach) -> Limits {
    Limits::of(SOON, 1000).reach(reach)
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_called_only_beside_the_platform() {
    let peer = Peer::start(|_| json("{}"));
    let here = ([127, 0, 0, 1], peer.port()).into();
    let client = Client::with_names(&Transport::default(), move |_, _| Ok(vec![here])).unwrap();
    let fault = client.send(request(&peer), limits(Reach::Public)).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::OutOfReach, Sent::No));
    assert!(fault.source.unwrap().to_string().contains("127.0.0.1"));
    assert_eq!(peer.connections(), 0);
    client.send(request(&peer), limits(Reach::PublicOrLoopback)).await.unwrap();
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_another_agents_platform_is_reached_by_is_not_a_peers() {
    let peer = Peer::start(|_| json("{}"));
    let here = ([127, 0, 0, 1], peer.port()).into();
    let client = Client::with_names(&Transport::default(), move |_, _| Ok(vec![here])).unwrap();
    client.send(request(&peer), limits(Reach::Anywhere)).await.unwrap();
    let fault = client.send(request(&peer), limits(Reach::Public)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::OutOfReach);
    assert_eq!(peer.seen().len(), 1);
}
