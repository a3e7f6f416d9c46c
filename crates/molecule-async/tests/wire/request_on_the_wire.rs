//! What a request looks like to the server.

use crate::peer::{Peer, json};
use crate::support::{Once, agent};

#[tokio::test]
async fn the_path_is_the_target_and_the_authority_the_host() {
    let peer = Peer::start(|_| json("{}"));
    agent(format!("{}/base/", peer.url())).send(&Once).await.unwrap();
    let seen = &peer.seen()[0];
    assert!(seen.is("POST /base/once"), "{}", seen.head);
    assert_eq!(seen.header("host"), Some(format!("127.0.0.1:{}", peer.port()).as_str()));
    assert_eq!(seen.header("authorization"), Some("Bearer tok"));
    // Some gateways answer 411 to a POST without one.
    assert_eq!(seen.header("content-length"), Some("0"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    for absent in ["cookie", "expect", "te", "connection"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_body_has_its_length() {
    let peer = Peer::start(|_| json(r#"{"status":"ok"}"#));
    agent(peer.url()).heartbeat().await.unwrap();
    let seen = &peer.seen()[0];
    assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
    assert!(seen.body.starts_with(b"{"), "{:?}", String::from_utf8_lossy(&seen.body));
}
