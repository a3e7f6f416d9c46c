//! The stop: what runs is awaited, what waits is told that the agent is busy.

use molecule_core::{ServerLimits, ServerOptions};

use crate::support::inbound::{PEER, PEER_TOKEN, Server, text};
use crate::support::secs;

fn server() -> Server {
    let mut limits = ServerLimits::new();
    (limits.handlers, limits.queue) = (1, 8);
    let options = ServerOptions::new().look_up_senders(false).peer_token(PEER, PEER_TOKEN).limits(limits);
    Server::with_secret(options.drain(secs(10)))
}

#[test]
fn what_runs_is_awaited_and_what_waits_is_answered_busy() {
    let mut server = server();
    let runs = server.push(&text("a", "hello")).later();
    let waits = server.push(&text("b", "hello")).later();
    let peer = server.call_directly(&text("b", "hello")).later();
    server.drain();
    assert!(server.answer_to(waits).is_cut());
    assert_eq!(server.answer_to(peer).code(), -32000);
    assert!(!server.inbound.is_drained());
    assert!(server.push(&text("c", "hello")).is_cut(), "no new handler starts");
    assert_eq!(server.push(&text("b", "hello")).whole().0, 503);
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert!(server.answer_to(runs).json()["result"].is_object());
    assert!(server.handlers.is_empty() && server.inbound.is_drained());
}

#[test]
fn a_handler_that_takes_too_long_is_told_and_its_caller_is_cut() {
    let mut server = server();
    let runs = server.push(&text("a", "hello")).later();
    let (id, message) = server.handler();
    server.drain();
    assert!(server.wake.is_some());
    server.advance(secs(9));
    assert!(!message.is_cancelled() && !server.inbound.is_drained());
    server.advance(secs(1));
    assert!(message.is_cancelled() && server.inbound.is_drained());
    assert_eq!(server.cancelled, [id]);
    assert!(server.answer_to(runs).is_cut(), "the platform sends it again once the agent is back");
    // Nothing of it is kept: the next start handles it.
    let mut server = server.restart();
    server.push(&text("a", "hello")).later();
    assert_eq!(server.handlers.len(), 1);
}

#[test]
fn a_server_is_drained_only_once_its_answers_are_saved() {
    let mut server = server();
    server.holds_saves = true;
    let runs = server.push(&text("a", "hello")).later();
    let (id, _) = server.handler();
    server.drain();
    server.reply(id, "done");
    assert!(!server.inbound.is_drained());
    assert!(server.save());
    assert!(server.is_answered(runs) && server.inbound.is_drained());
}

#[test]
fn messages_whose_senders_are_looked_up_are_answered_busy_too() {
    let mut server = Server::with_secret(ServerOptions::new());
    let ticket = server.push(&text("a", "hello")).later();
    server.drain();
    assert!(server.answer_to(ticket).is_cut());
    server.shows(Vec::new());
    assert!(server.handlers.is_empty() && server.inbound.is_drained());
}

#[test]
fn a_reply_whose_files_take_too_long_is_awaited_no_longer() {
    let mut server = server();
    server.holds_reads = true;
    let ticket = server.push(&text("a", "hello")).later();
    let (id, _) = server.handler();
    server.reply(id, molecule_core::Reply::text("a file").attach("/tmp/slow"));
    server.drain();
    assert!(server.wake.is_some() && !server.inbound.is_drained());
    server.advance(secs(10));
    assert!(server.answer_to(ticket).is_cut() && server.inbound.is_drained());
}
