//! Cases about statuses: each status is an answer, with its headers and body as they were sent.

use molecule_core::effect::FaultKind::{Interrupted, Protocol};

use crate::act::PeerAction::{self, Listen, Notice, Slam, Take};
use crate::case::{Case, CaseOutcome, CaseRequest, maybe, unsent};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("404 with HTML").peer([Take, PeerAction::answer("404 Not Found", "<html>")]).answers(404, "<html>"),
        Case::new("403 without a body").peer([Take, PeerAction::answer("403 Forbidden", "")]).answers(403, ""),
        Case::new("401 that asks for credentials")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\ncontent-length: 2\r\n\r\nno"),
            ])
            .ask(CaseRequest::get().answers(401, "no").header("www-authenticate", "Basic")),
        Case::new("407 from the server itself")
            .peer([Take, PeerAction::answer("407 Proxy Authentication Required", "")])
            .answers(407, ""),
        Case::new("500 with text")
            .peer([Take, PeerAction::answer("500 Internal Server Error", "oh")])
            .answers(500, "oh"),
        Case::new("503 with Retry-After")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 503 Service Unavailable\r\nretry-after: 15\r\ncontent-length: 0\r\n\r\n"),
            ])
            .ask(CaseRequest::get().answers(503, "").header("retry-after", "15")),
        Case::new("204, and the connection is kept")
            .peer([Take, PeerAction::send("HTTP/1.1 204 No Content\r\n\r\n"), Take, PeerAction::ok()])
            .answers(204, "")
            .answers(200, "ok"),
        Case::new("304, and the connection is kept")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
                Take,
                PeerAction::ok(),
            ])
            .answers(304, "")
            .answers(200, "ok"),
        Case::new("an empty answer").peer([Take, PeerAction::answer("200 OK", "")]).answers(200, ""),
        Case::new("an answer without a reason").peer([Take, PeerAction::answer("200", "ok")]).answers(200, "ok"),
        Case::new("a status nobody knows").peer([Take, PeerAction::answer("799 Odd", "ok")]).answers(799, "ok"),
        Case::new("a body that is labelled gzip")
            .peer([
                Take,
                PeerAction::send(
                    "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x0b\x08\x00",
                ),
            ])
            .ask(CaseRequest::get().answers(200, "\x1f\x0b\x08\x00").header("content-encoding", "gzip")),
        Case::new("a cookie, which does not come back")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\nok"),
                Take,
                PeerAction::ok(),
            ])
            .answers(200, "ok")
            .answers(200, "ok"),
        Case::new("100 before the answer")
            .peer([Take, PeerAction::send("HTTP/1.1 100 Continue\r\n\r\n"), PeerAction::ok()])
            .answers(200, "ok"),
        Case::new("102 and 103 before the answer")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
                PeerAction::ok(),
            ])
            .answers(200, "ok"),
        Case::new("100 with a header before the answer")
            .peer([Take, PeerAction::send("HTTP/1.1 100 Continue\r\nvia: gateway\r\n\r\n"), PeerAction::ok()])
            .ask(CaseRequest::get().gives(&[CaseOutcome::Answer(200), maybe(Protocol)]).body("ok"))
            .because("ureq allows no header there"),
        Case::new("answered before the request is read").peer([Notice, PeerAction::ok()]).answers(200, "ok"),
        Case::new("answered before the request is sent")
            .peer([PeerAction::ok()])
            .ask(CaseRequest::get().gives(&[CaseOutcome::Answer(200), unsent(Interrupted)]).body("ok"))
            .because("hyper refuses an answer that comes before it has written anything"),
        Case::new("refused while a large request is sent, and read to its end")
            .peer([Notice, refused(), Listen])
            .ask(CaseRequest::post(large()).answers(413, "no")),
        Case::new("refused while a large request is sent, and closed")
            .peer([Notice, refused(), Slam])
            .ask(CaseRequest::post(large()).gives(&[CaseOutcome::Answer(413), maybe(Interrupted)]))
            .because("what is written into a closed connection makes it a reset, which may overtake the answer"),
    ];
    cases.extend(redirects());
    cases.extend(too_many_requests());
    cases
}

fn redirects() -> Vec<Case> {
    let elsewhere = "https://elsewhere.example/x?y=1";
    let redirect = |name, status: &str, ask: CaseRequest, code| {
        let head = format!("HTTP/1.1 {status}\r\nlocation: {elsewhere}\r\ncontent-length: 4\r\n\r\ngone");
        Case::new(name)
            .peer([Take, PeerAction::send_bytes(head), Take, PeerAction::ok()])
            .ask(ask.answers(code, "gone").header("location", elsewhere))
            .answers(200, "ok")
    };
    vec![
        redirect("301 is not followed", "301 Moved Permanently", CaseRequest::get(), 301),
        redirect("302 is not followed", "302 Found", CaseRequest::get(), 302),
        redirect("302 after a POST is not followed", "302 Found", CaseRequest::post("{}"), 302),
        redirect("303 after a POST is not followed", "303 See Other", CaseRequest::post("{}"), 303),
        redirect("307 after a POST is not followed", "307 Temporary Redirect", CaseRequest::post("{}"), 307),
        redirect("308 after a POST is not followed", "308 Permanent Redirect", CaseRequest::post("{}"), 308),
        Case::new("302 without a body")
            .peer([
                Take,
                PeerAction::send("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n"),
                Take,
                PeerAction::ok(),
            ])
            .ask(CaseRequest::get().answers(302, "").header("location", "/login"))
            .answers(200, "ok"),
        Case::new("302 without a location").peer([Take, PeerAction::answer("302 Found", "?")]).answers(302, "?"),
    ]
}

/// Each form of a 429 by a server, a second rate limiter, an agent or a gateway.
fn too_many_requests() -> Vec<Case> {
    let limited = |name, headers: &str, body: &str, back: &[(&'static str, &'static str)]| {
        let answer = format!("HTTP/1.1 429 Too Many Requests\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        let mut ask = CaseRequest::get().answers(429, body);
        ask.headers_back = back.to_vec();
        Case::new(name).peer([Take, PeerAction::send_bytes(answer)]).ask(ask)
    };
    let json = r#"{"error":"rate limit exceeded","retry_after":59}"#;
    vec![
        limited(
            "429 with seconds and the window's headers",
            "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 59\r\nRetry-After: 59\r\n",
            json,
            &[("retry-after", "59"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "59")],
        ),
        limited("429 with Retry-After: 0", "Retry-After: 0\r\n", json, &[("retry-after", "0")]),
        limited(
            "429 with a date",
            "Retry-After: Sat, 01 Aug 2026 00:00:30 GMT\r\n",
            "",
            &[("retry-after", "Sat, 01 Aug 2026 00:00:30 GMT")],
        ),
        limited("429 with nonsense for Retry-After", "Retry-After: soon\r\n", json, &[("retry-after", "soon")]),
        limited("429 without Retry-After", "", r#"{"error":"slow down"}"#, &[]),
        limited(
            "429 with an unlimited window",
            "X-RateLimit-Limit: unlimited\r\n",
            r#"{"error":"maximum 50 active tokens per workspace"}"#,
            &[("x-ratelimit-limit", "unlimited")],
        ),
        limited("429 with HTML of a gateway", "Retry-After: 5\r\n", "<html>slow</html>", &[("retry-after", "5")]),
        limited("429 without a body", "", "", &[]),
    ]
}

fn refused() -> PeerAction {
    PeerAction::send("HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
}

fn large() -> Vec<u8> {
    vec![b'x'; 16 << 20]
}
