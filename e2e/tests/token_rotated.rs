//! Another process rotates the token and stores it, while this process has calls in flight.

use std::thread;

use molecule_e2e::core::{Event, Recovery};
use molecule_e2e::{route, scenario};

scenario!(two_calls_in_flight_both_end_well, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    world.platform(|platform, now| platform.set_secret(now, &id, "KEY", "value"));
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let old = world.home().token(&id).unwrap();

    thread::scope(|scope| {
        let held = world.stall(route::SECRETS);
        let calls = [(); 2].map(|()| scope.spawn(|| agent.pull_secrets()));
        world.wait_for_count(route::SECRETS, 2);
        world.agent(&id).recover(Recovery::Own).unwrap();
        held.end();
        for call in calls {
            assert_eq!(call.join().unwrap().unwrap().get("KEY"), Some("value"));
        }
    });
    let new = world.home().token(&id).unwrap();
    assert_ne!(new, old);
    let requests = world.requests(route::SECRETS);
    let carry =
        |token: &str| requests.iter().filter(|seen| seen.headers["authorization"] == format!("Bearer {token}")).count();
    assert_eq!((carry(&old), carry(&new)), (2, 2), "each was refused once and sent once more");

    // The loop uses the new token as well, and no process registered for it.
    world.wait_for_more(route::STATE, 3);
    running.stop();
    assert_eq!(agent.events().count(|event| *event == Event::TokenChanged), 2, "first start and rotation");
});
