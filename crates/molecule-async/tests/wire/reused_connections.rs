//! Connections are kept for the next request, and their end is no failure of it.

use molecule_async::{Client, ErrorKind, Transport};

use crate::peer::{Act, Peer, answer, json};
use crate::support::{Once, agent, builder};

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let peer = Peer::start(|_| json("{}"));
    let agent = agent(peer.url());
    for _ in 0..5 {
        agent.send(&Once).await.unwrap();
    }
    assert_eq!((peer.seen().len(), peer.connections()), (5, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_one_after_the_other_share_a_connection_on_many_threads() {
    let peer = Peer::start(|_| json("{}"));
    let agent = agent(peer.url());
    for _ in 0..200 {
        agent.send(&Once).await.unwrap();
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn calls_side_by_side_do_not_wait_for_each_other() {
    let peer = Peer::start(|seen| if seen.is("POST /once") { vec![Act::Stall] } else { json("{}") });
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
    let peer = Peer::start(|_| json("{}"));
    let client = Client::new(&Transport::default()).unwrap();
    for _ in 0..3 {
        builder(peer.url()).client(client.clone()).build().unwrap().send(&Once).await.unwrap();
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let close_after = |_: &_| [json("{}"), vec![Act::Close]].into_iter().flatten().collect();
    let peer = Peer::start(close_after);
    let agent = agent(peer.url());
    for round in 1..=3 {
        agent.send(&Once).await.unwrap();
        assert_eq!(peer.connections(), round);
        peer.wait_for_closed(round).await;
    }
}

#[tokio::test]
async fn a_connection_that_says_close_is_not_kept() {
    let peer = Peer::start(|_| answer("200 OK", "connection: close\r\n", "{}"));
    let agent = agent(peer.url());
    agent.send(&Once).await.unwrap();
    agent.send(&Once).await.unwrap();
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_closes_upon_the_request_interrupts_it() {
    let peer = Peer::start(|seen| if seen.is("POST /once") { vec![Act::Close] } else { json("{}") });
    let agent = agent(peer.url());
    agent.pull_secrets().await.unwrap();
    let error = agent.send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    // It may have arrived, so it was not sent again.
    assert_eq!((error.attempts(), peer.connections()), (1, 1));
}
