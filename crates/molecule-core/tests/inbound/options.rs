//! The options of a server are checked before it listens.

use std::net::SocketAddr;

use molecule_core::machines::Inbound;
use molecule_core::{ErrorKind, ServerLimits, ServerOptions};

use crate::support::inbound::PEER;

const TOKEN: &str = "0123456789abcdef";

fn new() -> ServerOptions {
    ServerOptions::new()
}

#[test]
fn each_address_is_read_or_refused() {
    for (address, expected) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        (" 127.0.0.1:80 ", "127.0.0.1:80"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("[::1]:0", "[::1]:0"),
    ] {
        assert_eq!(new().bind(address).check().unwrap(), expected.parse::<SocketAddr>().unwrap());
    }
    for address in ["", "8080", "127.0.0.1", "example.com:80", "127.0.0.1:99999", "localhost:x", "::1:0:x"] {
        assert_eq!(new().bind(address).check().unwrap_err().kind(), ErrorKind::Config, "{address}");
    }
}

#[test]
fn what_would_not_be_reached_or_not_be_safe_is_refused_with_its_remedy() {
    let wide = || new().bind("0.0.0.0:8080");
    let url = "https://agent.example.com/a2a";
    wide().url(url).check().unwrap();
    for (what, options, remedy) in [
        ("no URL", wide(), "url("),
        ("no credential", wide().url(url).allow_unauthenticated(), "allow_unauthenticated"),
        ("no http", new().url("ftp://h/"), "http(s)"),
        ("a fragment", new().url("https://h/a#b"), "#"),
        ("an address of this machine", new().url("http://127.0.0.1:8080/"), "localhost"),
        ("another address of this machine", new().url("http://[::1]:8080/"), "localhost"),
        ("a short token", new().peer_token(PEER, "short"), "random token"),
        ("no token", new().peer_token(PEER, " "), "random token"),
        ("no peer", new().peer_token("beta", TOKEN), "list of peers"),
        ("one token twice", new().peer_token(PEER, TOKEN).peer_token(PEER.replace('a', "b"), TOKEN), "random token"),
        ("a drain of days", new().drain(std::time::Duration::from_secs(100_000)), "3600"),
    ] {
        let error = options.check().unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(remedy), "{what}: {error}");
        assert!(!error.to_string().contains(TOKEN));
    }
    new().url("http://127.0.0.1:8080/").allow_unauthenticated().check().unwrap();
    new().peer_token(PEER, TOKEN).peer_token(PEER, "0123456789abcdeg").check().unwrap();
}

#[test]
fn each_limit_has_a_range() {
    let wrong: [fn(&mut ServerLimits); 17] = [
        |limits| limits.head_bytes = 100,
        |limits| limits.head_time = std::time::Duration::ZERO,
        |limits| limits.body_bytes = 0,
        |limits| limits.body_gap = std::time::Duration::ZERO,
        |limits| limits.body_time = std::time::Duration::from_secs(1),
        |limits| limits.answer_bytes = 0,
        |limits| limits.connections = 0,
        |limits| limits.connections_per_address = 513,
        |limits| limits.idle = std::time::Duration::ZERO,
        |limits| limits.handlers = 0,
        |limits| limits.queue = 1_000_000,
        |limits| limits.body_budget = 1_000,
        |limits| limits.kept_answers = 0,
        |limits| limits.kept_bytes = 1 << 30,
        |limits| limits.tasks = 0,
        |limits| limits.task_age = std::time::Duration::ZERO,
        |limits| limits.connections_per_address = 0,
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        let mut limits = ServerLimits::new();
        wrong(&mut limits);
        assert_eq!(new().limits(limits).check().unwrap_err().kind(), ErrorKind::Config, "{number}");
    }
}

#[test]
fn the_url_is_the_given_one_or_localhost_with_the_port_that_was_bound() {
    let at =
        |options: ServerOptions| Inbound::new(&options, "127.0.0.1:41234".parse().unwrap()).unwrap().url().to_owned();
    assert_eq!(at(new()), "http://localhost:41234/");
    assert_eq!(at(new().url("https://h.example.com/a2a?k=v")), "https://h.example.com/a2a?k=v");
    assert_eq!(
        at(new().url("http://localhost:1")),
        "http://localhost:1/",
        "the platform never replaces the other form"
    );
}
