//! The connections on which a served platform calls agents (contract section 10): kept and used again,
//! closed by the agent, and answered in every form that HTTP/1 allows.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::time::Duration;

use common::wire::{post, push_agent};
use flate2::Compression;
use flate2::write::GzEncoder;
use molecule_conformance::{PeerAction, Received, ScriptedPeer};
use molecule_platform::{Config, Dialect, Server, serve};
use molecule_proto::{QueueStatus, Token, WorkspaceId, path};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

const HELLO: &str = r#"{"result":"hello"}"#;

fn hello(_: &Received) -> Vec<PeerAction> {
    vec![PeerAction::json(HELLO)]
}

/// A platform, a sender, and an agent that is registered at the peer's address.
struct World {
    server: Server,
    sender: (WorkspaceId, Token),
    agent: (WorkspaceId, Token),
}

impl World {
    fn new(config: Config, peer: &ScriptedPeer) -> Self {
        let server = serve(config, "127.0.0.1:0").unwrap();
        let sender = server.with(|platform, now| platform.create_workspace(now, "sender"));
        let agent = push_agent(&server, &format!("http://localhost:{}/a2a", peer.port()));
        Self { server, sender, agent }
    }

    fn tell(&self, id: &str) -> (u16, Value) {
        let message = json!({"role": "user", "messageId": id, "parts": [{"kind": "text", "text": "x"}]});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}});
        let (server, token) = (&self.server, &self.sender.1);
        let answer = post(server, &path::a2a(&self.agent.0), token, "application/json", body.to_string().as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    fn beat(&self) {
        let body = json!({"workspace_id": self.agent.0}).to_string();
        let answer = post(&self.server, path::HEARTBEAT, &self.agent.1, "application/json", body.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn was_heard(answer: (u16, Value)) {
    assert_eq!(answer, (200, json!({"result": "hello"})));
}

#[test]
fn requests_one_after_another_use_one_connection() {
    for dialect in [Dialect::April, Dialect::Current] {
        let agent = ScriptedPeer::answering(hello);
        let world = World::new(Config::new(dialect), &agent);
        for number in 0..5 {
            was_heard(world.tell(&format!("m{number}")));
        }
        let connections: Vec<usize> = agent.requests().iter().map(|request| request.connection).collect();
        assert_eq!(connections, [1; 5], "{dialect:?}");
        let head = agent.requests().remove(0).head;
        assert!(head.contains("\r\nContent-Type: application/json"), "names in title case: {head}");
        assert!(head.contains("\r\nAccept-Encoding: gzip") && head.contains("\r\nUser-Agent: Go-http-client/1.1"));
    }
}

#[test]
fn of_many_connections_at_once_two_are_kept() {
    const MANY: usize = 6;
    let agent = ScriptedPeer::start({
        let together = std::sync::Barrier::new(MANY);
        move |connection| {
            if connection.number() <= MANY && connection.request().is_some() {
                together.wait();
                connection.perform([PeerAction::json(HELLO)]);
            }
            connection.answer(hello);
        }
    });
    let world = World::new(Config::new(Dialect::Current), &agent);
    std::thread::scope(|scope| {
        for number in 0..MANY {
            let world = &world;
            scope.spawn(move || was_heard(world.tell(&format!("m{number}"))));
        }
    });
    assert!(agent.watch().wait(|log| log.closed == MANY - 2), "{:?}", agent.watch().look(|log| log.closed));
    was_heard(world.tell("again"));
    assert_eq!(agent.opened(), MANY, "a kept one is used");
}

#[test]
fn april_closes_an_idle_connection_after_a_time_and_the_current_server_keeps_it() {
    assert_eq!(Config::new(Dialect::April).idle_connection_timeout, Some(Duration::from_secs(90)));
    assert_eq!(Config::new(Dialect::Current).idle_connection_timeout, None);
    let agent = ScriptedPeer::answering(hello);
    let world = World::new(Config::new(Dialect::April).idle_connection_timeout(Duration::from_millis(20)), &agent);
    was_heard(world.tell("m1"));
    assert!(agent.watch().wait(|log| log.closed == 1), "the platform closes it");
    was_heard(world.tell("m2"));
    assert_eq!(agent.opened(), 2);
}

#[test]
fn a_close_that_was_announced_or_noticed_costs_nothing() {
    let agent = ScriptedPeer::start(|connection| {
        if connection.request().is_some() {
            let close = if connection.number() == 1 { "Connection: close\r\n" } else { "" };
            connection.perform([PeerAction::answer_with("200 OK", close, HELLO), PeerAction::Close]);
        }
    });
    let world = World::new(Config::new(Dialect::Current), &agent);
    for number in 0..3 {
        was_heard(world.tell(&format!("m{number}")));
        // The agent's side is over once the platform has closed as well.
        assert!(agent.watch().wait(|log| log.closed > number));
    }
    assert_eq!(agent.opened(), 3);
}

#[test]
fn a_close_that_crosses_a_request_queues_the_message_and_a_second_cut_loses_it() {
    for answers_again in [true, false] {
        let agent = ScriptedPeer::start(move |connection| {
            match (connection.number(), answers_again) {
                // It answers the first request, and closes when it has already got the second one.
                (1, _) => {
                    let takes = [PeerAction::Take, PeerAction::json(HELLO), PeerAction::Take, PeerAction::Close];
                    connection.perform(takes);
                }
                (_, true) => connection.answer(hello),
                (_, false) => drop(connection.perform([PeerAction::Take, PeerAction::Close])),
            }
        });
        let world = World::new(Config::new(Dialect::Current), &agent);
        was_heard(world.tell("m1"));
        let (status, answer) = world.tell("m2");
        assert_eq!((status, &answer["queued"]), (202, &json!(true)), "{answer}");
        let item = answer["queue_id"].as_str().unwrap().parse().unwrap();
        world.beat();
        let over = world.server.wait_until(
            |platform| platform.queue_item(&item).is_some_and(|item| item.status == QueueStatus::Completed),
            PATIENCE,
        );
        assert!(over);
        let bodies: Vec<_> = agent.requests().iter().skip(1).map(|request| request.body.clone()).collect();
        assert_eq!(bodies.len(), 2);
        assert_eq!(bodies[0], bodies[1], "the same message id");
        let answered = world.server.with(|platform, _| platform.queue_item(&item).unwrap().response_body.is_some());
        assert_eq!(answered, answers_again, "a second cut leaves nothing");
        world.beat();
        world.beat();
        assert_eq!(agent.requests().len(), 3, "it is never sent again");
    }
}

#[test]
fn a_slow_body_is_cut_by_the_idle_limit_and_was_delivered() {
    let agent = ScriptedPeer::start(|connection| {
        connection.perform([
            PeerAction::Take,
            PeerAction::send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
            PeerAction::Listen,
        ]);
    });
    let world = World::new(Config::new(Dialect::Current).idle_timeout(Duration::from_millis(300)), &agent);
    let (status, answer) = world.tell("m");
    assert_eq!((status, &answer["delivery_confirmed"], &answer["truncated"]), (502, &json!(true), &json!(false)));
    assert!(agent.watch().wait(|log| log.closed == 1), "the platform closes the connection");
    world.beat();
    assert_eq!(agent.requests().len(), 1, "it is not sent again");
}

#[test]
fn an_answer_may_have_any_form_of_http_1() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(HELLO.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let (length, zipped) = (HELLO.len(), packed.len());
    let gzip = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {zipped}\r\n\r\n");
    let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{HELLO}");
    let forms: Vec<Vec<u8>> = vec![
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{HELLO}\r\n0\r\n\r\n").into(),
        format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{HELLO}").into(),
        format!("HTTP/1.0 200 OK\r\n\r\n{HELLO}").into(),
        format!("HTTP/1.1 200 OK\r\n\r\n{HELLO}").into(),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{HELLO}").into(),
        format!("HTTP/1.1 100 Continue\r\n\r\n{plain}").into(),
        format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{plain}").into(),
        [gzip.into_bytes(), packed].concat(),
    ];
    for form in forms {
        let shown = String::from_utf8_lossy(&form).into_owned();
        let agent = ScriptedPeer::start(move |connection| {
            connection.perform([PeerAction::Take, PeerAction::send_bytes(form.clone()), PeerAction::Close]);
        });
        let world = World::new(Config::new(Dialect::Current), &agent);
        assert_eq!(world.tell("m"), (200, json!({"result": "hello"})), "{shown}");
    }
}
