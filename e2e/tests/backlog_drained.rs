//! A thousand waiting messages are drained without a pause.

use molecule_e2e::{Log, route, scenario};

const MESSAGES: usize = 1_200;

scenario!(a_thousand_waiting_messages_are_drained_without_a_pause, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let setup = world.setup(&id).token(&token);
    // More messages than may wait at a time, so that reading stops and goes on as well.
    let agent = setup.inbox(|inbox| super::seldom(inbox).watch(false).durable(false).concurrency(8)).build().unwrap();
    agent.register().unwrap();
    let senders: Vec<_> = (0..12).map(|_| world.workspace().0).collect();
    for number in 0..MESSAGES {
        let sender = &senders[number % senders.len()];
        world.platform(|platform, now| platform.send_agent_message(now, sender, &id, number.to_string())).unwrap();
    }
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().parse::<usize>().unwrap());
            Ok(None)
        }
    });
    seen.wait_for_count("all messages", MESSAGES, |_| true);
    running.stop();
    let mut all = seen.all();
    for sender in 0..senders.len() {
        let of_sender: Vec<_> = all.iter().filter(|number| **number % senders.len() == sender).collect();
        assert!(of_sender.is_sorted(), "a message has overtaken an earlier one: {of_sender:?}");
    }
    all.sort_unstable();
    assert_eq!(all, (0..MESSAGES).collect::<Vec<_>>());
    // The first start looks for the oldest row of a day, and for what is before it, and then it reads: each time in pages of
    // 500, of which the last one is empty but for the row that two pages share.
    let reads: Vec<_> = world.requests(route::FEED).into_iter().filter_map(|seen| seen.query).collect();
    assert!(reads.len() <= 16, "{reads:?}");
});
