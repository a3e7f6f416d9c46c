//! Turns that the platform makes are answered without a text, but for the first greeting, which the user sees.

use molecule_e2e::core::Reply;
use molecule_e2e::core::proto::ActivityRow;
use molecule_e2e::{Log, Post, scenario};
use serde_json::json;

use crate::push_answered::options;

/// The platform's own message about a request.
fn is_turn(row: &ActivityRow) -> bool {
    let body = row.request_body.as_ref();
    let id = body.and_then(|body| body["params"]["message"]["messageId"].as_str());
    id.is_some_and(|id| id.starts_with("request-responded:"))
}

scenario!(a_turn_of_the_platform_is_answered_without_parts_and_the_greeting_is_shown, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let handled = Log::default();
    let seen = handled.clone();
    let server = agent.serve(options(stage), move |message| {
        seen.push(message.sender().to_string());
        Ok(Some(Reply::text("hi, it is me")))
    });
    let _server = server.unwrap();
    let raised = json!({"kind": "task", "recipient_type": "user", "title": "look"});
    let request = agent.send(&Post::new("/requests", raised)).unwrap()["request_id"].as_str().unwrap().to_owned();
    assert!(world.platform(|platform, now| platform.respond_to_request(now, &request, "done")));
    let running = agent.start();
    world.wait_until("that the turn is answered", |platform| {
        platform.activity(&id).iter().any(|row| is_turn(row) && row.response_body.is_some())
    });
    let answer = world.platform(|platform, _| {
        let rows = platform.activity(&id);
        rows.into_iter().find(|row| is_turn(row)).and_then(|row| row.response_body.clone()).unwrap()
    });
    assert_eq!(answer["result"]["parts"], json!([]), "{answer}");
    assert_eq!(handled.count(|sender| sender.contains("platform")), 1);

    world.platform(|platform, now| platform.greet(now, &id)).unwrap();
    world.wait_until("that the user sees the greeting", |platform| {
        let shown =
            |row: &&ActivityRow| row.response_body.as_ref().is_some_and(|body| body["result"] == "hi, it is me");
        platform.activity(&id).into_iter().filter(shown).any(ActivityRow::is_notice)
    });
    running.stop();
});
