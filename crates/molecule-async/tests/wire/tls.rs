//! Who is trusted, and that nothing is sent to anybody else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use molecule_async::{Client, Error, ErrorKind, Transport};

use crate::peer::{Act, Peer, json};
use crate::support::{Once, builder};
use crate::tls_peer::Authority;

fn url(peer: &Peer) -> String {
    format!("https://127.0.0.1:{}", peer.port())
}

fn is_refused(error: &Error, peer: &Peer) {
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    // A certificate is not better at the second look.
    assert_eq!(error.attempts(), 1);
    assert!(!error.is_retryable());
    assert_eq!(peer.seen().len(), 0);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let peer = Authority::new().peer("127.0.0.1", |_| json("{}"));
    let error = builder(url(&peer)).build().unwrap().pull_secrets().await.unwrap_err();
    is_refused(&error, &peer);
    assert!(error.to_string().contains("certificate authority"), "{error}");
}

#[tokio::test]
async fn an_extra_authority_is_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let peer = authority.peer("127.0.0.1", |_| json(r#"{"NAME":"value"}"#));
    let agent = builder(url(&peer)).extra_ca(other.pem()).extra_ca(authority.pem()).build().unwrap();
    assert_eq!(agent.pull_secrets().await.unwrap().len(), 1);
    agent.pull_secrets().await.unwrap();
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn another_name_is_refused() {
    let authority = Authority::new();
    let peer = authority.peer("elsewhere.example", |_| json("{}"));
    let error = builder(url(&peer)).extra_ca(authority.pem()).build().unwrap().pull_secrets().await.unwrap_err();
    is_refused(&error, &peer);
}

#[tokio::test]
async fn a_body_that_is_cut_without_a_goodbye_is_no_body() {
    let authority = Authority::new();
    let cut = b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec();
    let peer = authority.peer("127.0.0.1", move |_| vec![Act::Send(cut.clone()), Act::Close]);
    let error = builder(url(&peer)).extra_ca(authority.pem()).build().unwrap().send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // A hello is no request; web servers say so in plain HTTP.
        stream.read_exact(&mut [0; 5]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        while stream.read(&mut [0; 512]).is_ok_and(|length| length > 0) {}
    });
    let error = builder(format!("https://127.0.0.1:{port}")).build().unwrap().pull_secrets().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    plain.join().unwrap();
}

#[tokio::test]
async fn a_server_with_tls_is_no_http_to_a_client_without() {
    let secured = Authority::new().peer("127.0.0.1", |_| json("{}"));
    let error = builder(secured.url()).build().unwrap().send(&Once).await.unwrap_err();
    // It answers with an alert, which is no head.
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(secured.seen().len(), 0);
}

#[test]
fn a_certificate_that_is_none_is_a_config_error() {
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let transport = Transport::default().extra_ca(pem);
        let error = Client::new(&transport).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
