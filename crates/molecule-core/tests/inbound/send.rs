//! A message that is pushed to the agent reaches its handler, and the handler's reply is the answer.

use crate::support::inbound::{Server, text};

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
