//! A served platform with an agent, and requests to it over TCP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use molecule_platform::{Config, Server, serve};
use molecule_proto::{Token, WorkspaceId, path};

/// A timeout above the duration of any step.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a platform, and registers a poll agent on it.
pub(crate) fn poll_agent(config: Config) -> (Server, WorkspaceId, Token) {
    let server = serve(config, "127.0.0.1:0").unwrap();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "agent"));
    let body = format!("{{\"id\":\"{id}\",\"agent_card\":{{}},\"url\":\"\",\"delivery_mode\":\"poll\"}}");
    let answer = post(&server, path::REGISTER, &token, "application/json", body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    (server, id, token)
}

/// Registers a push agent at a URL.
pub(crate) fn push_agent(server: &Server, url: &str) -> (WorkspaceId, Token) {
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "agent"));
    let body = format!("{{\"id\":\"{id}\",\"agent_card\":{{}},\"url\":\"{url}\",\"delivery_mode\":\"push\"}}");
    let answer = post(server, path::REGISTER, &token, "application/json", body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    (id, token)
}

pub(crate) fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Posts a body and returns the whole answer; `""` if the connection ended without one.
pub(crate) fn post(server: &Server, path: &str, token: &Token, content_type: &str, body: &[u8]) -> String {
    let mut stream = connect(server);
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
