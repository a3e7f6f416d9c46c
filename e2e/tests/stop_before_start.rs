//! A stop is a latch: it counts even if no loop runs yet.

use molecule_e2e::core::Ended;
use molecule_e2e::platform::Dialect;
use molecule_e2e::{Stopper, route, scenario};

scenario!(the_loop_ends_before_it_begins, [April, Current], |stage| {
    for stop in [Stopper::stop, Stopper::stop_now] {
        let world = stage.world();
        let id = world.open_workspace();
        let agent = world.agent(&id);
        assert!(!agent.stopper().is_stopped());
        stop(&agent.stopper());
        assert!(agent.stopper().is_stopped());
        assert_eq!(agent.start().ended().unwrap(), Ended::Stopped);
        assert_eq!(agent.start().ended().unwrap(), Ended::Stopped, "and stays a latch");
        assert_eq!(world.count(""), 0, "nothing was sent");
        assert!(!world.home().agent(&id).exists(), "nothing was stored");
    }
});

scenario!(other_calls_are_not_stopped, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    agent.stopper().stop();
    agent.register().unwrap();
    assert_eq!(world.count(route::REGISTER), if stage.dialect == Dialect::April { 2 } else { 1 });
    assert!(agent.pull_secrets().unwrap().is_empty());
});
