//! Answers that are none of the platform's good ones, and what a request looks like on the wire.

use bytes::Bytes;
use http::{Method, Response};
use molecule_blocking::core::endpoint::{Endpoint, Mismatch, Repeat};
use molecule_blocking::core::session::{Auth, Draft};
use molecule_blocking::{AgentCard, ErrorKind, Result, WorkspaceId};

use crate::common::*;

#[test]
fn a_body_above_the_endpoints_cap_is_refused() {
    let (declared, chunked) = ("content-length: 1001", "transfer-encoding: chunked");
    for head in [declared, chunked] {
        let peer = Peer::new(move |talk| {
            talk.request();
            talk.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
            if head == declared {
                // Not a byte of it is needed to refuse it.
                return talk.stall();
            }
            for _ in 0..1001 {
                talk.send("1\r\nx\r\n");
            }
            talk.stall();
        });
        let error = agent(&peer.url()).send(&AGAIN).unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::TooLarge, 1), "{head}: {error}");
        assert_eq!(error.status(), Some(http::StatusCode::OK), "{head}");
    }
}

#[test]
fn a_body_of_exactly_the_cap_is_read() {
    let peer = Peer::new(|talk| {
        talk.serve(&"x".repeat(1000));
    });
    assert_eq!(agent(&peer.url()).send(&ONCE).unwrap().len(), 1000);
}

#[test]
fn a_redirect_is_not_followed_and_its_location_is_named() {
    let peer = Peer::new(|talk| {
        while talk.request().is_some() {
            talk.send("HTTP/1.1 302 Found\r\nlocation: /login?token=abc\r\ncontent-length: 5\r\n\r\nhello");
        }
    });
    let agent = agent(&peer.url());
    for _ in 0..2 {
        let error = agent.pull_secrets().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirected);
        assert_eq!(error.status().unwrap(), 302);
        assert_eq!(error.location(), Some("/login"));
    }
    assert_eq!(peer.requests().len(), 2);
    assert!(peer.requests().iter().all(|request| !request.contains("/login")));
}

#[test]
fn a_web_page_instead_of_json_is_a_routing_error() {
    let peer = Peer::new(|talk| {
        talk.serve("<!doctype html><title>Sign in</title>");
    });
    let error = agent(&peer.url()).pull_secrets().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Routing);
    assert!(error.to_string().contains("MOLECULE_ORG_ID"), "{error}");
}

#[test]
fn a_status_is_an_answer() {
    let peer = Peer::new(|talk| {
        while talk.request().is_some() {
            talk.answer("418 I'm a teapot", r#"{"error":"short and stout","code":"TEAPOT"}"#);
        }
    });
    let error = agent(&peer.url()).pull_secrets().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.code(), Some("TEAPOT"));
    assert_eq!(error.server_message(), Some("short and stout"));
}

#[test]
fn a_request_carries_what_the_core_put_into_it_and_nothing_else() {
    let peer = Peer::new(|talk| while talk.serve(r#"{"status":"updated"}"#) {});
    let agent = builder(&peer.url()).user_agent("test/1").build().unwrap();
    agent.update_card(AgentCard::new("named")).unwrap();
    let request = peer.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    assert_eq!(line, "POST /registry/update-card HTTP/1.1");
    let mut headers: Vec<_> = headers.lines().map(str::to_ascii_lowercase).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "accept-encoding: identity".to_owned(),
            "accept: application/json".to_owned(),
            "authorization: bearer tok-123".to_owned(),
            format!("content-length: {}", body.len()),
            "content-type: application/json".to_owned(),
            format!("host: {}", peer.address),
            format!("origin: http://{}", peer.address),
            "user-agent: test/1".to_owned(),
        ]
    );
    assert!(body.contains(r#""name":"named""#), "{body}");
}

/// Any method, without a body.
#[derive(Debug, Clone)]
struct Bare(&'static str);

impl Endpoint for Bare {
    type Answer = ();
    const OPERATION: &'static str = "bare";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "nothing";

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::from_bytes(self.0.as_bytes()).unwrap(), "/bare", Auth::Open))
    }

    fn decode(&self, _: &Response<Bytes>) -> Result<(), Mismatch> {
        Ok(())
    }
}

#[test]
fn a_length_is_said_where_a_server_expects_one() {
    let peer = Peer::new(|talk| {
        while talk.request().is_some() {
            talk.send("HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    let agent = agent(&peer.url());
    for (method, length) in
        [("GET", None), ("DELETE", None), ("POST", Some("0")), ("PUT", Some("0")), ("PATCH", Some("0"))]
    {
        agent.send(&Bare(method)).unwrap();
        let request = peer.requests().pop().unwrap().to_ascii_lowercase();
        assert!(request.starts_with(&format!("{} /bare http/1.1\r\n", method.to_ascii_lowercase())), "{request}");
        assert_eq!(request.lines().find_map(|line| line.strip_prefix("content-length: ")), length, "{request}");
        assert!(!request.contains("transfer-encoding"), "{request}");
    }
    assert_eq!(peer.accepted(), 1);
}
