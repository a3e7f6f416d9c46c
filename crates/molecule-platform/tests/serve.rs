//! The platform on a port: clients over TCP, waits without sleep, injected faults.

#![allow(clippy::unwrap_used)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use molecule_platform::serve::{Action, Rule};
use molecule_platform::{Config, Dialect, Server, serve};
use molecule_proto::{Token, WorkspaceId, WorkspaceStatus, path};

/// A timeout above the duration of any test.
const LONG: Duration = Duration::from_secs(20);

fn server() -> Server {
    serve(Config::new(Dialect::Current), "127.0.0.1:0").unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn send(stream: &mut TcpStream, method: &str, path: &str, token: Option<&Token>, body: &str) {
    let bearer = token.map(|token| format!("Authorization: Bearer {}\r\n", token.expose())).unwrap_or_default();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
}

/// The whole answer; `None` if the connection ended without one.
fn receive(mut stream: TcpStream) -> Option<String> {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    (!answer.is_empty()).then_some(answer)
}

fn ask(server: &Server, method: &str, path: &str, token: Option<&Token>, body: &str) -> Option<String> {
    let mut stream = connect(server.addr());
    send(&mut stream, method, path, token, body);
    receive(stream)
}

fn beat(server: &Server, id: &WorkspaceId, token: &Token) -> Option<String> {
    ask(server, "POST", path::HEARTBEAT, Some(token), &format!("{{\"workspace_id\":\"{id}\"}}"))
}

#[test]
fn an_agent_lives_on_it_and_the_owner_acts_beside() {
    let server = server();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "a"));
    assert!(beat(&server, &id, &token).unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(server.with(|platform, _| platform.status(&id)), Some(WorkspaceStatus::Online));
    server.with(|platform, now| platform.pause(now, &id, false)).unwrap();
    let state = ask(&server, "GET", &path::state(&id), Some(&token), "").unwrap();
    assert!(state.contains("\"paused\":true"), "{state}");

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].path.as_str(), &requests[0].method), (path::HEARTBEAT, &Method::POST));
    assert_eq!(requests[0].body, format!("{{\"workspace_id\":\"{id}\"}}").as_bytes());
    assert!(requests[0].at.mono <= requests[1].at.mono);
    assert!(server.wait_for(|seen| seen.iter().all(|seen| seen.status.is_some()), LONG));
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let error = serve(Config::default(), "0.0.0.0:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_stalled_route_holds_nothing_else_up_and_is_released() {
    let server = server();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "a"));
    let rule = server.stall("/state");
    let mut stalled = connect(server.addr());
    send(&mut stalled, "GET", &path::state(&id), Some(&token), "");
    assert!(server.wait_for(|seen| seen.iter().any(|seen| seen.path.ends_with("/state")), LONG));
    assert!(beat(&server, &id, &token).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(server.requests().iter().any(|seen| seen.path.ends_with("/state") && seen.status.is_none()));
    server.release(rule);
    assert!(receive(stalled).unwrap().starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_lost_answer_and_a_lost_request_look_alike_and_differ_in_what_the_server_did() {
    let server = server();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "a"));
    let status = |server: &Server| server.with(|platform, _| platform.status(&id)).unwrap();
    server.inject(Rule::path(path::HEARTBEAT, Action::CloseBefore).times(1));
    assert_eq!(beat(&server, &id, &token), None);
    assert_eq!(status(&server), WorkspaceStatus::AwaitingAgent);
    server.inject(Rule::path(path::HEARTBEAT, Action::CloseAfter).times(1));
    assert_eq!(beat(&server, &id, &token), None);
    assert_eq!(status(&server), WorkspaceStatus::Online);
    assert!(beat(&server, &id, &token).is_some());
}

#[test]
fn an_answer_can_be_made_up_or_late() {
    let server = server();
    let made_up = http::Response::builder().status(418).body(Bytes::from_static(b"<html>")).unwrap();
    let rule = server.inject(Rule::any(Action::Answer(made_up)).method(Method::GET));
    assert!(ask(&server, "GET", "/health", None, "").unwrap().starts_with("HTTP/1.1 418 "));
    server.release(rule);
    let delay = Duration::from_millis(30);
    for action in [Action::Delay(delay), Action::DelayAnswer(delay)] {
        server.inject(Rule::path("/health", action).times(1));
        let start = Instant::now();
        assert!(ask(&server, "GET", "/health", None, "").unwrap().starts_with("HTTP/1.1 200 "));
        assert!(start.elapsed() >= delay);
    }
}

#[test]
fn an_answer_is_held_back_after_the_platform_acted() {
    let server = server();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "a"));
    let rule = server.inject(Rule::path(path::HEARTBEAT, Action::StallAnswer));
    let mut stream = connect(server.addr());
    send(&mut stream, "POST", path::HEARTBEAT, Some(&token), &format!("{{\"workspace_id\":\"{id}\"}}"));
    let online = Some(WorkspaceStatus::Online);
    assert!(server.wait_until(|platform| platform.status(&id) == online, LONG));
    assert_eq!(server.requests()[0].status, None);
    server.release(rule);
    assert!(receive(stream).unwrap().starts_with("HTTP/1.1 200 "));
}

#[test]
fn time_passes_by_itself() {
    let server = serve(Config::new(Dialect::Current).provisioner(true), "127.0.0.1:0").unwrap();
    let (id, _) = server.with(|platform, now| platform.create_workspace(now, "a"));
    server.with(|platform, now| platform.pause(now, &id, false)).unwrap();
    server.with(|platform, now| platform.resume(now, &id, false)).unwrap();
    assert!(server.wait_until(|platform| platform.status(&id) == Some(WorkspaceStatus::Failed), LONG));
}

#[test]
fn a_wait_that_is_in_vain_ends() {
    let server = server();
    assert!(!server.wait_for(|seen| !seen.is_empty(), Duration::from_millis(10)));
}

#[test]
fn a_stop_closes_what_is_in_flight() {
    let server = server();
    server.stall("/health");
    let mut stream = connect(server.addr());
    send(&mut stream, "GET", "/health", None, "");
    assert!(server.wait_for(|seen| seen.len() == 1, LONG));
    let address = server.addr();
    server.stop();
    assert_eq!(receive(stream), None);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_body_beyond_16_mib_is_refused() -> io::Result<()> {
    let server = server();
    let mut stream = connect(server.addr());
    let length = (16 << 20) + 1;
    write!(stream, "POST /registry/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")?;
    let mut status = [0; 13];
    stream.write_all(&vec![b'x'; length]).or_else(|error| match error.kind() {
        // The server has answered, and closed the connection before it read everything.
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })?;
    stream.read_exact(&mut status)?;
    assert_eq!(&status, b"HTTP/1.1 413 ");
    Ok(())
}
