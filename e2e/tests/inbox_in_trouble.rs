//! A feed that cannot be read, or a disk that takes no record, is told by events and by the health, and so is its end.

use std::sync::Arc;
use std::time::Duration;

use molecule_e2e::core::{Event, Lane, Reply};
use molecule_e2e::host::Storage;
use molecule_e2e::{Agent, Brittle, Log, route, scenario};

fn wait_for_trouble(agent: &Agent, cause: &str) {
    let degraded = agent.events().wait_for(
        "the trouble",
        |event| matches!(event, Event::Degraded { lane: Lane::Inbox, error, .. } if error.contains(cause)),
    );
    let Event::Degraded { failures, .. } = degraded else { panic!("{degraded:?}") };
    assert!(failures >= 1);
    assert!(agent.health().inbox_failures >= 1, "{:?}", agent.health());
}

fn wait_for_its_end(agent: &Agent) {
    agent.events().wait_for("its end", |event| matches!(event, Event::Recovered { lane: Lane::Inbox, .. }));
    assert_eq!(agent.health().inbox_failures, 0);
}

scenario!(a_feed_that_cannot_be_read_is_told_until_it_can, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let broken = world.answer(route::FEED, 500, &[], r#"{"error":"query failed"}"#);
    let inbox = Duration::from_millis(200);
    let agent = world.setup(&id).token(&token).inbox(|options| options.poll(inbox)).build().unwrap();
    let running = agent.start_with(|_| Ok(None));
    wait_for_trouble(&agent, "500");
    broken.end();
    wait_for_its_end(&agent);
    running.stop();
});

scenario!(no_message_is_offered_before_its_record_is_on_a_full_disk, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let disk = Brittle::new(Storage::Dir(world.home().path().to_owned()).open(&id).unwrap());
    let storage = Storage::Custom(Arc::new(disk.clone()));
    let agent = world.setup(&id).token(&token).storage(storage).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().into_owned());
            Ok(Some(Reply::text("hello yourself")))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    disk.fill();
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    wait_for_trouble(&agent, "the disk is full");
    assert!(seen.is_empty(), "an attempt that kills the process must count");
    disk.clear();
    agent.events().wait_for("the reply", |event| matches!(event, Event::ReplyEnded { .. }));
    wait_for_its_end(&agent);
    assert_eq!(seen.all(), ["hello"]);
    running.stop();
});
