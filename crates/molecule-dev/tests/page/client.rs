//! Requests as bytes on a socket, so that a test decides every header.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use molecule_dev::{Act, Acted, Dev, Dialect, Options};
use molecule_proto::{Token, WorkspaceId};

/// The longest time that a test waits for bytes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A platform in memory without workspaces.
pub(crate) fn start() -> Dev {
    Dev::start(Options::in_memory().empty(true)).unwrap()
}

/// The same with the server of April 2026.
pub(crate) fn start_april() -> Dev {
    Dev::start(Options::in_memory().dialect(Dialect::April).empty(true)).unwrap()
}

pub(crate) fn create(dev: &Dev, name: &str) -> (WorkspaceId, Token) {
    match dev.world().act(Act::CreateWorkspace { name: name.to_owned(), url: None, parent: None }) {
        Acted::Created { id, token: Some(token) } => (id, token),
        acted => panic!("{acted:?}"),
    }
}

pub(crate) fn connect(dev: &Dev) -> TcpStream {
    let stream = TcpStream::connect(dev.url().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The head of a request, without the empty line at its end.
pub(crate) fn head(dev: &Dev, method: &str, target: &str) -> String {
    let host = dev.url().strip_prefix("http://").unwrap();
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n")
}

pub(crate) fn bearer(dev: &Dev) -> String {
    format!("Authorization: Bearer {}\r\n", dev.admin_token())
}

/// Sends bytes as they are. A server that refuses early may close while they are still sent.
pub(crate) fn send(dev: &Dev, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(dev);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    read(&answer)
}

fn read(answer: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// A request with the admin token.
pub(crate) fn get(dev: &Dev, target: &str) -> Answer {
    let request = format!("{}{}\r\n", head(dev, "GET", target), bearer(dev));
    send(dev, request.as_bytes()).unwrap()
}

/// A form of the page itself.
pub(crate) fn post(dev: &Dev, target: &str, form: &str) -> Answer {
    let (head, bearer) = (head(dev, "POST", target), bearer(dev));
    let about = format!("Origin: {}\r\nSec-Fetch-Site: same-origin\r\n", dev.url());
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let request = format!("{head}{bearer}{about}{kind}Content-Length: {}\r\n\r\n{form}", form.len());
    send(dev, request.as_bytes()).unwrap()
}
