//! An open event stream through `serve`: its bytes on the wire, its ends, and a client that does not read.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use common::wire::{PATIENCE, connect, poll_agent};
use molecule_platform::serve::{Action, Rule};
use molecule_platform::{Config, Dialect, STREAM_ROOM, Server};
use molecule_proto::{Token, WorkspaceId};
use serde_json::Value;

fn server() -> (Server, WorkspaceId, Token) {
    poll_agent(Config::new(Dialect::Current))
}

/// Opens a stream and reads its head and its first line.
fn open(server: &Server, id: &WorkspaceId, token: &Token) -> BufReader<TcpStream> {
    let mut reader = ask(server, id, token);
    let head = head(&mut reader);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n") && head.contains("cache-control: no-cache\r\n"));
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-encoding"), "{head}");
    assert_eq!(chunk(&mut reader).as_deref(), Some(": ping\n\n"));
    reader
}

fn ask(server: &Server, id: &WorkspaceId, token: &Token) -> BufReader<TcpStream> {
    let mut stream = connect(server);
    let bearer = token.expose();
    write!(
        stream,
        "GET /workspaces/{id}/events/stream HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    )
    .unwrap();
    BufReader::new(stream)
}

fn head(reader: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the connection ended in the head: {head}");
    }
    head.to_lowercase().replacen("http/1.1 200 ok", "HTTP/1.1 200 OK", 1)
}

/// The next chunk of the body; `None` if the connection ended instead.
fn chunk(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = String::new();
    match reader.read_line(&mut length) {
        Ok(0) => return None,
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        Err(error) => panic!("{error}"),
    }
    let length = usize::from_str_radix(length.trim(), 16).unwrap();
    assert_ne!(length, 0, "the last chunk never comes");
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(length);
    Some(String::from_utf8(chunk).unwrap())
}

fn event(chunk: &str) -> Value {
    let line = chunk.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
    serde_json::from_str(line).unwrap()
}

#[test]
fn an_event_arrives_while_the_stream_is_open() {
    let (server, id, token) = server();
    let mut streams = [open(&server, &id, &token), open(&server, &id, &token)];
    for number in 0..3 {
        let sent = server.with(|platform, now| platform.send_user_message(now, &id, format!("message {number}")));
        for stream in &mut streams {
            let events: Vec<Value> = (0..3).map(|_| event(&chunk(stream).unwrap())).collect();
            assert_eq!(events[1]["type"], "USER_MESSAGE");
            assert_eq!(events[1]["data"]["message_id"].as_str(), sent.as_deref());
        }
    }
}

#[test]
fn the_clients_close_ends_the_stream() {
    let (server, id, token) = server();
    let stream = open(&server, &id, &token);
    let streams = |count: usize| {
        let id = id.clone();
        server.wait_until(move |platform| platform.open_streams(&id) == count, PATIENCE)
    };
    assert!(streams(1));
    drop(stream);
    assert!(streams(0), "the server did not notice the close");
}

#[test]
fn the_servers_stop_ends_the_stream_at_once() {
    let (server, id, token) = server();
    let mut stream = open(&server, &id, &token);
    server.stop();
    assert_eq!(chunk(&mut stream), None);
}

#[test]
fn a_stream_can_be_cut_and_opened_again() {
    let (server, id, token) = server();
    let mut stream = open(&server, &id, &token);
    assert_eq!(server.cut_streams(), 1);
    assert_eq!(chunk(&mut stream), None);
    assert_eq!(server.cut_streams(), 0);
    open(&server, &id, &token);
}

#[test]
fn a_client_that_does_not_read_loses_events_without_a_word_and_then_gets_new_ones() {
    let (server, id, token) = server();
    let mut stream = open(&server, &id, &token);
    // Three events each, and together more than the buffers of a loopback connection and the room hold.
    let (text, messages) = ("x".repeat(128 << 10), 2 * STREAM_ROOM);
    for _ in 0..messages {
        server.with(|platform, now| platform.send_user_message(now, &id, text.as_str())).unwrap();
    }
    let mut got = 0;
    // A new event is told whenever an old one is read, until a new one has found room.
    while !chunk(&mut stream).unwrap().contains("marker") {
        got += 1;
        server.with(|platform, now| platform.send_user_message(now, &id, "marker")).unwrap();
    }
    assert!((STREAM_ROOM..3 * messages).contains(&got), "{got} events of {}", 3 * messages);
    assert_eq!(server.with(|platform, _| platform.open_streams(&id)), 1);
}

#[test]
fn a_rule_refuses_a_stream_and_a_log_has_its_status() {
    let (server, id, token) = server();
    let refused = http::Response::builder().status(503).body(bytes::Bytes::from_static(b"busy")).unwrap();
    let rule = Rule::path_suffix("/events/stream", Action::Answer(refused)).times(1);
    server.inject(rule);
    let mut stream = ask(&server, &id, &token);
    assert!(head(&mut stream).starts_with("http/1.1 503"));
    open(&server, &id, &token);
    let requests = server.requests();
    let statuses: Vec<_> = requests.iter().filter(|seen| seen.path.ends_with("/events/stream")).collect();
    assert_eq!(statuses.len(), 2);
    assert_eq!(statuses[0].status.unwrap(), 503);
    assert!(server.wait_for(|seen| seen.last().unwrap().status.is_some_and(|status| status == 200), PATIENCE));
}
