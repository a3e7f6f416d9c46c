//! The event stream wakes the agent. Without a stream that works it polls, and it opens the stream again.

use std::time::Duration;

use molecule_e2e::core::{Event, InboxOptions};
use molecule_e2e::{Agent, Log, RunningLoop, World, route, scenario};

use super::seldom;

/// An agent that logs the texts of its messages, with its first heartbeat answered and its stream open.
fn awake(world: &World, inbox: impl FnOnce(InboxOptions) -> InboxOptions) -> (Agent, RunningLoop, Log<String>) {
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).inbox(inbox).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().into_owned());
            Ok(None)
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.wait_for_stream(&id);
    (agent, running, seen)
}

fn tell(world: &World, agent: &Agent, seen: &Log<String>, text: &str) {
    let id = agent.workspace_id();
    world.platform(|platform, now| platform.send_user_message(now, &id, text)).unwrap();
    seen.wait_for(&format!("the message {text}"), |seen| seen == text);
}

/// Polls if there is no stream, and not with one.
fn polls_without_stream(inbox: InboxOptions) -> InboxOptions {
    seldom(inbox).poll(Duration::from_millis(100))
}

scenario!(a_message_is_handled_without_waiting_for_a_poll, [April, Current], |stage| {
    let world = stage.world();
    let (agent, running, seen) = awake(&world, seldom);
    for number in 1..=5 {
        tell(&world, &agent, &seen, &format!("number {number}"));
    }
    running.stop();
    assert_eq!(seen.all().len(), 5);
});

scenario!(a_stream_that_is_cut_and_refused_is_replaced_by_polls_until_it_opens_again, [April, Current], |stage| {
    let world = stage.world();
    let (agent, running, seen) = awake(&world, polls_without_stream);
    tell(&world, &agent, &seen, "with the first stream");
    let refused = world.answer(route::STREAM, 503, &[], "{}");
    assert_eq!(world.cut_streams(), 1);
    world.wait_for_requests("a refused stream", |requests| {
        requests.iter().any(|seen| seen.path.ends_with(route::STREAM) && seen.status.is_some_and(|it| it == 503))
    });
    tell(&world, &agent, &seen, "without a stream");
    world.wait_for_more(route::FEED, 3);
    refused.end();
    world.wait_for_stream(&agent.workspace_id());
    for number in 1..=3 {
        tell(&world, &agent, &seen, &format!("with another stream {number}"));
    }
    // The polls have ended: what is read now is what the stream has told.
    let reads = world.count(route::FEED);
    world.wait_for_more(route::HEARTBEAT, 20);
    assert!(world.count(route::FEED) <= reads + 2, "{} reads", world.count(route::FEED) - reads);
    running.stop();
    assert_eq!(seen.all().len(), 5);
});

scenario!(a_stream_that_falls_silent_is_noticed_by_its_heartbeats, [April, Current], |stage| {
    let world = stage.world();
    let (agent, running, seen) = awake(&world, polls_without_stream);
    tell(&world, &agent, &seen, "with the first stream");
    let streams = world.count(route::STREAM);
    world.platform(|platform, _| platform.set_streams_silent(true));
    tell(&world, &agent, &seen, "behind its back");
    world.wait_for_count(route::STREAM, streams + 1);
    world.platform(|platform, _| platform.set_streams_silent(false));
    world.wait_for_stream(&agent.workspace_id());
    tell(&world, &agent, &seen, "with another stream");
    running.stop();
    assert_eq!(seen.all().len(), 3);
});

scenario!(a_server_without_a_stream_is_polled, [April, Current], |stage| {
    let world = stage.world();
    let _none = world.answer(route::STREAM, 404, &[], "404 page not found");
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).inbox(polls_without_stream).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().into_owned());
            Ok(None)
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    tell(&world, &agent, &seen, "first");
    tell(&world, &agent, &seen, "second");
    world.wait_for_more(route::HEARTBEAT, 100);
    running.stop();
    assert_eq!(world.count(route::STREAM), 1, "it is not asked for again and again");
});
