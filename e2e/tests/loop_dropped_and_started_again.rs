//! An async loop is dropped and started again: the agent's earlier loop does not count as a second agent.

use molecule_e2e::core::Event;
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{Log, route, scenario};

scenario!(a_dropped_loop_is_never_in_the_way_of_the_next, [April, Current], async only, |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    for turn in 0..50 {
        let online = || agent.events().count(|event| *event == Event::Online);
        agent.drop_loop(|| agent.events().wait_for_count("Online", turn + 1, |event| *event == Event::Online));
        assert_eq!(online(), turn + 1);
    }
    let last = agent.start();
    agent.events().wait_for_count("Online", 51, |event| *event == Event::Online);
    last.stop();
});

scenario!(a_loop_that_waits_for_a_dropped_one_can_be_stopped, [April, Current], async only, |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).reported_url("https://agent.example/a2a").build().unwrap();
    let held = world.rule(route::REGISTER, Action::StallAnswer);
    agent.drop_loop(|| world.wait_until("a token is minted", |platform| platform.live_tokens(&id) == 1));
    // The dropped loop still waits for its token, and holds the lock until then.
    let next = agent.start();
    next.stop();
    held.end();
    agent.events().wait_for("TokenChanged", |event| *event == Event::TokenChanged);
    assert!(world.home().token(&id).is_some());
});

scenario!(a_handler_that_is_dropped_with_its_loop_has_not_failed, [Current], async only, |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    let seen = Log::default();
    // More often than a message is offered whose handler fails.
    for turn in 1..=5 {
        agent.drop_loop_in_its_handler(&seen, || seen.wait_for_count("the message", turn, |_| true));
    }
    let last = agent.start_with(|_| Ok(Some("hello yourself".into())));
    agent.events().wait_for("the reply", |event| matches!(event, Event::ReplyEnded { .. }));
    last.stop();
    assert_eq!(seen.all(), [1; 5]);
    assert_eq!(agent.events().count(|event| matches!(event, Event::HandlerFailed { .. })), 0);
});
