//! What an application hears, and what it may do meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use molecule_blocking::{Agent, Ended, Event};

use crate::common::*;

#[test]
fn a_callback_may_use_the_agent() {
    let peer = platform(|_, _| false);
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
    let peer = platform(|_, _| false);
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

#[test]
fn a_callback_that_panics_takes_the_lock_with_it() {
    let peer = platform(|_, _| false);
    let panics = AtomicBool::new(true);
    let (sender, events) = channel();
    let sender = Mutex::new(sender);
    let agent = builder(&peer.url())
        .heartbeat_interval(millis(20))
        .on_event(move |event| {
            assert!(!panics.swap(false, Ordering::SeqCst), "the application's own mistake");
            drop(sender.lock().unwrap().send(event.clone()));
        })
        .build()
        .unwrap();
    let first = agent.clone();
    assert!(thread::spawn(move || first.run_heartbeat_loop()).join().is_err(), "the panic did not reach the caller");
    // Held on by the run that panicked, the lock would refuse this one.
    let second = agent.clone();
    let running = thread::spawn(move || second.run_heartbeat_loop());
    while events.recv_timeout(millis(5000)).unwrap() != Event::Online {}
    agent.stopper().stop();
    assert_eq!(running.join().unwrap().unwrap(), Ended::Stopped);
}
