//! Cases about bodies: cut, framed otherwise than their head says, or above the size limit.

use molecule_core::effect::FaultKind::{Interrupted, Protocol};

use crate::act::PeerAction::{self, Flood, Listen, Notice, Slam, Take};
use crate::case::{Case, CaseOutcome, CaseRequest, maybe};

/// The length of a large body, in bytes.
const LARGE: u64 = 300 << 20;

/// The most bytes in the socket buffers of both ends, besides those that a client reads.
const BUFFERED: u64 = 24 << 20;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("cut at half of its length")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")])
            .gives(maybe(Interrupted)),
        Case::new("reset at half of its length")
            .peer([Notice, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"), Slam])
            .gives(maybe(Interrupted)),
        Case::new("longer than its length")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhello")])
            .peer([Take, PeerAction::ok()])
            .answers(200, "hel")
            .answers(200, "ok"),
        Case::new("without a length").peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\nhello")]).answers(200, "hello"),
        Case::new("without a length, reset")
            .peer([Notice, PeerAction::send("HTTP/1.1 200 OK\r\n\r\nhello"), Slam])
            .gives(maybe(Interrupted)),
        Case::new("as large as allowed")
            .peer([Take, PeerAction::answer("200 OK", "0123456789")])
            .ask(CaseRequest::get().max_body(10).answers(200, "0123456789")),
        Case::new("as large as allowed, in chunks")
            .peer([Take, chunked("5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")])
            .ask(CaseRequest::get().max_body(10).answers(200, "0123456789")),
        Case::new("as large as allowed, without a length")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\n0123456789")])
            .ask(CaseRequest::get().max_body(10).answers(200, "0123456789")),
        Case::new("one byte too large, and says so")
            .peer([Take, PeerAction::answer("200 OK", "0123456789")])
            .ask(CaseRequest::get().max_body(9).gives(&[CaseOutcome::TooLarge(200)])),
        Case::new("one byte too large, in chunks")
            .peer([Take, chunked("a\r\n0123456789\r\n0\r\n\r\n")])
            .ask(CaseRequest::get().max_body(9).gives(&[CaseOutcome::TooLarge(200)])),
        Case::new("one byte too large, without a length")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\n0123456789")])
            .ask(CaseRequest::get().max_body(9).gives(&[CaseOutcome::TooLarge(200)])),
        Case::new("too large by its length, and then silence")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"), Listen])
            .ask(CaseRequest::get().max_body(9).gives(&[CaseOutcome::TooLarge(200)])),
        Case::new("too large in chunks of one byte, and then silence")
            .peer([Take, chunked(&"1\r\nx\r\n".repeat(10)), Listen])
            .ask(CaseRequest::get().max_body(9).gives(&[CaseOutcome::TooLarge(200)])),
        Case::new("an error's page that is too large, and says so")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-type: text/html\r\ncontent-length: 10\r\n\r\n"),
            ])
            .ask(refused_at_length(503).header("retry-after", "7").header("content-type", "text/html")),
        Case::new("a redirect's page that is too large, in chunks")
            .peer([
                Take,
                PeerAction::send(
                    "HTTP/1.1 302 Found\r\nlocation: /sign-in\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                ),
            ])
            .ask(refused_at_length(302).header("location", "/sign-in")),
        Case::new("a 401 that is too large, without a length")
            .peer([Take, PeerAction::send("HTTP/1.1 401 Unauthorized\r\n\r\n0123456789")])
            .ask(refused_at_length(401)),
        Case::new("300 MB, and says so")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 314572800\r\n\r\n"), Flood(LARGE)])
            .gives(CaseOutcome::TooLarge(200))
            .writes_at_most(BUFFERED),
        Case::new("300 MB without a length")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\n"), Flood(LARGE)])
            .gives(CaseOutcome::TooLarge(200))
            .writes_at_most(BUFFERED),
        Case::new("300 MB in one chunk")
            .peer([Take, chunked("12c00000\r\n"), Flood(LARGE)])
            .gives(CaseOutcome::TooLarge(200))
            .writes_at_most(BUFFERED),
        Case::new("300 MB of head")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\nlong: "), Flood(LARGE)])
            .gives(maybe(Protocol))
            .writes_at_most(BUFFERED),
    ];
    cases.extend(in_chunks());
    cases
}

/// A request with a size limit of 9 bytes, which the answer exceeds.
fn refused_at_length(status: u16) -> CaseRequest {
    CaseRequest::get().max_body(9).gives(&[CaseOutcome::TooLarge(status)])
}

fn in_chunks() -> Vec<Case> {
    let broken = |name, body, kind| Case::new(name).peer([Take, chunked(body)]).gives(maybe(kind));
    vec![
        Case::new("in chunks")
            .peer([Take, chunked("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), Take, PeerAction::ok()])
            .answers(200, "hello")
            .answers(200, "ok"),
        Case::new("in chunks with extensions")
            .peer([Take, chunked("5;name=value\r\nhello\r\n0;last\r\n\r\n")])
            .answers(200, "hello"),
        Case::new("in chunks with trailers")
            .peer([Take, chunked("5\r\nhello\r\n0\r\nx-checksum: abc\r\nx-more: d\r\n\r\n"), Take, PeerAction::ok()])
            .answers(200, "hello")
            .answers(200, "ok"),
        Case::new("no chunk but the last")
            .peer([Take, chunked("0\r\n\r\n"), Take, PeerAction::ok()])
            .answers(200, "")
            .answers(200, "ok"),
        broken("cut in a chunk", "5\r\nhel", Interrupted),
        broken("cut in a chunk's size", "5\r\nhello\r\n1", Interrupted),
        broken("cut between chunks", "5\r\nhello\r\n", Interrupted),
        broken("cut in the trailers", "5\r\nhello\r\n0\r\nx-check", Interrupted),
        Case::new("cut before the last empty line")
            .peer([Take, chunked("5\r\nhello\r\n0\r\n")])
            .ask(CaseRequest::get().gives(&[CaseOutcome::Answer(200), maybe(Interrupted)]).body("hello"))
            .because("the last chunk says that the body is whole, and ureq is content with it"),
        broken("a chunk's size that is no number", "zz\r\nhello\r\n0\r\n\r\n", Protocol),
        Case::new("a chunk's size that is no number, and then silence")
            .peer([Take, chunked("xyz\r\n"), Listen])
            .gives(maybe(Protocol)),
        broken("a chunk's size that is negative", "-5\r\nhello\r\n0\r\n\r\n", Protocol),
        broken("a chunk's size past all numbers", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", Protocol),
        broken("a chunk longer than its size", "3\r\nhello\r\n0\r\n\r\n", Protocol),
        Case::new("reset between chunks").peer([Notice, chunked("5\r\nhello\r\n"), Slam]).gives(maybe(Interrupted)),
    ]
}

fn chunked(body: &str) -> PeerAction {
    PeerAction::send_bytes(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"))
}
