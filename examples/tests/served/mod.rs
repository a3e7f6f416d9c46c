//! The example `a2a-server` as a program that is called.

#![allow(dead_code)] // One test has only its clients call it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// How long a call may take. It bounds a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, which ends with this value.
pub(crate) struct Served {
    child: Child,
    url: String,
}

impl Served {
    /// Starts the example with these arguments, and with this bearer for its callers.
    pub(crate) fn start(arguments: &[&str], bearer: Option<&str>) -> Self {
        // The examples are beside this test's own program, …/target/<profile>/deps/<test>-<hash>.
        let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let mut command = Command::new(profile.join("examples/a2a-server"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).env_remove("A2A_BEARER");
        if let Some(bearer) = bearer {
            command.env("A2A_BEARER", bearer);
        }
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://"), "it printed {url:?}");
        Self { child, url }
    }

    /// The URL that it printed.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().unwrap()
    }

    fn path(&self) -> &str {
        self.url.trim_start_matches("http://").find('/').map_or("/", |at| &self.url["http://".len()..][at..])
    }

    /// Gets a path; returns the status, the type of the content, and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String, Value) {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.authority()))
    }

    /// Posts a body, and returns what a JSON-RPC server answers: its status must be 200, and its content JSON.
    pub(crate) fn rpc(&self, body: &str) -> Value {
        self.rpc_with("", body)
    }

    /// The same with more header lines.
    pub(crate) fn rpc_with(&self, lines: &str, body: &str) -> Value {
        let (status, content, answer) = self.post(lines, body);
        assert_eq!((status, content.as_str()), (200, "application/json"), "{body}: {answer}");
        assert_eq!(answer["jsonrpc"], "2.0", "{body}: {answer}");
        let (has_result, has_error) = (answer.get("result").is_some(), answer.get("error").is_some());
        assert!(has_result != has_error, "either a result or an error: {answer}");
        if has_error {
            assert!(answer["error"]["code"].is_i64() && answer["error"]["message"].is_string(), "{answer}");
        }
        answer
    }

    /// Posts a body; returns the status, the type of the content, and the body of the answer.
    pub(crate) fn post(&self, lines: &str, body: &str) -> (u16, String, Value) {
        let (path, host, length) = (self.path(), self.authority(), body.len());
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             {lines}Connection: close\r\n\r\n{body}"
        ))
    }

    fn exchange(&self, request: &str) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let content =
            lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value).next();
        let content = content.unwrap_or_default().split(';').next().unwrap().to_owned();
        (status, content, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
