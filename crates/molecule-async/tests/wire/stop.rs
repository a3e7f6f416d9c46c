//! A stop never waits for the server.

use std::time::{Duration, Instant};

use molecule_async::Ended;
use molecule_conformance::{ID, PeerAction, ScriptedPeer, welcome};

use crate::support::{SOON, builder, closed, requests};

/// A platform that takes the agent in, and answers neither a heartbeat nor a look at the state.
fn stalling() -> ScriptedPeer {
    let state = format!("GET /workspaces/{ID}/state");
    ScriptedPeer::answering(move |request| {
        if request.is("POST /registry/heartbeat") || request.is(&state) {
            vec![PeerAction::Listen]
        } else {
            welcome(request)
        }
    })
}

#[tokio::test]
#[allow(clippy::print_stdout)]
async fn a_stop_is_quick_while_the_server_stalls() {
    let peer = stalling();
    let agent = builder(peer.url()).build().unwrap();
    let stopper = agent.stopper();
    let running = tokio::spawn(async move { agent.run_heartbeat_loop().await });
    // The view, the register, a heartbeat and the state, the last two without an answer.
    requests(&peer, 4).await;
    let asked = Instant::now();
    stopper.stop();
    let ended = tokio::time::timeout(SOON, running).await.unwrap().unwrap().unwrap();
    let taken = asked.elapsed();
    println!("stopped {taken:?} after it was asked for");
    assert_eq!(ended, Ended::Stopped);
    assert!(taken < Duration::from_secs(1), "{taken:?}");
    closed(&peer, 2).await;
}

#[tokio::test]
async fn a_stop_from_a_thread_without_a_runtime_before_the_start_ends_the_loop_at_once() {
    let peer = stalling();
    let agent = builder(peer.url()).build().unwrap();
    let stopper = agent.stopper();
    std::thread::spawn(move || stopper.stop()).join().unwrap();
    assert_eq!(agent.run_heartbeat_loop().await.unwrap(), Ended::Stopped);
    assert_eq!(peer.opened(), 0);
}
