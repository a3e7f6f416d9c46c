//! The message that is sent: strict A2A 0.3, under its own id.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use molecule_core::machines::{Beat, CallPeer};
use molecule_core::proto::{FileContent, Message, Part};
use molecule_core::{CallOutcome, ErrorKind, PeerCall, Route};
use serde_json::{Value, json};
use support::calls::{DIRECT, URL, call, caller, found};
use support::platform::{DISCOVER, PEER};
use support::*;

/// The body of the only request that sends this message.
fn sent(agent: &mut Agent, options: impl Into<PeerCall>) -> Value {
    let called = call(agent, options.into().route(Route::Proxy), |_| Answer::json(200, reply("hello")).into());
    called.end.unwrap().reply().unwrap();
    called.seen[0].body.clone()
}

fn is_version_4(text: &str) -> bool {
    text.len() == 36 && text.as_bytes()[14] == b'4' && text.parse::<molecule_core::proto::WorkspaceId>().is_ok()
}

#[test]
fn a_text_is_a_message_of_one_part() {
    let body = sent(&mut caller(), "hello");
    let (id, rpc_id) = (&body["params"]["message"]["messageId"], &body["id"]);
    assert!(is_version_4(id.as_str().unwrap()) && is_version_4(rpc_id.as_str().unwrap()) && id != rpc_id, "{body}");
    assert_eq!(
        body,
        json!({
            "jsonrpc": "2.0", "id": rpc_id, "method": "message/send",
            "params": {"message": {
                "kind": "message", "role": "user", "messageId": id, "parts": [{"kind": "text", "text": "hello"}],
            }},
        })
    );
}

#[test]
fn everything_that_a_message_can_hold_goes_with_it() {
    let message = Message::text("see")
        .with_part(Part::data(json!({"rows": [1, 2]})))
        .with_part(FileContent::at("https://files.example/a.pdf").name("a.pdf").mime_type("application/pdf"))
        .with_part(FileContent::base64("aGVsbG8="))
        .with_context("c-1")
        .with_task("t-1")
        .with_metadata("urgent", true);
    let body = sent(&mut caller(), PeerCall::new(message).expires_in(secs(90)));
    assert_eq!(body["params"]["expires_in_seconds"], 90);
    let mut message = body["params"]["message"].clone();
    message.as_object_mut().unwrap().remove("messageId");
    assert_eq!(
        message,
        json!({
            "kind": "message", "role": "user", "contextId": "c-1", "taskId": "t-1", "metadata": {"urgent": true},
            "parts": [
                {"kind": "text", "text": "see"},
                {"kind": "data", "data": {"rows": [1, 2]}},
                {"kind": "file", "file": {"uri": "https://files.example/a.pdf", "name": "a.pdf", "mimeType": "application/pdf"}},
                {"kind": "file", "file": {"bytes": "aGVsbG8="}},
            ],
        })
    );
}

#[test]
fn ids_are_fresh_for_each_message_and_differ_between_agents() {
    let mut ids = BTreeSet::new();
    for seed in 0..20 {
        let mut agent = Agent::with(Agent::options().token(secret("first")), seed);
        for _ in 0..20 {
            let body = sent(&mut agent, "the same words");
            assert!(ids.insert(body["params"]["message"]["messageId"].to_string()));
            assert!(ids.insert(body["id"].to_string()));
        }
    }
}

#[test]
fn an_id_of_the_callers_own_is_kept_and_an_empty_one_is_none() {
    let body = sent(&mut caller(), Message::text("once more").with_id("m-1"));
    assert_eq!(body["params"]["message"]["messageId"], "m-1");
    let body = sent(&mut caller(), Message::text("once more").with_id(""));
    assert!(is_version_4(body["params"]["message"]["messageId"].as_str().unwrap()));
}

#[test]
fn a_busy_peers_message_can_be_sent_again_under_its_id() {
    let busy = || json!({"error": "workspace agent busy", "busy": true, "retry_after": 30});
    let mut agent = caller();
    let again = |agent: &mut Agent, options: PeerCall| {
        let called = call(agent, options, |seen| match seen {
            seen if seen.is(DISCOVER) => found(URL).into(),
            seen if seen.is(DIRECT) => Answer::json(503, busy()).header("retry-after", "30").into(),
            _ => Answer::json(503, busy()).into(),
        });
        let id = called.messages()[0].body["params"]["message"]["messageId"].as_str().unwrap().to_owned();
        let Ok(CallOutcome::Busy { retry_after, message_id }) = called.end else { panic!("{:?}", called.end) };
        assert_eq!((retry_after, &message_id), (Some(secs(30)), &id));
        message_id
    };
    for route in [Route::Proxy, Route::Direct] {
        let id = again(&mut agent, PeerCall::new("hello").route(route));
        let message = Message::text("hello").with_id(id.clone());
        assert_eq!(again(&mut agent, PeerCall::new(message).route(route)), id);
    }
}

/// The error of a call that sends nothing.
fn refused(agent: &mut Agent, options: impl Into<PeerCall>) -> String {
    let called = call(agent, options.into(), |seen| panic!("{seen}"));
    let error = called.end.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "call peer"), "{error}");
    error.to_string()
}

#[test]
fn a_nul_anywhere_in_it_is_refused_unsent() {
    for message in [
        Message::text("a\0b"),
        Message::text("a").with_part(Part::data(json!({"deep": ["\0"]}))),
        Message::text("a").with_part(Part::data(json!({"a\0b": 1}))),
        Message::text("a").with_id("\0"),
        Message::text("a").with_context("\0"),
        Message::text("a").with_metadata("key", "\0"),
        Message::new([Part::file(FileContent::at("\0"))]),
    ] {
        let told = refused(&mut caller(), message);
        assert!(told.contains("U+0000") && told.contains("remove it"), "{told}");
    }
    // The text `\u0000` is not the character U+0000.
    assert_eq!(sent(&mut caller(), "\\u0000")["params"]["message"]["parts"][0]["text"], "\\u0000");
}

#[test]
fn a_message_that_the_server_would_cut_is_refused_unsent() {
    let of = |bytes: usize| "x".repeat(bytes);
    let mut april = caller();
    let mut platform = Platform::april();
    run(&mut april, Beat::new(), |seen| platform.serve(seen)).unwrap();
    assert!(refused(&mut april, of(1024 * 1024)).contains("April's platform takes 1048576"));
    sent(&mut april, of(1024 * 1024 - 400));
    assert!(refused(&mut caller(), of(16 * 1024 * 1024)).contains("the platform takes 16777216"));
    sent(&mut caller(), of(2 * 1024 * 1024));
}

#[test]
fn limits_that_make_no_sense_and_ids_that_are_none_are_refused_unsent() {
    for limit in [secs(0), secs(3601)] {
        let told = refused(&mut caller(), PeerCall::new("hello").timeout(limit));
        assert!(told.contains("the call's limit is"), "{told}");
    }
    for id in ["", "../admin?x=", "7fda77bf-a467-441c-9fab"] {
        assert_eq!(CallPeer::new(id, "hello").unwrap_err().kind(), ErrorKind::Config);
    }
    let _ = CallPeer::new(PEER.to_uppercase(), "hello").unwrap();
}

#[test]
fn a_call_that_was_never_polled_shows_no_word_of_its_message() {
    let call = CallPeer::new(PEER, secret("message")).unwrap();
    assert!(!format!("{call:?}").contains(MARK));
}
