//! A connection that ends before the answer does.

use std::net::Shutdown;
use std::time::Duration;

use molecule_async::ErrorKind;

use crate::peer::{Act, Peer, json};
use crate::support::{Once, agent, builder, timeouts};

#[tokio::test]
async fn a_peer_that_accepts_and_closes_interrupts() {
    let peer = Peer::start_wrapped(
        |_| Vec::new(),
        |stream| {
            stream.shutdown(Shutdown::Both).unwrap();
            Box::new(stream)
        },
    );
    // Whether the request was written before the close is a race, and so is whether it is sent again.
    let agent = builder(peer.url()).timeouts(timeouts(|timeouts| timeouts.call = Duration::from_millis(500)));
    let error = agent.build().unwrap().send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
}

#[tokio::test]
async fn a_request_that_was_read_and_not_answered_is_not_sent_twice() {
    let peer = Peer::start(|_| vec![Act::Close]);
    let error = agent(peer.url()).send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!((error.attempts(), peer.seen().len()), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_may_be_repeated_is() {
    let peer = Peer::start(|seen| if seen.connection == 1 { vec![Act::Close] } else { json("{}") });
    agent(peer.url()).pull_secrets().await.unwrap();
    assert_eq!((peer.seen().len(), peer.connections()), (2, 2));
}

#[tokio::test]
async fn half_a_head_and_half_a_body_interrupt() {
    for half in ["HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let peer = Peer::start(move |_| vec![Act::Send(half.into()), Act::Close]);
        let error = agent(peer.url()).send(&Once).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{half:?}: {error}");
    }
}
