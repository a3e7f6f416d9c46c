//! A platform whose clock the test sets, with one-line requests.

#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a different part of it.

pub(crate) mod mail;
pub(crate) mod stream;
pub(crate) mod wire;

use std::time::Duration;

use bytes::Bytes;
use molecule_platform::{Config, Dialect, Now, Platform, Turn};
use molecule_proto::{Time, Token, UnixTime, WorkspaceId, WorkspaceStatus, path};
use serde_json::{Value, json};

pub(crate) const ADMIN: &str = "the-admin-token";

pub(crate) struct Bench {
    pub(crate) platform: Platform,
    pub(crate) now: Now,
}

pub(crate) fn config(dialect: Dialect) -> Config {
    Config::new(dialect).admin_token(Token::new(ADMIN).unwrap())
}

impl Bench {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self::with(config(dialect))
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Now { mono: Time::from_nanos(7), unix: UnixTime::from_secs(1_795_383_587) };
        Self { platform: Platform::new(config), now }
    }

    pub(crate) fn create(&mut self, name: &str) -> (WorkspaceId, Token) {
        self.platform.create_workspace(self.now, name)
    }

    /// Lets time pass without a request.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now.mono = self.now.mono + Duration::from_secs(seconds);
        self.now.unix = self.now.unix + Duration::from_secs(seconds);
        while !matches!(self.platform.poll(self.now), Turn::Idle(_)) {}
    }

    pub(crate) fn status(&self, id: &WorkspaceId) -> WorkspaceStatus {
        self.platform.status(id).unwrap()
    }

    /// Sends a request; returns the status and the body as JSON, as `null`, or as a JSON string if it is other text.
    pub(crate) fn send(&mut self, method: &str, path: &str, bearer: Option<&str>, body: &str) -> (u16, Value) {
        self.send_as(method, path, bearer, None, body)
    }

    /// Sends a request that names its caller in a header.
    pub(crate) fn send_as(
        &mut self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        caller: Option<&WorkspaceId>,
        body: &str,
    ) -> (u16, Value) {
        let mut request = http::Request::builder().method(method).uri(path).header("host", "127.0.0.1:1");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if let Some(caller) = caller {
            request = request.header("x-workspace-id", caller.as_str());
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let answer = self.platform.handle(self.now, None, request).ready().unwrap();
        let text = std::str::from_utf8(answer.body()).unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap_or(json!(text)) };
        (answer.status().as_u16(), body)
    }

    pub(crate) fn get(&mut self, path: &str, bearer: Option<&str>) -> (u16, Value) {
        self.send("GET", path, bearer, "")
    }

    pub(crate) fn post(&mut self, path: &str, bearer: Option<&str>, body: &Value) -> (u16, Value) {
        self.send("POST", path, bearer, &body.to_string())
    }

    pub(crate) fn register(&mut self, id: &WorkspaceId, token: Option<&Token>) -> (u16, Value) {
        let body = json!({"id": id, "agent_card": {"name": "a"}, "url": "http://localhost:9/a2a",
                          "delivery_mode": "push"});
        self.post(path::REGISTER, token.map(Token::expose), &body)
    }

    pub(crate) fn beat(&mut self, id: &WorkspaceId, token: Option<&Token>) -> (u16, Value) {
        self.post(path::HEARTBEAT, token.map(Token::expose), &json!({"workspace_id": id}))
    }

    pub(crate) fn state(&mut self, id: &WorkspaceId, token: &Token) -> (u16, Value) {
        self.get(&path::state(id), Some(token.expose()))
    }
}

pub(crate) fn error(text: &str) -> Value {
    json!({"error": text})
}
