//! Cases about heads: no HTTP, too long, cut, or in the forms of old servers.

use molecule_core::effect::FaultKind::{Interrupted, Protocol};

use crate::act::PeerAction::{self, Listen, Take};
use crate::case::{Case, CaseOutcome, CaseRequest, maybe};

pub(super) fn cases() -> Vec<Case> {
    let junk = |name, text| Case::new(name).peer([Take, PeerAction::send(text)]).gives(maybe(Protocol));
    vec![
        junk("another protocol", "SSH-2.0-OpenSSH_9.6\r\n"),
        Case::new("another protocol, and then silence")
            .peer([Take, PeerAction::send("SSH-2.0-OpenSSH_9.6\r\n\r\n"), Listen])
            .gives(maybe(Protocol)),
        junk("HTML without a head", "<html><body>hello</body></html>\r\n\r\n"),
        junk("zeros", "\0\0\0\0\0\0\0\0\0\0\0\0"),
        junk("HTTP/2", "HTTP/2 200 OK\r\ncontent-length: 0\r\n\r\n"),
        junk("frames of HTTP/2", "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x04\x08\0\0\0\0\0\0\0\0\0"),
        junk("a status of words", "HTTP/1.1 OK 200\r\n\r\n"),
        junk("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"),
        junk("a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        junk("a header with a zero", "HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n"),
        junk("a length that is no number", "HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n0123456789"),
        junk("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n0123456789"),
        junk("a length past all numbers", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n0123"),
        junk("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 10\r\n\r\n0123456789"),
        Case::new("one length twice")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok")])
            .answers(200, "ok"),
        Case::new("a length beside chunks")
            .peer([
                Take,
                PeerAction::send(
                    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                ),
            ])
            .answers(200, "hello"),
        Case::new("cut in the head")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-le")])
            .gives(maybe(Interrupted)),
        Case::new("cut after a hint")
            .peer([Take, PeerAction::send("HTTP/1.1 103 Early Hints\r\n\r\n")])
            .gives(maybe(Interrupted)),
        Case::new("nothing but empty lines").peer([Take, PeerAction::send("\r\n\r\n")]).gives(maybe(Interrupted)),
        Case::new("a switch to another protocol")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
            ])
            .ask(CaseRequest::get().gives(&[CaseOutcome::Answer(101)])),
        Case::new("a header of 40 KiB").peer([Take, with_header(40 << 10)]).answers(200, "ok"),
        Case::new("a header of 100 KiB")
            .peer([Take, with_header(100 << 10)])
            .ask(CaseRequest::get().gives(&[maybe(Protocol), CaseOutcome::Answer(200)]).body("ok"))
            .because("each client reads 64 KiB at a time, and hyper looks at the limit after it has read"),
        Case::new("a header of 2 MiB").peer([Take, with_header(2 << 20)]).gives(maybe(Protocol)),
        Case::new("90 headers").peer([Take, with_headers(90)]).answers(200, "ok"),
        Case::new("200 headers").peer([Take, with_headers(200)]).gives(maybe(Protocol)),
        Case::new("headers without an end, and then silence")
            .peer([Take, headers_without_end(), Listen])
            .gives(maybe(Protocol)),
        Case::new("bare line feeds")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\ncontent-length: 2\n\nok")])
            .answers(200, "ok"),
        Case::new("HTTP/1.0 with a length")
            .peer([Take, PeerAction::send("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .answers(200, "ok"),
        Case::new("HTTP/1.0 without a length")
            .peer([Take, PeerAction::send("HTTP/1.0 200 OK\r\n\r\nhello")])
            .peer([Take, PeerAction::ok()])
            .answers(200, "hello")
            .answers(200, "ok"),
    ]
}

fn with_header(length: usize) -> PeerAction {
    let value = "x".repeat(length);
    PeerAction::send_bytes(format!("HTTP/1.1 200 OK\r\nlong: {value}\r\ncontent-length: 2\r\n\r\nok"))
}

fn headers_without_end() -> PeerAction {
    let headers: String = (0..5000).map(|at| format!("x-{at}: {}\r\n", "y".repeat(100))).collect();
    PeerAction::send_bytes(format!("HTTP/1.1 200 OK\r\n{headers}"))
}

fn with_headers(count: usize) -> PeerAction {
    let headers: String = (0..count).map(|at| format!("h{at}: x\r\n")).collect();
    PeerAction::send_bytes(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok"))
}
