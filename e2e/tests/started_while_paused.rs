//! An agent starts while its workspace is paused: April's server un-pauses every workspace that registers.

use molecule_e2e::core::proto::{WorkspaceId, WorkspaceStatus};
use molecule_e2e::core::{Ended, Event, OnPause};
use molecule_e2e::{World, route, scenario};

/// A paused workspace whose token is in the store.
fn paused(world: &World) -> WorkspaceId {
    let (id, token) = world.workspace();
    world.home().put_token(&id, token.expose());
    world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
    id
}

fn assert_untouched(world: &World, id: &WorkspaceId) {
    assert_eq!(world.count(route::REGISTER), 0);
    assert_eq!(world.platform(|platform, _| platform.status(id)), Some(WorkspaceStatus::Paused));
}

scenario!(register_sends_nothing_and_says_so, [April, Current], |stage| {
    let world = stage.world();
    let id = paused(&world);
    let agent = world.agent(&id);
    assert!(agent.register().unwrap().paused);
    assert_untouched(&world, &id);
    // Calls that change nothing work while the agent waits.
    assert!(agent.pull_secrets().unwrap().is_empty());
    agent.heartbeat().unwrap();
    assert!(agent.poll_state().unwrap().is_paused());
    assert_untouched(&world, &id);
});

scenario!(the_loop_ends_at_once, [April, Current], |stage| {
    let world = stage.world();
    let id = paused(&world);
    let agent = world.agent(&id);
    assert_eq!(agent.start().ended().unwrap(), Ended::Paused);
    assert_untouched(&world, &id);
});

scenario!(a_loop_that_waits_never_registers, [April, Current], |stage| {
    let world = stage.world();
    let id = paused(&world);
    let agent = world.setup(&id).on_pause(OnPause::Wait).build().unwrap();
    let running = agent.start();
    agent.events().wait_for("Paused", |event| *event == Event::Paused);
    world.wait_for_more(route::STATE, 6);
    running.assert_running();
    running.stop();
    assert_untouched(&world, &id);
});
