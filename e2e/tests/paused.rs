//! The owner pauses the workspace of a running agent.

use molecule_e2e::core::proto::WorkspaceStatus;
use molecule_e2e::core::{Ended, Event};
use molecule_e2e::{route, scenario};

scenario!(the_loop_ends_and_nothing_un_pauses_the_workspace, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let registers = world.count(route::REGISTER);

    world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
    assert_eq!(running.ended().unwrap(), Ended::Paused);
    assert_eq!(agent.events().all().last(), Some(&Event::Paused));
    assert_eq!(world.count(route::REGISTER), registers);
    assert_eq!(world.platform(|platform, _| platform.status(&id)), Some(WorkspaceStatus::Paused));
    assert_eq!(agent.health().status, Some(WorkspaceStatus::Paused));
});
