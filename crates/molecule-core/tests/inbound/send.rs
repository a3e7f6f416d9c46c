//! A message that is pushed to the agent reaches its handler, and the handler's reply is the answer.

use molecule_core::Reply;
use serde_json::json;

use crate::support::inbound::{Server, message, text};

#[test]
fn a_pushed_message_is_handled_and_its_reply_is_the_answer() {
    let mut server = Server::unauthenticated();
    let ticket = server.call(&text("m-1", "hello")).later();
    let (id, message) = server.handler();
    assert_eq!((message.text().as_ref(), message.message_id()), ("hello", Some("m-1")));
    server.reply(id, "hello to you");
    let answer = server.answer_to(ticket).json();
    assert_eq!(answer["id"], "r-m-1");
    assert_eq!(answer["result"]["kind"], "message");
    assert_eq!(answer["result"]["role"], "agent");
    assert_eq!(answer["result"]["parts"][0], serde_json::json!({"kind": "text", "text": "hello to you"}));
    // Whoever sends it again gets the same answer, and nothing runs.
    let again = server.call(&text("m-1", "hello")).ready().json();
    assert_eq!(again, answer);
}

#[test]
fn an_answer_belongs_to_the_conversation_and_the_trace_of_its_message() {
    let mut server = Server::unauthenticated();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = message("m-1", json!({"contextId": "c-1", "metadata": {"traceparent": trace}}));
    let answer = server.exchange(&body, Reply::text("done").with_metadata("k", 7));
    assert_eq!(answer["result"]["contextId"], "c-1");
    assert_eq!(answer["result"]["metadata"], json!({"k": 7, "traceparent": trace}));
    // The application's own trace wins.
    let body = message("m-2", json!({"metadata": {"traceparent": trace}}));
    let answer = server.exchange(&body, Reply::text("done").with_metadata("traceparent", "mine"));
    assert_eq!(answer["result"]["metadata"]["traceparent"], "mine");
    assert!(answer["result"].get("contextId").is_none());
}
