//! The application's callback panics in the middle of a call or of the loop: neither the turn to get a token nor a lock
//! is left taken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;

use molecule_e2e::core::{Ended, Event};
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{PATIENCE, route, scenario};

scenario!(a_register_that_dies_half_way_holds_up_no_other, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).panics_at(Event::TokenChanged).build().unwrap();
    catch_unwind(AssertUnwindSafe(|| agent.register())).expect_err("the callback panics");

    let (sender, registered) = channel();
    thread::spawn({
        let agent = agent.clone();
        move || sender.send(agent.register())
    });
    registered.recv_timeout(PATIENCE).expect("it waits for nobody").unwrap();
    assert!(world.home().token(&id).is_some());
});

scenario!(a_loop_that_dies_gives_its_lock_back_at_once, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).panics_at(Event::Paused).build().unwrap();
    // A heartbeat that is never answered is in flight at that time.
    let held = world.rule(route::HEARTBEAT, Action::StallAnswer);
    let dying = thread::spawn({
        let agent = agent.clone();
        move || catch_unwind(AssertUnwindSafe(|| agent.run()))
    });
    world.wait_for_count(route::HEARTBEAT, 1);
    world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
    dying.join().unwrap().expect_err("the callback panics");
    assert_eq!(agent.start().ended().unwrap(), Ended::Paused, "no other agent runs");
    held.end();
});
