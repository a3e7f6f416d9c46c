//! Requests that get no answer.

use std::net::TcpListener;

use molecule_blocking::{ErrorKind, Timeouts};

use crate::common::*;

/// Long enough for one retry, whose wait is at most a second.
fn short_call() -> Timeouts {
    patient().call(millis(1500))
}

#[test]
fn a_refused_connection_is_unreachable_and_tried_again_by_every_endpoint() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let agent = builder(&format!("http://{address}")).timeouts(short_call()).build().unwrap();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.attempts() >= 2, "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("no connection to the platform: Connection refused"), "{error}");
}

#[test]
fn a_connection_that_closes_instead_of_an_answer_is_interrupted_and_may_have_arrived() {
    let peer = Peer::new(|talk| drop(talk.request()));
    let agent = builder(&peer.url()).timeouts(short_call()).build().unwrap();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 1), "{error}");
    assert_eq!(peer.requests().len(), 1);

    let error = agent.send(&AGAIN).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.attempts() >= 2, "{error}");
    assert_eq!(peer.requests().len(), 1 + error.attempts() as usize);
}

#[test]
fn a_body_that_ends_early_is_interrupted() {
    for head in ["content-length: 10", "transfer-encoding: chunked"] {
        let peer = Peer::new(move |talk| {
            talk.request();
            talk.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhe"));
        });
        let error = agent(&peer.url()).send(&ONCE).unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 1), "{head}: {error}");
    }
}

#[test]
fn an_answer_that_is_no_http_is_a_protocol_error() {
    for answer in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"] {
        let peer = Peer::new(move |talk| {
            talk.request();
            talk.send(answer);
            talk.stall();
        });
        let error = agent(&peer.url()).send(&ONCE).unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 1), "{error}");
    }
}

#[test]
fn a_head_without_end_is_a_protocol_error() {
    let peer = Peer::new(|talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\n");
        for number in 0..5000 {
            talk.send(format!("x-{number}: {}\r\n", "y".repeat(100)));
        }
        talk.stall();
    });
    let error = agent(&peer.url()).send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[test]
fn a_name_without_an_address_is_unreachable_and_tried_again() {
    // A label of 64 characters is refused before anybody is asked for it.
    let name = format!("http://{}.invalid", "a".repeat(64));
    let agent = builder(&name).allow_insecure_http().timeouts(short_call()).build().unwrap();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("the platform's host name has no address"), "{error}");
    assert!(error.attempts() >= 2, "{error}");
}
