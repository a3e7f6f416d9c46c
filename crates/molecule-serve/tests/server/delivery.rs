//! `run_agent` with each way of delivery.

use std::thread;

use molecule_core::proto::DeliveryMode;
use molecule_core::{Ended, ServerOptions};
use molecule_serve::Delivery;

use crate::any::{Agent, echo};
use crate::client::{Client, call, request};
use crate::scenario;
use crate::world::{ADMIN, World, until};

/// Runs an agent until it is registered in this mode and has answered a message of the platform's owner.
fn answers(facade: crate::any::Facade, delivery: Delivery, mode: DeliveryMode) {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let running = thread::spawn({
        let agent = agent.clone();
        move || agent.run(delivery, echo())
    });
    let id = agent.id();
    until("it beats", || world.platform.requests().iter().any(|seen| seen.path.ends_with("/registry/heartbeat")));
    let registered = || world.platform.with(|platform, _| platform.delivery_mode(&id));
    until("it is registered", || registered().as_ref() == Some(&mode));
    let mut platform = Client::connect(world.platform.addr());
    platform.send(request("POST", &format!("/workspaces/{id}/a2a"), Some(ADMIN), &call("m1", "hello")));
    assert!(platform.answer().status < 300);
    let answered = || {
        let said = |text: &str| text.contains("hello");
        let rows = world.platform.with(|platform, _| {
            platform
                .activity(&id)
                .into_iter()
                .map(|row| serde_json::to_string(&row.response_body).unwrap())
                .collect::<Vec<_>>()
        });
        rows.iter().any(|row| said(row))
    };
    until("the message is answered", answered);
    assert_eq!(registered(), Some(mode));
    agent.stop();
    assert_eq!(running.join().unwrap().unwrap(), Ended::Stopped);
}

scenario!(an_agent_that_polls_needs_no_port, |facade| {
    answers(facade, Delivery::Poll, DeliveryMode::Poll);
});

scenario!(where_the_platform_reaches_the_server_auto_is_push, |facade| {
    answers(facade, Delivery::Auto(ServerOptions::new()), DeliveryMode::Push);
});

scenario!(where_the_platform_does_not_reach_the_server_auto_polls, |facade| {
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = ServerOptions::new().url(format!("http://localhost:{}/", closed.port()));
    answers(facade, Delivery::Auto(options), DeliveryMode::Poll);
});
