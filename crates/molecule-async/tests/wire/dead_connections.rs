//! Kept connections whose other end went without a word: after a sleep, behind a NAT that forgot them, on another network.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use molecule_async::core::connection::KEPT;
use molecule_async::core::effect::Limits;
use molecule_async::{Agent, Client, ErrorKind, Transport};

use crate::peer::{Act, Peer, Seen, json};
use crate::support::{Once, SOON, builder, timeouts};

/// How many connections die.
const KEPT_ONES: usize = 4;

/// A peer that answers the first request of each of its first connections, once all of them are there, and then falls silent
/// on them; on later connections it answers.
fn dies() -> Peer {
    dies_after(b"")
}

/// The same, with some last words.
fn dies_after(words: &'static [u8]) -> Peer {
    let together = Arc::new(Barrier::new(KEPT_ONES));
    Peer::start(move |seen: &Seen| match seen {
        seen if seen.connection > KEPT_ONES => json("{}"),
        seen if seen.is("GET /first") => {
            together.wait();
            json("{}")
        }
        _ => vec![Act::Send(words.to_vec()), Act::Stall],
    })
}

/// An agent with [`KEPT_ONES`] kept connections to the peer, and its client.
async fn agent(peer: &Peer) -> (Agent, Client) {
    let client = Client::new(&Transport::default()).unwrap();
    let limits = timeouts(|timeouts| {
        (timeouts.answer, timeouts.read) = (Duration::from_millis(300), Duration::from_millis(300))
    });
    let agent = builder(peer.url()).timeouts(limits).client(client.clone()).build().unwrap();
    let first = |_| tokio::spawn(client.send(request(peer, "/first"), Limits::of(SOON, 1000)));
    for one in (0..KEPT_ONES).map(first).collect::<Vec<_>>() {
        one.await.unwrap().unwrap();
    }
    assert_eq!(peer.connections(), KEPT_ONES);
    (agent, client)
}

fn request(peer: &Peer, path: &str) -> Request<Bytes> {
    Request::get(format!("{}{path}", peer.url())).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn the_retry_after_a_dead_connection_opens_a_new_one() {
    let peer = dies();
    let (agent, _) = agent(&peer).await;
    agent.pull_secrets().await.unwrap();
    // The first on a dead one, the second on a new one.
    assert_eq!(peer.seen().len(), KEPT_ONES + 2);
    assert_eq!(peer.connections(), KEPT_ONES + 1);
    peer.wait_for_closed(KEPT_ONES).await;
}

#[tokio::test]
async fn a_connection_that_dies_in_the_middle_of_an_answer_takes_the_others_with_it() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let peer = dies_after(half);
    let (agent, _) = agent(&peer).await;
    agent.pull_secrets().await.unwrap();
    assert_eq!(peer.seen().len(), KEPT_ONES + 2);
}

#[tokio::test]
async fn what_is_not_repeated_says_what_happened_and_leaves_no_dead_ones() {
    let peer = dies();
    let (agent, _) = agent(&peer).await;
    let error = agent.send(&Once).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    agent.send(&Once).await.unwrap();
    assert_eq!(peer.connections(), KEPT_ONES + 1);
}

#[tokio::test]
async fn a_request_that_needs_a_live_connection_opens_one() {
    let peer = dies();
    let (_, client) = agent(&peer).await;
    // As for a message to a peer that comes 5 s later.
    let live = Limits::of(SOON, 1000).max_idle(Duration::ZERO);
    client.send(request(&peer, "/live"), live).await.unwrap();
    assert_eq!(peer.connections(), KEPT_ONES + 1);
    // The new one was heard last, so that others find it too.
    client.send(request(&peer, "/next"), live.max_idle(KEPT)).await.unwrap();
    assert_eq!(peer.connections(), KEPT_ONES + 1);
}
