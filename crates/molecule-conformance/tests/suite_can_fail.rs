//! The suite catches a driver that lies, repeats requests or changes them.
#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use http::{Method, Request, Response};
use molecule_conformance::{Driver, Lookup, all, run};
use molecule_core::Transport;
use molecule_core::effect::{Fault, FaultKind, Limits, Phase, Sent};

/// A driver over bare sockets that makes one mistake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Reports that nothing was sent when no answer came.
    Lies,
    /// Repeats a request that was not answered.
    Repeats,
    /// Adds an `accept-encoding` header.
    AddsAHeader,
    /// Leaves out the body.
    DropsTheBody,
    /// Reports every answer with status 200.
    CallsAllGood,
    /// Reports a timeout before it has expired.
    Hurries,
    /// Reports no cause.
    KeepsTheCause,
    /// Shows the proxy's credentials in the fault.
    Shows,
    /// Hands out a stream in one piece.
    Gathers,
    /// Hands out nothing of a stream.
    Swallows,
    /// Makes no mistake.
    Not,
}

impl Driver for Wrong {
    type Client = ();

    fn client(&self, _: &Transport, _: Option<Lookup>) {}

    fn send(&self, (): &(), request: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, Fault> {
        let sent = if *self == Self::Lies { Sent::No } else { Sent::Maybe };
        let fault = |error: io::Error| Fault::with_source(sent, FaultKind::Interrupted, error);
        let made_up = match self {
            Self::Hurries => Some((Sent::Maybe, FaultKind::Timeout(Phase::Head), "too late")),
            Self::KeepsTheCause => Some((Sent::No, FaultKind::Connect, "something")),
            Self::Shows => Some((Sent::No, FaultKind::ProxyAuth, "407 from http://user:p%40ss@proxy.example")),
            _ => None,
        };
        if let Some((sent, kind, cause)) = made_up {
            return Err(Fault::with_source(sent, kind, cause));
        }
        match self.exchange(&request) {
            Err(_) if *self == Self::Repeats => self.exchange(&request).map_err(fault),
            outcome => outcome.map_err(fault),
        }
    }

    fn watch(
        &self,
        (): &(),
        request: Request<Bytes>,
        limits: Limits,
        part: &mut dyn FnMut(Bytes),
    ) -> Result<Response<Bytes>, Fault> {
        let answer = self.send(&(), request, limits)?;
        if answer.status() != 200 {
            return Ok(answer);
        }
        match self {
            Self::Gathers => part(answer.into_body()),
            Self::Swallows => {}
            _ => answer.body().chunks(1000).for_each(|piece| part(Bytes::copy_from_slice(piece))),
        }
        Err(Fault::new(Sent::Maybe, FaultKind::Interrupted))
    }
}

impl Wrong {
    fn exchange(self, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
        let authority = request.uri().authority().unwrap().as_str();
        let path = request.uri().path_and_query().unwrap();
        let mut text = format!("{} {path} HTTP/1.1\r\nhost: {authority}\r\n", request.method());
        for (name, value) in request.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        if self == Self::AddsAHeader {
            text += "accept-encoding: gzip\r\n";
        }
        let body = if self == Self::DropsTheBody { Bytes::new() } else { request.body().clone() };
        if request.method() == Method::POST {
            text += &format!("content-length: {}\r\n", body.len());
        }
        text += "\r\n";
        let mut stream = TcpStream::connect(authority)?;
        stream.write_all(text.as_bytes())?;
        stream.write_all(&body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = if self == Self::CallsAllGood { "200" } else { head.split(' ').nth(1).unwrap() };
        Ok(Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
    }
}

fn complaints(wrong: Wrong, case: &str) -> String {
    let case = all().into_iter().find(|known| known.name == case).unwrap();
    let sighting = run(&case, &wrong);
    [sighting.complaints, sighting.lies].concat().join("\n")
}

#[test]
fn what_may_have_arrived_must_not_be_called_unsent() {
    let complaints = complaints(Wrong::Lies, "closed after the request");
    assert!(complaints.contains("Interrupted, not sent, and the peer saw"), "{complaints}");
}

#[test]
fn a_driver_must_not_try_again_of_its_own_accord() {
    let complaints = complaints(Wrong::Repeats, "closed after the request");
    assert!(complaints.contains("2 connections instead of 1"), "{complaints}");
}

#[test]
fn a_request_must_arrive_as_it_was_asked() {
    let added = complaints(Wrong::AddsAHeader, "a POST");
    assert!(added.contains("accept-encoding: gzip"), "{added}");
    let dropped = complaints(Wrong::DropsTheBody, "a POST");
    assert!(dropped.contains("arrived otherwise, 0 bytes"), "{dropped}");
}

#[test]
fn a_status_must_come_back_as_it_was_sent() {
    let complaints = complaints(Wrong::CallsAllGood, "500 with text");
    assert!(complaints.starts_with("request 1: 200"), "{complaints}");
}

#[test]
fn a_limit_must_not_pass_early() {
    let complaints = complaints(Wrong::Hurries, "head: drips");
    assert!(complaints.starts_with("request 1: Timeout(Head), maybe sent after "), "{complaints}");
}

#[test]
fn a_fault_must_name_its_cause_and_no_credentials() {
    let kept = complaints(Wrong::KeepsTheCause, "connection refused");
    assert!(kept.contains(r#"does not name "refused""#), "{kept}");
    let shown = complaints(Wrong::Shows, "proxy refuses our credentials");
    assert!(shown.contains("the fault shows the proxy's credentials"), "{shown}");
}

#[test]
fn handshakes_must_be_those_of_the_case() {
    let complaints = complaints(Wrong::Not, "TLS: a session is taken up again");
    assert!(complaints.contains("handshakes [] instead of [Full, Resumed]"), "{complaints}");
}

#[test]
fn connections_must_be_closed_when_the_case_says_so() {
    let complaints = complaints(Wrong::Hurries, "a limit that passes on a kept connection closes the idle ones");
    assert!(complaints.contains("request 4: 2 connections were due to be closed"), "{complaints}");
}

#[test]
fn a_stream_must_be_handed_out_whole_and_in_pieces() {
    let gathered = complaints(Wrong::Gathers, "stream: a line of a megabyte");
    assert!(gathered.contains("pieces of [1000009] bytes"), "{gathered}");
    let swallowed = complaints(Wrong::Swallows, "stream: without a length");
    assert!(swallowed.contains("0 bytes of a stream instead of 8"), "{swallowed}");
}

#[test]
fn a_driver_that_is_right_is_not_blamed() {
    for case in ["closed after the request", "a POST", "500 with text", "stream: without a length"] {
        assert_eq!(complaints(Wrong::Not, case), "", "{case}");
    }
}
