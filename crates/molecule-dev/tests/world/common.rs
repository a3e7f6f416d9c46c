//! A client of one's own for what a dev platform answers, and folders that go away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use molecule_dev::{Act, Acted, Dev, World};
use molecule_proto::{Token, WorkspaceId};
use serde_json::Value;

/// A folder for one test, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("molecule-dev-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("molecule-dev.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn create(world: &World, name: &str) -> (WorkspaceId, Token) {
    match world.act(Act::CreateWorkspace { name: name.to_owned(), url: None, parent: None }) {
        Acted::Created { id, token: Some(token) } => (id, token),
        other => panic!("{other:?}"),
    }
}

/// Sends a request on a connection of its own; returns the status and the body. The status is 0 if the connection ended
/// without an answer, and the body is what came of it.
pub(crate) fn send(dev: &Dev, method: &str, path: &str, bearer: Option<&str>, body: &str) -> (u16, String) {
    let address = dev.url().strip_prefix("http://").unwrap();
    let bearer = bearer.map(|bearer| format!("Authorization: Bearer {bearer}\r\n")).unwrap_or_default();
    let length = body.len();
    exchange(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{bearer}Content-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// Sends bytes and reads until the end.
pub(crate) fn exchange(address: &str, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that refuses early may close before everything is written.
    let _ = stream.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

pub(crate) fn post(dev: &Dev, path: &str, bearer: &str, body: &Value) -> (u16, Value) {
    let (status, text) = send(dev, "POST", path, Some(bearer), &body.to_string());
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) fn get(dev: &Dev, path: &str, bearer: &str) -> (u16, Value) {
    let (status, text) = send(dev, "GET", path, Some(bearer), "");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) fn beat(dev: &Dev, id: &WorkspaceId, token: &Token, uptime: u64) -> u16 {
    let body = serde_json::json!({"workspace_id": id, "uptime_seconds": uptime});
    post(dev, molecule_proto::path::HEARTBEAT, token.expose(), &body).0
}

/// Registers a poll agent.
pub(crate) fn register(dev: &Dev, id: &WorkspaceId, token: &Token) {
    let body = serde_json::json!({"id": id, "delivery_mode": "poll", "agent_card": {"name": "a"}});
    let (status, body) = post(dev, molecule_proto::path::REGISTER, token.expose(), &body);
    assert_eq!(status, 200, "{body}");
}

/// The texts that wait in an agent's feed, as the agent reads them.
pub(crate) fn feed(dev: &Dev, id: &WorkspaceId, token: &Token) -> Vec<Value> {
    let (status, rows) = get(dev, &format!("/workspaces/{id}/activity?type=a2a_receive"), token.expose());
    assert_eq!(status, 200, "{rows}");
    rows.as_array().unwrap().clone()
}
