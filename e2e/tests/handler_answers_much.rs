//! A reply of 4 MB comes to an end that is told, and holds back no other.

use molecule_e2e::core::{Event, Reply};
use molecule_e2e::scenario;

scenario!(a_reply_of_4_mb_comes_to_an_end, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let running = agent.start_with(|message| {
        Ok(Some(if message.text() == "much" { Reply::text("x".repeat(4 << 20)) } else { Reply::text("little") }))
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "much")).unwrap();
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    agent.events().wait_for_count("both ends", 2, |event| matches!(event, Event::ReplyEnded { .. }));
    running.stop();
});
