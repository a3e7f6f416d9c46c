//! Files through `serve`: a form may be longer than any other request, up to its own limit.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use molecule_platform::{Config, Dialect, Server, serve};
use molecule_proto::{Token, WorkspaceId};

const HEAD: &str = "--xx\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.bin\"\r\n\r\n";
const TAIL: &str = "\r\n--xx--\r\n";

fn post(server: &Server, path: &str, token: &Token, content_type: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (length, bearer) = (body.len(), token.expose());
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    // A server that refuses the request does not read it to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn server(config: Config) -> (Server, WorkspaceId, Token) {
    let server = serve(config, "127.0.0.1:0").unwrap();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "agent"));
    let body = format!("{{\"id\":\"{id}\",\"agent_card\":{{}},\"url\":\"\",\"delivery_mode\":\"poll\"}}");
    let answer = post(&server, "/registry/register", &token, "application/json", body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    (server, id, token)
}

fn upload(server: &Server, id: &WorkspaceId, token: &Token, size: usize) -> String {
    let form = [HEAD.as_bytes(), &vec![b'x'; size], TAIL.as_bytes()].concat();
    post(server, &format!("/workspaces/{id}/chat/uploads"), token, "multipart/form-data; boundary=xx", &form)
}

#[test]
fn a_file_may_be_longer_than_any_other_request() {
    let (server, id, token) = server(Config::new(Dialect::Current));
    let size = 17 << 20;
    let answer = upload(&server, &id, &token, size);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"size\":{size}")), "{answer}");
    let message = post(&server, &format!("/workspaces/{id}/a2a"), &token, "application/json", &vec![b'x'; size]);
    assert!(message.starts_with("HTTP/1.1 413") || message.is_empty(), "{message}");
}

#[test]
fn a_file_above_the_limit_is_refused_with_the_limit() {
    let (server, id, token) = server(Config::new(Dialect::Current).upload_limit(1000));
    let answer = upload(&server, &id, &token, 1001);
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"max\":1000"), "{answer}");
    assert!(upload(&server, &id, &token, 1000).starts_with("HTTP/1.1 200"));
    assert_eq!(server.with(|platform, _| platform.activity(&id).len()), 1);
}
