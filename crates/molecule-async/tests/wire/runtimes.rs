//! Either kind of runtime serves; none is an error that says so.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use molecule_async::{Client, ErrorKind, Transport};
use molecule_conformance::{Once, PeerAction, ScriptedPeer};
use tokio::runtime::{Builder, Runtime};

use crate::support::{agent, builder};

fn both_kinds() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()].map(|mut kind| kind.enable_all().build().unwrap())
}

#[test]
fn both_kinds_of_runtime_serve() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::json("{}")]);
    for runtime in both_kinds() {
        runtime.block_on(agent(peer.url()).pull_secrets()).unwrap();
    }
}

#[test]
fn an_agent_outlives_the_runtime_that_opened_its_connections() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::json("{}")]);
    let client = Client::new(&Transport::default()).unwrap();
    let agent = builder(peer.url()).client(client).build().unwrap();
    for runtime in both_kinds() {
        runtime.block_on(agent.send(&Once)).unwrap();
        drop(runtime);
    }
    assert_eq!(peer.opened(), 2);
}

#[test]
fn without_a_runtime_a_call_says_so() {
    let agent = agent("http://127.0.0.1:9");
    let mut call = pin!(agent.pull_secrets());
    let Poll::Ready(Err(error)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the call waits for something");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
