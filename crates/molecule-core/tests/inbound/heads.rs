//! What becomes of a request by its head: framing, path, method, credential.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use molecule_core::machines::{Admission, Beat, Refusal, Register};
use molecule_core::{ServerLimits, ServerOptions};

use crate::support::inbound::{PEER, PEER_TOKEN, SECRET, Server, get, post, text};
use crate::support::{Agent, Duration, Platform, run, secret};

fn answered(admission: Admission) -> Response<Bytes> {
    match admission {
        Admission::Answer(answer) => answer,
        other => panic!("it is not answered by its head: {other:?}"),
    }
}

fn is_closed(answer: &Response<Bytes>) -> bool {
    answer.headers().get("connection").is_some_and(|value| value == "close")
}

/// A head with these lines, of HTTP/1.1.
fn head(method: &str, path: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut head = Request::builder().method(method).uri(path).body(()).unwrap();
    for (name, value) in lines {
        let name: http::HeaderName = name.parse().unwrap();
        head.headers_mut().append(name, value.parse().unwrap());
    }
    head
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused_and_closed() {
    let bearer = format!("Bearer {SECRET}");
    for (what, lines) in [
        ("length and chunks", &[("host", "h"), ("content-length", "5"), ("transfer-encoding", "chunked")][..]),
        ("two equal lengths", &[("host", "h"), ("content-length", "5"), ("content-length", "5")]),
        ("two lengths", &[("host", "h"), ("content-length", "5"), ("content-length", "6")]),
        ("a list of lengths", &[("host", "h"), ("content-length", "5, 5")]),
        ("a signed length", &[("host", "h"), ("content-length", "+5")]),
        ("a negative length", &[("host", "h"), ("content-length", "-5")]),
        ("no length at all in it", &[("host", "h"), ("content-length", "")]),
        ("a length without end", &[("host", "h"), ("content-length", "99999999999999999999")]),
        ("no host", &[("content-length", "5")]),
        ("two hosts", &[("host", "h"), ("host", "h"), ("content-length", "5")]),
        ("another encoding", &[("host", "h"), ("transfer-encoding", "xchunked")]),
        ("two encodings", &[("host", "h"), ("transfer-encoding", "gzip, chunked")]),
        ("chunks twice", &[("host", "h"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]),
    ] {
        let mut server = Server::secured();
        let lines: Vec<_> = lines.iter().copied().chain([("authorization", bearer.as_str())]).collect();
        let answer = answered(server.admit(&head("POST", "/", &lines)));
        assert_eq!((answer.status().as_u16(), is_closed(&answer)), (400, true), "{what}");
    }
    let mut server = Server::secured();
    let mut old = head("POST", "/", &[("transfer-encoding", "chunked"), ("authorization", bearer.as_str())]);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(answered(server.admit(&old)).status(), 400, "HTTP/1.0 has no chunks");
    let mut old = head("POST", "/", &[("content-length", "5"), ("authorization", bearer.as_str())]);
    *old.version_mut() = Version::HTTP_10;
    assert!(matches!(server.admit(&old), Admission::Read(_)), "HTTP/1.0 needs no host");
    let chunked =
        head("POST", "/", &[("host", "h"), ("transfer-encoding", "Chunked"), ("authorization", bearer.as_str())]);
    assert!(matches!(server.admit(&chunked), Admission::Read(_)));
}

#[test]
fn a_wrong_credential_is_one_answer_whatever_is_wrong_with_it() {
    let mut server = Server::secured();
    let mut answers = Vec::new();
    for lines in [
        &[][..],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Basic dXNlcjpwYXNz")],
        &[("authorization", SECRET)],
        &[("authorization", &SECRET[1..])],
    ] {
        let lines: Vec<_> = lines.iter().copied().chain([("host", "h"), ("content-length", "5")]).collect();
        let answer = answered(server.admit(&head("POST", "/", &lines)));
        assert!(is_closed(&answer), "nobody reads the body");
        answers.push((answer.status().as_u16(), answer.headers().clone(), answer.into_body()));
    }
    let bearer = format!("Bearer {SECRET}");
    let longer = format!("Bearer {SECRET}x");
    for lines in [[("authorization", bearer.as_str()); 2], [("authorization", longer.as_str()), ("x", "y")]] {
        let lines: Vec<_> = lines.into_iter().chain([("host", "h"), ("content-length", "5")]).collect();
        let answer = answered(server.admit(&head("POST", "/", &lines)));
        answers.push((answer.status().as_u16(), answer.headers().clone(), answer.into_body()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 401), "{answers:?}");
    assert!(matches!(server.admit(&post(Some(SECRET))), Admission::Read(_)));
    assert!(matches!(server.admit(&post(Some(PEER_TOKEN))), Admission::Read(_)));
    let lower = head("POST", "/", &[("host", "h"), ("authorization", &format!("bearer {SECRET} "))]);
    assert!(matches!(server.admit(&lower), Admission::Read(_)), "the scheme's case and blanks do not matter");
}

#[test]
fn nobody_is_served_without_a_credential_once_a_secret_is_known_also_after_a_restart() {
    let options = || ServerOptions::new().allow_unauthenticated();
    let mut server = Server::with(options());
    assert!(matches!(server.admit(&post(None)), Admission::Read(_)), "April's server has no secret");
    let mut server = Server::with_secret(options());
    assert_eq!(answered(server.admit(&post(None))).status(), 401);
    assert!(matches!(server.admit(&post(Some(SECRET))), Admission::Read(_)));
    // None is known, and nobody allowed to do without.
    let mut server = Server::with(ServerOptions::new());
    assert_eq!(answered(server.admit(&post(None))).status(), 401);
    // A store that cannot be read may hold one.
    let mut agent = Agent::new();
    agent.store.fail("Load");
    let mut server = Server::of(agent, options());
    assert_eq!(answered(server.admit(&post(None))).status(), 401);
    assert!(!server.events.is_empty());
}

#[test]
fn exactly_the_registered_path_is_served_and_nothing_is_read_of_the_rest() {
    let bearer = format!("Bearer {SECRET}");
    let options = ServerOptions::new().url("https://h/a2a/inbound?k=v");
    let mut server = Server::with_secret(options);
    let lines = &[("host", "h"), ("content-length", "5"), ("authorization", bearer.as_str())][..];
    for path in ["/a2a/inbound", "/a2a/inbound?k=v", "/a2a/inbound?x"] {
        assert!(matches!(server.admit(&head("POST", path, lines)), Admission::Read(_)), "{path}");
    }
    for path in ["/", "/a2a/inbound/", "/a2a", "/A2A/inbound", "/a2a/inbound/x", "//a2a/inbound"] {
        assert_eq!(answered(server.admit(&head("POST", path, lines))).status(), 404, "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = answered(server.admit(&head(method, "/a2a/inbound", lines)));
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()), "{method}");
        assert!(is_closed(&answer));
    }
    let health = answered(server.admit(&get("/healthz")));
    assert_eq!(
        (health.status().as_u16(), &health.body()[..], is_closed(&health)),
        (200, &b"{\"status\":\"ok\"}"[..], false)
    );
    assert_eq!(answered(server.admit(&head("POST", "/healthz", &[("host", "h")]))).status(), 405);
}

#[test]
fn the_platforms_other_calls_are_told_apart_and_need_its_secret() {
    let bearer = format!("Bearer {SECRET}");
    let peer = format!("Bearer {PEER_TOKEN}");
    let of = |bearer: &str, method: &str, path: &str| head(method, path, &[("host", "h"), ("authorization", bearer)]);
    let mut server = Server::secured();
    let ingest = "/internal/chat/uploads/ingest";
    assert!(matches!(server.admit(&of(&bearer, "POST", ingest)), Admission::Ingest(_)));
    assert_eq!(answered(server.admit(&of(&bearer, "GET", ingest))).status(), 405);
    for (method, path) in [
        ("GET", "/internal/file/read?path=x"),
        ("POST", "/internal/daemons/reload"),
        ("DELETE", "/internal/schedules/a"),
    ] {
        assert!(matches!(server.admit(&of(&bearer, method, path)), Admission::Other(_)), "{path}");
        assert_eq!(answered(server.admit(&of("Bearer wrong", method, path))).status(), 401, "{path}");
        assert_eq!(answered(server.admit(&of(&peer, method, path))).status(), 404, "{path}");
    }
    assert_eq!(answered(server.admit(&of(&peer, "POST", ingest))).status(), 404);
}

#[test]
fn a_body_that_says_that_it_is_too_large_is_not_read() {
    let mut limits = ServerLimits::new();
    limits.body_bytes = 2_000;
    let mut server = Server::with(ServerOptions::new().allow_unauthenticated().limits(limits));
    let of = |length: &str| head("POST", "/", &[("host", "h"), ("content-length", length)]);
    assert!(matches!(server.admit(&of("2000")), Admission::Read(_)));
    let answer = answered(server.admit(&of("2001")));
    assert_eq!((answer.status().as_u16(), is_closed(&answer)), (413, true));
    let busy = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy").answer();
    assert_eq!((busy.headers()["retry-after"].as_bytes(), is_closed(&busy)), (b"1".as_slice(), true));
    let missing = Refusal::NOT_FOUND.answer();
    assert_eq!((missing.status().as_u16(), is_closed(&missing)), (404, false));
}

#[test]
fn no_debug_text_shows_a_secret_or_a_body() {
    let mut server = Server::secured();
    server.push(&text("m", "s3cr3t")).later();
    let (id, _) = server.handler();
    let shown = format!("{:?}", server.inbound);
    assert!(!shown.contains("s3cr3t"), "{shown}");
    server.reply(id, "s3cr3t");
    let shown = format!("{:?} {:?}", server.inbound, server.answers);
    assert!(!shown.contains("s3cr3t"), "{shown}");
    let options = ServerOptions::new().peer_token(crate::support::inbound::PEER, PEER_TOKEN);
    assert!(!format!("{options:?}").contains("s3cr3t"));
}

#[test]
fn the_application_is_told_once_why_aprils_platform_cannot_call() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::april();
    run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
    let mut server = Server::of(agent, ServerOptions::new().peer_token(PEER, PEER_TOKEN));
    let bare = head("POST", "/", &[("host", "h")]);
    for _ in 0..3 {
        assert_eq!(answered(server.admit(&bare)).status(), 401);
        server.turn();
    }
    // A peer with a wrong token is not April's platform.
    let wrong = head("POST", "/", &[("host", "h"), ("authorization", "Bearer wrong")]);
    assert_eq!(answered(server.admit(&wrong)).status(), 401);
    server.turn();
    let told: Vec<String> = server.events.iter().map(ToString::to_string).collect();
    assert!(matches!(&told[..], [told] if told.contains("allow_unauthenticated()")), "{told:?}");
    // The current server's platform has a secret.
    let mut server = Server::secured();
    assert_eq!(answered(server.admit(&bare)).status(), 401);
    server.turn();
    assert!(server.events.is_empty(), "{:?}", server.events);
}

#[test]
fn a_call_that_comes_before_the_answer_to_the_register_waits_for_the_secret_that_it_brings() {
    let new = || {
        let mut server = Server::of(Agent::new(), ServerOptions::new());
        server.agent.session.serve("http://localhost:8080/", molecule_core::Plan::Push).unwrap();
        server
    };
    let is_later = |server: &mut Server, bearer| matches!(server.admit(&post(bearer)), Admission::Later(_));
    let mut server = new();
    assert!(is_later(&mut server, Some(SECRET)));
    // Without a credential nobody is served, whatever the answer brings.
    assert_eq!(answered(server.admit(&post(None))).status(), 401);
    let mut platform = Platform::current();
    platform.inbound = Some(SECRET.to_owned());
    server.agent.store.token = Some(secret("first"));
    run(&mut server.agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert!(matches!(server.admit(&post(Some(SECRET))), Admission::Read(_)));
    let refused = answered(server.admit(&post(Some("guessed"))));
    let without = answered(server.admit(&post(None)));
    assert_eq!((refused.status().as_u16(), refused.body()), (401, without.body()));
    assert_eq!(refused.headers(), without.headers());
    // A platform that does not answer makes nobody wait for long, however many come.
    let mut server = new();
    for _ in 0..20 {
        assert!(is_later(&mut server, Some("guessed")));
        server.advance(Duration::from_millis(490));
    }
    server.advance(Duration::from_secs(1));
    assert_eq!(answered(server.admit(&post(Some("guessed")))).status(), 401);
    assert_eq!(answered(server.admit(&post(Some(SECRET)))).status(), 401);
    // A server of an agent that registers nothing refuses at once.
    let mut server = Server::of(Agent::new(), ServerOptions::new());
    assert_eq!(answered(server.admit(&post(Some(SECRET)))).status(), 401);
}
