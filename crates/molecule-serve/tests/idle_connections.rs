//! Ten thousand idle connections, in a process of their own, whose memory is read.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod raw;

use std::time::Duration;

use raw::{Raw, World};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The connections that are asked for. Each has two descriptors here, one at each end.
const CONNECTIONS: usize = 10_000;

/// What one may cost, in bytes.
const MOST: usize = 16 * 1024;

#[test]
fn ten_thousand_idle_connections_are_small_and_disturb_nobody() {
    let count = CONNECTIONS.min((raise_descriptors(2 * CONNECTIONS + 200) - 200) / 2);
    let world = World::new(|limits| {
        limits.connections = count + 100;
        limits.connections_per_address = count + 100;
        limits.head_time = Duration::from_secs(3_600);
        limits.idle = Duration::from_secs(3_600);
    });
    world.answers();
    let before = resident();
    let mut idle: Vec<Raw> = (0..count).map(|_| world.connect()).collect();
    // The server has accepted all of them once the last one is answered.
    world.answers();
    let silent = (resident() - before) / count;
    let card = b"GET /.well-known/agent-card.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for raw in &mut idle {
        assert!(raw.send(card));
        assert_eq!(raw.answer().unwrap().status, 200);
    }
    let used = (resident() - before) / count;
    println!("{count} idle connections: {silent} bytes each before their first request, {used} bytes each after it");
    assert!(silent <= MOST && used <= MOST, "{silent} and {used} bytes each, with {count} connections");
    world.answers();
    // They still are good connections.
    for raw in idle.iter_mut().step_by(997) {
        assert!(raw.send(card));
        assert_eq!(raw.answer().unwrap().status, 200);
    }
    drop(idle);
    world.answers();
}

/// Raises the limit of descriptors as far as this process may, at most to `wanted`; returns the limit.
fn raise_descriptors(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted as u64;
    // Only a privileged process may raise the hard limit.
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum.map(|most| most.max(wanted)) };
    if setrlimit(Resource::Nofile, raised).is_err() {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| current as usize)
}

/// The resident memory of this process in bytes. The client's ends are sockets and empty buffers.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
