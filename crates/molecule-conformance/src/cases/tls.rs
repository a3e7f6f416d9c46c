//! Cases about TLS: failed handshakes, and connections that end without `close_notify`.

use molecule_core::effect::FaultKind::{CertificateTime, Connect, Interrupted, NotTls, Protocol, Tls};
use molecule_core::effect::connection::Reach;
use rustls::HandshakeKind::{Full, Resumed};

use crate::act::Certificate::{AsksForOne, Expired, Good, OtherName, UnknownAuthority};
use crate::act::PeerAction::{self, Cut, Listen, Notice, Secure, Slam, Take};
use crate::case::{Case, CaseRequest, maybe, unsent};

pub(super) fn cases() -> Vec<Case> {
    let tls = |name| Case::new(name).https();
    vec![
        tls("TLS").peer([Secure(Good), Take, PeerAction::ok()]).answers(200, "ok"),
        tls("TLS: unknown authority").peer([Secure(UnknownAuthority)]).gives(unsent(Tls)),
        tls("TLS: certificate for another name").peer([Secure(OtherName)]).gives(unsent(Tls)),
        tls("TLS: expired certificate").peer([Secure(Expired)]).gives(unsent(CertificateTime)),
        tls("TLS: the port speaks HTTP")
            .peer([Notice, PeerAction::answer("400 Bad Request", "speak HTTP")])
            .gives(unsent(NotTls)),
        Case::new("HTTP to a port that speaks TLS").peer([Secure(Good)]).gives(maybe(Protocol)),
        tls("TLS: a session is taken up again")
            .peer([Secure(Good), Take, last()])
            .peer([Secure(Good), Take, last()])
            .answers(200, "ok")
            .answers(200, "ok")
            .shakes_hands([Full, Resumed]),
        tls("TLS: a session is never taken up again with a peer, who could tell by it who calls")
            .peer([Secure(Good), Take, last()])
            .peer([Secure(Good), Take, last()])
            .ask(CaseRequest::post("{}").reach(Reach::PublicOrLoopback).answers(200, "ok"))
            .ask(CaseRequest::post("{}").reach(Reach::PublicOrLoopback).answers(200, "ok"))
            .shakes_hands([Full, Full]),
        tls("TLS: closed in the handshake").peer([Notice]).gives(unsent(Connect)),
        tls("TLS: reset in the handshake").peer([Notice, Slam]).gives(unsent(Connect)),
        tls("TLS: closed before the handshake").peer([Slam]).gives(unsent(Connect)),
        tls("TLS: connection refused").gives(unsent(Connect)),
        tls("TLS: the server wants a client certificate")
            .peer([Secure(AsksForOne), Listen])
            .ask(CaseRequest::get().gives(&[maybe(Tls), unsent(Tls), unsent(Interrupted)]))
            .because(
                "the alert comes after the handshake: before or after the request, and hyper may see the close alone",
            ),
        tls("TLS: closed after the request").peer([Secure(Good), Take]).gives(maybe(Interrupted)),
        tls("TLS: cut after the request").peer([Secure(Good), Take, Cut]).gives(maybe(Interrupted)),
        tls("TLS: cut in the body")
            .peer([Secure(Good), Take, PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"), Cut])
            .gives(maybe(Interrupted)),
        tls("TLS: a body until the goodbye")
            .peer([Secure(Good), Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\nhello")])
            .answers(200, "hello"),
        tls("TLS: a body without a length, cut")
            .peer([Secure(Good), Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\nhello"), Cut])
            .gives(maybe(Interrupted)),
    ]
}

/// The last answer on a connection.
fn last() -> PeerAction {
    PeerAction::answer_with("200 OK", "connection: close\r\n", "ok")
}
