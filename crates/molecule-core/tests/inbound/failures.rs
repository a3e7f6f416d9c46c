//! How it is told that a handler failed (contract section 10.3).

use molecule_core::Event;
use molecule_core::effect::Handle;
use serde_json::{Value, json};

use crate::support::inbound::{Server, message, text};

fn delegation() -> Value {
    message("d-1", json!({"parts": [{"type": "text", "text": "work"}], "metadata": {"delegation_id": "d-1"}}))
}

#[test]
fn a_failure_is_an_error_of_json_rpc_that_says_nothing_of_its_cause() {
    let mut server = Server::secured();
    let ticket = server.push(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.returns(id, Err("postgres://admin:hunter2@db refused"));
    let answer = server.answer_to(ticket).json();
    assert_eq!(answer["error"], json!({"code": -32603, "message": "the agent failed to handle the message"}));
    assert_eq!(answer["id"], "r-m");
    match &server.events[..] {
        [Event::HandlerFailed { attempt: 1, error, .. }] => assert!(error.contains("hunter2")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_is_a_failure() {
    let mut server = Server::secured();
    let ticket = server.push(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.ends(id, Handle::panicked(&"a text"));
    assert_eq!(server.answer_to(ticket).code(), -32603);
    assert!(matches!(&server.events[..], [Event::HandlerFailed { .. }]));
}

#[test]
fn a_delegation_fails_by_the_status_for_the_platform_and_not_for_a_peer() {
    let mut server = Server::secured();
    let ticket = server.push(&delegation()).later();
    let (id, _) = server.handler();
    server.returns(id, Err("no"));
    let (status, body) = server.answer_to(ticket).whole();
    assert_eq!((status, body), (500, json!({"error": "the agent failed to handle the message"})));
    assert_eq!(server.push(&delegation()).whole().0, 500, "a resend gets the same");
    let mut server = server.restart();
    assert_eq!(server.push(&delegation()).whole().0, 500, "also after a restart");
    let ticket = server.call_directly(&delegation()).later();
    let (id, _) = server.handler();
    server.returns(id, Err("no"));
    assert_eq!(server.answer_to(ticket).code(), -32603);
}

#[test]
fn a_handler_that_could_not_be_called_has_not_failed_and_the_platform_sends_the_message_again() {
    let mut server = Server::secured();
    let ticket = server.push(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.ends(id, Handle::not_called(&"no thread started"));
    assert!(server.answer_to(ticket).is_cut());
    assert!(matches!(&server.events[..], [Event::Warning(_)]));
    server.push(&text("m", "hello")).later();
    assert_eq!(server.handlers.len(), 1);
}

#[test]
fn a_reply_that_follows_later_is_a_message_without_parts() {
    let mut server = Server::secured();
    let ticket = server.push(&text("m", "hello")).later();
    let (id, message) = server.handler();
    server.reply(id, molecule_core::Reply::later());
    let answer = server.answer_to(ticket).json();
    assert_eq!((&answer["result"]["kind"], &answer["result"]["parts"]), (&json!("message"), &json!([])));
    let _ = message.reply_handle();
}

#[test]
fn a_reply_that_cannot_be_sent_is_a_failure_with_its_reason_as_an_event() {
    let mut server = Server::secured();
    let ticket = server.push(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.reply(id, "a\0b");
    assert_eq!(server.answer_to(ticket).code(), -32603);
    assert!(
        matches!(&server.events[..], [Event::ReplyDropped { why, .. }] if why.contains("U+0000")),
        "{:?}",
        server.events
    );
}

#[test]
fn an_answer_that_is_larger_than_its_limit_is_not_sent() {
    let mut limits = molecule_core::ServerLimits::new();
    limits.answer_bytes = 2_000;
    let mut server = Server::with(molecule_core::ServerOptions::new().allow_unauthenticated().limits(limits));
    assert!(server.exchange(&text("m", "hello"), "x".repeat(1_500))["result"].is_object());
    assert_eq!(server.exchange(&text("n", "hello"), "x".repeat(2_000))["error"]["code"], -32603);
    assert!(matches!(&server.events[..], [Event::ReplyDropped { .. }]));
}
