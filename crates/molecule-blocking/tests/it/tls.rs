//! Whom an agent trusts.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use molecule_blocking::core::connection::Reach;
use molecule_blocking::core::effect::Limits;
use molecule_blocking::{Agent, AgentBuilder, Client, Ended, ErrorKind, Event, Proxy, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use crate::common::*;

/// An authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A peer with a certificate for a name, signed by this authority.
    fn peer(&self, name: &str, script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Peer {
        self.watched(name, script, |_| {})
    }

    /// The same, whose handshakes are seen when they are over.
    fn watched(
        &self,
        name: &str,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
        see: impl Fn(&ServerConnection) + Send + Sync + 'static,
    ) -> Peer {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let wrap = move |mut stream: TcpStream| {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            connection.complete_io(&mut stream).ok()?;
            see(&connection);
            Some(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Stream>)
        };
        Peer::secured(wrap, script)
    }
}

fn secure(peer: &Peer) -> String {
    format!("https://127.0.0.1:{}", peer.address.port())
}

fn build(builder: AgentBuilder) -> Agent {
    builder.timeouts(patient()).build().unwrap()
}

#[test]
fn an_unknown_authority_is_a_tls_error_and_not_tried_again() {
    let peer = Authority::new().peer("127.0.0.1", |talk| while talk.serve("ok") {});
    let error = build(builder(&secure(&peer))).send(&AGAIN).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Tls, 1), "{error}");
    assert!(error.to_string().contains("add the certificate authority"), "{error}");
    assert_eq!(peer.requests().len(), 0);
}

#[test]
fn an_extra_authority_is_trusted() {
    let authority = Authority::new();
    let peer = authority.peer("127.0.0.1", |talk| while talk.serve("ok") {});
    let agent = build(builder(&secure(&peer)).extra_ca(authority.pem()));
    for _ in 0..3 {
        assert_eq!(agent.send(&ONCE).unwrap(), "ok");
    }
    assert_eq!(peer.accepted(), 1, "the connection is kept");
}

#[test]
fn a_session_is_resumed_with_the_platform_and_never_with_a_peer() {
    for (reach, resumed) in
        [(Reach::Anywhere, Some(HandshakeKind::Resumed)), (Reach::PublicOrLoopback, Some(HandshakeKind::Full))]
    {
        let (authority, seen) = (Authority::new(), Arc::new(Mutex::new(Vec::new())));
        let kinds = seen.clone();
        let peer = authority.watched(
            "127.0.0.1",
            |talk| assert!(talk.serve("ok")),
            move |connection| kinds.lock().unwrap().push(connection.handshake_kind()),
        );
        let client = Client::new(&Transport::new().extra_ca(authority.pem()).proxy(Proxy::Off)).unwrap();
        for _ in 0..2 {
            let request = Request::get(secure(&peer)).body(Bytes::new()).unwrap();
            let limits = Limits::of(Duration::from_secs(10), 100).reach(reach).max_idle(Duration::ZERO);
            assert_eq!(client.send(request, limits).unwrap().body(), "ok");
        }
        assert_eq!(*seen.lock().unwrap(), [Some(HandshakeKind::Full), resumed], "{reach:?}");
    }
}

#[test]
fn a_certificate_for_another_name_is_a_tls_error() {
    let authority = Authority::new();
    let peer = authority.peer("other.example", |talk| while talk.serve("ok") {});
    let error = build(builder(&secure(&peer)).extra_ca(authority.pem())).send(&AGAIN).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Tls, 1), "{error}");
    assert_eq!(peer.requests().len(), 0);
}

#[test]
fn a_server_without_tls_is_a_tls_error() {
    let peer = Peer::new(|talk| {
        talk.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        talk.stall();
    });
    let error = build(builder(&secure(&peer))).send(&AGAIN).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
}

#[test]
fn a_handshake_that_is_cut_off_may_be_tried_again() {
    let peer = Peer::new(|_| {});
    // No time is left for another attempt.
    let limits = patient().call(millis(1));
    let error = builder(&secure(&peer)).timeouts(limits).build().unwrap().send(&ONCE).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unreachable, 1), "{error}");
    assert!(error.is_retryable(), "{error}");
}

#[test]
fn a_handshake_that_stalls_is_held_to_the_connect_limit() {
    let peer = Peer::new(|talk| talk.stall());
    let limits = patient().connect(millis(200)).call(millis(250));
    let error = builder(&secure(&peer)).timeouts(limits).build().unwrap().send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("no connection within the connect limit"), "{error}");
}

#[test]
fn a_proxy_that_stalls_is_held_to_the_connect_limit() {
    let proxy = Peer::new(|talk| talk.stall());
    let limits = patient().connect(millis(200)).call(millis(250));
    let agent = builder("https://platform.example").proxy(proxy.url()).timeouts(limits).build().unwrap();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("no connection within the connect limit"), "{error}");
}

#[test]
fn the_limits_hold_under_tls() {
    let authority = Authority::new();
    let peer = authority.peer("127.0.0.1", |talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
        talk.stall();
    });
    let limits = patient().read(millis(200));
    let agent = builder(&secure(&peer)).extra_ca(authority.pem()).timeouts(limits).build().unwrap();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("the answer stalled"), "{error}");
}

#[test]
fn an_answer_that_is_cut_off_under_tls_is_interrupted() {
    let authority = Authority::new();
    let peer = authority.peer("127.0.0.1", |talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    });
    let error = build(builder(&secure(&peer)).extra_ca(authority.pem())).send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
}

#[test]
fn the_loop_runs_over_tls_on_its_small_stacks() {
    let authority = Authority::new();
    let peer = authority.peer("127.0.0.1", |talk| {
        while let Some(request) = talk.request() {
            let (status, body) = platform_says(&request);
            talk.answer(status, &body);
        }
    });
    let stopper: Arc<Mutex<Option<molecule_blocking::Stopper>>> = Arc::default();
    let inside = stopper.clone();
    let agent = build(builder(&secure(&peer)).extra_ca(authority.pem()).on_event(move |event| {
        if *event == Event::Online {
            inside.lock().unwrap().iter().for_each(molecule_blocking::Stopper::stop);
        }
    }));
    *stopper.lock().unwrap() = Some(agent.stopper());
    assert_eq!(agent.run_heartbeat_loop().unwrap(), Ended::Stopped);
}

#[test]
fn https_goes_through_the_proxys_tunnel() {
    let authority = Authority::new();
    let peer = authority.peer("platform.example", |talk| {
        talk.request();
        talk.answer("200 OK", "through the tunnel");
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
        talk.stall();
    });
    let target = peer.address;
    let proxy = Peer::secured(
        move |mut client: TcpStream| {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                io::Read::read_exact(&mut client, &mut byte).ok()?;
                head.extend(byte);
            }
            assert!(head.starts_with(b"CONNECT platform.example:443 HTTP/1.1\r\n"));
            io::Write::write_all(&mut client, b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
            splice(client, TcpStream::connect(target).ok()?);
            None
        },
        |_| {},
    );
    let limits = patient().read(millis(200));
    let agent = builder("https://platform.example")
        .extra_ca(authority.pem())
        .proxy(proxy.url())
        .timeouts(limits)
        .build()
        .unwrap();
    assert_eq!(agent.send(&ONCE).unwrap(), "through the tunnel");
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "the read limit holds in a tunnel too: {error}");
    assert!(error.to_string().contains("the answer stalled"), "{error}");
    assert_eq!((proxy.accepted(), peer.accepted()), (1, 1), "the tunnel is kept");
    assert!(!peer.requests()[0].to_ascii_lowercase().contains("proxy"), "{:?}", peer.requests());
}

/// Copies both ways until either side closes.
fn splice(client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut &client, &mut &server);
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
}

#[test]
fn a_certificate_that_is_none_is_a_config_error() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n@@@\n-----END CERTIFICATE-----\n"] {
        let error = builder("https://127.0.0.1:9").extra_ca(pem).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{pem:?}");
    }
}
