//! Replies with files of this machine.

use serde_json::{Value, json};

use super::A2A;
use super::world::{Answer, NOTIFY, READ, UPLOAD, World};
use crate::effect::FaultKind;
use crate::inbox::attachment::OutgoingFile;
use crate::inbox::reply::Reply;
use crate::session::Dialect;

const URI: &str = "platform-pending:7fda77bf-a467-441c-9fab-7d8aba8e6040/0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a10";

fn held(uri: &str) -> Answer {
    let file = json!({"uri": uri, "name": "My_plan.png", "mimeType": "image/png", "size": 7});
    Answer::json(200, json!({"files": [file]}))
}

fn plan() -> OutgoingFile {
    OutgoingFile::at("/tmp/My plan.png")
}

fn attached(uri: &str) -> Value {
    json!([{"uri": uri, "name": "My plan.png", "mimeType": "image/png", "size": 7}])
}

#[test]
fn a_file_is_uploaded_before_the_notice_is_marked_and_its_uri_is_recorded_with_the_mark() {
    let mut world = World::begun();
    world.holds_records = true;
    let reply = world.to_user(1, Reply::text("see").attach(plan()));
    world.push(reply);
    world.settle();
    assert_eq!(world.only_request(UPLOAD), json!(["My plan.png"]));
    world.answer(UPLOAD, held(URI));
    world.settle();
    assert_eq!(world.take_log(), ["record 1 attached", "record 1 marked"]);
    assert_eq!(world.count(NOTIFY), 0, "the mark is not durable");
    world.records_are_durable();
    world.settle();
    assert_eq!(world.only_request(NOTIFY), json!({"message": "see", "attachments": attached(URI)}));
    world.answer(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    world.settle();
    assert_eq!(world.take_log(), ["record 1 ended delivered", "event 1 delivered"]);
}

#[test]
fn a_process_that_dies_uploads_again_at_most_and_says_what_was_said_once() {
    let mut first = World::begun();
    let reply = first.to_user(1, Reply::text("see").attach(plan()));
    first.push(reply);
    first.settle();
    // It dies before the answer comes: the next one uploads again.
    let mut second = World::begun();
    first.left().into_iter().for_each(|reply| second.push(reply));
    second.settle();
    second.answer(UPLOAD, held(URI));
    second.settle();
    assert_eq!(second.count(NOTIFY), 1);
    // It dies while the notice is on its way: the next one knows its URI, and looks for its row.
    let mut third = World::begun();
    second.left().into_iter().for_each(|reply| third.push(reply));
    third.settle();
    assert_eq!((third.count(UPLOAD), third.count(NOTIFY)), (0, 0));
    let mut row = third.notice_row("see", 1);
    let file = json!({"kind": "file", "file": {"uri": URI, "name": "My plan.png"}});
    row.response_body = Some(json!({"result": "see", "parts": [file]}));
    assert!(third.echo(&row));
    third.settle();
    assert_eq!(third.take_log(), ["record 1 ended delivered", "event 1 delivered"]);
}

#[test]
fn an_upload_whose_answer_is_lost_is_repeated_and_the_notice_is_sent_once() {
    let mut world = World::begun();
    let reply = world.to_user(1, Reply::none().attach(plan()));
    world.push(reply);
    world.settle();
    world.answer(UPLOAD, Answer::fault(FaultKind::Interrupted));
    world.run_until_request(UPLOAD);
    world.answer(UPLOAD, held(URI));
    world.settle();
    assert_eq!(world.only_request(NOTIFY), json!({"message": "My plan.png", "attachments": attached(URI)}));
}

#[test]
fn a_file_that_cannot_be_sent_ends_the_reply_with_the_reason() {
    let mut world = World::begun();
    let replies = [
        world.to_user(1, Reply::text("see").attach(plan())),
        world.to_peer(2, Reply::text("see").attach(plan())),
        world.to_user(3, (0..11).fold(Reply::text("see"), |reply, _| reply.attach(plan()))),
        world.to_user(4, Reply::text("last")),
    ];
    replies.into_iter().for_each(|reply| world.push(reply));
    world.settle();
    world.answer(UPLOAD, Answer::file("/tmp/My plan.png is empty; write something into it first"));
    world.answer(READ, Answer::file("/tmp/My plan.png cannot be read; check the path"));
    world.settle();
    let log = world.take_log();
    for part in [
        "record 1 ended refused: upload files failed: /tmp/My plan.png is empty; write something into it first",
        "record 2 ended refused: reply failed: /tmp/My plan.png cannot be read; check the path",
        "record 3 ended refused: configuration failed: there are 11 files to upload, and the platform takes 10",
    ] {
        assert!(log.iter().any(|line| line.starts_with(part)), "{part}: {log:?}");
    }
    assert_eq!((world.only_request(NOTIFY), world.count(A2A)), (json!({"message": "last"}), 0));
}

#[test]
fn a_peer_gets_the_bytes_of_the_files_in_its_message_under_the_same_id() {
    let mut world = World::begun();
    let reply = world.to_peer(1, Reply::text("see").attach(plan()).attach(OutgoingFile::uri("https://h/f")));
    world.push(reply.clone());
    world.settle();
    assert_eq!(world.only_request(READ), json!({"path": "/tmp/My plan.png", "max_bytes": 512 * 1024}));
    world.answer(READ, Answer::file_read(b"content"));
    for answer in [Answer::fault(FaultKind::Interrupted), Answer::json(200, json!({"status": "queued"}))] {
        world.run_until_request(A2A);
        let message = &world.only_request(A2A)["params"]["message"];
        assert_eq!(message["messageId"], reply.id.as_str());
        let inline = json!({"bytes": "Y29udGVudA==", "name": "My plan.png", "mimeType": "image/png"});
        let with_uri = json!({"uri": "https://h/f", "name": "f"});
        assert_eq!([&message["parts"][1]["file"], &message["parts"][2]["file"]], [&inline, &with_uri]);
        world.answer(A2A, answer);
    }
}

#[test]
fn aprils_server_is_not_asked_to_take_a_file() {
    let mut world = World::begun();
    world.session.dialect = Some(Dialect::April);
    let reply = world.to_user(1, Reply::text("see").attach(plan()));
    world.push(reply);
    world.settle();
    assert_eq!((world.count(UPLOAD), world.count(NOTIFY)), (0, 0));
    assert!(world.take_log()[0].contains("this server takes no files of agents"));
}
