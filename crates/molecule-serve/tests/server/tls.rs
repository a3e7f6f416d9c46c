//! TLS that the server speaks itself.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use molecule_core::{ErrorKind, ServerOptions};
use molecule_host::tls_server::ServerTls;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::any::{Agent, echo};
use crate::client::{Answer, Client, call, read_answer, request};
use crate::scenario;
use crate::world::{PATIENCE, World};

/// A new certificate and its key, in files of the world.
fn certificate(world: &World, name: &str) -> (PathBuf, PathBuf, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::create_dir_all(&world.home).unwrap();
    let [certificate, key] = ["crt", "key"].map(|ending| world.home.join(format!("{name}.{ending}")));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key, made.cert.der().clone())
}

fn send(address: SocketAddr, trusted: &CertificateDer<'static>, request: &[u8]) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    std::io::Write::write_all(&mut stream, request).unwrap();
    read_answer(&mut stream)
}

scenario!(a_server_with_a_certificate_speaks_tls_alone, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (certificate, key, trusted) = certificate(&world, "own");
    let server = agent.start(ServerOptions::new().url("https://localhost:1/").tls(certificate, key), echo()).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    for body in ["hello".to_owned(), "x".repeat(1_000_000)] {
        let answer = send(address, &trusted, &request("POST", "/", Some(&secret), &call(&body[..1], &body)));
        assert_eq!(answer.text(), body);
    }
    let mut plain = Client::connect(address);
    plain.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(plain.stream(), &mut rest);
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    assert_eq!(send(address, &trusted, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
});

#[test]
fn a_certificate_that_was_renewed_is_used_and_one_that_is_half_written_is_not() {
    let world = World::new();
    let (certificate, key, _) = certificate(&world, "own");
    let tls = ServerTls::read(&certificate, &key).unwrap();
    let first = tls.config();
    tls.look_again();
    assert!(Arc::ptr_eq(&first, &tls.config()), "nothing has changed");
    // A renewal that has written the certificate and not yet its key.
    let (next_certificate, next_key, _) = self::certificate(&world, "next");
    let replace = |with: &Path, what: &Path, hours: u64| {
        fs::copy(with, what).unwrap();
        let later = SystemTime::now() + Duration::from_secs(hours * 3600);
        File::options().write(true).open(what).unwrap().set_modified(later).unwrap();
    };
    replace(&next_certificate, &certificate, 1);
    tls.look_again();
    assert!(Arc::ptr_eq(&first, &tls.config()), "the key is another one's");
    replace(&next_key, &key, 2);
    tls.look_again();
    assert!(!Arc::ptr_eq(&first, &tls.config()));
}

scenario!(files_that_are_no_certificate_are_named_and_nothing_of_a_key_is_shown, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (certificate, key, _) = certificate(&world, "own");
    let (_, other_key, _) = self::certificate(&world, "other");
    let damaged = world.home.join("damaged.key");
    let secret = fs::read_to_string(&key).unwrap().lines().nth(1).unwrap()[..20].to_owned();
    fs::write(&damaged, format!("-----BEGIN PRIVATE KEY-----\n{secret}")).unwrap();
    let missing = world.home.join("missing");
    let start = |certificate: &Path, key: &Path| {
        let error = agent.start(ServerOptions::new().tls(certificate, key), echo()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        let said = format!("{error} {error:?}");
        assert!(!said.contains(&secret), "{said}");
        said
    };
    for (certificate, key, wrong, why) in [
        (&missing, &key, &missing, "cannot be used"),
        (&certificate, &missing, &missing, "cannot be used"),
        (&key, &key, &key, "it holds none"),
        (&certificate, &certificate, &certificate, "private key"),
        (&certificate, &damaged, &damaged, "private key"),
        (&certificate, &other_key, &other_key, "give the key of this certificate"),
    ] {
        let said = start(certificate, key);
        assert!(said.contains(&*wrong.to_string_lossy()) && said.contains(why), "{said}");
    }
    assert!(world.platform.requests().is_empty(), "nothing is registered");
});
