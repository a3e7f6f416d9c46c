//! Text of strangers is escaped where it is printed: no terminal obeys it, and nothing changes the direction of the
//! text.

#![allow(clippy::unwrap_used)]

mod support;

use http::StatusCode;
use molecule_core::effect::Effect;
use molecule_core::endpoint::{Endpoint, Secrets};
use molecule_core::machines::Call;
use molecule_core::plugin::Plugin;
use molecule_core::proto::{Reply, WorkspaceStatus};
use molecule_core::{CallOutcome, DelegationEnd, Error, ErrorKind, Event, PeerUrl, QueueOutcome, Timeouts};
use serde_json::json;
use support::*;

/// Starts a colour, reverses the text's direction, isolates it, and ends the line; in the middle of a word, so that a
/// test can find it.
const HOSTILE: &str = "one\u{1b}[31m\u{202e}\u{2066}\u{2028}\u{85}two";
const SHOWN: &str = "one\\u{1b}[31m\\u{202e}\\u{2066}\\u{2028}\\u{85}two";

/// The error of a call that gets this answer.
fn refused(answer: Answer) -> Error {
    let mut agent = Agent::stored(&secret("first"));
    Driven::new(Call::once(Secrets)).finish(&mut agent, &mut |_| answer.clone().into()).unwrap_err()
}

#[track_caller]
fn is_shown(printed: &str) {
    assert!(printed.contains(SHOWN), "{printed:?}");
    let deceives = |char: char| char.is_control() && char != '\n' || ('\u{2028}'..='\u{2069}').contains(&char);
    assert!(!printed.contains(deceives), "{printed:?}");
}

#[test]
fn errors_show_no_terminal_escapes_and_no_bidi_controls() {
    is_shown(&Error::config(HOSTILE, "give another").to_string());
    is_shown(&Error::config("it is wrong", HOSTILE).to_string());
    let error = refused(Answer::json(403, json!({ "error": HOSTILE, "code": HOSTILE })));
    is_shown(&error.to_string());
    is_shown(error.server_message().unwrap());
    is_shown(error.code().unwrap());
}

#[test]
fn outcomes_show_no_terminal_escapes_and_no_bidi_controls() {
    let text = || HOSTILE.to_owned();
    let reply = || Reply::from(json!({ "kind": "message", "parts": [{ "kind": "text", "text": HOSTILE }] }));
    let status = WorkspaceStatus::from(HOSTILE.to_owned());
    for outcome in [
        CallOutcome::Replied(reply()),
        CallOutcome::Denied { message: text() },
        CallOutcome::PeerError { code: Some(1), status: None, message: text(), data: None },
        CallOutcome::PeerError { code: None, status: Some(StatusCode::BAD_GATEWAY), message: text(), data: None },
        CallOutcome::NoUrl { status: Some(status) },
    ] {
        is_shown(&outcome.to_string());
    }
    for outcome in [
        QueueOutcome::Replied(reply()),
        QueueOutcome::PeerError { code: None, message: text(), data: None },
        QueueOutcome::Dropped { last_error: Some(text()) },
        QueueOutcome::Failed { last_error: Some(text()) },
    ] {
        is_shown(&outcome.to_string());
    }
    for end in [DelegationEnd::Answered(text()), DelegationEnd::Failed(text())] {
        is_shown(&end.to_string());
    }
    // Line ends and tabs of an answer are kept.
    assert_eq!(DelegationEnd::Answered("a\n\tb".to_owned()).to_string(), "answered: a\n\tb");
}

#[test]
fn events_show_no_terminal_escapes_and_no_bidi_controls() {
    let status = WorkspaceStatus::from(HOSTILE.to_owned());
    for event in [Event::StatusChanged(status), Event::Warning(HOSTILE.to_owned())] {
        is_shown(&event.to_string());
    }
}

#[test]
fn a_redirect_shows_no_user_info_and_no_query() {
    for (location, shown) in [
        ("https://lovelace:s3cr3t@sign-in.example/a?token=s3cr3t#s3cr3t", "https://sign-in.example/a"),
        ("//lovelace:s3cr3t@sign-in.example/a", "//sign-in.example/a"),
        ("https://lovelace:s3/cr3t@sign-in.example/a", "https://…"),
        ("/a?token=s3cr3t", "/a"),
    ] {
        let error = refused(Answer::empty(302).header("location", location));
        assert_eq!((error.kind(), error.location()), (ErrorKind::Redirected, Some(shown)));
        for printed in [format!("{error}"), format!("{error:?}")] {
            assert!(!printed.contains("cr3t") && !printed.contains("lovelace"), "{printed}");
        }
    }
}

#[test]
fn a_plugin_and_what_is_asked_for_it_print_no_user_info_and_no_query() {
    let plugin = Plugin::new("kitchen").source("github://lovelace:s3cr3t@owner/repository?key=s3cr3t#v1");
    let printed = format!("{plugin:?}");
    assert!(printed.contains("github://owner/repository") && printed.contains("kitchen"), "{printed}");
    let request = http::Request::get("https://host.example/download?source=s3cr3t").body(bytes::Bytes::new()).unwrap();
    let limits = Secrets.limits(&Timeouts::default(), secs(1));
    let effect = format!("{:?}", Effect::Http(request, limits));
    assert!(effect.contains("https://host.example/download"), "{effect}");
    let peer = format!("{:?}", PeerUrl::read("https://peer.example/a2a?key=s3cr3t").unwrap());
    assert!(peer.contains("https://peer.example/a2a"), "{peer}");
    for printed in [printed, effect, peer] {
        assert!(!printed.contains("s3cr3t") && !printed.contains("lovelace"), "{printed}");
    }
}
