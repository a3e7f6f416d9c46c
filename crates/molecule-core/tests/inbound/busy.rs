//! What a caller is told for whom there is no room.

use molecule_core::{ServerLimits, ServerOptions};
use serde_json::json;

use crate::support::inbound::{PEER, PEER_TOKEN, Server, text};

fn server(handlers: usize, queue: usize) -> Server {
    let mut limits = ServerLimits::new();
    (limits.handlers, limits.queue) = (handlers, queue);
    Server::with_secret(ServerOptions::new().look_up_senders(false).peer_token(PEER, PEER_TOKEN).limits(limits))
}

#[test]
fn handlers_run_up_to_their_limit_and_then_messages_wait() {
    let mut server = server(2, 2);
    let tickets: Vec<_> = (0..4).map(|n| server.push(&text(&n.to_string(), "hello")).later()).collect();
    assert_eq!(server.handlers.len(), 2);
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert_eq!(server.handlers.len(), 2, "the next one began");
    assert!(server.is_answered(tickets[0]) && !server.is_answered(tickets[1]));
    let order: Vec<_> = server.handlers.iter().filter_map(|(_, message)| message.message_id()).collect();
    assert_eq!(order, ["1", "2"]);
}

#[test]
fn the_platform_is_cut_once_for_a_message_and_then_told_by_the_status() {
    let mut server = server(1, 0);
    server.push(&text("a", "hello")).later();
    assert!(server.push(&text("b", "hello")).is_cut(), "the platform queues it");
    let (status, body) = server.push(&text("b", "hello")).whole();
    assert_eq!((status, body), (503, json!({"error": "the agent is busy"})), "a second cut would lose it");
    assert!(server.push(&text("c", "hello")).is_cut(), "each message is told for itself");
    // A restarted agent must not cut it again.
    let mut server = server.restart();
    server.push(&text("d", "hello")).later();
    assert_eq!(server.push(&text("b", "hello")).whole().0, 503);
    let (id, _) = server.handler();
    server.reply(id, "done");
    server.push(&text("b", "hello")).later();
    assert_eq!(server.handlers.len(), 1, "once there is room it is handled");
}

#[test]
fn a_platform_that_did_not_wait_for_the_answer_is_not_cut_as_well() {
    let mut server = server(1, 1);
    server.push(&text("a", "hello")).later();
    let waits = server.push(&text("b", "hello")).later();
    // It has a limit of its own, and queues the message then.
    server.hang_up(waits);
    server.drain();
    let mut server = server.restart();
    server.push(&text("c", "hello")).later();
    server.push(&text("d", "hello")).later();
    assert_eq!(server.push(&text("b", "hello")).whole().0, 503, "a cut would lose it");
}

#[test]
fn a_peer_is_told_when_to_come_back() {
    let mut server = server(1, 0);
    server.push(&text("a", "hello")).later();
    for _ in 0..2 {
        let answer = server.call_directly(&text("b", "hello")).json();
        assert_eq!(answer["error"]["code"], -32000);
        assert!(answer["error"]["data"]["retry_after"].as_u64().is_some_and(|wait| wait > 0));
        assert_eq!(answer["id"], "r-b");
    }
}

#[test]
fn whoever_waits_for_the_same_message_needs_no_room() {
    let mut server = server(1, 0);
    let first = server.push(&text("a", "hello")).later();
    let second = server.push(&text("a", "hello")).later();
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert!(server.is_answered(first) && server.is_answered(second));
    server.push(&text("b", "hello")).later();
    assert!(server.push(&text("a", "hello")).json()["result"].is_object(), "and a kept answer is always given");
}

#[test]
fn the_heartbeat_counts_the_handlers_of_pushed_messages() {
    let mut server = server(8, 8);
    assert_eq!(server.agent.session.health().handling, 0);
    for number in 0..3 {
        server.push(&text(&number.to_string(), "hello")).later();
    }
    assert_eq!(server.agent.session.health().handling, 3);
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert_eq!(server.agent.session.health().handling, 2);
}

#[test]
fn a_burst_of_calls_is_handled_one_after_another_and_the_next_one_too() {
    let mut server = server(64, 256);
    let tickets: Vec<_> = (0..320).map(|n| server.push(&text(&n.to_string(), "hello")).later()).collect();
    while !server.handlers.is_empty() {
        let (id, _) = server.handler();
        server.reply(id, "done");
    }
    assert!(tickets.into_iter().all(|ticket| server.is_answered(ticket)));
    server.push(&text("next", "hello")).later();
    assert_eq!(server.handlers.len(), 1);
}

#[test]
fn the_bytes_of_all_messages_under_way_are_bounded() {
    let mut limits = ServerLimits::new();
    (limits.body_bytes, limits.body_budget) = (2_000, 2_000);
    let options = ServerOptions::new().look_up_senders(false).limits(limits);
    let mut server = Server::with_secret(options);
    let long = "x".repeat(1_500);
    server.push(&text("a", &long)).later();
    assert!(server.push(&text("b", &long)).is_cut());
    server.push(&text("c", "short")).later();
    for _ in 0..2 {
        let (id, _) = server.handler();
        server.reply(id, "done");
    }
    server.push(&text("b", &long)).later();
    assert_eq!(server.handlers.len(), 1, "what is answered counts no more");
}
