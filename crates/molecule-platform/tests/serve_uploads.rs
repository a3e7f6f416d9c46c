//! Files through `serve`: a form may be longer than any other request, up to its own limit.

#![allow(clippy::unwrap_used)]

mod common;

use common::wire::{poll_agent, post};
use molecule_platform::{Config, Dialect, Server};
use molecule_proto::{Token, WorkspaceId};

const HEAD: &str = "--xx\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.bin\"\r\n\r\n";
const TAIL: &str = "\r\n--xx--\r\n";

fn upload(server: &Server, id: &WorkspaceId, token: &Token, size: usize) -> String {
    let form = [HEAD.as_bytes(), &vec![b'x'; size], TAIL.as_bytes()].concat();
    post(server, &format!("/workspaces/{id}/chat/uploads"), token, "multipart/form-data; boundary=xx", &form)
}

#[test]
fn a_file_may_be_longer_than_any_other_request() {
    let (server, id, token) = poll_agent(Config::new(Dialect::Current));
    let size = 17 << 20;
    let answer = upload(&server, &id, &token, size);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"size\":{size}")), "{answer}");
    let message = post(&server, &format!("/workspaces/{id}/a2a"), &token, "application/json", &vec![b'x'; size]);
    assert!(message.starts_with("HTTP/1.1 413") || message.is_empty(), "{message}");
}

#[test]
fn a_file_above_the_limit_is_refused_with_the_limit() {
    let (server, id, token) = poll_agent(Config::new(Dialect::Current).upload_limit(1000));
    let answer = upload(&server, &id, &token, 1001);
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"max\":1000"), "{answer}");
    assert!(upload(&server, &id, &token, 1000).starts_with("HTTP/1.1 200"));
    assert_eq!(server.with(|platform, _| platform.activity(&id).len()), 1);
}
