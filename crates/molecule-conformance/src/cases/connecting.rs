//! Cases about host names, addresses, and peers that close before they answer.

use molecule_core::effect::FaultKind::{Connect, Interrupted, OutOfReach, Resolve, Timeout};
use molecule_core::effect::Phase;
use molecule_core::effect::connection::Reach;

use crate::act::PeerAction;
use crate::case::{Case, CaseRequest, Names, maybe, unsent};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("connection refused").ask(CaseRequest::get().gives(&[unsent(Connect)]).naming("refused")),
        Case::new("a name that does not resolve")
            .named("no-such-host.invalid", Names::System)
            .ask(CaseRequest::get().gives(&[unsent(Resolve), unsent(Timeout(Phase::Connect))]))
            .because("a resolver that cannot ask anybody may take longer than the connect limit to say so"),
        // If the name has two addresses, the peer listens only on the second.
        Case::new("localhost")
            .named("localhost", Names::System)
            .peer([PeerAction::Take, PeerAction::ok()])
            .answers(200, "ok"),
        Case::new("a lookup that fails").named("host.example", Names::Fails).gives(unsent(Resolve)),
        Case::new("a name without addresses").named("host.example", Names::Nothing).gives(unsent(Resolve)),
        Case::new("every address of a name refuses").named("host.example", Names::Closed).gives(unsent(Connect)),
        Case::new("the first address refuses, the second is good")
            .named("host.example", Names::ClosedThenPeer)
            .peer([PeerAction::Take, PeerAction::ok()])
            .answers(200, "ok"),
        Case::new("twenty addresses refuse, the last is good")
            .named("host.example", Names::ManyClosedThenPeer)
            .peer([PeerAction::Take, PeerAction::ok()])
            .answers(200, "ok"),
        Case::new("a name that the lookup knows")
            .named("host.example", Names::Peer)
            .peer([PeerAction::Take, PeerAction::ok()])
            .answers(200, "ok"),
        Case::new("a name that leads to this machine is no peer's")
            .named("peer.example", Names::Peer)
            .ask(CaseRequest::post("{}").reach(Reach::Public).gives(&[unsent(OutOfReach)]).naming("127.0.0.1")),
        Case::new("a name that leads to a private network and to this machine is no peer's")
            .named("peer.example", Names::PrivateThenPeer)
            .ask(CaseRequest::post("{}").reach(Reach::Public).gives(&[unsent(OutOfReach)]).naming("peer.example")),
        Case::new("a name that leads to a private network and to this machine is called here beside the platform")
            .named("peer.example", Names::PrivateThenPeer)
            .peer([PeerAction::Take, PeerAction::ok()])
            .ask(CaseRequest::post("{}").reach(Reach::PublicOrLoopback).answers(200, "ok")),
        Case::new("an address of this machine is no peer's")
            .ask(CaseRequest::post("{}").reach(Reach::Public).gives(&[unsent(OutOfReach)])),
        Case::new("a name that leads to this machine is a peer's beside the platform")
            .named("peer.example", Names::Peer)
            .peer([PeerAction::Take, PeerAction::ok()])
            .ask(CaseRequest::post("{}").reach(Reach::PublicOrLoopback).answers(200, "ok")),
        Case::new("accepted and closed at once")
            .peer([PeerAction::Slam])
            .ask(CaseRequest::get().gives(&[maybe(Interrupted), unsent(Interrupted)]))
            .because(HYPER_LOOKS_FIRST),
        Case::new("accepted and closed for sending at once")
            .peer([])
            .ask(CaseRequest::get().gives(&[maybe(Interrupted), unsent(Interrupted)]))
            .because(HYPER_LOOKS_FIRST),
        Case::new("closed when the request arrives, unread")
            .peer([PeerAction::Notice, PeerAction::Slam])
            .gives(maybe(Interrupted)),
        Case::new("closed after the request").peer([PeerAction::Take]).gives(maybe(Interrupted)),
    ]
}

const HYPER_LOOKS_FIRST: &str =
    "hyper may see the close before it writes, and then knows that nothing was sent; ureq looks only for an answer";
