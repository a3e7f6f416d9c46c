//! `molecule run --per-message`: five hundred messages, a process for each.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::{World, terminate, told};
use molecule_async::Message;
use molecule_platform::Dialect;

#[test]
fn five_hundred_messages_of_many_peers_are_each_handled_once() {
    const PEERS: usize = 10;
    const EACH: usize = 50;
    let world = World::new(Dialect::Current, "five-hundred");
    let ledger = world.home.join("ledger");
    std::fs::create_dir_all(&world.home).unwrap();
    let peers: Vec<_> = (0..PEERS)
        .map(|number| world.server.with(|platform, now| platform.create_workspace(now, &format!("peer {number}")).0))
        .collect();
    // A line of each run; a short append is whole.
    let script = format!("text=$(cat); echo \"$text\" >> {}; echo \"did $text\"", ledger.display());
    let child = world.start(&["--jobs", "8", "--per-message", "--", "sh", "-c", &script]);
    for number in 0..EACH {
        for (at, peer) in peers.iter().enumerate() {
            let text = format!("{at}.{number}");
            let message = Message::text(text);
            world.server.with(|platform, now| platform.send_agent_message(now, peer, &world.id, message)).unwrap();
        }
    }
    let ran = || std::fs::read_to_string(&ledger).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(240);
    while ran().lines().count() < PEERS * EACH {
        assert!(Instant::now() < deadline, "{}", ran());
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is handled is answered before a stop ends.
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let ran = ran();
    let mut order: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for line in ran.lines() {
        let (peer, number) = line.split_once('.').unwrap();
        order.entry(peer).or_default().push(number.parse().unwrap());
    }
    // Each peer's messages came once each, in their order.
    let expected: Vec<usize> = (0..EACH).collect();
    assert!(order.len() == PEERS && order.values().all(|numbers| *numbers == expected), "{order:?}");
    let answered: BTreeSet<String> = world.server.with(|platform, _| {
        let rows = peers.iter().flat_map(|peer| platform.activity(peer));
        let bodies = rows.filter_map(|row| Some(row.request_body.as_ref()?.to_string()));
        bodies.filter_map(|body| Some(body.split_once("did ")?.1.split('"').next()?.to_owned())).collect()
    });
    assert_eq!(answered.len(), PEERS * EACH);
}
