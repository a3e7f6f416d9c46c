//! The outbox against a scripted platform: what is sent when, and what is recorded.
#![allow(clippy::unwrap_used)]

mod files;
mod random;
mod world;

use std::time::Duration;

use http::StatusCode;
use molecule_proto::UnixTime;
use serde_json::json;

use crate::effect::FaultKind;
use crate::inbox::reply::Reply;
use crate::session::Dialect;
use world::{Answer, NOTIFY, PEER, World};

const A2A: &str = "POST /workspaces/:peer/a2a";
const ROWS: &str = "GET /workspaces/:id/activity?type=a2a_receive&source=canvas&limit=100";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_peer_gets_the_reply_under_its_id_in_the_conversation_that_it_came_from() {
    let mut world = World::new();
    let reply = world.to_peer(1, Reply::text("done"));
    world.push(reply.clone());
    world.settle();
    let sent = world.only_request(A2A);
    let message = &sent["params"]["message"];
    assert_eq!(message["messageId"], reply.id.as_str());
    assert_eq!((&message["contextId"], &message["taskId"]), (&json!("c-1"), &json!("t-1")));
    assert_eq!(message["metadata"], json!({"molecule.in_reply_to": "m-1", "molecule.hops": 1}));
    assert_eq!(message["parts"], json!([{"kind": "text", "text": "done"}]));
    world.answer(A2A, Answer::json(200, json!({"status": "queued", "delivery_mode": "poll"})));
    world.settle();
    assert_eq!(world.take_log(), ["record 1 ended delivered", "event 1 delivered"]);
    assert!(world.is_empty());
}

#[test]
fn a_reply_to_a_peer_is_sent_again_under_the_same_id_until_it_is_taken() {
    let mut world = World::new();
    let reply = world.to_peer(1, Reply::text("done"));
    world.push(reply.clone());
    let busy = json!({"error": "workspace agent busy — retry after a short backoff", "busy": true, "retry_after": 30});
    let answers = [
        Answer::json(503, busy),
        Answer::error(502, "failed to reach workspace agent"),
        Answer::fault(FaultKind::Interrupted),
        Answer::json(503, json!({"error": "workspace has no URL", "status": "paused"})),
        Answer::json(202, json!({"queued": true, "queue_id": PEER, "queue_depth": 1})),
    ];
    let mut waits = Vec::new();
    for answer in answers {
        let before = world.now.mono;
        world.run_until_request(A2A);
        waits.push(world.now.mono.since(before));
        assert_eq!(world.only_request(A2A)["params"]["message"]["messageId"], reply.id.as_str());
        world.answer(A2A, answer);
        world.settle();
    }
    assert!(waits[0].is_zero() && waits[1] >= secs(30), "{waits:?}");
    assert!(waits[2..].iter().all(|wait| *wait > Duration::ZERO && *wait <= secs(8)), "{waits:?}");
    assert_eq!(world.take_log(), ["record 1 ended queued", "event 1 queued"]);
}

#[test]
fn on_aprils_server_a_reply_that_may_have_arrived_holds_back_no_later_one() {
    let mut world = World::new();
    world.session.dialect = Some(Dialect::April);
    let replies: Vec<_> = (1..=4).map(|number| world.to_peer(number, Reply::text("done"))).collect();
    let unreachable = || Answer::error(502, "failed to reach workspace agent");
    let sent = |world: &mut World| world.only_request(A2A)["params"]["message"]["messageId"].clone();
    for reply in &replies[..3] {
        world.push(reply.clone());
        world.settle();
        assert_eq!(sent(&mut world), reply.id.as_str(), "at once");
        world.answer(A2A, unreachable());
        world.settle();
    }
    // Each is tried again, and a new one that comes meanwhile waits for the one on its way alone.
    world.run_until_request(A2A);
    assert_ne!(sent(&mut world), replies[3].id.as_str());
    world.push(replies[3].clone());
    world.settle();
    assert_eq!(world.count(A2A), 1, "one at a time");
    world.answer(A2A, unreachable());
    world.settle();
    assert_eq!(sent(&mut world), replies[3].id.as_str());
    // The time of the earlier ones comes while this one is on its way.
    world.advance(secs(3));
    world.settle();
    assert_eq!(world.count(A2A), 1, "one at a time");
    world.answer(A2A, Answer::json(200, json!({"result": {"parts": []}})));
    world.settle();
    assert_eq!(world.take_log(), ["record 4 ended delivered", "event 4 delivered"]);
    let mut tries = std::collections::BTreeMap::new();
    while !world.is_empty() {
        world.run_until_request(A2A);
        *tries.entry(sent(&mut world).to_string()).or_insert(0) += 1;
        world.answer(A2A, unreachable());
        world.settle();
    }
    let log = world.take_log();
    assert_eq!(log.iter().filter(|line| line.contains("gave up") || line.contains("given up")).count(), 6, "{log:?}");
    // 2, 4, … 2,048 s, then once an hour.
    assert!(tries.len() == 3 && tries.values().all(|tries| (20..=60).contains(tries)), "{tries:?}");
}

#[test]
fn a_refused_reply_ends_with_the_reason_and_the_next_one_goes_out() {
    let mut world = World::new();
    for number in [1, 2] {
        let reply = world.to_peer(number, Reply::text("done"));
        world.push(reply);
    }
    world.settle();
    assert_eq!(world.count(A2A), 1, "one at a time");
    world.answer(A2A, Answer::error(403, "access denied: workspaces cannot communicate per hierarchy rules"));
    // The call asks the view, since a database that is down refuses like this.
    world.settle();
    world.answer("GET /workspaces/:id", Answer::json(200, json!({"id": world.id(), "status": "online"})));
    world.settle();
    let [record, event] = &world.take_log()[..] else { panic!() };
    assert!(record.starts_with("record 1 ended refused: denied: access denied"), "{record}");
    assert!(event.starts_with("event 1 refused"), "{event}");
    assert_eq!(world.count(A2A), 1, "the next one");
}

#[test]
fn one_recipient_never_has_two_replies_on_their_way_and_several_do_not_wait_for_each_other() {
    let mut world = World::new();
    for number in 1..=3 {
        let reply = world.to_peer(number, Reply::text("to a peer"));
        world.push(reply);
        let reply = world.to_user(number + 10, Reply::text("to the user"));
        world.push(reply);
    }
    world.settle();
    assert_eq!((world.count(A2A), world.count(NOTIFY)), (1, 1));
}

#[test]
fn a_notice_is_marked_before_it_is_sent() {
    let mut world = World::new();
    world.holds_records = true;
    let reply = world.to_user(1, Reply::text("hello"));
    world.push(reply);
    world.settle();
    assert_eq!(world.take_log(), ["record 1 marked"]);
    world.advance(secs(60));
    world.settle();
    assert_eq!(world.count(NOTIFY), 0, "the mark is not durable");
    world.records_are_durable();
    world.settle();
    assert_eq!(world.only_request(NOTIFY), json!({"message": "hello"}));
    world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    world.settle();
    assert_eq!(world.take_log(), ["record 1 ended delivered", "event 1 delivered"]);
}

#[test]
fn several_notices_are_marked_at_once_and_sent_in_order() {
    let mut world = World::new();
    world.holds_records = true;
    for number in 1..=3 {
        let reply = world.to_user(number, Reply::text(format!("number {number}")));
        world.push(reply);
    }
    world.settle();
    assert_eq!(world.take_log(), ["record 1 marked", "record 2 marked", "record 3 marked"]);
    world.records_are_durable();
    for number in 1..=3 {
        world.settle();
        assert_eq!(world.only_request(NOTIFY), json!({"message": format!("number {number}")}));
        world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    }
    world.settle();
    assert!(world.is_empty());
}

#[test]
fn a_notice_whose_answer_was_lost_is_looked_for_and_not_sent_again() {
    for is_echoed in [false, true] {
        let mut world = World::new();
        let reply = world.to_user(1, Reply::text("hello"));
        world.push(reply);
        world.settle();
        world.answer(NOTIFY, Answer::fault(FaultKind::Interrupted));
        world.settle();
        let row = world.notice_row("hello", 5);
        if is_echoed {
            // The inbox reads the row first, while the look is still on its way.
            assert!(world.echo(&row));
        } else {
            world.answer(ROWS, Answer::json(200, json!([row])));
        }
        world.settle();
        assert_eq!(world.take_log()[1..], ["record 1 ended delivered", "event 1 delivered"], "{is_echoed}");
        assert_eq!(world.count(NOTIFY), 0);
    }
}

#[test]
fn the_feed_is_not_asked_for_a_notice_before_the_time_that_the_server_named() {
    let mut world = World::new();
    let reply = world.to_user(1, Reply::text("hello"));
    world.push(reply);
    world.settle();
    let sent_at = world.now.mono;
    world.answer(NOTIFY, Answer::busy(7));
    world.settle();
    assert_eq!(world.count(ROWS), 0);
    world.run_until_request(ROWS);
    assert_eq!(world.now.mono.since(sent_at), secs(7));
}

#[test]
fn a_notice_that_the_feed_does_not_show_is_sent_again_once_every_row_is_visible() {
    let mut world = World::new();
    let reply = world.to_user(1, Reply::text("hello"));
    world.push(reply);
    world.settle();
    let sent_at = world.now.mono;
    world.answer(NOTIFY, Answer::fault(FaultKind::Interrupted));
    let mut looks = Vec::new();
    for _ in 0..100 {
        world.settle();
        if world.count(NOTIFY) == 1 {
            break;
        }
        if world.count(ROWS) == 1 {
            looks.push(world.now.mono.since(sent_at).as_secs());
            // One look fails, and does not count.
            let rows = if looks.len() == 2 { Answer::error(500, "query failed") } else { Answer::json(200, json!([])) };
            world.answer(ROWS, rows);
        } else {
            world.sleep();
        }
    }
    assert!(world.now.mono.since(sent_at) >= world::TRAIL, "{looks:?}");
    assert!((4..=6).contains(&looks.len()), "{looks:?}");
    world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    world.settle();
    assert_eq!(world.take_log()[1..], ["record 1 ended delivered", "event 1 delivered"]);
}

#[test]
fn a_notice_that_was_certainly_not_sent_is_sent_again_without_a_look() {
    let mut world = World::new();
    let reply = world.to_user(1, Reply::text("hello"));
    world.push(reply);
    for answer in [
        Answer::unsent(FaultKind::Connect),
        Answer::error(401, "invalid workspace auth token"),
        Answer::json(429, json!({"error": "rate limit exceeded", "retry_after": 7})),
        Answer::json(200, json!({"status": "sent"})),
    ] {
        world.run_until_request(NOTIFY);
        world.answer(NOTIFY, answer);
        world.settle();
        assert_eq!(world.count(ROWS), 0);
    }
    assert_eq!(world.take_log(), ["record 1 marked", "record 1 ended delivered", "event 1 delivered"]);
}

#[test]
fn after_a_crash_a_marked_notice_is_looked_for_and_an_unmarked_one_is_sent() {
    let mut world = World::new();
    for number in 1..=3 {
        let reply = world.to_user(number, Reply::text(format!("number {number}")));
        world.push(reply);
    }
    world.settle();
    // The first one arrived, the answer did not, and the process died. The third had no mark.
    let mut left = world.left();
    left[2].mark = None;
    let mut world = World::new();
    left.into_iter().for_each(|reply| world.push(reply));
    world.settle();
    assert_eq!(world.count(NOTIFY), 0);
    let row = world.notice_row("number 1", 5);
    world.answer(ROWS, Answer::json(200, json!([row])));
    world.settle();
    assert_eq!(world.take_log(), ["record 1 ended delivered", "event 1 delivered"]);
    for number in 2..=3 {
        for _ in 0..100 {
            if world.count(NOTIFY) == 1 {
                break;
            }
            if world.count(ROWS) == 1 {
                world.answer_rows(json!([row]))
            } else {
                world.sleep()
            }
            world.settle();
        }
        assert_eq!(world.only_request(NOTIFY), json!({"message": format!("number {number}")}));
        world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
        world.settle();
    }
    assert!(world.is_empty());
    assert!(world.now.mono.since(world.start) >= world::TRAIL);
}

#[test]
fn rows_of_earlier_notices_with_the_same_words_prove_nothing() {
    let mut world = World::new();
    for number in 1..=2 {
        let reply = world.to_user(number, Reply::text("ok"));
        world.push(reply);
    }
    world.settle();
    world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    world.settle();
    world.answer(NOTIFY, Answer::fault(FaultKind::Interrupted));
    let first = world.notice_row("ok", 5);
    world.run_until_request(ROWS);
    world.answer(ROWS, Answer::json(200, json!([first])));
    world.settle();
    assert!(!world.take_log().contains(&"record 2 ended delivered".to_owned()));
    let second = world.notice_row("ok", 6);
    world.run_until_request(ROWS);
    world.answer(ROWS, Answer::json(200, json!([second, first])));
    world.settle();
    assert_eq!(world.take_log(), ["record 2 ended delivered", "event 2 delivered"]);
}

#[test]
fn a_notice_of_which_aprils_server_keeps_no_row_is_sent_twice_in_doubt_at_most() {
    let text = format!("{}ż", "x".repeat(79));
    for (dialect, text, most) in [
        (Some(Dialect::April), text.as_str(), 2),
        (None, text.as_str(), 2),
        (Some(Dialect::April), "a text of ASCII", 4),
        (Some(Dialect::Current), text.as_str(), 4),
    ] {
        let mut world = World::new();
        world.session.dialect = dialect;
        let reply = world.to_user(1, Reply::text(text));
        world.push(reply);
        let mut sent = 0;
        for _ in 0..1_000 {
            if sent == 4 || world.is_empty() {
                break;
            }
            world.settle();
            if world.count(NOTIFY) == 1 {
                sent += 1;
                world.answer(NOTIFY, Answer::fault(FaultKind::Interrupted));
            } else if world.count_of("GET") == 1 {
                world.answer_rows(json!([]));
            } else if !world.is_empty() {
                world.sleep();
            }
        }
        assert_eq!(sent, most, "{dialect:?} {text}");
        if most == 2 {
            let log = world.take_log();
            assert!(log[1].starts_with("record 1 ended given up: it is unknown whether the user has it"), "{log:?}");
        }
    }
}

#[test]
fn a_reply_is_given_up_after_a_day_and_not_before() {
    let mut world = World::new();
    let reply = world.to_peer(1, Reply::text("done"));
    world.push(reply);
    let mut tries = 0;
    while !world.is_empty() {
        world.run_until_request(A2A);
        tries += 1;
        world.answer(A2A, Answer::error(502, "failed to reach workspace agent"));
        world.settle();
    }
    let lasted = world.now.mono.since(world.start);
    assert!(lasted >= secs(24 * 3600) && lasted < secs(25 * 3600), "{lasted:?}");
    assert!((200..1000).contains(&tries), "{tries}");
    let log = world.take_log();
    assert_eq!(log[0], "record 1 ended given up: not delivered: the peer could not be reached");
}

#[test]
fn an_old_reply_is_tried_anew_by_a_new_process_before_it_is_given_up() {
    let mut world = World::new();
    let mut reply = world.to_peer(1, Reply::text("done"));
    reply.reply.replied_at = UnixTime::from_secs(0);
    world.push(reply);
    while !world.is_empty() {
        world.run_until_request(A2A);
        world.answer(A2A, Answer::error(502, "failed to reach workspace agent"));
        world.settle();
    }
    let lasted = world.now.mono.since(world.start);
    assert!(lasted >= secs(600) && lasted < secs(3600), "{lasted:?}");
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_cause_and_the_remedy() {
    let long = "x".repeat(1024 * 1024 + 1);
    let mut world = World::new();
    let replies = [world.to_user(1, Reply::text(long))];
    replies.into_iter().for_each(|reply| world.push(reply));
    world.settle();
    let log: Vec<_> = world.take_log().into_iter().filter(|line| line.starts_with("record")).collect();
    let begin = "record 1 ended refused: configuration failed: ";
    assert!(log.iter().any(|line| line.starts_with(begin) && line.contains("people get at most 1048576")), "{log:?}");
    assert!(world.is_empty());
}

#[test]
fn files_with_a_uri_go_out_as_parts_to_peers_and_beside_the_text_to_people() {
    let file = || crate::inbox::attachment::OutgoingFile::uri("https://files.example/plan.png").mime_type("image/png");
    let mut world = World::new();
    let replies = [world.to_user(1, Reply::none().attach(file())), world.to_peer(2, Reply::text("see").attach(file()))];
    replies.into_iter().for_each(|reply| world.push(reply));
    world.settle();
    let attached = json!([{"uri": "https://files.example/plan.png", "name": "plan.png", "mimeType": "image/png"}]);
    assert_eq!(world.only_request(NOTIFY), json!({"message": "plan.png", "attachments": attached}));
    let file = json!({"kind": "file", "file": {"uri": "https://files.example/plan.png", "name": "plan.png", "mimeType": "image/png"}});
    assert_eq!(world.only_request(A2A)["params"]["message"]["parts"][1], file);
}

#[test]
fn a_workspace_that_may_not_talk_to_its_user_is_told_so() {
    let mut world = World::new();
    let reply = world.to_user(1, Reply::text("hello"));
    world.push(reply);
    world.settle();
    world.answer(NOTIFY, Answer::error(403, "talk_to_user_disabled"));
    world.settle();
    let log = world.take_log();
    assert!(log[1].starts_with("record 1 ended refused") && log[1].contains("talk_to_user_disabled"), "{log:?}");
}

#[test]
fn a_cancel_ends_what_is_on_its_way_and_leaves_the_replies_for_the_next_process() {
    let mut world = World::new();
    let replies = [world.to_user(1, Reply::text("hello")), world.to_peer(2, Reply::text("hello"))];
    replies.into_iter().for_each(|reply| world.push(reply));
    world.settle();
    assert_eq!((world.count(A2A), world.count(NOTIFY)), (1, 1));
    assert!(!world.is_flushed());
    world.cancel();
    world.settle();
    assert_eq!(world.take_log(), ["record 1 marked"]);
    assert_eq!(world.left().len(), 2);
    assert!(world.is_over);
}

#[test]
fn an_outbox_is_flushed_once_what_is_left_waits_for_another_try() {
    let mut world = World::new();
    let replies = [world.to_user(1, Reply::text("hello")), world.to_peer(2, Reply::text("hello"))];
    replies.into_iter().for_each(|reply| world.push(reply));
    world.settle();
    world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    world.answer(A2A, Answer::error(502, "failed to reach workspace agent"));
    world.settle();
    assert!(world.is_flushed() && !world.is_empty());
}

#[test]
fn a_reply_that_is_there_already_is_not_added_again() {
    let mut world = World::new();
    let reply = world.to_peer(1, Reply::text("done"));
    world.push(reply.clone());
    world.push(reply);
    assert_eq!(world.left().len(), 1);
}

#[test]
fn a_scarce_rate_budget_holds_a_reply_back_but_not_for_ever() {
    let mut world = World::new();
    let reply = world.to_peer(1, Reply::text("done"));
    let mut headers = http::HeaderMap::new();
    let remaining = Some(molecule_proto::Remaining::new(1, 20));
    molecule_proto::RateLimit::Window { limit: 600, remaining }.write_to(&mut headers);
    world.session.rate.learn(world.now.mono, StatusCode::OK, &headers, None);
    world.push(reply);
    world.settle();
    assert_eq!(world.count(A2A), 0);
    world.run_until_request(A2A);
    let waited = world.now.mono.since(world.start);
    assert!(waited >= secs(20) && waited <= secs(31), "{waited:?}");
}
