//! Replies that the application gives by itself: one id for a message, in every call and every process.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use molecule_core::effect::FaultKind;
use molecule_core::machines::ReplyTo;
use molecule_core::proto::ActivityRow;
use molecule_core::{ErrorKind, Event, InboundMessage, ReplyEnd, ReplyHandle, Result};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::{A2A, NOTIFY, PEER};
use support::*;

const ROW: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";
const FEED: &str = "GET /workspaces/:id/activity?type=a2a_receive&limit=500";

fn row(source: Value, message_id: &str, metadata: Value) -> Value {
    let message = json!({"messageId": message_id, "contextId": "c-1", "parts": [{"kind": "text", "text": "hello"}],
        "metadata": metadata});
    json!({"id": ROW, "workspace_id": ID, "activity_type": "a2a_receive", "method": "message/send", "status": "ok",
        "source_id": source, "created_at": "2026-11-22T21:39:47Z", "request_body": {"params": {"message": message}}})
}

fn message(row: Value) -> InboundMessage {
    let row: ActivityRow = serde_json::from_value(row).unwrap();
    InboundMessage::read(row, &ID.parse().unwrap()).unwrap()
}

fn from_peer() -> InboundMessage {
    message(row(json!(PEER), "m-1", json!({"molecule.hops": 2})))
}

fn from_user() -> InboundMessage {
    message(row(json!(null), "m-1", json!({})))
}

struct Replied {
    end: Result<ReplyEnd>,
    seen: Vec<Seen>,
    events: Vec<Event>,
}

fn reply_to(agent: &mut Agent, message: impl Into<ReplyHandle>, mut server: impl FnMut(&Seen) -> Reply) -> Replied {
    let mut driven = Driven::new(ReplyTo::new(message, "done").unwrap());
    let mut seen = Vec::new();
    let end = driven.finish(agent, &mut |request: &Seen| {
        seen.push(request.clone());
        server(request)
    });
    Replied { end, seen, events: driven.events }
}

fn polled() -> Reply {
    Answer::json(200, json!({"status": "queued", "delivery_mode": "poll"})).into()
}

#[test]
fn a_peer_gets_every_send_of_a_reply_under_one_id_by_whatever_process() {
    let mut first = caller();
    let replied = reply_to(&mut first, from_peer(), |_| polled());
    assert_eq!(replied.end.unwrap(), ReplyEnd::Delivered);
    let [sent] = &replied.seen[..] else { panic!("{}", replied.seen.len()) };
    assert!(sent.is(A2A), "{sent}");
    let message = &sent.body["params"]["message"];
    assert_eq!(message["contextId"], "c-1");
    assert_eq!(message["metadata"], json!({"molecule.in_reply_to": "m-1", "molecule.hops": 3}));

    // Another call, and another process with the same store and another generator.
    let mut second = Agent::with(Agent::options().token(secret("first")), 8);
    std::mem::swap(&mut second.store, &mut first.store);
    for _ in 0..2 {
        let again = reply_to(&mut second, from_peer(), |_| polled());
        assert_eq!(again.seen[0].body["params"]["message"]["messageId"], message["messageId"]);
    }
    let mut stranger = Agent::with(Agent::options().token(secret("first")), 9);
    let other = reply_to(&mut stranger, from_peer(), |_| polled());
    assert_ne!(other.seen[0].body["params"]["message"]["messageId"], message["messageId"], "another key");
}

#[test]
fn an_end_is_returned_and_told_as_an_event() {
    let denied = "access denied: workspaces cannot communicate per hierarchy rules";
    let replied = reply_to(&mut caller(), from_peer(), |seen| match seen {
        seen if seen.is(A2A) => Answer::error(403, denied).into(),
        _ => Answer::json(200, json!({"id": ID, "status": "online"})).into(),
    });
    let end = replied.end.unwrap();
    assert!(matches!(&end, ReplyEnd::Refused(why) if why.contains("access denied")), "{end}");
    let [Event::ReplyEnded { message, end: told, .. }] = &replied.events[..] else { panic!("{:?}", replied.events) };
    assert_eq!((message.as_str(), told), (ROW, &end));
}

#[test]
fn a_message_is_answered_by_its_id_alone_if_the_feed_still_shows_it() {
    let handle: ReplyHandle = ROW.parse().unwrap();
    let replied = reply_to(&mut caller(), handle.clone(), |seen| match seen {
        seen if seen.is(FEED) => Answer::json(200, json!([row(json!(PEER), "m-1", json!({}))])).into(),
        _ => polled(),
    });
    assert_eq!(replied.end.unwrap(), ReplyEnd::Delivered);
    assert_eq!(replied.seen[1].body["params"]["message"]["metadata"]["molecule.in_reply_to"], "m-1");

    let error = reply_to(&mut caller(), handle.clone(), |_| Answer::json(200, json!([])).into()).end.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, "reply"));
}

#[test]
fn a_reply_to_the_user_whose_answer_was_lost_is_looked_for_in_the_feed() {
    let notice = json!({"id": ROW, "workspace_id": ID, "activity_type": "a2a_receive", "method": "notify", "status": "ok",
        "source_id": null, "created_at": "2026-11-22T21:39:49Z", "response_body": {"result": "done"}});
    let replied = reply_to(&mut caller(), from_user(), |seen| match seen {
        seen if seen.is(NOTIFY) => fault(FaultKind::Interrupted).into(),
        _ => Answer::json(200, json!([notice])).into(),
    });
    assert_eq!(replied.end.unwrap(), ReplyEnd::Delivered);
    assert_eq!(replied.seen.iter().filter(|seen| seen.is(NOTIFY)).count(), 1);
}

#[test]
fn a_peer_that_stays_away_is_an_error_that_may_be_repeated() {
    let mut agent = caller();
    let began = agent.now.mono;
    let error = reply_to(&mut agent, from_peer(), |_| Answer::error(502, "failed to reach workspace agent").into());
    let error = error.end.unwrap_err();
    assert_eq!((error.kind(), error.operation(), error.is_retryable()), (ErrorKind::Timeout, "reply", true));
    assert!(error.to_string().contains("the peer could not be reached"), "{error}");
    assert_eq!(agent.since(began), Duration::from_secs(300));
}

#[test]
fn what_nobody_reads_and_what_could_go_on_for_ever_is_refused_unsent() {
    let nudge = row(json!(null), "inbox-nudge-1", json!({"source": "platform", "kind": "inbox_nudge"}));
    let a_reply = row(json!(PEER), "m-2", json!({"molecule.in_reply_to": "m-1"}));
    let many = row(json!(PEER), "m-2", json!({"molecule.hops": 9}));
    for (row, part) in [(nudge, "nobody reads"), (a_reply, "and_continue()"), (many, "more than 8 replies")] {
        let replied = reply_to(&mut caller(), message(row), |seen| panic!("{seen}"));
        let error = replied.end.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "reply"));
        assert!(error.to_string().contains(part), "{error}");
    }
    for (reply, part) in [(molecule_core::Reply::none(), "nothing to say"), ("a\0b".into(), "U+0000")] {
        let error = ReplyTo::new(from_peer(), reply).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "reply"));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_key_that_cannot_be_stored_is_a_warning() {
    let mut agent = caller();
    agent.store.fail("Replace");
    let replied = reply_to(&mut agent, from_peer(), |_| polled());
    assert_eq!(replied.end.unwrap(), ReplyEnd::Delivered);
    let told = &replied.events[0];
    assert!(matches!(told, Event::Warning(told) if told.contains("the key of the replies' ids")), "{told:?}");
}
