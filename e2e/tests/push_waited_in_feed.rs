//! What waited in the feed while an agent with a server was stopped is handled too, and a reader of the feed never takes a message
//! from its push.

use std::time::Duration;

use molecule_e2e::core::{Reply, ServerOptions};
use molecule_e2e::platform::{Dialect, Now};
use molecule_e2e::serve::Delivery;
use molecule_e2e::{Log, Stage, route, scenario};

use crate::push_answered::options;

const DELIVERIES: [fn(ServerOptions) -> Delivery; 2] = [Delivery::Push, Delivery::Auto];

scenario!(what_waited_in_the_feed_while_the_agent_was_stopped_is_handled_when_it_starts, [Current], |stage| {
    for delivery in DELIVERIES {
        let world = stage.world();
        let (id, token) = world.workspace();
        let agent = world.setup(&id).token(&token).build().unwrap();
        agent.register().unwrap_or_else(|error| panic!("{error}"));
        let minutes_ago = |now: Now| Now { unix: now.unix - Duration::from_secs(600), ..now };
        world
            .platform(|platform, now| platform.send_user_message(minutes_ago(now), &id, "while it was stopped"))
            .unwrap();
        let handled = Log::default();
        let log = handled.clone();
        let running = agent.start_delivered(delivery(options(stage)), move |message| {
            log.push(message.text().into_owned());
            Ok(Some(Reply::text("here now")))
        });
        world.wait_until("the answer to it", |platform| {
            let mut rows = platform.activity(&id).into_iter();
            rows.any(|row| row.response_body.as_ref().is_some_and(|body| body["result"] == "here now"))
        });
        running.stop();
        assert_eq!(handled.all(), ["while it was stopped"]);
    }
});

scenario!(each_push_is_answered_in_its_exchange_beside_a_loop_that_reads_the_feed, [April, Current], |stage| {
    for delivery in DELIVERIES {
        answered_in_the_exchange(stage, delivery);
    }
});

/// The platform writes the row before it pushes, and its event wakes the loop, which reads the feed at its start.
fn answered_in_the_exchange(stage: Stage, delivery: fn(ServerOptions) -> Delivery) {
    const MESSAGES: usize = 25;
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let handled = Log::default();
    let log = handled.clone();
    let running = agent.start_delivered(delivery(options(stage)), move |message| {
        log.push(message.text().into_owned());
        Ok(Some(Reply::text(format!("got {}", message.text()))))
    });
    world.wait_for_count(route::HEARTBEAT, 1);
    if stage.dialect == Dialect::Current {
        world.wait_for_stream(&id);
    }
    for number in 0..MESSAGES {
        let text = format!("message {number}");
        world.platform(|platform, now| platform.send_user_message(now, &id, text.as_str())).unwrap();
        world.wait_until("the answer in the exchange", |platform| {
            platform.activity(&id).iter().any(|row| {
                row.response_body
                    .as_ref()
                    .is_some_and(|body| body["result"]["parts"][0]["text"] == format!("got {text}"))
            })
        });
    }
    running.stop();
    assert_eq!(handled.all().len(), MESSAGES, "{:?}", handled.all());
}

scenario!(the_first_push_waits_for_the_answer_to_the_register_which_brings_its_secret, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let stalled = world.rule(route::REGISTER, molecule_e2e::platform::serve::Action::StallAnswer);
    let handled = Log::default();
    let log = handled.clone();
    let running = agent.start_delivered(Delivery::Push(options(stage)), move |message| {
        log.push(message.text().into_owned());
        Ok(Some(Reply::text("fine")))
    });
    // The platform knows the URL, and the agent does not know the secret.
    world.wait_for_count(route::REGISTER, 1);
    world.wait_until("that the URL is registered", |platform| {
        platform.workspace(&id).is_some_and(|view| view.url.starts_with("http://localhost:"))
    });
    world.platform(|platform, now| platform.send_user_message(now, &id, "early")).unwrap();
    stalled.end();
    world.wait_until("the answer in the exchange", |platform| {
        platform
            .activity(&id)
            .iter()
            .any(|row| row.response_body.as_ref().is_some_and(|body| body["result"]["parts"][0]["text"] == "fine"))
    });
    running.stop();
    assert_eq!(handled.all(), ["early"]);
});
