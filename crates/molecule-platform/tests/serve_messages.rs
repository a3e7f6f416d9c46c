//! A served platform calls agents on loopback ports, over HTTP (contract section 10).

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use molecule_platform::{Config, Dialect, Platform, Server, serve};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An HTTP message: its first line, its headers in lower case, its body.
#[derive(Debug)]
struct Message {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let first = line();
        let headers: Vec<(String, String)> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()))
            .map(|header| header.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())).unwrap())
            .collect();
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        Self { line: first, headers, body: String::from_utf8(body).unwrap() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> (u16, Value) {
        let status = self.line.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(&self.body).unwrap_or_default())
    }
}

/// Sends a request and reads the answer.
fn ask(server: &Server, line: &str, bearer: &Token, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (body, bearer) = (body.to_string(), bearer.expose());
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {length}\r\n\r\n{body}",
        server.addr()
    )
    .unwrap();
    Message::read(&stream).json()
}

/// An agent that has so many connections and answers each as it is told; `None` closes it.
fn agent(replies: Vec<Option<&'static str>>) -> (SocketAddr, Receiver<Message>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen): (Sender<Message>, _) = channel();
    let thread = std::thread::spawn(move || {
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            sender.send(Message::read(&stream)).unwrap();
            if let Some(reply) = reply {
                stream.write_all(reply.as_bytes()).unwrap();
            }
        }
    });
    (address, seen, thread)
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\n{\"result\":\"hello\"}";

/// A served platform with a caller and an agent that is registered at a URL.
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
    let (address, seen, thread) = agent(vec![Some(HELLO)]);
    let (server, one, other) = world(Config::new(Dialect::Current), &format!("http://{address}/deep/path?k=v"));
    assert_eq!(tell(&server, &one, &other.0), (200, json!({"result": "hello"})));
    let request = seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.line, "POST /deep/path?k=v HTTP/1.1");
    let secret = server.with(|platform, _| platform.inbound_secret(&other.0)).unwrap();
    assert_eq!(request.header("authorization"), Some(format!("Bearer {}", secret.expose()).as_str()));
    assert_eq!(request.header("host"), Some(address.to_string().as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), message());
    thread.join().unwrap();
}

#[test]
fn a_closed_connection_lets_the_message_wait_for_the_next_beat() {
    let (address, seen, thread) = agent(vec![None, Some(HELLO)]);
    let (server, one, other) = world(Config::new(Dialect::Current), &format!("http://{address}/"));
    let (status, answer) = tell(&server, &one, &other.0);
    assert_eq!((status, &answer["queued"]), (202, &json!(true)), "{answer}");
    let item = answer["queue_id"].as_str().unwrap().parse().unwrap();
    ask(&server, "POST /registry/heartbeat", &other.1, &json!({"workspace_id": other.0}));
    let both = [seen.recv_timeout(PATIENCE).unwrap(), seen.recv_timeout(PATIENCE).unwrap()];
    assert_eq!(both[0].body, both[1].body);
    let kept = |platform: &Platform| platform.queue_item(&item)?.response_body.clone();
    assert!(server.wait_until(|platform| kept(platform) == Some(json!({"result": "hello"})), PATIENCE));
    thread.join().unwrap();
}

#[test]
fn an_agent_that_hangs_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let config = Config::new(Dialect::Current).idle_timeout(Duration::from_millis(50));
    let (server, one, other) = world(config, &url);
    let hanging = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Message::read(&stream);
        // Ends when the platform closes the connection.
        stream.read(&mut [0; 1]).unwrap()
    });
    assert_eq!(tell(&server, &one, &other.0).0, 202);
    assert_eq!(hanging.join().unwrap(), 0);
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
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (server, one, other) = world(Config::new(Dialect::April), &format!("http://localhost:{}/", address.port()));
    let line = format!("POST {}", path::a2a(&other.0));
    // Without a header that names the caller nobody is asked who calls.
    assert_eq!(ask(&server, &line, &one.1, &message()), (502, json!({"error": "failed to reach workspace agent"})));
    let (status, rows) = ask(&server, &format!("GET {}", path::activity(&other.0)), &other.1, &json!({}));
    assert_eq!((status, &rows[0]["status"]), (200, &json!("error")));
}

#[test]
fn what_is_no_http_is_out_of_reach_and_a_body_that_breaks_off_is_a_lost_reply() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
    let (address, _seen, thread) = agent(vec![Some("junk\r\n\r\n"), Some(cut)]);
    let (server, one, other) = world(Config::new(Dialect::Current), &format!("http://{address}/"));
    assert_eq!(tell(&server, &one, &other.0), (502, json!({"error": "failed to reach workspace agent"})));
    let (status, answer) = tell(&server, &one, &other.0);
    assert_eq!((status, &answer["delivery_confirmed"]), (502, &json!(true)), "{answer}");
    thread.join().unwrap();
}
