//! No lane waits for another: heartbeats go on while the poll of the state gets no answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use molecule_e2e::core::Event;
use molecule_e2e::{route, scenario};

const INTERVAL: Duration = Duration::from_millis(25);
const BEATS: usize = 40;

scenario!(the_heart_beats_while_a_look_stalls, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).intervals(INTERVAL, INTERVAL).build().unwrap();
    let stalled = world.stall(route::STATE);
    let running = agent.start();
    world.wait_for_count(route::STATE, 1);
    let (before, start) = (world.count(route::HEARTBEAT), Instant::now());
    world.wait_for_count(route::HEARTBEAT, before + BEATS);
    let taken = start.elapsed();
    assert_eq!(world.count(route::STATE), 1, "a lane has one request under way");

    // A heartbeat fires up to 10 % early and never twice in an interval; a loaded machine may take three times as long.
    assert!(taken > INTERVAL * 3 / 4 * u32::try_from(BEATS - 2).unwrap(), "{BEATS} beats in {taken:?}");
    assert!(taken < INTERVAL * 3 * u32::try_from(BEATS).unwrap(), "{BEATS} beats in {taken:?}");
    assert_eq!(agent.events().count(|event| matches!(event, Event::Degraded { .. })), 0);
    let connections: BTreeSet<_> = world.requests(route::HEARTBEAT).iter().map(|seen| seen.peer).collect();
    assert!(connections.len() <= 2, "a connection is kept: {connections:?}");

    stalled.end();
    world.wait_for_count(route::STATE, 3);
    running.stop();
});
