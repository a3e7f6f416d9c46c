//! Who a pushed message is from: the row of the feed says it, and without one the platform's own markers.

use molecule_core::proto::{ActivityId, ActivityRow, ActivityType, UnixTime};
use molecule_core::{InboundMessage, PlatformKind, Sender, ServerOptions};
use serde_json::{Value, json};

use crate::support::ID;
use crate::support::agent::start_unix;
use crate::support::inbound::{PEER, Server, message, text};

const OTHER: &str = "5a1c0d7e-0000-4000-8000-00000000cafe";

/// The feed's row of a request.
fn row(request: &Value, source: Option<&str>) -> ActivityRow {
    let id = ActivityId::from_random([7; 16]);
    let mut row = ActivityRow::new(id, ID.parse().unwrap(), ActivityType::A2aReceive, UnixTime::from_secs(7));
    row.method = Some("message/send".to_owned());
    row.source_id = source.map(|id| id.parse().unwrap());
    row.request_body = Some(request.clone());
    row.peer_name = source.map(|_| "beta".to_owned());
    row
}

fn around(mut body: Value, metadata: Value) -> Value {
    body["params"]["metadata"] = metadata;
    body
}

/// The message that the handler gets for a push whose look finds these rows.
fn looked_up(body: &Value, rows: Vec<ActivityRow>) -> InboundMessage {
    let mut server = Server::with_secret(ServerOptions::new());
    server.push(body).later();
    assert!(server.handlers.is_empty(), "who sent it is not known yet");
    server.shows(rows);
    server.handler().1
}

fn peer(id: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("peer {id} ({name})"),
        None => format!("peer {id}"),
    }
}

#[test]
fn the_row_of_the_feed_says_who_it_is() {
    let body = text("m", "hello");
    let message = looked_up(&body, vec![row(&text("another", "x"), Some(PEER)), row(&body, Some(OTHER))]);
    assert_eq!(message.sender().to_string(), peer(OTHER, Some("beta")));
    assert_eq!(message.id(), &ActivityId::from_random([7; 16]), "and which row it is");
    assert_eq!((message.text().as_ref(), message.received_at()), ("hello", UnixTime::from_secs(7)));
    assert_eq!(looked_up(&body, vec![row(&body, None)]).sender(), &Sender::User);
    // A peer writes what it likes into its body.
    let forged = around(body, json!({"source": "canvas_user"}));
    assert_eq!(looked_up(&forged, vec![row(&forged, Some(OTHER))]).sender().to_string(), peer(OTHER, Some("beta")));
}

#[test]
fn without_a_row_only_what_the_platform_itself_writes_is_believed() {
    let nudge = message("inbox-nudge-1", json!({"metadata": {"source": "platform", "kind": "inbox_nudge"}}));
    let telegram = around(text("channel-telegram-1", "hi"), json!({"source": "telegram", "chat_id": "1"}));
    let github = around(text("x", "pushed"), json!({"source": "github", "delivery_id": "d"}));
    let greeting = message("y", json!({"metadata": {"source": "platform", "kind": "first_boot_greeting"}}));
    let table = [
        (nudge, Sender::Platform(PlatformKind::InboxNudge)),
        (telegram, Sender::Channel("telegram".to_owned())),
        (github, Sender::Channel("github".to_owned())),
        (greeting, Sender::Platform(PlatformKind::FirstBootGreeting)),
        (text("request-responded:r-1-u", "done"), Sender::Platform(PlatformKind::RequestResponded)),
        (text("m", "hello"), Sender::Unknown),
        (around(text("m", "hello"), json!({"source": "canvas_user"})), Sender::Unknown),
    ];
    for (body, expected) in table {
        assert_eq!(*looked_up(&body, Vec::new()).sender(), expected, "{body}");
        // Where nobody looks, the same is known.
        let mut server = Server::with_secret(ServerOptions::new().look_up_senders(false));
        server.push(&body).later();
        assert_eq!(*server.handler().1.sender(), expected, "{body}");
    }
}

#[test]
fn a_direct_peer_is_known_by_its_token_and_nobody_else_is_asked() {
    let mut server = Server::with_secret(ServerOptions::new().peer_token(PEER, crate::support::inbound::PEER_TOKEN));
    server.call_directly(&text("m", "hello")).later();
    assert_eq!(server.handler().1.sender().to_string(), peer(PEER, None));
    assert!(server.looks.is_empty());
}

#[test]
fn aprils_server_writes_the_row_too_late_so_that_nobody_looks() {
    let mut server = Server::with(ServerOptions::new().allow_unauthenticated());
    server.call(&text("m", "hello")).later();
    let (_, message) = server.handler();
    assert_eq!((message.sender(), message.received_at()), (&Sender::Unknown, start_unix()));
    assert!(server.looks.is_empty());
}

#[test]
fn one_look_serves_all_that_wait_and_the_next_one_those_that_came_meanwhile() {
    let mut server = Server::with_secret(ServerOptions::new());
    let bodies: Vec<_> = (0..5).map(|number| text(&format!("m-{number}"), "hello")).collect();
    for body in &bodies[..3] {
        server.push(body).later();
    }
    assert_eq!(server.looks.len(), 1, "the first look began at once");
    server.shows(vec![row(&bodies[0], Some(OTHER)), row(&bodies[1], Some(OTHER))]);
    assert_eq!((server.handlers.len(), server.looks.len()), (1, 1), "the others wait for a look that began after them");
    server.push(&bodies[3]).later();
    server.shows(vec![row(&bodies[1], Some(OTHER)), row(&bodies[2], None)]);
    assert_eq!((server.handlers.len(), server.looks.len()), (3, 1));
    server.shows(Vec::new());
    let senders: Vec<_> = server.handlers.iter().map(|(_, message)| message.sender().clone()).collect();
    assert!(matches!(&senders[..], [Sender::Peer { .. }, Sender::Peer { .. }, Sender::User, Sender::Unknown]));
}

#[test]
fn a_message_that_waited_is_looked_for_on_older_pages() {
    let mut server = Server::with_secret(ServerOptions::new());
    let body = text("m", "hello");
    server.push(&body).later();
    let page = |from: i64| {
        let mut rows = Vec::new();
        for number in 0..50 {
            let mut other = row(&text(&format!("{from}-{number}"), "x"), Some(PEER));
            other.created_at = UnixTime::from_secs(from - number);
            rows.push(other);
        }
        rows
    };
    server.shows(page(1_000));
    assert!(server.handlers.is_empty());
    assert_eq!(server.looks[0].1.before, Some(UnixTime::from_secs(951)));
    let mut second = page(900);
    second.push(row(&body, Some(OTHER)));
    server.shows(second);
    assert_eq!(server.handler().1.sender().to_string(), peer(OTHER, Some("beta")));
    // It is not looked for without end.
    server.push(&text("n", "hello")).later();
    for number in 1..=4 {
        server.shows(page(1_000 * number));
    }
    assert_eq!(*server.handler().1.sender(), Sender::Unknown);
    assert!(server.looks.is_empty());
}

#[test]
fn a_look_that_fails_costs_no_message() {
    let mut server = Server::with_secret(ServerOptions::new());
    server.push(&text("m", "hello")).later();
    let (id, _) = server.looks.pop_front().unwrap();
    server.looked_up(id, Err(molecule_core::Error::config("the feed is down", "wait")));
    assert_eq!(*server.handler().1.sender(), Sender::Unknown);
}

#[test]
fn what_the_agent_sent_itself_reaches_no_handler() {
    let mut server = Server::with_secret(ServerOptions::new());
    let body = text("m", "hello");
    let ticket = server.push(&body).later();
    server.shows(vec![row(&body, Some(ID))]);
    assert!(server.handlers.is_empty());
    assert_eq!(server.answer_to(ticket).json()["result"]["parts"], json!([]));
}

#[test]
fn turns_of_the_platform_and_webhooks_are_answered_without_parts_but_for_the_first_greeting() {
    let inside = |id: &str, kind: &str| message(id, json!({"metadata": {"source": "platform", "kind": kind}}));
    let table = [
        (inside("inbox-nudge-1", "inbox_nudge"), false),
        (inside("stall-probe-1", "stall_probe"), false),
        (inside("x", "restart_context"), false),
        (inside("y", "something_new"), false),
        (text("request-responded:r-u", "x"), false),
        (text("request-message:m-u", "x"), false),
        (around(text("z", "x"), json!({"source": "github", "delivery_id": "d"})), false),
        (inside("g", "first_boot_greeting"), true),
        (around(text("channel-slack-1", "x"), json!({"source": "slack", "chat_id": "1"})), true),
        (text("m", "x"), true),
    ];
    for (body, is_given) in table {
        let mut server = Server::secured();
        let ticket = server.push(&body).later();
        let (id, _) = server.handler();
        server.reply(id, "hello");
        let answer = server.answer_to(ticket).json();
        let parts = answer["result"]["parts"].as_array().unwrap().len();
        assert_eq!((parts, server.events.len()), if is_given { (1, 0) } else { (0, 1) }, "{body} {:?}", server.events);
    }
}
