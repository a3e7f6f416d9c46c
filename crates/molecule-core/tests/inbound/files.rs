//! Files of a reply: an answer carries those of this machine in itself.

use molecule_core::{Event, OutgoingFile, Reply};
use serde_json::json;

use crate::support::inbound::{Server, text};

#[test]
fn files_of_this_machine_are_read_into_the_answer_and_others_are_named() {
    let mut server = Server::unauthenticated();
    server.files.insert("/tmp/a.txt".to_owned(), b"one".to_vec());
    server.files.insert("/tmp/b.png".to_owned(), b"two".to_vec());
    let reply = Reply::text("two files")
        .attach("/tmp/a.txt")
        .attach(OutgoingFile::uri("https://h/f").name("f"))
        .attach(OutgoingFile::at("/tmp/b.png").mime_type("image/png"));
    let answer = server.exchange(&text("m", "hello"), reply);
    assert_eq!(
        answer["result"]["parts"],
        json!([
            {"kind": "text", "text": "two files"},
            {"kind": "file", "file": {"uri": "https://h/f", "name": "f"}},
            {"kind": "file", "file": {"bytes": "b25l", "name": "a.txt", "mimeType": "text/plain"}},
            {"kind": "file", "file": {"bytes": "dHdv", "name": "b.png", "mimeType": "image/png"}},
        ])
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure() {
    let mut server = Server::unauthenticated();
    let answer = server.exchange(&text("m", "hello"), Reply::text("a file").attach("/tmp/missing"));
    assert_eq!(answer["error"]["code"], -32603);
    assert!(matches!(&server.events[..], [Event::ReplyDropped { .. }]), "{:?}", server.events);
    assert!(!answer.to_string().contains("/tmp"));
}
