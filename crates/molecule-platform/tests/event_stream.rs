//! The event stream: its first line, its events, and what does not end it.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Bench;
use common::mail::{message, said};
use common::stream::{event, types};
use molecule_platform::{Dialect, DispatchFault, RequestKind};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::json;

type Agent = (WorkspaceId, Token);

/// A poll agent of the current server, with an open stream.
fn streaming() -> (Bench, Agent) {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    bench.open_stream(&agent);
    (bench, agent)
}

#[test]
fn a_stream_needs_the_own_token_or_an_administrators() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
        let path = format!("/workspaces/{}/events/stream", one.0);
        assert_eq!(bench.get(&path, None), (401, common::error("missing workspace auth token")));
        assert_eq!(bench.get(&path, Some(other.1.expose())), (401, common::error("invalid workspace auth token")));
        let unknown = "/workspaces/00000000-1111-4222-8333-444444444444/events/stream";
        assert_eq!(bench.get(unknown, Some(common::ADMIN)), (404, common::error("workspace not found")));
        let admin = Token::new(common::ADMIN).unwrap();
        bench.open_stream(&(one.0.clone(), admin));
        bench.open_stream(&one);
        assert_eq!(bench.platform.open_streams(&one.0), 2);
    }
}

#[test]
fn a_peers_message_is_told_twice_with_its_body_and_without_the_row() {
    let (mut bench, agent) = streaming();
    let peer = bench.poll_agent("peer");
    bench.turns();
    assert_eq!(bench.tell_now(&peer, &agent.0, &message("m", "x")).0, 200);
    let events = bench.events();
    assert_eq!(types(&events), ["ACTIVITY_LOGGED", "ACTIVITY_LOGGED"]);
    let summaries: Vec<_> = events.iter().map(|(_, data)| data["summary"].as_str().unwrap()).collect();
    assert_eq!(summaries, ["message/send → agent (ingest)", "message/send → agent (queued for poll)"]);
    for (_, data) in &events {
        assert_eq!((&data["message_id"], &data["source_id"]), (&json!("m"), &json!(peer.0)));
        assert_eq!(data["request_body"]["params"]["message"]["parts"][0]["text"], json!("x"));
        assert!(data.get("id").is_none() && data.get("seq").is_none() && data.get("response_body").is_none());
    }
    assert_eq!(bench.feed(&agent, "a2a_receive").len(), 1, "one row");
}

#[test]
fn a_persons_message_is_told_with_its_text_between_the_two() {
    let (mut bench, agent) = streaming();
    let id = bench.platform.send_user_message(bench.now, &agent.0, "hello").unwrap();
    let events = bench.events();
    assert_eq!(types(&events), ["ACTIVITY_LOGGED", "USER_MESSAGE", "ACTIVITY_LOGGED"]);
    assert_eq!(events[1].1, json!({"content": "hello", "message_id": id}));
}

#[test]
fn a_nudge_is_a_notice_and_a_turn_about_a_request_looks_like_a_persons() {
    let (mut bench, agent) = streaming();
    let body = json!({"kind": "task", "recipient_type": "user", "title": "look"});
    let (_, answer) = bench.post(&format!("/workspaces/{}/requests", agent.0), Some(agent.1.expose()), &body);
    bench.platform.respond_to_request(bench.now, answer["request_id"].as_str().unwrap(), "done");
    bench.platform.nudge(bench.now, &agent.0).unwrap();
    bench.turns();
    for is_notice in [false, true] {
        bench.beat(&agent.0, Some(&agent.1));
        let events = bench.events();
        assert_eq!(types(&events), ["WORKSPACE_HEARTBEAT", "ACTIVITY_LOGGED", "USER_MESSAGE", "ACTIVITY_LOGGED"]);
        let told = &events[2].1;
        let notice = is_notice.then(|| (json!("system"), json!("notice")));
        assert_eq!(told.get("role").cloned().zip(told.get("systemKind").cloned()), notice);
        assert_eq!(events[3].1["summary"], json!("message/send → agent (queued turn reply)"));
        assert_eq!(events[3].1["response_body"]["status"], json!("queued"));
    }
}

#[test]
fn a_channels_message_is_told_once() {
    let (mut bench, agent) = streaming();
    let sent = molecule_platform::ChannelMessage::new("slack", "1.2", "hello");
    bench.platform.send_channel_message(bench.now, &agent.0, sent).unwrap();
    let events = bench.events();
    assert_eq!(types(&events), ["ACTIVITY_LOGGED"]);
    assert_eq!(events[0].1["message_id"], json!("channel-slack-1.2"));
}

#[test]
fn a_heartbeat_comes_back_after_a_change_of_its_task() {
    let (mut bench, agent) = streaming();
    let beat = |bench: &mut Bench, task: &str| {
        let body = json!({"workspace_id": agent.0, "active_tasks": 1, "current_task": task, "uptime_seconds": 5});
        assert_eq!(bench.post(path::HEARTBEAT, Some(agent.1.expose()), &body).0, 200);
        bench.events()
    };
    let task = ("TASK_UPDATED".to_owned(), json!({"active_tasks": 1, "current_task": "busy"}));
    let back = ("WORKSPACE_HEARTBEAT".to_owned(), json!({"active_tasks": 1, "uptime_seconds": 5}));
    assert_eq!(beat(&mut bench, "busy"), [task, back.clone()]);
    assert_eq!(beat(&mut bench, "busy"), [back]);
}

#[test]
fn the_status_and_the_registration_are_told() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.create("agent");
    bench.open_stream(&agent);
    bench.beat(&agent.0, Some(&agent.1));
    assert_eq!(types(&bench.events()), ["WORKSPACE_HEARTBEAT", "WORKSPACE_ONLINE"]);
    bench.register(&agent.0, Some(&agent.1));
    let events = bench.events();
    assert_eq!(types(&events), ["WORKSPACE_ONLINE"]);
    assert_eq!(
        (&events[0].1["url"], &events[0].1["delivery_mode"]),
        (&json!("http://localhost:9/a2a"), &json!("push"))
    );
    let card = json!({"workspace_id": agent.0, "agent_card": {"name": "b"}});
    bench.post(path::UPDATE_CARD, Some(agent.1.expose()), &card);
    assert_eq!(bench.events(), [("AGENT_CARD_UPDATED".to_owned(), json!({"agent_card": {"name": "b"}}))]);
}

#[test]
fn what_the_agent_says_and_posts_is_told() {
    let (mut bench, agent) = streaming();
    let bearer = Some(agent.1.expose());
    assert_eq!(bench.post(&path::notify(&agent.0), bearer, &json!({"message": "hi"})).0, 200);
    assert_eq!(bench.events(), [("AGENT_MESSAGE".to_owned(), json!({"message": "hi", "name": "agent"}))]);
    assert!(bench.platform.set_can_talk_to_user(&agent.0, false));
    assert_eq!(bench.post(&path::notify(&agent.0), bearer, &json!({"message": "hi"})).0, 403);
    assert!(bench.events().is_empty(), "what the user does not see is not told");
    let row = json!({"activity_type": "agent_log", "summary": "here"});
    assert_eq!(bench.post(&path::activity(&agent.0), bearer, &row).0, 200);
    let events = bench.events();
    assert_eq!((types(&events), &events[0].1["summary"]), (vec!["ACTIVITY_LOGGED"], &json!("here")));
    bench.platform.upload(bench.now, &agent.0, "a.txt", "text/plain", "content").unwrap();
    let events = bench.events();
    assert_eq!((types(&events), &events[0].1["method"]), (vec!["ACTIVITY_LOGGED"], &json!("chat_upload_receive")));
    assert_eq!(events[0].1["request_body"]["name"], json!("a.txt"));
    bench.post(&path::activity_ack(&agent.0), bearer, &json!({"acked_seq": 1}));
    assert!(bench.events().is_empty(), "an ack is not told");
}

#[test]
fn requests_are_told_without_a_heartbeat() {
    let (mut bench, agent) = streaming();
    let peer = bench.poll_agent("peer");
    let body = json!({"kind": "task", "recipient_type": "agent", "recipient_id": peer.0, "title": "help"});
    let raised = format!("/workspaces/{}/requests", agent.0);
    let (_, answer) = bench.post(&raised, Some(agent.1.expose()), &body);
    let request = answer["request_id"].as_str().unwrap().to_owned();
    assert_eq!(types(&bench.events()), ["REQUEST_CREATED"]);
    let of_peer = format!("/workspaces/{}/requests/{request}", peer.0);
    let text = json!({"body": "which?", "author_type": "agent"});
    assert_eq!(bench.post(&format!("{of_peer}/messages"), Some(peer.1.expose()), &text).0, 201);
    let events = bench.events();
    assert_eq!((types(&events), &events[0].1["author_id"]), (vec!["REQUEST_MESSAGE"], &json!(peer.0)));
    assert_eq!(bench.post(&format!("{of_peer}/respond"), Some(peer.1.expose()), &json!({"action": "done"})).0, 200);
    let events = bench.events();
    assert_eq!((types(&events), &events[0].1["status"]), (vec!["REQUEST_RESPONDED"], &json!("done")));
    bench.platform.raise_request(bench.now, &agent.0, RequestKind::Approval, "may I").unwrap();
    assert_eq!(types(&bench.events()), ["REQUEST_CREATED"]);
}

#[test]
fn a_broadcast_is_told_whole_although_its_row_is_cut() {
    let (mut bench, agent) = streaming();
    let peer = bench.poll_agent("peer");
    assert!(bench.platform.set_can_broadcast(&peer.0, true));
    let text = "b".repeat(300);
    let path = format!("/workspaces/{}/broadcast", peer.0);
    assert_eq!(bench.post(&path, Some(peer.1.expose()), &json!({"message": text})).0, 200);
    let told = json!({"message": text, "sender": "peer", "sender_id": peer.0});
    assert_eq!(bench.events(), [("BROADCAST_MESSAGE".to_owned(), told)]);
    let row = bench.feed(&agent, "broadcast_receive").remove(0);
    assert_eq!(row["summary"], json!(format!("Broadcast from peer: {}…", "b".repeat(120))));
}

#[test]
fn a_delegation_is_told_to_the_one_who_delegates() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    bench.open_stream(&one);
    for (outcome, end) in
        [(said("ok"), "DELEGATION_COMPLETE"), (common::mail::reply(500, &json!({})), "DELEGATION_FAILED")]
    {
        let body = json!({"target_id": other.0, "task": "t"});
        assert_eq!(bench.post(&path::delegate(&one.0), Some(one.1.expose()), &body).0, 202);
        let mut turns = bench.turns();
        let mut events: Vec<_> = turns.chunks.iter().map(|(_, chunk)| event(chunk)).collect();
        bench.platform.dispatched(bench.now, turns.calls.remove(0).0, outcome);
        events.extend(bench.events());
        assert_eq!(types(&events), ["DELEGATION_SENT", "DELEGATION_STATUS", end]);
    }
}

#[test]
fn nothing_that_happens_to_the_workspace_ends_a_stream() {
    let (mut bench, agent) = streaming();
    let (_, token) = agent.clone();
    bench.platform.pause(bench.now, &agent.0, false).unwrap();
    assert_eq!(types(&bench.events()), ["WORKSPACE_PAUSED"]);
    bench.platform.rotate(bench.now, &agent.0).unwrap();
    assert!(!bench.platform.is_live(&agent.0, &token));
    assert_eq!(types(&bench.events()), ["EXTERNAL_CREDENTIALS_ROTATED"]);
    bench.platform.send_user_message(bench.now, &agent.0, "hello").unwrap();
    assert_eq!(bench.events().len(), 3, "the token that opened it is dead, and it goes on");
    bench.platform.delete(bench.now, &agent.0, false).unwrap();
    assert_eq!(types(&bench.events()), ["WORKSPACE_REMOVED"]);
    assert_eq!(bench.platform.open_streams(&agent.0), 1);
}

#[test]
fn a_closed_stream_gets_nothing_and_a_second_one_goes_on() {
    let (mut bench, agent) = streaming();
    let second = bench.open_stream(&agent);
    bench.beat(&agent.0, Some(&agent.1));
    let chunks = bench.turns().chunks;
    assert_eq!((chunks.len(), &chunks[0].1), (2, &chunks[1].1));
    bench.platform.close_stream(second);
    bench.platform.close_stream(second);
    bench.beat(&agent.0, Some(&agent.1));
    assert!(bench.turns().chunks.iter().all(|(ticket, _)| *ticket != second));
    assert_eq!(bench.platform.open_streams(&agent.0), 1);
}

#[test]
fn a_silent_stream_stays_open_and_loses_what_happens() {
    let (mut bench, agent) = streaming();
    bench.platform.set_streams_silent(true);
    bench.beat(&agent.0, Some(&agent.1));
    assert!(bench.events().is_empty());
    bench.platform.set_streams_silent(false);
    assert!(bench.events().is_empty(), "nothing is told later");
    bench.beat(&agent.0, Some(&agent.1));
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn an_event_comes_when_its_row_is_visible() {
    let (mut bench, agent) = streaming();
    let peer = bench.poll_agent("peer");
    bench.turns();
    bench.platform.set_rows_late(Duration::from_secs(30));
    assert_eq!(bench.tell_now(&peer, &agent.0, &message("m", "x")).0, 200);
    let mut told = 0;
    for _ in 0..31 {
        told += bench.events().len();
        assert_eq!(told == 2, bench.feed(&agent, "a2a_receive").len() == 1, "{told}");
        bench.turns_after(0);
        let time = Duration::from_secs(1);
        bench.now = molecule_platform::Now { mono: bench.now.mono + time, unix: bench.now.unix + time };
    }
    assert_eq!(told, 2);
}

#[test]
fn aprils_events_have_neither_body_nor_message_id() {
    let mut bench = Bench::new(Dialect::April);
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    bench.open_stream(&other);
    let body = message("m", "x");
    let (status, _) = {
        let molecule_platform::Answer::Later(ticket) = bench.tell(&one, &other.0, &body) else { panic!("no call") };
        let (call, _) = bench.turns().calls.remove(0);
        bench.platform.dispatched(bench.now, call, Err(DispatchFault::Connect(None)));
        let turns = bench.turns();
        let (about, data) = event(&turns.chunks[0].1);
        assert_eq!((about.as_str(), &data["status"], turns.chunks.len()), ("ACTIVITY_LOGGED", &json!("error"), 1));
        let keys: Vec<_> = data.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["activity_type", "duration_ms", "method", "source_id", "status", "summary", "target_id"];
        assert_eq!(keys, expected);
        turns.answer(ticket)
    };
    assert_eq!(status, 502);
}
