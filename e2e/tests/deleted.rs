//! The owner deletes the workspace of a running agent. The state route answers 401 then, and a register would get 200
//! with a dead token.

use molecule_e2e::core::{Ended, Event};
use molecule_e2e::{route, scenario};

scenario!(the_loop_ends_and_nothing_registers, [April, Current], |stage| {
    for purge in [false, true] {
        let world = stage.world();
        let id = world.open_workspace();
        let agent = world.agent(&id);
        let running = agent.start();
        agent.events().wait_for("Online", |event| *event == Event::Online);
        let (token, registers) = (world.home().token(&id), world.count(route::REGISTER));

        world.platform(|platform, now| platform.delete(now, &id, purge)).unwrap();
        assert_eq!(running.ended().unwrap(), Ended::Deleted, "purge: {purge}");
        assert_eq!(world.count(route::REGISTER), registers, "purge: {purge}");
        assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 0, "purge: {purge}");
        assert_eq!(world.home().token(&id), token, "purge: {purge}");
    }
});
