//! The callback is part of the application: it may use the agent, and its panics are the caller's.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use molecule_async::{Agent, Event};
use molecule_conformance::{ID, PeerAction, ScriptedPeer, mint, welcome};

use crate::support::{SOON, builder, closed, timeouts};

#[tokio::test]
async fn the_callback_may_ask_the_agent() {
    let peer = ScriptedPeer::answering(mint);
    let agent = Arc::new(OnceLock::<Agent>::new());
    let told = Arc::new(Mutex::new(Vec::new()));
    let built = builder(peer.url()).on_event({
        let (agent, told) = (agent.clone(), told.clone());
        move |event| {
            // Deadlocks if the session is locked while an event is told.
            let registered = agent.get().unwrap().health().registered;
            told.lock().unwrap().push((event.clone(), registered));
        }
    });
    agent.get_or_init(|| built.build().unwrap()).register().await.unwrap();
    let told = told.lock().unwrap();
    let events: Vec<_> = told.iter().map(|(event, _)| event).collect();
    // The register looked at the workspace first.
    let expected =
        matches!(events[..], [Event::StatusChanged(_), Event::TokenChanged, Event::Registered { minted: true, .. }]);
    assert!(expected, "{told:?}");
}

#[tokio::test]
async fn a_panic_in_the_callback_is_the_callers() {
    let peer = ScriptedPeer::answering(mint);
    let agent =
        builder(peer.url()).on_event(|_| std::panic::resume_unwind(Box::new("the application's own"))).build().unwrap();
    let calling = tokio::spawn({
        let agent = agent.clone();
        async move { agent.register().await }
    });
    let panic = calling.await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the application's own"));
    // And the agent is as it was.
    assert_eq!(agent.workspace_id().as_str(), ID);
}

#[tokio::test]
async fn a_panic_in_the_callback_leaves_no_request_behind() {
    let (asked, state_is_asked) = channel();
    let state_is_asked = Mutex::new(state_is_asked);
    let peer = ScriptedPeer::answering(move |request| {
        if request.is("POST /registry/heartbeat") {
            state_is_asked.lock().unwrap().recv_timeout(SOON).unwrap();
            vec![PeerAction::answer("500 Internal Server Error", "")]
        } else if request.is(&format!("GET /workspaces/{ID}/state")) {
            asked.send(()).unwrap();
            vec![PeerAction::Listen]
        } else {
            welcome(request)
        }
    });
    let patient = timeouts(|timeouts| timeouts.answer = Duration::from_secs(60));
    let agent = builder(peer.url()).timeouts(patient).on_event(|event| {
        if matches!(event, Event::Degraded { .. }) {
            std::panic::resume_unwind(Box::new("the application's own"));
        }
    });
    let agent = agent.build().unwrap();
    let running = tokio::spawn({
        let agent = agent.clone();
        async move { agent.run_heartbeat_loop().await }
    });
    assert!(running.await.unwrap_err().is_panic());
    // The heartbeat's connection is kept; the one on which the state was asked for is not.
    closed(&peer, 1).await;
    drop(agent);
}
