//! `https` through a proxy: it sees a name and a port, and its failures are its own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use molecule_async::{Agent, ErrorKind, Storage};

use crate::peer::{Peer, answer, json};
use crate::support::{ClosedPort, ID, Once, timeouts};
use crate::tls_peer::Authority;

fn through(proxy: &str, authority: &Authority) -> Agent {
    let builder = Agent::builder("https://platform.example", ID).storage(Storage::Memory).token("tok");
    let builder = builder.timeouts(timeouts(|timeouts| timeouts.call = std::time::Duration::from_millis(500)));
    builder.proxy(proxy).extra_ca(authority.pem()).build().unwrap()
}

#[tokio::test]
async fn the_tunnel_leads_to_the_platform_and_the_proxy_sees_no_token() {
    let authority = Authority::new();
    let secure = authority.secure("platform.example");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        // The proxy is the platform as well, at the tunnel's other end.
        let mut stream = secure(stream);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        stream.flush().unwrap();
        (String::from_utf8(asked).unwrap(), String::from_utf8(request).unwrap())
    });
    let agent = through(&format!("http://us%65r:p%40ss@127.0.0.1:{port}"), &authority);
    assert_eq!(agent.send(&Once).await.unwrap(), "{}");
    let (asked, request) = proxy.join().unwrap();
    assert!(asked.starts_with("CONNECT platform.example:443 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nhost: platform.example:443\r\n"), "{asked}");
    // "user:p@ss"
    assert!(asked.contains("\r\nproxy-authorization: Basic dXNlcjpwQHNz\r\n"), "{asked}");
    assert!(!asked.contains("tok"), "{asked}");
    assert!(request.starts_with("POST /once HTTP/1.1\r\n") && request.contains("Bearer tok"), "{request}");
    assert!(!request.contains("proxy-authorization"), "{request}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let authority = Authority::new();
    let peer = Peer::start(|_| answer("403 Forbidden", "", ""));
    let error = through(&peer.url(), &authority).send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("proxy") && error.to_string().contains("403"), "{error}");
    assert!(peer.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_asked_once() {
    let authority = Authority::new();
    let peer = Peer::start(|_| answer("407 Proxy Authentication Required", "proxy-authenticate: Basic\r\n", ""));
    let proxy = peer.url().replace("http://", "http://user:hunter2@");
    let error = through(&proxy, &authority).pull_secrets().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    // Each look with the wrong ones counts towards the lock of an account.
    assert_eq!((error.attempts(), peer.seen().len(), error.is_retryable()), (1, 1, false));
    let text = error.to_string();
    assert!(text.contains("407") && text.contains("credentials") && text.contains("HTTPS_PROXY"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let port = ClosedPort::new();
    let error = through(&port.url(), &Authority::new()).send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("the proxy"), "{error}");
}

#[tokio::test]
async fn this_machine_is_never_reached_through_a_proxy() {
    let proxy = Peer::start(|_| answer("407 Proxy Authentication Required", "", ""));
    let peer = Peer::start(|_| json("{}"));
    let builder = Agent::builder(peer.url(), ID).storage(Storage::Memory).token("tok");
    builder.proxy(proxy.url()).build().unwrap().pull_secrets().await.unwrap();
    assert_eq!(proxy.connections(), 0);
}
