//! An agent gets its messages both ways: the platform pushes them, and the loop reads the feed. Each is handled once.

use molecule_e2e::core::Reply;
use molecule_e2e::{Log, route, scenario};

use crate::push_answered::options;

scenario!(a_message_that_is_pushed_and_in_the_feed_is_handled_once, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let handled = Log::default();
    let handler = |log: Log<String>| {
        move |message: molecule_e2e::core::InboundMessage| {
            log.push(message.text().into_owned());
            Ok(Some(Reply::text("fine")))
        }
    };
    let _server = agent.serve(options(stage), handler(handled.clone())).unwrap();
    let running = agent.start_with(handler(handled.clone()));
    world.wait_for_count(route::HEARTBEAT, 1);
    for number in 0..20 {
        world.platform(|platform, now| platform.send_user_message(now, &id, format!("message {number}").as_str()));
    }
    handled.wait_for_count("20 messages", 20, |_| true);
    world.wait_for_more(route::FEED, 3);
    running.stop();
    let mut all = handled.all();
    all.sort();
    all.dedup();
    assert_eq!((handled.all().len(), all.len()), (20, 20));
});
