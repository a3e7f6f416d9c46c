//! The feed's parameters, its orders, and the cursor that is gone.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Bench;
use common::mail::message;
use molecule_platform::{Dialect, Now};
use molecule_proto::{Token, UnixTime, WorkspaceId, path};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

fn page(bench: &mut Bench, of: &Agent, query: &str) -> (u16, Value) {
    bench.get(&format!("{}?{query}", path::activity(&of.0)), Some(of.1.expose()))
}

fn texts(page: &(u16, Value)) -> Vec<String> {
    assert_eq!(page.0, 200, "{}", page.1);
    let rows = page.1.as_array().unwrap().iter();
    rows.map(|row| row["request_body"]["params"]["message"]["parts"][0]["text"].as_str().unwrap().to_owned()).collect()
}

fn ids(page: &(u16, Value)) -> Vec<String> {
    page.1.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// A poll agent with five messages, ten seconds apart, of a peer and of a person in turn; the time of the third.
fn five() -> (Bench, Agent, Agent, UnixTime) {
    let mut bench = Bench::new(Dialect::Current);
    let (peer, agent) = (bench.poll_agent("peer"), bench.poll_agent("agent"));
    let mut third = bench.now.unix;
    for number in 0..5 {
        if number == 2 {
            third = bench.now.unix;
        }
        if number % 2 == 0 {
            assert_eq!(bench.tell_now(&peer, &agent.0, &message(&format!("m-{number}"), &number.to_string())).0, 200);
        } else {
            bench.platform.send_user_message(bench.now, &agent.0, number.to_string()).unwrap();
        }
        bench.wait(10);
    }
    (bench, agent, peer, third)
}

#[test]
fn a_page_after_a_cursor_ascends_and_every_other_one_descends() {
    let (mut bench, agent, ..) = five();
    let newest = page(&mut bench, &agent, "limit=2");
    assert_eq!(texts(&newest), ["4", "3"]);
    let all = page(&mut bench, &agent, "");
    assert_eq!(texts(&all), ["4", "3", "2", "1", "0"]);
    let first = ids(&all).pop().unwrap();
    assert_eq!(texts(&page(&mut bench, &agent, &format!("since_id={first}&limit=2"))), ["1", "2"]);
    let upper = first.to_uppercase();
    assert_eq!(texts(&page(&mut bench, &agent, &format!("since_id={upper}&limit=500"))), ["1", "2", "3", "4"]);
    assert!(texts(&page(&mut bench, &agent, &format!("since_id={}", ids(&all)[0]))).is_empty());
}

#[test]
fn every_filter_narrows_and_they_combine() {
    let (mut bench, agent, peer, third) = five();
    assert_eq!(texts(&page(&mut bench, &agent, "source=canvas")), ["3", "1"]);
    assert_eq!(texts(&page(&mut bench, &agent, "source=agent&limit=2")), ["4", "2"]);
    assert_eq!(texts(&page(&mut bench, &agent, &format!("peer_id={}", peer.0))), ["4", "2", "0"]);
    assert_eq!(texts(&page(&mut bench, &agent, "since_secs=20")), ["4", "3"]);
    assert_eq!(texts(&page(&mut bench, &agent, &format!("before_ts={third}"))), ["1", "0"], "strictly older");
    assert_eq!(texts(&page(&mut bench, &agent, &format!("before_ts={third}&source=agent&since_secs=3000000"))), ["0"]);
    assert!(texts(&page(&mut bench, &agent, "type=agent_log")).is_empty());
    let all = page(&mut bench, &agent, "limit=0");
    assert_eq!(texts(&all).len(), 5);
    let first = ids(&all).pop().unwrap();
    let query = format!("since_id={first}&source=canvas&limit=1");
    assert_eq!(texts(&page(&mut bench, &agent, &query)), ["1"], "the limit counts what passes the filters");
    for (query, error) in [
        ("source=me", "source must be 'canvas' or 'agent'"),
        ("since_secs=0", "since_secs must be a positive integer"),
        ("peer_id=x", "peer_id must be a UUID"),
    ] {
        assert_eq!(page(&mut bench, &agent, query), (400, json!({"error": error})));
    }
    assert_eq!(page(&mut bench, &agent, "before_ts=x").0, 400);
    assert_eq!(page(&mut bench, &agent, "since_id=x").0, 500);
}

#[test]
fn the_files_of_a_message_and_of_an_upload_are_listed_with_peer_info() {
    let mut bench = Bench::new(Dialect::Current);
    let (peer, agent) = (bench.poll_agent("peer"), bench.poll_agent("agent"));
    let mut body = message("m", "see");
    let file = json!({"kind": "file", "file": {"uri": "https://h/a.png", "name": "a.png", "mimeType": "image/png"}});
    body["params"]["message"]["parts"].as_array_mut().unwrap().push(file);
    bench.tell_now(&peer, &agent.0, &body);
    bench.wait(1);
    let uri = bench.platform.upload(bench.now, &agent.0, "b.png", "image/png", "x").unwrap();
    bench.wait(1);
    bench.post(
        &path::notify(&agent.0),
        Some(agent.1.expose()),
        &json!({"message": "hi", "attachments": [{"uri": "https://h/c", "name": "c"}]}),
    );
    let (_, rows) = page(&mut bench, &agent, "include=other,peer_info");
    assert_eq!(rows[0].get("attachments"), None, "of a notification none are listed");
    assert_eq!(
        rows[1]["attachments"],
        json!([{"kind": "image", "uri": uri, "mime_type": "image/png", "name": "b.png"}])
    );
    assert_eq!(rows[2]["attachments"], json!([{"kind": "file", "uri": "https://h/a.png", "name": "a.png"}]));
    assert_eq!((&rows[2]["peer_name"], rows[1].get("peer_name")), (&json!("peer"), None));
    let (_, rows) = page(&mut bench, &agent, "");
    assert_eq!((rows[2].get("attachments"), rows[2].get("peer_name")), (None, None));
}

#[test]
fn a_pruned_or_foreign_cursor_is_gone() {
    let (mut bench, agent, peer, third) = five();
    let first = ids(&page(&mut bench, &agent, "")).pop().unwrap();
    assert_eq!(page(&mut bench, &peer, &format!("since_id={first}")).0, 410);
    assert_eq!(bench.platform.prune_activity(&agent.0, third), 2);
    let (status, gone) = page(&mut bench, &agent, &format!("since_id={first}"));
    assert_eq!(status, 410);
    assert!(gone["error"].as_str().unwrap().starts_with("since_id cursor not found"), "{gone}");
    assert_eq!(texts(&page(&mut bench, &agent, "")), ["4", "3", "2"]);
    let again = message("m-0", "again");
    assert_eq!(bench.tell_now(&peer, &agent.0, &again).0, 200);
    assert_eq!(texts(&page(&mut bench, &agent, "limit=1")), ["again"], "the id of a pruned message is free");
}

#[test]
fn a_cursor_that_nobody_sees_yet_is_unknown() {
    let (mut bench, agent, ..) = five();
    bench.platform.set_rows_late(Duration::from_secs(1_000_000));
    bench.platform.send_user_message(bench.now, &agent.0, "late").unwrap();
    let late = bench.platform.activity(&agent.0)[0].id.clone();
    assert_eq!(page(&mut bench, &agent, &format!("since_id={late}")).0, 410);
}

#[test]
fn rows_of_an_earlier_time_stand_in_their_place_although_they_were_written_later() {
    let (mut bench, agent, ..) = five();
    let newest = ids(&page(&mut bench, &agent, "limit=1")).remove(0);
    let now = bench.now;
    bench.now = Now { unix: UnixTime::from_secs(now.unix.as_secs() - 1000), ..now };
    bench.platform.send_user_message(bench.now, &agent.0, "of an earlier time").unwrap();
    bench.now = now;
    assert_eq!(texts(&page(&mut bench, &agent, "")).last().unwrap(), "of an earlier time");
    assert!(texts(&page(&mut bench, &agent, &format!("since_id={newest}"))).is_empty());
}

#[test]
fn april_descends_and_ignores_all_but_three_parameters() {
    let mut bench = Bench::new(Dialect::April);
    let agent = bench.push_agent("agent");
    for number in 0..3 {
        let row = json!({"activity_type": "agent_log", "summary": number.to_string()});
        assert_eq!(bench.post(&path::activity(&agent.0), Some(agent.1.expose()), &row).0, 200);
        bench.wait(1);
    }
    let all = page(&mut bench, &agent, "");
    let newest = ids(&all)[0].clone();
    for query in
        [format!("since_id={newest}"), "since_id=x&since_secs=0&peer_id=x&before_ts=x&include=peer_info".to_owned()]
    {
        assert_eq!(page(&mut bench, &agent, &query), all);
    }
    assert!(all.1[0].get("seq").is_none());
    assert_eq!(ids(&page(&mut bench, &agent, "limit=1")), [newest]);
    let ack = bench.post(&path::activity_ack(&agent.0), Some(agent.1.expose()), &json!({"acked_seq": 1}));
    assert_eq!(ack.0, 404);
}

#[test]
fn an_ack_is_remembered_and_never_decreases() {
    let (mut bench, agent, ..) = five();
    assert_eq!(bench.platform.last_acked(&agent.0), None);
    for (seq, mark) in [(7, 7), (3, 7), (1_000_000, 1_000_000)] {
        let body = json!({"acked_seq": seq});
        let answer = bench.post(&path::activity_ack(&agent.0), Some(agent.1.expose()), &body);
        assert_eq!(answer, (200, json!({"last_acked_seq": mark})));
        assert_eq!(bench.platform.last_acked(&agent.0), Some(mark));
    }
    let answer = bench.post(&path::activity_ack(&agent.0), Some(agent.1.expose()), &json!({"acked_seq": -1}));
    assert_eq!(answer, (400, json!({"error": "acked_seq must be >= 0"})));
}
