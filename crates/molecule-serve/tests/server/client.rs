//! A client that sends what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::world::PATIENCE;

/// An answer: its status, its head in lower case, and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The text of the message that answers a call.
    pub fn text(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["result"]["parts"][0]["text"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

pub struct Client(TcpStream);

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    #[cfg(feature = "rustls")]
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }

    pub fn answer(&mut self) -> Answer {
        read_answer(&mut self.0)
    }

    /// Whether the other side closes the connection without a word.
    pub fn is_cut(&mut self) -> bool {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest.is_empty()
    }
}

pub fn read_answer(stream: &mut impl Read) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let read = stream.read(&mut byte).expect("an answer");
        assert_eq!(read, 1, "the connection ends: {}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length =
        head.split("content-length: ").nth(1).map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: String::from_utf8(body).unwrap() }
}

/// A request with a bearer, or without one.
pub fn request(method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Vec<u8> {
    let bearer = bearer.map(|bearer| format!("Authorization: Bearer {bearer}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The body of a call.
pub fn call(id: &str, text: &str) -> Vec<u8> {
    let message = json!({"role": "user", "messageId": id, "parts": [{"kind": "text", "text": text}]});
    let call =
        json!({"jsonrpc": "2.0", "id": format!("rpc-{id}"), "method": "message/send", "params": {"message": message}});
    call.to_string().into_bytes()
}

/// Sends a call on a connection of its own.
pub fn send(address: SocketAddr, path: &str, bearer: &str, id: &str, text: &str) -> Answer {
    let mut client = Client::connect(address);
    client.send(request("POST", path, Some(bearer), &call(id, text)));
    client.answer()
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(address);
    client.send(request("GET", path, None, b""));
    client.answer()
}
