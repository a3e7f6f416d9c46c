//! A client that a test scripts, and a peer for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use molecule_async::WorkspaceId;
use molecule_platform::Platform;
use molecule_platform::serve::Seen;
use serde_json::{Value, json};

use crate::common::{LONG, World, bare};

/// The program as a server, and a client of it.
pub(crate) struct Client {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    /// The lines of stdout. Each is a message of the protocol, else the reader panics, and no more come.
    lines: Receiver<Value>,
    errors: Option<std::thread::JoinHandle<String>>,
    numbers: u64,
    /// What came and was no answer.
    pub(crate) notifications: Vec<Value>,
    /// What each request has as `_meta`.
    meta: Option<Value>,
}

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

impl Answer {
    /// The text as JSON. Panics if the tool failed.
    pub(crate) fn json(&self) -> Value {
        assert!(!self.is_error, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Client {
    /// Starts the program and says nothing to it.
    pub(crate) fn silent(mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (says, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert_eq!(message["jsonrpc"], "2.0", "{line}");
                if says.send(message).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let stdin = child.stdin.take();
        let errors = Some(errors);
        Self { child, stdin, lines, errors, numbers: 0, notifications: Vec::new(), meta: None }
    }

    /// Starts the program for the world's workspace, and initialises it as the last revision with a handshake says.
    pub(crate) fn new(world: &World) -> Self {
        Self::with(world.molecule(&["mcp"]))
    }

    pub(crate) fn with(command: Command) -> Self {
        let mut client = Self::silent(command);
        client.initialize("2025-11-25", "a-test");
        client
    }

    /// Initialises as this revision. Returns the server's answer.
    pub(crate) fn initialize(&mut self, revision: &str, name: &str) -> Value {
        let about = json!({
            "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": name, "version": "1" }
        });
        let answer = self.result("initialize", about);
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        answer
    }

    /// Gives each request the metadata of the revision without a handshake.
    pub(crate) fn without_handshake(&mut self, revision: &str) {
        self.meta = Some(json!({
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "a-test", "version": "1" },
        }));
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).and_then(|()| stdin.flush()).unwrap();
    }

    /// The next message of the server.
    pub(crate) fn next(&mut self) -> Value {
        self.lines.recv_timeout(LONG).expect("the server says something")
    }

    /// Begins a request, whose answer has the number that this returns.
    pub(crate) fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        self.numbers += 1;
        if let Some(meta) = &self.meta {
            params["_meta"] = meta.clone();
        }
        let number = self.numbers;
        self.send(&json!({ "jsonrpc": "2.0", "id": number, "method": method, "params": params }));
        number
    }

    /// The answer to a request.
    pub(crate) fn answer(&mut self, number: u64) -> Value {
        loop {
            let message = self.next();
            if message["id"] == number {
                return message;
            }
            self.notifications.push(message);
        }
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let number = self.begin(method, params);
        self.answer(number)
    }

    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Begins to call a tool.
    pub(crate) fn begin_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.begin("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// The answer of a tool.
    pub(crate) fn called(&mut self, number: u64) -> Answer {
        let answer = self.answer(number);
        let result = &answer["result"];
        let content = result["content"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert!(content.len() == 1 && content[0]["type"] == "text", "{answer}");
        let text = content[0]["text"].as_str().unwrap().to_owned();
        Answer { text, is_error: result["isError"] == true }
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        let number = self.begin_call(tool, arguments);
        self.called(number)
    }

    /// Waits for a message, and returns it.
    pub(crate) fn wait_for_message(&mut self) -> Value {
        let message = self.call("wait_for_message", json!({ "timeout_secs": 60 })).json();
        assert!(message.get("activity_id").is_some(), "{message}");
        message
    }

    /// Closes stdin.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Closes stdin. Returns the exit code and what stood on stderr.
    pub(crate) fn end(mut self) -> (i32, String) {
        self.stdin = None;
        self.ended()
    }

    pub(crate) fn ended(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, self.errors.take().unwrap().join().unwrap())
    }

    /// Kills the program at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another workspace of the same platform.
pub(crate) struct Peer {
    pub(crate) id: WorkspaceId,
    pub(crate) token: String,
}

impl Peer {
    pub(crate) fn new(world: &World, name: &str) -> Self {
        let (id, token) = world.server.with(|platform, now| platform.create_workspace(now, name));
        Self { id, token: token.expose().to_owned() }
    }

    /// The program as an agent of the peer.
    pub(crate) fn molecule(&self, world: &World, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("PLATFORM_URL", world.server.url()).env("WORKSPACE_ID", self.id.as_str());
        command.env("MOLECULE_WORKSPACE_TOKEN", &self.token).env("MOLECULE_HOME", &world.home);
        command
    }

    /// Sends a message to the world's workspace, whose answer nobody waits for.
    pub(crate) fn write(&self, world: &World, text: &str) {
        let sent = |platform: &mut Platform, now| platform.send_agent_message(now, &self.id, &world.id, text);
        world.server.with(sent).unwrap();
    }

    /// Starts an agent of the peer, and waits until the platform knows it.
    pub(crate) fn start(&self, world: &World, way: &[&str]) -> Running {
        let child = self.molecule(world, &[&["run"], way].concat()).spawn().unwrap();
        let id = self.id.to_string();
        let is_online = move |requests: &[Seen]| {
            requests.iter().any(|request| {
                request.path == "/registry/heartbeat" && String::from_utf8_lossy(&request.body).contains(&id)
            })
        };
        assert!(world.server.wait_for(is_online, LONG));
        Running(child)
    }
}

/// A process that is ended with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again until it is so.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(start.elapsed() < LONG, "it does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
