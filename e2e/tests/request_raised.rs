//! A request's event on the stream brings a heartbeat, and that brings the platform's turn.

use std::time::Duration;

use molecule_e2e::core::{Event, PlatformKind, Sender};
use molecule_e2e::{Log, Post, route, scenario};
use serde_json::json;

use super::seldom;

scenario!(the_answer_to_a_request_comes_without_waiting_for_a_heartbeat_or_a_poll, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let minute = Duration::from_secs(60);
    let agent = world.setup(&id).token(&token).intervals(minute, minute).inbox(seldom).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.sender().clone());
            Ok(None)
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.wait_for_stream(&id);
    let about = json!({"kind": "approval", "title": "may I?", "recipient_type": "user", "recipient_id": ""});
    let request = agent.send(&Post::new("/requests", about)).unwrap();
    let request = request["request_id"].as_str().unwrap();
    // The agent hears of its own request, too.
    world.wait_for_count(route::HEARTBEAT, 2);
    assert!(world.platform(|platform, now| platform.respond_to_request(now, request, "approved")));
    seen.wait_for("the platform's turn", |sender| *sender == Sender::Platform(PlatformKind::RequestResponded));
    running.stop();
    let beats = world.count(route::HEARTBEAT);
    assert!((3..=6).contains(&beats), "{beats} heartbeats: the first, one for each event, and the last");
});
