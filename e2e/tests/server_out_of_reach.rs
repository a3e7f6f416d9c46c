//! The delivery `Auto`: the platform pushes to a server that it reaches, and the agent polls while it does not.

use molecule_e2e::core::proto::DeliveryMode;
use molecule_e2e::core::{Event, PushState, Reachability, Reply};
use molecule_e2e::platform::Dialect;
use molecule_e2e::serve::Delivery;
use molecule_e2e::{Manner, PeerServer, route, scenario};

use crate::push_answered::options;

scenario!(a_server_that_the_platform_reaches_gives_the_check_back_and_gets_the_messages, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let delivery = Delivery::Auto(options(stage));
    let running = agent.start_delivered(delivery, |message| Ok(Some(Reply::text(format!("got {}", message.text())))));
    agent.events().wait_for("PushReachable", |event| *event == Event::PushReachable);
    let health = agent.health();
    assert_eq!((health.delivery_mode, health.push), (Some(DeliveryMode::Push), Some(PushState::Reachable)));
    let end = agent.check_reachable().unwrap();
    assert!(matches!(end, Reachability::Reachable { .. }), "{end}");
    running.stop();
    assert_eq!(agent.health().push, None);
});

scenario!(an_agent_whose_server_is_out_of_reach_polls_and_says_so, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    // What listens at the published URL leads nowhere.
    let deaf = PeerServer::new(Manner::Close);
    let delivery = Delivery::Auto(options(stage).url(deaf.url()));
    let running = agent.start_delivered(delivery, |message| Ok(Some(Reply::text(format!("got {}", message.text())))));
    let is_unreachable = |event: &Event| matches!(event, Event::PushUnreachable { .. });
    agent.events().wait_for("PushUnreachable", is_unreachable);
    let registered = |event: &Event| matches!(event, Event::Registered { .. });
    agent.events().wait_for_count("the register in poll mode", 2, registered);
    let health = agent.health();
    assert_eq!(health.delivery_mode, Some(DeliveryMode::Poll));
    assert!(matches!(health.push, Some(PushState::Unreachable(_))), "{:?}", health.push);
    let url = world.platform(|platform, _| platform.workspace(&id).unwrap().url);
    match stage.dialect {
        // It has no poll mode.
        Dialect::April => assert_eq!(url, "http://localhost:9/no-inbound"),
        Dialect::Current => {
            assert_eq!(url, "");
            world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
            world.wait_for_count(route::NOTIFY, 1);
        }
    }
    running.stop();
    assert_eq!(agent.events().count(is_unreachable), 1);
});
