//! Nobody there: nothing was sent, so every endpoint may try again.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use molecule_async::{ErrorKind, Timeouts};

use crate::peer::{Peer, json};
use crate::support::{Once, agent, builder, timeouts};

/// A port of this machine on which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn brief() -> Timeouts {
    timeouts(|timeouts| timeouts.call = Duration::from_secs(2))
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_then_unreachable() {
    let agent = builder(format!("http://127.0.0.1:{}", closed_port())).timeouts(brief()).build().unwrap();
    let error = agent.send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    // The first wait is below 1 s.
    assert!(error.attempts() >= 2, "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable() {
    let builder = builder("http://no-such-host.invalid").allow_insecure_http();
    let agent = builder.timeouts(timeouts(|timeouts| timeouts.call = Duration::from_secs(1))).build().unwrap();
    let error = agent.pull_secrets().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("has no address"), "{error}");
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // On a machine with IPv6 `localhost` is ::1 first, where nobody listens.
    let peer = Peer::start(|_| json("{}"));
    let started = Instant::now();
    agent(format!("http://localhost:{}", peer.port())).pull_secrets().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
