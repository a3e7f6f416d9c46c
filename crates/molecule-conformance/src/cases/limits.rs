//! Cases about timeouts: each has its phase and covers only that, and the total covers all phases.

use std::time::Duration;

use molecule_core::effect::FaultKind::Timeout;
use molecule_core::effect::Phase::{Connect, Head, Read, Total};

use crate::act::Certificate::Good;
use crate::act::PeerAction::{self, Drip, Hold, Listen, Notice, Pause, Secure, Take};
use crate::case::{Case, CaseRequest, Proxy, maybe, unsent};

/// A timeout that is meant to expire.
const SHORT: Duration = Duration::from_millis(200);

/// A time that is longer than [`SHORT`]: a timeout of [`SHORT`] would expire within it.
const LONG: Duration = Duration::from_millis(350);

pub(super) fn cases() -> Vec<Case> {
    let drip = |text: &'static str, millis| Drip(text.as_bytes().into(), Duration::from_millis(millis));
    vec![
        Case::new("connect: silent in the handshake")
            .https()
            .peer([Listen])
            .ask(CaseRequest::get().connect(SHORT).gives(&[unsent(Timeout(Connect))])),
        Case::new("connect: silent proxy")
            .through(Proxy::Peer)
            .peer([Take, Listen])
            .ask(CaseRequest::get().connect(SHORT).gives(&[unsent(Timeout(Connect))])),
        Case::new("connect: silent in the handshake behind a proxy")
            .through(Proxy::Peer)
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\n"), Listen])
            .ask(CaseRequest::get().connect(SHORT).gives(&[unsent(Timeout(Connect))])),
        Case::new("total: silent in the handshake")
            .https()
            .peer([Listen])
            .ask(CaseRequest::get().total(SHORT).gives(&[unsent(Timeout(Total))])),
        Case::new("head: no answer, and the connection is closed")
            .peer([Take, Listen])
            .peer([Take, PeerAction::ok()])
            .ask(CaseRequest::get().head(SHORT).gives(&[maybe(Timeout(Head))]))
            .ask(CaseRequest::get().once_closed(1).answers(200, "ok")),
        Case::new("head: no answer under TLS")
            .https()
            .peer([Secure(Good), Take, Listen])
            .ask(CaseRequest::get().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("head: drips")
            .peer([Take, drip("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 20)])
            .ask(CaseRequest::get().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("head: the request is not read")
            .peer([Notice, Hold])
            .ask(CaseRequest::post(vec![b'x'; 32 << 20]).head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("head: late, and past the read limit alone")
            .peer([Take, Pause(LONG), PeerAction::ok(), Take, Pause(LONG), PeerAction::ok()])
            .ask(CaseRequest::get().read(SHORT).answers(200, "ok"))
            .ask(CaseRequest::get().read(SHORT).answers(200, "ok")),
        Case::new("head: late after an early hint, and past the read limit alone")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
                Pause(LONG),
                PeerAction::ok(),
            ])
            .ask(CaseRequest::get().read(SHORT).answers(200, "ok")),
        Case::new("head: an early hint, and no answer")
            .peer([Take, PeerAction::send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), Listen])
            .ask(CaseRequest::get().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("total: no answer")
            .peer([Take, Listen])
            .ask(CaseRequest::get().total(SHORT).gives(&[maybe(Timeout(Total))])),
        Case::new("read: the body stalls, and the connection is closed")
            .peer([Take, half(), Listen])
            .peer([Take, PeerAction::ok()])
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))]))
            .ask(CaseRequest::get().once_closed(1).answers(200, "ok")),
        Case::new("read: the body stalls under TLS")
            .https()
            .peer([Secure(Good), Take, half(), Listen])
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: the body stalls in a proxy's tunnel")
            .through(Proxy::Peer)
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 200 OK\r\n\r\n"),
                Secure(Good),
                Take,
                PeerAction::ok(),
                Take,
                half(),
                Listen,
            ])
            .answers(200, "ok")
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: a chunk stalls")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel"), Listen])
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: a body without a length stalls")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\nhello"), Listen])
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: a body that never begins")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"), Listen])
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: the body stalls after a head with bare line feeds")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\ncontent-length: 10\n\nhello"), Listen])
            .ask(CaseRequest::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: each piece in time, the whole past the limit")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"), drip("0123456789", 60)])
            .ask(CaseRequest::get().read(LONG).answers(200, "0123456789")),
        Case::new("total: the body drips")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"), drip(DRIP, 20)])
            .ask(CaseRequest::get().total(LONG).gives(&[maybe(Timeout(Total))])),
        Case::new("total: the body drips under TLS")
            .https()
            .peer([
                Secure(Good),
                Take,
                PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"),
                drip(DRIP, 20),
            ])
            .ask(CaseRequest::get().total(LONG).gives(&[maybe(Timeout(Total))])),
    ]
}

/// The first half of an answer.
fn half() -> PeerAction {
    PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
}

/// A body that takes longer than the total timeout when it drips.
const DRIP: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";
