//! Cases about pooled connections: reused, closed under the client, or not to be reused.

use std::time::Duration;

use molecule_core::effect::FaultKind::{Interrupted, OutOfReach, Timeout};
use molecule_core::effect::Phase;
use molecule_core::effect::connection::Reach;

use crate::act::Certificate::Good;
use crate::act::PeerAction::{self, Listen, Notice, Pause, Secure, Slam, Take};
use crate::case::{Case, CaseOutcome, CaseRequest, Names, maybe, unsent};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("a connection is kept")
            .peer([Take, PeerAction::ok(), Take, PeerAction::ok(), Take, PeerAction::ok()])
            .answers(200, "ok")
            .answers(200, "ok")
            .answers(200, "ok"),
        Case::new("a connection is kept under TLS")
            .https()
            .peer([Secure(Good), Take, PeerAction::ok(), Take, PeerAction::ok()])
            .answers(200, "ok")
            .answers(200, "ok"),
        Case::new("a kept connection was closed before the next request")
            .peer([Take, PeerAction::ok()])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").once_closed(1).answers(200, "ok")),
        Case::new("a kept connection was closed under TLS before the next request")
            .https()
            .peer([Secure(Good), Take, PeerAction::ok()])
            .peer([Secure(Good), Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").once_closed(1).answers(200, "ok")),
        Case::new("a kept connection brought a last word, and closed")
            .peer([Take, PeerAction::ok(), PeerAction::answer("408 Request Timeout", "")])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").once_closed(1).answers(200, "ok")),
        Case::new("a kept connection is closed after the next request")
            .peer([Take, PeerAction::ok(), Take])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").gives(&[maybe(Interrupted)])),
        Case::new("a kept connection is reset by the next request")
            .peer([Take, PeerAction::ok(), Notice, Slam])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").gives(&[maybe(Interrupted)])),
        Case::new("a connection that was not heard lately enough is left to others")
            .peer([Take, PeerAction::ok(), Listen])
            .peer([Take, PeerAction::ok(), Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").max_idle(Duration::ZERO).answers(200, "ok"))
            .answers(200, "ok"),
        Case::new("a connection that was heard lately enough is used")
            .peer([Take, PeerAction::ok(), Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").max_idle(Duration::from_secs(5)).answers(200, "ok")),
        Case::new("a limit that passes on a kept connection closes the idle ones")
            .peer([Take, PeerAction::ok(), Listen])
            .peer([Take, PeerAction::ok(), Take, Listen])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").max_idle(Duration::ZERO).answers(200, "ok"))
            .ask(CaseRequest::get().head(Duration::from_millis(200)).gives(&[maybe(Timeout(Phase::Head))]))
            .ask(CaseRequest::get().once_closed(2).answers(200, "ok")),
        Case::new("a body that stalls on a kept connection closes the idle ones")
            .peer([Take, PeerAction::ok(), Listen])
            .peer([
                Take,
                PeerAction::ok(),
                Take,
                PeerAction::send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
                Listen,
            ])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").max_idle(Duration::ZERO).answers(200, "ok"))
            .ask(CaseRequest::get().read(Duration::from_millis(200)).gives(&[maybe(Timeout(Phase::Read))]))
            .ask(CaseRequest::get().once_closed(2).answers(200, "ok")),
        Case::new("a limit that passes on a new connection closes no idle one")
            .peer([Take, PeerAction::ok(), Take, PeerAction::ok()])
            .peer([Take, Listen])
            .answers(200, "ok")
            .ask(
                CaseRequest::post("{}")
                    .head(Duration::from_millis(200))
                    .max_idle(Duration::ZERO)
                    .gives(&[maybe(Timeout(Phase::Head))]),
            )
            .ask(CaseRequest::get().once_closed(1).answers(200, "ok")),
        Case::new("what was opened for the platform is not for a peer")
            .named("peer.example", Names::Peer)
            .peer([Take, PeerAction::ok(), Listen])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .ask(CaseRequest::post("{}").reach(Reach::Public).gives(&[unsent(OutOfReach)]))
            .ask(CaseRequest::post("{}").reach(Reach::PublicOrLoopback).answers(200, "ok")),
        Case::new("a server that keeps no connection")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"),
                Listen,
            ])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .answers(200, "ok"),
        Case::new("a second answer that nobody asked for")
            .peer([
                Take,
                PeerAction::send(
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother",
                ),
            ])
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok")
            .answers(200, "ok"),
        Case::new("an answer that comes too late for its request")
            .peer([Take, Pause(Duration::from_millis(350)), PeerAction::answer("200 OK", "late"), Listen])
            .peer([Take, PeerAction::ok()])
            .ask(CaseRequest::get().head(Duration::from_millis(200)).gives(&[maybe(Timeout(Phase::Head))]))
            .answers(200, "ok"),
        Case::new("the rest of a body that was too large")
            .peer([Take, PeerAction::answer("200 OK", "0123456789"), Listen])
            .peer([Take, PeerAction::ok()])
            .ask(CaseRequest::get().max_body(5).gives(&[CaseOutcome::TooLarge(200)]))
            .answers(200, "ok"),
    ]
}
