//! The owner rotates the token and gives the new one to another process: this agent's token is revoked for good.

use molecule_e2e::core::{Ended, ErrorKind, Event, Lane};
use molecule_e2e::{route, scenario};

scenario!(the_loop_ends_after_three_refused_registers, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let (held, before) = (world.home().token(&id), world.count(route::REGISTER));

    let given_away = world.platform(|platform, now| platform.rotate(now, &id)).unwrap();
    assert_eq!(running.ended().unwrap(), Ended::Unauthorized);
    assert_eq!(world.count(route::REGISTER), before + 3);
    let refused = |event: &Event| matches!(event, Event::Degraded { lane: Lane::Register, .. });
    assert_eq!(agent.events().count(refused), 3, "each is told, the last one too");
    assert_eq!(world.home().token(&id), held);
    assert!(world.platform(|platform, _| platform.is_live(&id, &given_away)));

    for error in [agent.pull_secrets().map(drop).unwrap_err(), agent.poll_state().map(drop).unwrap_err()] {
        crate::assert_told(&error, ErrorKind::Unauthorized, "refused the bearer", "MOLECULE_WORKSPACE_TOKEN");
    }
    crate::assert_told(&agent.register().unwrap_err(), ErrorKind::Revoked, "was revoked", "admin credential");
});

scenario!(a_token_that_is_stored_in_time_saves_the_loop, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);

    // No poll of the state sees the rotation before the new token is stored.
    let held = world.stall(route::STATE);
    let beat = world.stall(route::HEARTBEAT);
    let new = world.platform(|platform, now| platform.rotate(now, &id)).unwrap();
    world.home().put_token(&id, new.expose());
    drop((held, beat));
    agent.events().wait_for_count("TokenChanged", 2, |event| *event == Event::TokenChanged);
    world.wait_for_more(route::STATE, 3);
    running.stop();
});
