//! Each limit holds by itself, and names itself.

use std::time::{Duration, Instant};

use molecule_async::{Error, ErrorKind, Timeouts};

use crate::peer::{Act, Peer};
use crate::support::{Once, builder, timeouts};

const LIMIT: Duration = Duration::from_millis(250);

/// What a peer that does this makes of a call under these limits, of which one is [`LIMIT`].
async fn late(script: fn() -> Vec<Act>, timeouts: Timeouts) -> Error {
    let peer = Peer::start(move |_| script());
    let agent = builder(peer.url()).timeouts(timeouts).build().unwrap();
    let started = Instant::now();
    let error = agent.send(&Once).await.unwrap_err();
    let taken = started.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(taken >= LIMIT && taken < LIMIT * 6, "{taken:?}");
    // The connection is of no more use, and the peer sees its end.
    peer.wait_for_closed(1).await;
    error
}

fn head(rest: &str) -> Act {
    Act::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{rest}").into_bytes())
}

#[tokio::test]
async fn a_late_head() {
    let error = late(|| vec![Act::Stall], timeouts(|timeouts| timeouts.answer = LIMIT)).await;
    assert!(error.to_string().contains("no answer within the limit"), "{error}");
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let script = || vec![Act::Send(b"HTTP/1.1 200 OK\r\nx-long: ".to_vec()), Act::Drip(Duration::from_millis(20))];
    let error = late(script, timeouts(|timeouts| timeouts.answer = LIMIT)).await;
    assert!(error.to_string().contains("no answer within the limit"), "{error}");
}

#[tokio::test]
async fn a_body_that_stalls() {
    let error = late(|| vec![head("some"), Act::Stall], timeouts(|timeouts| timeouts.read = LIMIT)).await;
    assert!(error.to_string().contains("stalled"), "{error}");
}

#[tokio::test]
async fn a_body_that_drips() {
    let script = || vec![head(""), Act::Drip(Duration::from_millis(20))];
    let error = late(script, timeouts(|timeouts| timeouts.request = LIMIT)).await;
    assert!(error.to_string().contains("total limit"), "{error}");
}
