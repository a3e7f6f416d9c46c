//! A cursor that the server has forgotten costs no message, and no message comes twice.

use http::StatusCode;
use molecule_e2e::core::{Backlog, Event};
use molecule_e2e::{Log, World, route, scenario};

fn is_gone(world: &World) -> bool {
    world.requests(route::FEED).iter().any(|seen| seen.status == Some(StatusCode::GONE))
}

scenario!(after_a_410_no_message_is_lost_and_none_comes_twice, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let build =
        || world.setup(&id).token(&token).inbox(|inbox| inbox.backlog(Backlog::FromNow).watch(false)).build().unwrap();
    let agent = build();
    agent.register().unwrap();
    let say = |text: &str| world.platform(|platform, now| platform.send_user_message(now, &id, text)).unwrap();
    say("before the first start");
    let seen = Log::default();
    let handler = || {
        let seen = seen.clone();
        move |message: molecule_e2e::core::InboundMessage| {
            seen.push(message.text().into_owned());
            Ok(None)
        }
    };
    let running = agent.start_with(handler());
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    // The cursor is settled, at the message from before.
    world.wait_for_requests("a read after the cursor", |requests| {
        requests.iter().any(|seen| seen.query.as_ref().is_some_and(|query| query.contains("since_id")))
    });
    say("first");
    seen.wait_for("the first", |text| text == "first");
    assert!(!is_gone(&world));

    // Beside a running loop: the row of the cursor alone, so that the first one could be replayed.
    world.platform(|platform, _| {
        let first = platform.activity(&id)[0].created_at;
        assert_eq!(platform.prune_activity(&id, first), 1);
    });
    world.wait_for_requests("a 410", |requests| requests.iter().any(|seen| seen.status == Some(StatusCode::GONE)));
    say("second");
    seen.wait_for("the second", |text| text == "second");
    running.stop();

    // And between two: everything that was handled is gone.
    world.platform(|platform, now| platform.prune_activity(&id, now.unix));
    say("third");
    let running = build().start_with(handler());
    seen.wait_for("the third", |text| text == "third");
    say("fourth");
    seen.wait_for("the fourth", |text| text == "fourth");
    running.stop();
    assert_eq!(seen.all(), ["first", "second", "third", "fourth"]);
});
