//! Tests of the scripted peer: everything that other tests rely on.
#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use molecule_conformance::{Certificate, ClosedPort, PeerAction, ScriptedPeer, trusted};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const PATIENCE: Duration = Duration::from_secs(10);

fn connect(peer: &ScriptedPeer) -> TcpStream {
    let stream = TcpStream::connect(peer.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request and reads until the peer closes.
fn ask(mut stream: impl Read + Write) -> io::Result<String> {
    let mut answer = String::new();
    stream.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 4\r\nX-Name:  value \r\n\r\nbody")?;
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_request_is_kept_as_it_came() {
    let peer = ScriptedPeer::answering(|request| {
        vec![PeerAction::answer("200 OK", &request.connection.to_string()), PeerAction::Close]
    });
    assert!(ask(connect(&peer)).unwrap().ends_with("\r\n\r\n1"));
    assert!(ask(connect(&peer)).unwrap().ends_with("\r\n\r\n2"));
    let requests = peer.requests();
    assert_eq!((requests.len(), peer.opened()), (2, 2));
    assert!(requests[1].is("POST /a") && !requests[1].is("POST /"));
    assert_eq!((requests[1].path(), requests[1].header("x-name")), ("/a", Some("value")));
    assert_eq!(requests[1].body, b"body");
}

#[test]
fn an_assertion_of_a_script_fails_the_test() {
    let peer = ScriptedPeer::start(|connection| assert!(connection.request().unwrap().is("GET /other")));
    let _ = ask(connect(&peer));
    catch_unwind(AssertUnwindSafe(|| drop(peer))).expect_err("the script has panicked");
}

#[test]
fn a_peer_that_is_dropped_closes_its_connections_and_its_port() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::Hold]);
    let (address, mut stream) = (peer.address(), connect(&peer));
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(peer.watch().wait(|log| log.requests.len() == 1));
    drop(peer);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).is_err());
    assert!(TcpStream::connect(ClosedPort::new().address()).is_err());
}

#[test]
fn a_slam_is_a_reset_where_something_is_unread() {
    let peer = ScriptedPeer::start(|connection| {
        connection.perform([PeerAction::Notice, PeerAction::Slam]);
    });
    let end = ask(connect(&peer)).unwrap_err().kind();
    // Windows has a word of its own for it.
    assert!(matches!(end, io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted), "{end:?}");
}

#[test]
fn a_client_that_leaves_ends_a_script() {
    let (tell, told) = channel();
    let peer = ScriptedPeer::start(move |connection| {
        let open =
            connection.perform([PeerAction::Take, PeerAction::Drip("x".repeat(1 << 20).into_bytes().into(), PATIENCE)]);
        tell.send((open, connection.send("more"))).unwrap();
    });
    let mut stream = connect(&peer);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    drop(stream);
    assert_eq!(told.recv_timeout(PATIENCE), Ok((false, false)));
    assert!(peer.watch().wait(|log| log.closed == 1));
}

#[test]
fn only_a_cut_leaves_out_the_goodbye_of_tls() {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&trusted()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    for (last, ends_well) in [(PeerAction::Close, true), (PeerAction::Cut, false)] {
        let name = format!("{last:?}");
        let peer = ScriptedPeer::start(move |connection| {
            connection.perform([
                PeerAction::Secure(Certificate::Good),
                PeerAction::Take,
                PeerAction::ok(),
                last.clone(),
            ]);
        });
        let client = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        let end = ask(StreamOwned::new(client, connect(&peer)));
        assert_eq!(end.is_ok(), ends_well, "{name}: {end:?}");
    }
}
