//! TLS sessions are taken up again with the platform, and never with a peer, who could tell by them who calls again.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use molecule_async::core::connection::Reach;
use molecule_async::core::effect::Limits;
use molecule_async::{Client, Transport};
use rustls::{HandshakeKind, ServerConnection, StreamOwned};

use crate::peer::{Peer, answer};
use crate::support::SOON;
use crate::tls_peer::Authority;

/// How the second of two handshakes went.
async fn second(reach: Reach) -> HandshakeKind {
    let authority = Authority::new();
    let config = authority.config("127.0.0.1");
    let (saw, kinds) = std::sync::mpsc::channel();
    let peer = Peer::start_wrapped(
        |_| answer("200 OK", "connection: close\r\n", "ok"),
        move |stream| {
            let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            while tls.conn.is_handshaking() && tls.conn.complete_io(&mut tls.sock).is_ok() {}
            let _ = saw.send(tls.conn.handshake_kind());
            Box::new(tls)
        },
    );
    let transport = Transport::new().extra_ca(authority.pem());
    let client = Client::new(&transport).unwrap();
    for _ in 0..2 {
        let request = Request::get(format!("https://127.0.0.1:{}/", peer.port())).body(Bytes::new()).unwrap();
        client.send(request, Limits::of(SOON, 1000).reach(reach)).await.unwrap();
    }
    assert_eq!(kinds.recv_timeout(SOON), Ok(Some(HandshakeKind::Full)));
    kinds.recv_timeout(SOON).unwrap().unwrap()
}

#[tokio::test]
async fn the_platform_may_take_a_session_up_again() {
    assert_eq!(second(Reach::Anywhere).await, HandshakeKind::Resumed);
}

#[tokio::test]
async fn a_peer_may_not() {
    assert_eq!(second(Reach::PublicOrLoopback).await, HandshakeKind::Full);
}
