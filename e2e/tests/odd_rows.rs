//! Rows that cannot be read are passed over, and those around them are handled.

use std::fmt::Write as _;

use bytes::Bytes;
use http::Response;
use molecule_e2e::core::Event;
use molecule_e2e::core::proto::{ActivityId, Message, WorkspaceId};
use molecule_e2e::platform::serve::{Action, Rule};
use molecule_e2e::{Log, route, scenario};
use serde_json::{Value, json};

/// JSON of this many levels.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn message(own: &WorkspaceId, number: u8, text: &str) -> Value {
    json!({
        "id": ActivityId::from_random([number; 16]), "workspace_id": own, "activity_type": "a2a_receive",
        "method": "message/send", "status": "ok", "seq": number, "source_id": null, "summary": "message",
        "created_at": format!("2026-11-22T21:39:{number:02}Z"),
        "request_body": {"jsonrpc": "2.0", "method": "message/send", "params": {
            "message": {"messageId": format!("m-{number}"), "role": "user", "parts": [{"kind": "text", "text": text}]},
            "metadata": {"source": "canvas_user"},
        }},
    })
}

/// A page of good rows, each followed by an odd one.
fn page(own: &WorkspaceId) -> String {
    let good = |number| message(own, number, &format!("good {number}"));
    let with = |number, key: &str, value: Value| {
        let mut row = good(number);
        row[key] = value;
        row.to_string()
    };
    let as_text = |number| with(number, "request_body", good(number)["request_body"].to_string().into());
    let deep = |number, levels| with(number, "request_body", json!("deep")).replace("\"deep\"", &nested(levels));
    let odd = [
        "null".to_owned(),
        "7".to_owned(),
        "[[]]".to_owned(),
        "{}".to_owned(),
        with(20, "id", json!("no id")),
        with(21, "created_at", json!(12)),
        with(22, "request_body", json!("no JSON {")),
        with(23, "request_body", json!({"params": {"message": {"parts": "none", "role": 7}}})),
        with(24, "request_body", json!(null)),
        with(25, "response_body", json!([[[{}]]])),
        with(26, "activity_type", json!({"a": 1})),
        with(27, "method", json!(["message/send"])),
        with(28, "status", json!(null)),
        deep(29, 200),
        deep(30, 20_000),
        with(31, "seq", json!(1e300)),
        with(32, "source_id", json!("nobody")),
        message(own, 33, &"x".repeat(4 << 20)).to_string(),
        as_text(34),
    ];
    let mut page = String::from("[");
    for (number, odd) in (1..).zip(odd) {
        write!(page, "{},{odd},", good(number)).unwrap();
    }
    write!(page, "{}]", good(40)).unwrap();
    page
}

scenario!(rows_that_cannot_be_read_are_passed_over, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).inbox(|inbox| inbox.watch(false)).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().into_owned());
            Ok(None)
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.wait_for_more(route::FEED, 2);
    let answer = Response::builder().header("content-type", "application/json").body(Bytes::from(page(&id))).unwrap();
    let _odd = world.inject(Rule::path_suffix(route::FEED, Action::Answer(answer)).times(1));
    // Some fields say nothing about who wrote what: a method, a status or a counter of another type is left out alone.
    let mut expected: Vec<_> = (1..=19).chain([27, 28, 31, 34, 40]).map(|number| format!("good {number}")).collect();
    for row in &expected {
        seen.wait_for(row, |text| text == row);
    }
    seen.wait_for("the large one", |text| text.len() == 4 << 20);
    agent.events().wait_for("that a row is told", |event| matches!(event, Event::Warning(_)));
    // The server does not know the rows of that page, and those that come are read all the same.
    world.platform(|platform, now| platform.send_user_message(now, &id, "after them")).unwrap();
    seen.wait_for("a message after them", |text| text == "after them");
    running.stop();
    let mut good = seen.all();
    good.retain(|text| text.starts_with("good"));
    good.sort();
    expected.sort();
    assert_eq!(good, expected);
});

scenario!(a_deep_message_and_a_large_one_hold_back_none, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.register().unwrap();
    let send =
        |message: Message| world.platform(|platform, now| platform.send_user_message(now, &id, message)).unwrap();
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    send(Message::text("deep").with_metadata("deep", deep));
    send(Message::text("x".repeat(4 << 20)));
    send(Message::text("hello"));
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().len());
            Ok(None)
        }
    });
    seen.wait_for("the last message", |length| *length == 5);
    running.stop();
    assert_eq!(seen.all(), [4, 4 << 20, 5]);
});
