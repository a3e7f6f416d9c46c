//! A served platform calls agents on loopback ports over HTTP (contract section 10).

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use molecule_conformance::{ClosedPort, PeerAction, ScriptedPeer};
use molecule_platform::{Config, Dialect, Platform, Server, serve};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

/// The timeout of every step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a request and reads the answer.
fn ask(server: &Server, line: &str, bearer: &Token, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (body, bearer) = (body.to_string(), bearer.expose());
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}",
        server.addr()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// An agent that performs one of these actions per connection, after it has read the request.
fn agent(replies: Vec<PeerAction>) -> ScriptedPeer {
    ScriptedPeer::start(move |connection| {
        let reply = replies[connection.number() - 1].clone();
        connection.perform([PeerAction::Take, reply]);
    })
}

fn hello() -> PeerAction {
    PeerAction::answer_with("200 OK", "Content-Type: text/plain\r\n", r#"{"result":"hello"}"#)
}

/// A served platform with a caller, and with an agent that is registered at this URL.
fn world(config: Config, url: &str) -> (Server, (WorkspaceId, Token), (WorkspaceId, Token)) {
    let server = serve(Platform::new(config), "127.0.0.1:0").unwrap();
    let (one, other) =
        server.with(|platform, now| (platform.create_workspace(now, "one"), platform.create_workspace(now, "other")));
    let card = json!({"name": "other"});
    let body = json!({"id": other.0, "url": url, "delivery_mode": "push", "agent_card": card});
    let (status, answer) = ask(&server, "POST /registry/register", &other.1, &body);
    assert_eq!(status, 200, "{answer}");
    (server, one, other)
}

fn message() -> Value {
    let message = json!({"role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "x"}]});
    json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}})
}

fn tell(server: &Server, from: &(WorkspaceId, Token), to: &WorkspaceId) -> (u16, Value) {
    ask(server, &format!("POST {}", path::a2a(to)), &from.1, &message())
}

#[test]
fn a_message_goes_to_the_registered_url_with_the_agents_secret() {
    let agent = agent(vec![hello()]);
    let (server, one, other) = world(Config::new(Dialect::Current), &format!("{}/deep/path?k=v", agent.url()));
    assert_eq!(tell(&server, &one, &other.0), (200, json!({"result": "hello"})));
    let request = agent.requests().remove(0);
    assert!(request.is("POST /deep/path?k=v"), "{}", request.head);
    let secret = server.with(|platform, _| platform.inbound_secret(&other.0)).unwrap();
    assert_eq!(request.header("authorization"), Some(format!("Bearer {}", secret.expose()).as_str()));
    assert_eq!(request.header("host"), Some(agent.address().to_string().as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), message());
}

#[test]
fn a_closed_connection_lets_the_message_wait_for_the_next_beat() {
    let agent = agent(vec![PeerAction::Close, hello()]);
    let (server, one, other) = world(Config::new(Dialect::Current), &format!("{}/", agent.url()));
    let (status, answer) = tell(&server, &one, &other.0);
    assert_eq!((status, &answer["queued"]), (202, &json!(true)), "{answer}");
    let item = answer["queue_id"].as_str().unwrap().parse().unwrap();
    ask(&server, "POST /registry/heartbeat", &other.1, &json!({"workspace_id": other.0}));
    assert!(agent.watch().wait(|log| log.requests.len() == 2));
    let both = agent.requests();
    assert_eq!(both[0].body, both[1].body);
    let kept = |platform: &Platform| platform.queue_item(&item)?.response_body.clone();
    assert!(server.wait_until(|platform| kept(platform) == Some(json!({"result": "hello"})), PATIENCE));
}

#[test]
fn an_agent_that_hangs_is_cut_off() {
    let agent = agent(vec![PeerAction::Listen]);
    let config = Config::new(Dialect::Current).idle_timeout(Duration::from_millis(50));
    let (server, one, other) = world(config, &format!("{}/", agent.url()));
    assert_eq!(tell(&server, &one, &other.0).0, 202);
    assert!(agent.watch().wait(|log| log.closed == 1), "the platform closes the connection");
}

#[test]
fn nobody_is_called_who_is_not_on_a_loopback_address() {
    for url in ["http://93.184.216.34:9/", "http://agent.example.com/", "https://localhost:9/"] {
        let (server, one, other) = world(Config::new(Dialect::Current), url);
        let refused = json!({"error": "failed to reach workspace agent"});
        assert_eq!(tell(&server, &one, &other.0), (502, refused), "{url}");
    }
}

#[test]
fn a_port_where_nobody_listens_is_out_of_reach() {
    let closed = ClosedPort::new();
    let url = format!("http://localhost:{}/", closed.address().port());
    let (server, one, other) = world(Config::new(Dialect::April), &url);
    let line = format!("POST {}", path::a2a(&other.0));
    // On April's server, a request without the caller's header needs no credential.
    assert_eq!(ask(&server, &line, &one.1, &message()), (502, json!({"error": "failed to reach workspace agent"})));
    let (status, rows) = ask(&server, &format!("GET {}", path::activity(&other.0)), &other.1, &json!({}));
    assert_eq!((status, &rows[0]["status"]), (200, &json!("error")));
}

#[test]
fn what_is_no_http_is_out_of_reach_and_a_body_that_breaks_off_is_a_lost_reply() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
    let agent = agent(vec![PeerAction::send("junk\r\n\r\n"), PeerAction::send(cut)]);
    let (server, one, other) = world(Config::new(Dialect::Current), &format!("{}/", agent.url()));
    assert_eq!(tell(&server, &one, &other.0), (502, json!({"error": "failed to reach workspace agent"})));
    let (status, answer) = tell(&server, &one, &other.0);
    assert_eq!((status, &answer["delivery_confirmed"]), (502, &json!(true)), "{answer}");
}
