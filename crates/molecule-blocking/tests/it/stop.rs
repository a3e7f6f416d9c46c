//! A stop waits for no server, but for what must be finished.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use molecule_blocking::{Agent, Ended, ErrorKind, Result};
use molecule_conformance::{Act, Peer};

use crate::common::*;

/// A platform that never answers a request whose path contains this, and says when there is one.
fn stalling(part: &'static str) -> (Peer, Receiver<()>) {
    let (sender, stalled) = channel();
    let sender = Mutex::new(sender);
    let peer = platform(move |connection, path| {
        let stalls = path.contains(part);
        if stalls {
            let _ = sender.lock().unwrap().send(());
            connection.is_left();
        }
        stalls
    });
    (peer, stalled)
}

/// Runs the loop on a thread of its own; what it ends with comes with the moment.
fn run(agent: &Agent) -> Receiver<(Result<Ended>, Instant)> {
    let agent = agent.clone();
    let (sender, ended): (Sender<_>, _) = channel();
    thread::spawn(move || sender.send((agent.run_heartbeat_loop(), Instant::now())));
    ended
}

/// Runs the loop until the platform stalls, stops it, and says how long that took.
#[allow(clippy::print_stdout)]
fn stopped(part: &'static str, stop: impl FnOnce(&Agent)) -> Duration {
    let (peer, stalled) = stalling(part);
    let agent = builder(&peer.url()).timeouts(patient()).build().unwrap();
    let ended = run(&agent);
    stalled.recv_timeout(millis(5000)).unwrap();
    let asked = Instant::now();
    stop(&agent);
    let (ended, at) = ended.recv_timeout(millis(5000)).unwrap();
    assert_eq!(ended.unwrap(), Ended::Stopped);
    let took = at.duration_since(asked);
    println!("stopped while {part} stalled: {took:?}");
    took
}

#[test]
fn a_stop_while_a_request_stalls_ends_the_loop_at_once() {
    for part in ["/registry/heartbeat", "/state", "/workspaces/"] {
        let took = stopped(part, |agent| agent.stopper().stop());
        assert!(took < Duration::from_secs(1), "{part}: {took:?}");
    }
}

#[test]
fn a_second_stop_and_stop_now_do_not_wait_for_a_register() {
    let took = stopped("/registry/register", |agent| agent.stopper().stop_now());
    assert!(took < Duration::from_secs(1), "{took:?}");
    let took = stopped("/registry/register", |agent| {
        agent.stopper().stop();
        agent.stopper().stop();
    });
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_stop_waits_for_a_register_that_may_mint() {
    let (sender, stalled) = channel();
    let (go, released) = channel::<()>();
    let (sender, released) = (Mutex::new(sender), Mutex::new(released));
    let peer = platform(move |connection, path| {
        if path == "/registry/register" {
            let _ = sender.lock().unwrap().send(());
            let _ = released.lock().unwrap().recv_timeout(millis(5000));
            connection.perform([Act::json(r#"{"status":"registered","auth_token":"tok-new"}"#)]);
        }
        path == "/registry/register"
    });
    let agent = builder(&peer.url()).timeouts(patient()).build().unwrap();
    let ended = run(&agent);
    stalled.recv_timeout(millis(5000)).unwrap();
    agent.stopper().stop();
    assert!(ended.recv_timeout(millis(200)).is_err(), "the answer may carry a token");
    go.send(()).unwrap();
    assert_eq!(ended.recv_timeout(millis(5000)).unwrap().0.unwrap(), Ended::Stopped);
    agent.pull_secrets().unwrap();
    assert_eq!(peer.requests().pop().unwrap().header("authorization"), Some("Bearer tok-new"), "the token is held");
}

#[test]
fn a_stop_before_the_start_ends_the_loop_before_it_sends_anything() {
    let peer = saying("{}");
    let agent = agent(&peer.url());
    agent.stopper().stop();
    assert_eq!(agent.run_heartbeat_loop().unwrap(), Ended::Stopped);
    assert_eq!(peer.opened(), 0);
}

#[test]
fn a_second_loop_of_an_agent_is_refused_and_the_first_one_hears_its_stop() {
    let (peer, stalled) = stalling("/state");
    let agent = builder(&peer.url()).timeouts(patient()).build().unwrap();
    let ended = run(&agent);
    stalled.recv_timeout(millis(5000)).unwrap();
    assert_eq!(agent.run_heartbeat_loop().unwrap_err().kind(), ErrorKind::Locked);
    agent.stopper().stop();
    assert_eq!(ended.recv_timeout(millis(5000)).unwrap().0.unwrap(), Ended::Stopped);
}

#[test]
fn the_heartbeat_keeps_its_pace_while_the_state_stalls() {
    let (sender, beats) = channel();
    let sender = Mutex::new(sender);
    let peer = platform(move |connection, path| match path {
        "/registry/heartbeat" => {
            let _ = sender.lock().unwrap().send(());
            false
        }
        path if path.ends_with("/state") => {
            connection.is_left();
            true
        }
        _ => false,
    });
    let interval = millis(40);
    let agent = builder(&peer.url()).timeouts(patient()).heartbeat_interval(interval).build().unwrap();
    let ended = run(&agent);
    beats.recv_timeout(millis(5000)).unwrap();
    let started = Instant::now();
    for _ in 0..10 {
        beats.recv_timeout(millis(5000)).unwrap();
    }
    // Beats come early by up to a tenth and the first wait is shorter; a machine that is busy may be slow.
    assert!(started.elapsed() > interval * 7, "{:?}", started.elapsed());
    assert!(started.elapsed() < interval * 40, "{:?}", started.elapsed());
    agent.stopper().stop();
    assert_eq!(ended.recv_timeout(millis(5000)).unwrap().0.unwrap(), Ended::Stopped);
}
