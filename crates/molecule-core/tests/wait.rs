//! Waits for delegations and queued messages: capped backoff in virtual time, until the end or until the caller's limit
//! passes.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Effect, FaultKind};
use molecule_core::machine::Machine;
use molecule_core::machines::Wait;
use molecule_core::proto::{QueueItem, Reply as PeerReply, Time, UnixTime};
use molecule_core::{DelegationEnd, ErrorKind, QueueOutcome, WaitFor};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::{DELEGATIONS, PEER};
use support::*;

const ITEM: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";

fn rows(status: &str) -> Answer {
    Answer::json(
        200,
        json!([{
            "delegation_id": PEER, "status": status, "created_at": "2026-11-22T21:39:49.835053Z", "error": "why",
            "response_preview": "the answer",
        }]),
    )
}

/// The gaps between polls, in seconds.
fn gaps(looks: &[Time]) -> Vec<f64> {
    looks.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect()
}

#[test]
fn looks_come_later_and_later_up_to_half_a_minute() {
    let mut agent = caller();
    let began = agent.now.mono;
    let mut looks = Vec::new();
    let view = run(&mut agent, Wait::for_delegation(PEER), |seen| {
        assert!(seen.is(DELEGATIONS), "{seen}");
        looks.push(seen.at);
        rows(if seen.at.since(began) < secs(600) { "dispatched" } else { "completed" }).into()
    });
    assert_eq!(view.unwrap().end(), Some(DelegationEnd::Answered("the answer".to_owned())));
    assert_eq!(looks[0], began, "the first look is now");
    for (gap, most) in
        gaps(&looks).into_iter().zip([1.0, 2.0, 4.0, 8.0, 16.0].into_iter().chain(std::iter::repeat(30.0)))
    {
        assert!((most / 2.0..=most).contains(&gap), "{gap} s of {most}");
    }
    assert!((25..60).contains(&looks.len()), "{} looks", looks.len());
}

#[test]
fn a_failed_delegation_is_an_end_too() {
    let view = run(&mut caller(), Wait::for_delegation(PEER), |_| rows("failed").into());
    assert_eq!(view.unwrap().end(), Some(DelegationEnd::Failed("why".to_owned())));
}

#[test]
fn patience_ends_and_what_is_waited_for_does_not() {
    let mut agent = caller();
    let began = agent.now.mono;
    let end = run(&mut agent, Wait::for_delegation(WaitFor::new(PEER).at_most(secs(100))), |_| rows("queued").into());
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Timeout, true));
    assert_eq!(error.operation(), "wait for delegation");
    assert_eq!(agent.since(began), secs(100));
    for patience in [secs(0), secs(3601)] {
        let wait = Wait::for_delegation(WaitFor::new(PEER).at_most(patience));
        let end = run(&mut caller(), wait, |seen| panic!("{seen}"));
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn a_look_that_stalls_does_not_outlast_the_patience_by_more_than_a_second() {
    for (patience, most) in [(secs(5), secs(5)), (Duration::from_millis(200), secs(1)), (secs(600), secs(30))] {
        let mut agent = caller();
        let mut driven = Driven::new(Wait::for_delegation(WaitFor::new(PEER).at_most(patience)));
        driven.settle(&mut agent);
        let [Effect::Http(_, limits)] = driven.in_flight.values().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(limits.total, most, "{patience:?}");
    }
    // The last poll.
    let mut agent = caller();
    let began = agent.now.mono;
    let wait = Wait::for_delegation(WaitFor::new(PEER).at_most(secs(100)));
    let mut driven = Driven::new(wait);
    driven.drive_for(&mut agent, secs(99), &mut |_: &Seen| rows("queued").into());
    driven.drive_for(&mut agent, secs(1), &mut |_: &Seen| Reply::Never);
    driven.settle(&mut agent);
    let [Effect::Http(_, limits)] = driven.in_flight.values().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((agent.since(began), limits.total), (secs(100), secs(1)));
}

#[test]
fn looks_that_fail_for_a_while_are_no_end() {
    let mut answers = vec![
        rows("completed").outcome(),
        Answer::json(200, json!([])).outcome(),
        Answer::error(503, "down").outcome(),
        fault(FaultKind::Interrupted),
        unsent(FaultKind::Connect),
        Answer::error(429, "rate limit exceeded").outcome(),
        Answer::json(200, json!([])).outcome(),
    ];
    let view = run(&mut caller(), Wait::for_delegation(PEER), |_| answers.pop().unwrap().into());
    view.unwrap();
    assert!(answers.is_empty(), "one request for each look");
}

#[test]
fn a_refusal_is_an_end_and_so_is_nothing_after_a_minute() {
    let end =
        run(&mut caller(), Wait::for_delegation(PEER), |_| Answer::error(401, "invalid workspace auth token").into());
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unauthorized, "wait for delegation"));

    let mut agent = caller();
    let began = agent.now.mono;
    let end = run(&mut agent, Wait::for_delegation(PEER), |_| Answer::json(200, json!([])).into());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::NotFound);
    assert!((60..95).contains(&agent.since(began).as_secs()), "{:?}", agent.since(began));

    let end =
        run(&mut caller(), Wait::for_queue_item(ITEM).unwrap(), |_| Answer::text(404, "404 page not found").into());
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, "wait for queue item"));
}

#[test]
fn a_look_leaves_the_rate_limit_to_the_heartbeats() {
    let mut agent = caller();
    let mut looks = Vec::new();
    let end = run(&mut agent, Wait::for_delegation(PEER), |seen| {
        looks.push(seen.at);
        let answer = rows(if looks.len() < 3 { "queued" } else { "completed" });
        let answer = answer.header("x-ratelimit-limit", "600").header("x-ratelimit-remaining", "3");
        answer.header("x-ratelimit-reset", "25").into()
    });
    end.unwrap();
    assert_eq!(gaps(&looks), [26.0, 26.0]);
}

#[test]
fn a_cancelled_wait_ends_at_once() {
    for looking in [true, false] {
        let mut agent = caller();
        let mut driven = Driven::new(Wait::for_delegation(PEER));
        driven.settle(&mut agent);
        if !looking {
            let id = *driven.in_flight.keys().next().unwrap();
            driven.feed(&mut agent, id, rows("queued").outcome());
            driven.settle(&mut agent);
        }
        driven.machine.cancel(&mut agent.cx());
        let end = driven.finish(&mut agent, &mut |seen: &Seen| panic!("{seen}"));
        let error = end.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Cancelled, "wait for delegation"));
    }
}

fn item(status: &str, more: Value) -> Value {
    let mut item = json!({"queue_id": ITEM, "workspace_id": PEER, "status": status});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

#[test]
fn a_queued_message_ends_as_its_item_says() {
    let text = |outcome: QueueOutcome| match outcome {
        QueueOutcome::Replied(PeerReply::Message(message)) => message.texts().collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    };
    for (last, expected, told) in [
        (item("completed", json!({"response_body": reply("hello")})), "hello", "replied: hello"),
        (item("completed", json!({})), "Lost", "lost: the peer was busy once more"),
        (item("completed", json!({"response_body": null})), "Lost", "lost: the peer was busy once more"),
        (
            item("completed", json!({"response_body": {"jsonrpc": "2.0", "error": {"code": -1, "message": "boom"}}})),
            r#"PeerError { code: Some(-1), message: "boom", data: None }"#,
            "the peer failed: boom (-1)",
        ),
        (
            item("completed", json!({"response_body": {"error": "sorry"}})),
            r#"PeerError { code: None, message: "sorry", data: None }"#,
            "the peer failed: sorry",
        ),
        (item("completed", json!({"response_body": "words"})), r#"Replied(Text("words"))"#, "replied: words"),
        (
            item("completed", json!({"response_body": {"error": "agent returned empty response body"}})),
            "DeliveredReplyLost",
            "delivered, without a reply",
        ),
        (
            item("completed", json!({"response_body": {"error": "cut", "delivery_confirmed": true}})),
            "DeliveredReplyLost",
            "delivered, without a reply",
        ),
        (
            item("dropped", json!({"last_error": "settling"})),
            r#"Dropped { last_error: Some("settling") }"#,
            "not delivered: the peer was out of reach for too long: settling",
        ),
        (item("failed", json!({})), "Failed { last_error: None }", "not delivered: five attempts failed"),
    ] {
        let mut agent = caller();
        let mut answers = vec![last, item("dispatched", json!({})), item("queued", json!({}))];
        let end =
            run(&mut agent, Wait::for_queue_item(ITEM).unwrap(), |_| Answer::json(200, answers.pop().unwrap()).into());
        let end = end.unwrap();
        assert_eq!((end.to_string().as_str(), text(end.clone()).as_str()), (told, expected));
    }
}

#[test]
fn an_expired_item_is_told_by_the_clock_since_it_says_queued_for_ever() {
    let at = |seconds: i64| -> Option<QueueOutcome> {
        let expires = json!({"expires_at": "2026-11-22 21:39:47+00"});
        let item: QueueItem = serde_json::from_value(item("queued", expires)).unwrap();
        QueueOutcome::of(&item, UnixTime::from_secs(1_795_383_587 + seconds))
    };
    assert_eq!((at(-60), at(0), at(30)), (None, None, None), "clocks differ");
    assert_eq!(at(31), Some(QueueOutcome::Expired));
    assert_eq!(at(31).unwrap().to_string(), "not delivered: it expired");
    let delivered = json!({"expires_at": "2026-11-22 21:39:47+00", "response_body": reply("hello")});
    let item: QueueItem = serde_json::from_value(item("completed", delivered)).unwrap();
    assert!(matches!(QueueOutcome::of(&item, UnixTime::from_secs(2_000_000_000)), Some(QueueOutcome::Replied(_))));
}
