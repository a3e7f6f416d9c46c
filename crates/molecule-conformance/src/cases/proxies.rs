//! Cases about proxies: the proxy gets a host name and its own credentials, and nothing else is sent until it accepts.

use molecule_core::effect::FaultKind::{Connect, Interrupted, Proxy as ProxyFault, ProxyAuth, Tls};

use crate::act::Certificate::{Good, UnknownAuthority};
use crate::act::PeerAction::{self, Notice, Secure, Slam, Take};
use crate::case::{Case, CaseRequest, ELSEWHERE, Names, Proxy, maybe, unsent};

pub(super) fn cases() -> Vec<Case> {
    let through = |name| Case::new(name).through(Proxy::Peer);
    vec![
        through("proxy").peer([Take, agreed(), Secure(Good), Take, PeerAction::ok()]).answers(200, "ok"),
        Case::new("proxy with credentials")
            .through(Proxy::PeerWithCredentials)
            .peer([Take, agreed(), Secure(Good), Take, PeerAction::ok()])
            .answers(200, "ok"),
        through("proxy: the tunnel is kept")
            .peer([Take, agreed(), Secure(Good), Take, PeerAction::ok(), Take, PeerAction::ok()])
            .answers(200, "ok")
            .answers(200, "ok"),
        through("proxy refuses with 403")
            .peer([Take, PeerAction::answer("403 Forbidden", "no")])
            .ask(CaseRequest::get().gives(&[unsent(ProxyFault)]).naming("403")),
        through("proxy refuses with 407")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n"),
            ])
            .ask(CaseRequest::get().gives(&[unsent(ProxyAuth)]).naming("407")),
        Case::new("proxy refuses our credentials")
            .through(Proxy::PeerWithCredentials)
            .peer([Take, PeerAction::answer("407 Proxy Authentication Required", "")])
            .ask(CaseRequest::get().gives(&[unsent(ProxyAuth)]).naming("407")),
        Case::new("this machine is reached without the proxy")
            .beside(Proxy::Closed)
            .peer([Take, PeerAction::ok()])
            .answers(200, "ok"),
        through("proxy answers 502").peer([Take, PeerAction::answer("502 Bad Gateway", "")]).gives(unsent(ProxyFault)),
        through("proxy redirects")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 302 Found\r\nlocation: https://login.example/\r\ncontent-length: 0\r\n\r\n"),
            ])
            .gives(unsent(ProxyFault)),
        through("proxy closes").peer([Take]).gives(unsent(ProxyFault)),
        through("proxy closes at once").peer([Slam]).gives(unsent(ProxyFault)),
        through("proxy resets").peer([Notice, Slam]).gives(unsent(ProxyFault)),
        through("proxy speaks no HTTP")
            .peer([Take, PeerAction::send("SSH-2.0-OpenSSH_9.6\r\n")])
            .gives(unsent(ProxyFault)),
        through("proxy agrees and says more")
            .peer([Take, PeerAction::send("HTTP/1.1 200 OK\r\n\r\nwelcome")])
            .gives(unsent(ProxyFault)),
        through("proxy agrees with 100 headers")
            .peer([Take, agreed_with(100), Secure(Good), Take, PeerAction::ok()])
            .answers(200, "ok"),
        through("proxy agrees with more headers than anybody reads")
            .peer([Take, agreed_with(101)])
            .gives(unsent(ProxyFault)),
        through("proxy agrees and closes").peer([Take, agreed()]).gives(unsent(Connect)),
        Case::new("proxy refuses the connection").through(Proxy::Closed).gives(unsent(ProxyFault)),
        Case::new("proxy with a name that does not resolve")
            .through(Proxy::Named)
            .named(ELSEWHERE, Names::Fails)
            .gives(unsent(ProxyFault)),
        Case::new("proxy with a name")
            .through(Proxy::Named)
            .named(ELSEWHERE, Names::Peer)
            .peer([Take, agreed(), Secure(Good), Take, PeerAction::ok()])
            .answers(200, "ok"),
        through("proxy: the platform's authority is unknown")
            .peer([Take, agreed(), Secure(UnknownAuthority)])
            .gives(unsent(Tls)),
        through("proxy: closed after the request").peer([Take, agreed(), Secure(Good), Take]).gives(maybe(Interrupted)),
    ]
}

fn agreed_with(headers: usize) -> PeerAction {
    let headers: String = (0..headers).map(|number| format!("x-{number}: of a proxy's own\r\n")).collect();
    PeerAction::send_bytes(format!("HTTP/1.1 200 OK\r\n{headers}\r\n"))
}

fn agreed() -> PeerAction {
    PeerAction::send("HTTP/1.1 200 Connection established\r\n\r\n")
}
