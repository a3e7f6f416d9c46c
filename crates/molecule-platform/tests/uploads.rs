//! Files: uploads for poll agents, what is refused, and how long they wait.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::mail::{read, reply};
use common::{ADMIN, Bench, config, error};
use molecule_platform::{Answer, Dialect};
use molecule_proto::{Token, WorkspaceId};
use serde_json::{Value, json};

type Agent = (WorkspaceId, Token);

/// A form of files: their names, their MIME types and their contents.
fn form(files: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, mime_type, content) in files {
        let head = format!("--xx\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n");
        form.extend_from_slice(head.as_bytes());
        if !mime_type.is_empty() {
            form.extend_from_slice(format!("Content-Type: {mime_type}\r\n").as_bytes());
        }
        form.extend_from_slice(b"\r\n");
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--xx--\r\n");
    form
}

fn ask(bench: &mut Bench, to: &WorkspaceId, bearer: &str, form: Vec<u8>) -> Answer {
    let request = http::Request::post(format!("/workspaces/{to}/chat/uploads"))
        .header("authorization", format!("Bearer {bearer}"))
        .header("content-type", "multipart/form-data; boundary=xx")
        .body(Bytes::from(form))
        .unwrap();
    bench.platform.handle(bench.now, None, request)
}

fn upload(bench: &mut Bench, to: &Agent, files: &[(&str, &str, &[u8])]) -> (u16, Value) {
    read(&ask(bench, &to.0, to.1.expose(), form(files)).ready().unwrap())
}

fn content(bench: &mut Bench, of: &Agent, file: &str) -> http::Response<Bytes> {
    let request = http::Request::get(format!("/workspaces/{}/pending-uploads/{file}/content", of.0))
        .header("authorization", of.1.bearer())
        .header("range", "bytes=0-1")
        .body(Bytes::new())
        .unwrap();
    bench.platform.handle(bench.now, None, request).ready().unwrap()
}

fn ack(bench: &mut Bench, of: &Agent, file: &str) -> (u16, Value) {
    bench.post(&format!("/workspaces/{}/pending-uploads/{file}/ack", of.0), Some(of.1.expose()), &json!({}))
}

fn id_of(uri: &Value) -> String {
    uri.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

fn poll_agent() -> (Bench, Agent) {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.poll_agent("agent");
    (bench, agent)
}

#[test]
fn an_agents_own_upload_looks_like_the_owners() {
    let (mut bench, agent) = poll_agent();
    let files: [(&str, &str, &[u8]); 2] = [("a b.txt", "text/plain", b"one"), ("no type", "", b"\0\xff")];
    let (status, answer) = upload(&mut bench, &agent, &files);
    assert_eq!(status, 200);
    let shown = |index: usize| (answer["files"][index]["name"].clone(), answer["files"][index]["mimeType"].clone());
    assert_eq!(shown(0), (json!("a_b.txt"), json!("text/plain")));
    assert_eq!(shown(1), (json!("no_type"), json!("")));
    let uri = bench.platform.upload(bench.now, &agent.0, "a b.txt", "text/plain", "one").unwrap();
    let rows = bench.feed(&agent, "a2a_receive");
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["request_body"]["uri"], json!(uri));
    let form = |row: &Value| {
        let mut row = row.clone();
        ["id", "seq"].iter().for_each(|key| drop(row.as_object_mut().unwrap().remove(*key)));
        ["file_id", "uri"].iter().for_each(|key| drop(row["request_body"].as_object_mut().unwrap().remove(*key)));
        row
    };
    assert_eq!(form(&rows[0]), form(&rows[2]), "nothing tells whose upload it was");
    assert_eq!(rows[1]["created_at"], rows[2]["created_at"], "only seq tells the files of one upload apart");
    let file = content(&mut bench, &agent, &id_of(&answer["files"][1]["uri"]));
    assert_eq!((file.status().as_u16(), file.body().as_ref()), (200, b"\0\xff".as_slice()));
}

#[test]
fn a_file_waits_for_a_day_and_an_ack_may_be_repeated() {
    let (mut bench, agent) = poll_agent();
    let other = bench.poll_agent("other");
    let mut file = || {
        let (_, answer) = upload(&mut bench, &agent, &[("a.txt", "text/plain", b"one")]);
        id_of(&answer["files"][0]["uri"])
    };
    let (kept, acked) = (file(), file());
    assert_eq!(ack(&mut bench, &agent, &acked), (200, json!({"acked": true})));
    assert_eq!(ack(&mut bench, &agent, &acked), (200, json!({"acked": true})));
    assert_eq!(content(&mut bench, &agent, &acked).status(), 200, "an acknowledged file can be read for a while");
    let shown = content(&mut bench, &agent, &kept);
    assert_eq!(shown.headers()["content-type"], "text/plain");
    assert_eq!(shown.headers()["content-disposition"], "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt");

    bench.wait(24 * 3600 - 1);
    assert_eq!(content(&mut bench, &agent, &kept).status(), 200);
    assert_eq!(content(&mut bench, &agent, &acked).status(), 404);
    assert_eq!(read(&content(&mut bench, &other, &kept)), (404, error("pending upload not found")));
    bench.wait(1);
    assert_eq!(read(&content(&mut bench, &agent, &kept)), (404, error("pending upload not found or expired")));
    let expired = "pending upload not found, expired, or already acked";
    assert_eq!(ack(&mut bench, &agent, &kept), (404, error(expired)));
    assert_eq!(read(&content(&mut bench, &agent, "zz")), (400, error("invalid file_id")));
}

#[test]
fn what_the_server_refuses_leaves_no_file_and_no_row() {
    let mut bench = Bench::with(config(Dialect::Current).upload_limit(4));
    let agent = bench.poll_agent("agent");
    let (status, refusal) = upload(&mut bench, &agent, &[("ok", "", b"1"), ("big.bin", "", b"12345")]);
    assert_eq!(
        (status, &refusal["filename"], &refusal["size"], &refusal["max"]),
        (413, &json!("big.bin"), &json!(5), &json!(4))
    );
    assert_eq!(
        upload(&mut bench, &agent, &[("ok", "", b"1"), ("empty", "", b"")]),
        (500, error("could not stage files"))
    );
    assert_eq!(upload(&mut bench, &agent, &[]), (400, error("no files field in request")));
    let many: Vec<(&str, &str, &[u8])> = (0..65).map(|_| ("a", "", b"1".as_slice())).collect();
    assert_eq!(upload(&mut bench, &agent, &many).0, 400);
    assert_eq!(upload(&mut bench, &agent, &many[1..]).0, 200);
    assert_eq!(bench.feed(&agent, "a2a_receive").len(), 64);
    let (_, limits) = bench.get("/uploads/limits", None);
    assert_eq!(limits["per_file_bytes"], json!(4));
}

#[test]
fn a_push_agent_gets_the_form_as_it_is_and_its_answer_is_passed_on() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.push_agent("agent");
    let sent = form(&[("a.txt", "text/plain", b"one")]);
    for (outcome, expected) in [
        (
            reply(200, &json!({"files": [{"uri": "workspace:/a.txt"}]})),
            (200, json!({"files": [{"uri": "workspace:/a.txt"}]})),
        ),
        (reply(404, &json!({"error": "not here"})), (404, error("not here"))),
        (Err(molecule_platform::DispatchFault::Closed), (502, error("failed to reach workspace agent"))),
    ] {
        let Answer::Later(ticket) = ask(&mut bench, &agent.0, ADMIN, sent.clone()) else { panic!("nobody is called") };
        let (call, request) = bench.turns().calls.remove(0);
        assert_eq!(request.uri(), "http://localhost:9/a2a/internal/chat/uploads/ingest");
        assert_eq!(
            (request.headers()["content-type"].as_bytes(), request.body()),
            (b"multipart/form-data; boundary=xx".as_slice(), &Bytes::from(sent.clone()))
        );
        bench.platform.dispatched(bench.now, call, outcome);
        assert_eq!(bench.turns().answer(ticket), expected);
    }
    assert!(bench.feed(&agent, "a2a_receive").is_empty(), "no row");
    assert!(bench.platform.upload(bench.now, &agent.0, "a", "", "1").is_none());
}

#[test]
fn a_push_agent_that_does_not_answer_is_given_up() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.push_agent("agent");
    let Answer::Later(ticket) = ask(&mut bench, &agent.0, ADMIN, form(&[("a", "", b"1")])) else { panic!("no call") };
    let (call, _) = bench.turns().calls.remove(0);
    let turns = bench.turns_after(1_800_000);
    assert_eq!(turns.cancelled, [call]);
    assert_eq!(turns.answer(ticket).0, 502);
}

#[test]
fn april_takes_no_files() {
    let mut bench = Bench::new(Dialect::April);
    let agent = bench.push_agent("agent");
    let refused = (503, error("workspace container not running"));
    assert_eq!(upload(&mut bench, &agent, &[("a", "", b"1")]), refused);
    assert_eq!(upload(&mut bench, &agent, &[]), (400, error("expected at least one 'files' field")));
    let file = "00000000-1111-4222-8333-444444444444";
    assert_eq!(ack(&mut bench, &agent, file), (404, json!("404 page not found")));
    assert!(bench.platform.upload(bench.now, &agent.0, "a", "", "1").is_none());
}
