//! A body above the endpoint's cap is refused, however it is sent; one at the cap is not.

use molecule_async::ErrorKind;

use crate::peer::{Act, Peer, answer};
use crate::support::{Once, agent};

fn chunked(length: usize) -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let half = length / 2;
    let chunk = |length: usize| format!("{length:x}\r\n{}\r\n", "x".repeat(length));
    vec![Act::Send(format!("{head}{}{}0\r\n\r\n", chunk(half), chunk(length - half)).into_bytes())]
}

fn until_closed(length: usize) -> Vec<Act> {
    vec![Act::Send(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(length)).into_bytes()), Act::Close]
}

fn with_length(length: usize) -> Vec<Act> {
    answer("200 OK", "", &"x".repeat(length))
}

#[tokio::test]
async fn the_cap_is_inclusive_in_every_framing() {
    for script in [chunked, until_closed, with_length] {
        let peer = Peer::start(move |_| script(1000));
        assert_eq!(agent(peer.url()).send(&Once).await.unwrap().len(), 1000);
        let peer = Peer::start(move |_| script(1001));
        let error = agent(peer.url()).send(&Once).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::TooLarge, Some(http::StatusCode::OK)));
        assert_eq!(peer.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_declared_length_is_refused_before_the_body_comes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n";
    let peer = Peer::start(move |_| vec![Act::Send(head.into()), Act::Stall]);
    let error = agent(peer.url()).send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
