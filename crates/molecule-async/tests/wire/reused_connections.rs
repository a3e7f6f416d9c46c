//! Connections are kept for the next request, also among many threads and many agents.

use molecule_async::{Client, Transport};
use molecule_conformance::{Once, PeerAction, ScriptedPeer};

use crate::support::{agent, builder};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_one_after_the_other_share_a_connection_on_many_threads() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::json("{}")]);
    let agent = agent(peer.url());
    for _ in 0..200 {
        agent.send(&Once).await.unwrap();
    }
    assert_eq!(peer.opened(), 1);
}

#[tokio::test]
async fn calls_side_by_side_do_not_wait_for_each_other() {
    let peer = ScriptedPeer::answering(|request| {
        vec![if request.is("POST /once") { PeerAction::Listen } else { PeerAction::json("{}") }]
    });
    let agent = agent(peer.url());
    let stalled = tokio::spawn({
        let agent = agent.clone();
        async move { agent.send(&Once).await }
    });
    tokio::task::yield_now().await;
    agent.pull_secrets().await.unwrap();
    stalled.abort();
}

#[tokio::test]
async fn agents_with_one_client_share_its_connections() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::json("{}")]);
    let client = Client::new(&Transport::default()).unwrap();
    for _ in 0..3 {
        builder(peer.url()).client(client.clone()).build().unwrap().send(&Once).await.unwrap();
    }
    assert_eq!(peer.opened(), 1);
}
