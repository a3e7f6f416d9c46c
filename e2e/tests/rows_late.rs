//! Rows that become visible late and in any order: none is lost, and none comes twice.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_e2e::{Log, scenario};

const MESSAGES: usize = 60;

scenario!(rows_that_become_visible_late_are_handled_once_each, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    // The model's stream tells of a row before it is visible.
    let build = || world.setup(&id).token(&token).inbox(|inbox| inbox.watch(false)).build().unwrap();
    let agent = build();
    agent.register().unwrap();
    let senders: Vec<_> = (0..3).map(|_| world.workspace().0).collect();
    world.platform(|platform, _| platform.set_rows_late(Duration::from_secs(1)));
    let seen = Log::default();
    let handler = || {
        let seen = seen.clone();
        move |message: molecule_e2e::core::InboundMessage| {
            seen.push(message.text().into_owned());
            Ok(None)
        }
    };
    let send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let sender = &senders[number % 3];
            world.platform(|platform, now| platform.send_agent_message(now, sender, &id, number.to_string())).unwrap();
        }
    };
    let running = agent.start_with(handler());
    send(0..MESSAGES / 2);
    // The agent stops while some rows have come and others have not.
    seen.wait_for_count("some messages", 5, |_| true);
    running.stop();
    let running = build().start_with(handler());
    send(MESSAGES / 2..MESSAGES);
    seen.wait_for_count("all messages", MESSAGES, |_| true);
    // The tail is read again and again.
    world.wait_for_more(molecule_e2e::route::FEED, 5);
    running.stop();
    let mut times = BTreeMap::<String, usize>::new();
    seen.all().into_iter().for_each(|text| *times.entry(text).or_default() += 1);
    assert_eq!(times.len(), MESSAGES);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
});
