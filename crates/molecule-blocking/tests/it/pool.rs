//! Connections that are used again.

use molecule_blocking::{Client, Transport};
use molecule_conformance::Once;

use crate::common::*;

#[test]
fn agents_with_one_client_share_its_connections() {
    let peer = saying("ok");
    let client = Client::new(&Transport::default()).unwrap();
    for _ in 0..3 {
        let agent = builder(&peer.url()).client(client.clone()).build().unwrap();
        agent.send(&Once).unwrap();
    }
    assert_eq!(peer.opened(), 1);
}
