//! Each limit has its phase, holds for its own part alone, and the total holds for all of them.

use std::time::Duration;

use molecule_core::effect::FaultKind::Timeout;
use molecule_core::effect::Phase::{Connect, Head, Read, Total};

use crate::act::Act::{self, Drip, Hold, Listen, Notice, Pause, Secure, Take};
use crate::act::Certificate::Good;
use crate::case::{Ask, Case, Proxy, maybe, unsent};

/// A limit that is meant to pass.
const SHORT: Duration = Duration::from_millis(200);

/// A limit that is meant to hold although [`SHORT`] ones would not.
const LONG: Duration = Duration::from_millis(350);

pub(super) fn cases() -> Vec<Case> {
    let drip = |text: &'static str, millis| Drip(text.as_bytes().into(), Duration::from_millis(millis));
    vec![
        Case::new("connect: silent in the handshake")
            .https()
            .peer([Listen])
            .ask(Ask::get().connect(SHORT).gives(&[unsent(Timeout(Connect))])),
        Case::new("connect: silent proxy")
            .through(Proxy::Peer)
            .peer([Take, Listen])
            .ask(Ask::get().connect(SHORT).gives(&[unsent(Timeout(Connect))])),
        Case::new("connect: silent in the handshake behind a proxy")
            .through(Proxy::Peer)
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\n\r\n"), Listen])
            .ask(Ask::get().connect(SHORT).gives(&[unsent(Timeout(Connect))])),
        Case::new("total: silent in the handshake")
            .https()
            .peer([Listen])
            .ask(Ask::get().total(SHORT).gives(&[unsent(Timeout(Total))])),
        Case::new("head: no answer, and the connection is closed")
            .peer([Take, Listen])
            .peer([Take, Act::ok()])
            .ask(Ask::get().head(SHORT).gives(&[maybe(Timeout(Head))]))
            .ask(Ask::get().once_closed(1).answers(200, "ok")),
        Case::new("head: no answer under TLS")
            .https()
            .peer([Secure(Good), Take, Listen])
            .ask(Ask::get().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("head: drips")
            .peer([Take, drip("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 20)])
            .ask(Ask::get().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("head: the request is not read")
            .peer([Notice, Hold])
            .ask(Ask::post(vec![b'x'; 32 << 20]).head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("head: late, and past the read limit alone")
            .peer([Take, Pause(LONG), Act::ok(), Take, Pause(LONG), Act::ok()])
            .ask(Ask::get().read(SHORT).answers(200, "ok"))
            .ask(Ask::get().read(SHORT).answers(200, "ok")),
        Case::new("head: late after an early hint, and past the read limit alone")
            .peer([Take, Act::send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), Pause(LONG), Act::ok()])
            .ask(Ask::get().read(SHORT).answers(200, "ok")),
        Case::new("head: an early hint, and no answer")
            .peer([Take, Act::send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), Listen])
            .ask(Ask::get().head(SHORT).gives(&[maybe(Timeout(Head))])),
        Case::new("total: no answer").peer([Take, Listen]).ask(Ask::get().total(SHORT).gives(&[maybe(Timeout(Total))])),
        Case::new("read: the body stalls, and the connection is closed")
            .peer([Take, half(), Listen])
            .peer([Take, Act::ok()])
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))]))
            .ask(Ask::get().once_closed(1).answers(200, "ok")),
        Case::new("read: the body stalls under TLS")
            .https()
            .peer([Secure(Good), Take, half(), Listen])
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: the body stalls in a proxy's tunnel")
            .through(Proxy::Peer)
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\n\r\n"), Secure(Good), Take, Act::ok(), Take, half(), Listen])
            .answers(200, "ok")
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: a chunk stalls")
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel"), Listen])
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: a body without a length stalls")
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\n\r\nhello"), Listen])
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: a body that never begins")
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"), Listen])
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: the body stalls after a head with bare line feeds")
            .peer([Take, Act::send("HTTP/1.1 200 OK\ncontent-length: 10\n\nhello"), Listen])
            .ask(Ask::get().read(SHORT).gives(&[maybe(Timeout(Read))])),
        Case::new("read: each piece in time, the whole past the limit")
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"), drip("0123456789", 60)])
            .ask(Ask::get().read(LONG).answers(200, "0123456789")),
        Case::new("total: the body drips")
            .peer([Take, Act::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"), drip(DRIP, 20)])
            .ask(Ask::get().total(LONG).gives(&[maybe(Timeout(Total))])),
        Case::new("total: the body drips under TLS")
            .https()
            .peer([Secure(Good), Take, Act::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"), drip(DRIP, 20)])
            .ask(Ask::get().total(LONG).gives(&[maybe(Timeout(Total))])),
    ]
}

/// Half of an answer.
fn half() -> Act {
    Act::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
}

/// Enough for more than a total limit.
const DRIP: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";
