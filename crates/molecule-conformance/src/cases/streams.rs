//! Cases about watched streams: their pieces, their ends, and answers that are no stream.

use std::time::Duration;

use molecule_core::effect::FaultKind::{Connect, Interrupted, Protocol, Timeout};
use molecule_core::effect::Phase::{Head, Read, Total};

use crate::act::Certificate::Good;
use crate::act::PeerAction::{self, Cut, Drip, Listen, Notice, Secure, Slam, Take};
use crate::case::{Case, CaseOutcome, CaseRequest, Proxy, maybe, unsent};

/// A limit that is meant to pass, or to be outlived.
const SHORT: Duration = Duration::from_millis(200);

/// The head of a stream, as the platform sends it.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

const PING: &str = ": ping\n\n";
const EVENT: &str = "data: {\"type\":\"TASK_UPDATED\"}\n\n";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("stream: pieces, and its end")
            .peer([Take, stream(&[PING, EVENT], "0\r\n\r\n")])
            .ask(CaseRequest::stream().streams([PING, EVENT].concat()).gives(&[maybe(Interrupted)])),
        Case::new("stream: without a length")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\n: ping\n\n")])
            .ask(CaseRequest::stream().streams(PING).gives(&[maybe(Interrupted)])),
        Case::new("stream: cut at any byte, and in a chunk")
            .peer([Take, Drip(chunks(&[PING, EVENT], "40\r\nda").into_bytes().into(), Duration::from_millis(1))])
            .ask(CaseRequest::stream().streams([PING, EVENT, "da"].concat()).gives(&[maybe(Interrupted)])),
        Case::new("stream: cut between chunks")
            .peer([Take, stream(&[PING], "")])
            .ask(CaseRequest::stream().streams(PING).gives(&[maybe(Interrupted)])),
        Case::new("stream: reset").peer([Notice, stream(&[PING], ""), Slam]).ask(
            // A reset may overtake what was sent before it.
            CaseRequest::stream().gives(&[maybe(Interrupted)]),
        ),
        Case::new("stream: a line of a megabyte")
            .peer([Take, PeerAction::send_bytes(long_line())])
            .ask(CaseRequest::stream().streams("x".repeat(LINE)).gives(&[maybe(Interrupted)])),
        Case::new("stream: outlives the limit of the whole")
            .peer([Take, PeerAction::send(HEAD), drip(&[PING, EVENT], 12)])
            .ask(CaseRequest::stream().total(SHORT).streams([PING, EVENT].concat()).gives(&[maybe(Interrupted)])),
        Case::new("stream: silent for longer than the limit of the whole")
            .peer([Take, stream(&[PING], ""), PeerAction::Pause(2 * SHORT), PeerAction::send("5\r\nlater\r\n")])
            .ask(CaseRequest::stream().total(SHORT).streams(": ping\n\nlater").gives(&[maybe(Interrupted)])),
        Case::new("stream: dead")
            .peer([Take, stream(&[PING], ""), Listen])
            .ask(CaseRequest::stream().read(SHORT).streams(PING).gives(&[maybe(Timeout(Read))])),
        Case::new("stream: dead, with a silence that is longer than the limit of the whole")
            .peer([Take, stream(&[PING], ""), Listen])
            .ask(CaseRequest::stream().total(SHORT).read(2 * SHORT).streams(PING).gives(&[maybe(Timeout(Read))])),
        Case::new("stream: dead from the start")
            .peer([Take, PeerAction::send(HEAD), Listen])
            .ask(CaseRequest::stream().read(SHORT).streams("").gives(&[maybe(Timeout(Read))])),
        Case::new("stream: no head")
            .peer([Take, Listen])
            .ask(CaseRequest::stream().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("stream: no head within the whole")
            .peer([Take, Listen])
            .ask(CaseRequest::stream().total(SHORT).gives(&[maybe(Timeout(Total))])),
        Case::new("stream: nobody listens").ask(CaseRequest::stream().gives(&[unsent(Connect)])),
        Case::new("stream: not framed as its head says")
            .peer([Take, stream(&[PING], ""), PeerAction::Pause(SHORT), PeerAction::send("zz\r\n")])
            .ask(CaseRequest::stream().streams(PING).gives(&[maybe(Protocol)])),
        Case::new("stream: under TLS, and cut without a goodbye")
            .https()
            .peer([Secure(Good), Take, stream(&[PING], ""), Cut])
            .ask(CaseRequest::stream().streams(PING).gives(&[maybe(Interrupted)])),
        Case::new("stream: dead under TLS")
            .https()
            .peer([Secure(Good), Take, stream(&[PING, EVENT], ""), Listen])
            .ask(CaseRequest::stream().read(SHORT).streams([PING, EVENT].concat()).gives(&[maybe(Timeout(Read))])),
        Case::new("stream: behind a proxy")
            .through(Proxy::Peer)
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\n"), Secure(Good), Take, stream(&[PING], "0\r\n\r\n")])
            .ask(CaseRequest::stream().streams(PING).gives(&[maybe(Interrupted)])),
    ];
    cases.extend(refused());
    cases.extend(connections());
    cases
}

fn refused() -> Vec<Case> {
    vec![
        Case::new("stream: refused")
            .peer([Take, PeerAction::answer("401 Unauthorized", "{}")])
            .ask(CaseRequest::stream().answers(401, "{}")),
        Case::new("stream: a redirect")
            .peer([Take, PeerAction::answer_with("302 Found", "location: /sign-in\r\n", "")])
            .ask(CaseRequest::stream().answers(302, "").header("location", "/sign-in")),
        Case::new("stream: no content")
            .peer([Take, PeerAction::send("HTTP/1.1 204 No Content\r\n\r\n")])
            .ask(CaseRequest::stream().answers(204, "")),
        Case::new("stream: a refusal that stalls")
            .peer([Take, PeerAction::send("HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\nhello"), Listen])
            .ask(CaseRequest::stream().total(SHORT).gives(&[maybe(Timeout(Total))])),
        Case::new("stream: a refusal that is too large")
            .peer([Take, PeerAction::answer_with("503 Busy", "retry-after: 7\r\n", "0123456789")])
            .ask(CaseRequest::stream().max_body(9).gives(&[CaseOutcome::TooLarge(503)]).header("retry-after", "7")),
        Case::new("stream: compressed unasked")
            .peer([
                Take,
                PeerAction::send(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n\x1f",
                ),
                Listen,
            ])
            .ask(CaseRequest::stream().streams("").gives(&[maybe(Protocol)]).naming("gzip")),
        Case::new("stream: a page in its place")
            .peer([Take, PeerAction::answer_with("200 OK", "content-type: text/html\r\n", "<title>Sign in</title>")])
            .ask(CaseRequest::stream().streams("").gives(&[maybe(Protocol)]).naming("text/html")),
    ]
}

/// A stream and other requests never share a connection.
fn connections() -> Vec<Case> {
    vec![
        Case::new("stream: not on a kept connection, and never kept itself")
            .peer([Take, PeerAction::ok(), Take, PeerAction::answer("200 OK", "the kept one")])
            .peer([Take, stream(&[PING], "0\r\n\r\n"), Listen])
            .answers(200, "ok")
            .ask(CaseRequest::stream().streams(PING).gives(&[maybe(Interrupted)]))
            .answers(200, "the kept one"),
        Case::new("stream: a refusal's connection is not kept")
            .peer([Take, PeerAction::answer("404 Not Found", ""), Listen])
            .peer([Take, PeerAction::ok()])
            .ask(CaseRequest::stream().answers(404, ""))
            .ask(CaseRequest::get().once_closed(1).answers(200, "ok")),
        Case::new("stream: dead, and closes no idle connection")
            .peer([Take, PeerAction::ok(), Take, PeerAction::ok()])
            .peer([Take, stream(&[PING], ""), Listen])
            .answers(200, "ok")
            .ask(CaseRequest::stream().read(SHORT).streams(PING).gives(&[maybe(Timeout(Read))]))
            .ask(CaseRequest::get().once_closed(1).answers(200, "ok")),
    ]
}

const LINE: usize = 1_000_000;

/// A stream with one line of a megabyte in one chunk.
fn long_line() -> Vec<u8> {
    chunks(&[&"x".repeat(LINE)], "").into_bytes()
}

/// A stream of these chunks, and the bytes after them.
fn stream(parts: &[&str], rest: &str) -> PeerAction {
    PeerAction::send_bytes(chunks(parts, rest))
}

fn chunks(parts: &[&str], rest: &str) -> String {
    format!("{HEAD}{}", framed(parts) + rest)
}

fn framed(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect()
}

/// These chunks, a byte at a time.
fn drip(parts: &[&str], millis: u64) -> PeerAction {
    Drip(framed(parts).into_bytes().into(), Duration::from_millis(millis))
}
