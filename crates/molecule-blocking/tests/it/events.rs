//! What an application hears, and what it may do meanwhile.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use molecule_blocking::{Agent, Ended, Event};
use molecule_conformance::{ScriptedPeer, welcome};

use crate::common::*;

#[test]
fn a_callback_may_use_the_agent() {
    let peer = ScriptedPeer::answering(welcome);
    let slot: Arc<OnceLock<Agent>> = Arc::default();
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let (inside, events) = (slot.clone(), heard.clone());
    let agent = builder(&peer.url())
        .on_event(move |event| {
            if let Some(agent) = inside.get() {
                // Any of these would stand still if the session were locked here.
                assert_eq!(agent.health().registered, matches!(event, Event::Registered { .. }));
                agent.poll_state().unwrap();
            }
            events.lock().unwrap().push(event.clone());
        })
        .build()
        .unwrap();
    slot.set(agent.clone()).unwrap();
    agent.register().unwrap();
    let heard = heard.lock().unwrap();
    assert!(matches!(heard[..], [Event::StatusChanged(_), Event::Registered { minted: false, .. }]), "{heard:?}");
}

#[test]
fn the_loop_tells_and_beats_and_the_agent_can_be_used_beside_it() {
    let peer = ScriptedPeer::answering(welcome);
    let (sender, events) = channel();
    let sender = Mutex::new(sender);
    let agent = builder(&peer.url())
        .heartbeat_interval(millis(20))
        .state_interval(millis(20))
        .on_event(move |event| drop(sender.lock().unwrap().send(event.clone())))
        .build()
        .unwrap();
    let running = {
        let agent = agent.clone();
        thread::spawn(move || agent.run_heartbeat_loop())
    };
    let mut heard = Vec::new();
    while !heard.contains(&Event::Online) {
        heard.push(events.recv_timeout(millis(5000)).unwrap());
    }
    assert!(matches!(heard[..2], [Event::StatusChanged(_), Event::Registered { .. }]), "{heard:?}");
    assert_eq!(agent.pull_secrets().unwrap().get("OPENAI_API_KEY"), Some("sk-1"));
    assert!(agent.health().last_beat.is_some());
    agent.stopper().stop();
    assert_eq!(running.join().unwrap().unwrap(), Ended::Stopped);
    let beats = peer.requests().iter().filter(|request| request.path() == "/registry/heartbeat").count();
    assert!(beats >= 1, "{beats}");
}
