//! Odd JSON in answers: an odd card hides no peer, half an emoji loses no reply, an odd field loses no minted token,
//! and the error names an encoding or mark around the body.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::Outcome;
use molecule_core::endpoint::{Auth, AvailablePlugins, ListTokens, Secrets, View};
use molecule_core::machines::{Call, Delegations, ListPeers, Recover, Register};
use molecule_core::proto::{Peer, Reply as PeerReply};
use molecule_core::{CallOutcome, Dialect, Error, ErrorKind, Event, PeerCall, Recovered, Recovery, Route, TokenUse};
use serde_json::json;
use support::calls::{call, call_direct, caller};
use support::platform::{HEARTBEAT, MINT, REGISTER, ROTATE, VIEW};
use support::*;

const OTHER: &str = "414bc5a3-02a7-47dc-b86f-71e2e5767123";

/// Cards that a strict parser refuses, and one with more values than the parser's bound.
fn odd_cards() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let wide = format!("[{}0]", r#"{"a":0},"#.repeat(60_000));
    [r#"{"x":1e400}"#, r#"{"x":NaN}"#, r#"{"x":"\ud83d"}"#, "{\"x\":\"a\u{1}\"}", r#"{"x":"\d"}"#, &deep, &wide]
        .map(str::to_owned)
        .into()
}

fn row(name: &str, card: &str) -> String {
    format!(r#"{{"id":"{OTHER}","name":"{name}","status":"online","url":"","agent_card":{card}}}"#)
}

#[test]
fn one_odd_card_hides_no_peer() {
    for card in odd_cards() {
        let list = Answer::text(200, format!("[{},{},{}]", row("a", "null"), row("odd", &card), row("b", "{}")));
        let mut driven = Driven::new(ListPeers::all());
        let peers: Vec<Peer> = driven.finish(&mut caller(), &mut |_| list.clone().into()).unwrap();
        let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        let is_wide = card.len() > 400_000;
        assert_eq!(names, if is_wide { vec!["a", "b"] } else { vec!["a", "odd", "b"] });
        let warned =
            driven.events.iter().any(|event| matches!(event, Event::Warning(text) if text.contains("1 entries")));
        assert_eq!(warned, is_wide, "{:?}", driven.events);
    }
}

#[test]
fn ones_own_odd_card_stops_neither_register_nor_the_loop() {
    for card in odd_cards() {
        for kind in ["", r#","kind":"workspace""#] {
            let view = format!(r#"{{"id":"{ID}","status":"online","agent_card":{card}{kind}}}"#);
            let mut agent = Agent::stored(&secret("first"));
            let registration = run(&mut agent, Register::new(), |seen| match seen {
                seen if seen.is(VIEW) => Answer::text(200, view.clone()).into(),
                seen if seen.is(REGISTER) && kind.is_empty() => {
                    Answer::json(200, json!({"status": "registered"})).into()
                }
                seen if seen.is(REGISTER) => {
                    Answer::json(200, json!({"status": "registered", "delivery_mode": "poll"})).into()
                }
                other => panic!("{other}"),
            });
            assert_eq!(registration.unwrap().token, TokenUse::Held);
            let current = if kind.is_empty() { Dialect::April } else { Dialect::Current };
            assert_eq!(agent.session.health().dialect, Some(current));
            let mut platform = Platform::current();
            let mut looped = Driven::new(molecule_core::machines::Run::new());
            looped.drive_for(&mut agent, secs(600), &mut |seen| match seen {
                seen if seen.is(VIEW) => Answer::text(200, view.clone()).into(),
                seen => platform.serve(seen),
            });
            assert!(looped.done.is_none() && platform.count(HEARTBEAT) > 10, "{:?}", looped.done);
        }
    }
}

#[test]
fn a_row_that_makes_no_sense_is_given_up_alone_in_every_list() {
    let at = "2026-11-22T21:39:47.237554Z";
    let row = format!(r#"{{"delegation_id":"d1","source_id":"{ID}","status":"queued","created_at":"{at}","x":1e400}}"#);
    let list = Answer::text(200, format!(r#"[{{"status":{{}}}},{row},7,"\ud83d"]"#));
    let views = run(&mut caller(), Delegations::newest(), |_| list.clone().into()).unwrap();
    assert_eq!(views.iter().map(|view| view.id.as_str()).collect::<Vec<_>>(), ["d1"]);
    let list = Answer::text(200, r#"[{"name":7},{"name":"a","tags":1e400,"x":NaN},null]"#);
    let plugins = run(&mut caller(), Call::new(AvailablePlugins), |_| list.clone().into()).unwrap();
    assert_eq!(plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["a"]);
    let list =
        Answer::text(200, format!(r#"{{"tokens":[{{"id":"x"}},{{"id":"{OTHER}","prefix":"\ud83d"}}],"count":"2"}}"#));
    let tokens = run(&mut caller(), Call::new(ListTokens(Auth::Bearer)), |_| list.clone().into()).unwrap();
    assert_eq!(tokens.tokens.len(), 1);
    let item = format!(
        r#"{{"queue_id":"{OTHER}","workspace_id":"{OTHER}","status":"completed","x":1e400,"response_body":{{"result":{{"kind":"message","parts":[{{"kind":"text","text":"done \ud83d"}}]}}}}}}"#
    );
    let wait = molecule_core::machines::Wait::for_queue_item(OTHER).unwrap();
    let end = run(&mut caller(), wait, |_| Answer::text(200, item.clone()).into()).unwrap();
    assert_eq!(end.to_string(), "replied: done \u{fffd}");
}

/// Calls by both routes, with this reply of the peer.
fn replies(body: &[u8]) -> [CallOutcome; 2] {
    let answer = Answer::bytes(body.to_vec().into());
    let direct = call_direct(&mut caller(), PeerCall::new("hello"), || answer.clone().into());
    let relayed = call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |_| answer.clone().into());
    [direct.end.unwrap(), relayed.end.unwrap()]
}

#[test]
fn half_an_emoji_loses_no_reply() {
    for (text, expected) in [
        (&br"done \ud83d"[..], "done \u{fffd}"),
        (br"\ude00 done", "\u{fffd} done"),
        (b"done \xf0\x9f", "done \u{fffd}"),
        (b"caf\xe9", "caf\u{fffd}"),
        (b"two\nlines\x1b", "two\nlines\u{1b}"),
        (br"C:\dir", r"C:\dir"),
    ] {
        let body = [
            &br#"{"jsonrpc":"2.0","id":1,"result":{"kind":"message","parts":[{"kind":"text","text":""#[..],
            text,
            br#""}]}}"#,
        ];
        for start in [&b""[..], b"\xef\xbb\xbf"] {
            for outcome in replies(&[start, &body.concat()].concat()) {
                assert_eq!(outcome.reply().unwrap().texts(), [expected], "{outcome:?}");
            }
        }
    }
}

#[test]
fn numbers_that_no_one_can_hold_and_what_lies_too_deep_lose_no_reply() {
    for outcome in replies(br#"{"jsonrpc":"2.0","result":{"score":NaN,"most":1e400}}"#) {
        assert_eq!(outcome, CallOutcome::Replied(PeerReply::Other(json!({"score": "NaN", "most": "1e400"}))));
    }
    let deep = format!(r#"{{"result":{}7{}}}"#, "[".repeat(200), "]".repeat(200));
    for outcome in replies(deep.as_bytes()) {
        let Some(PeerReply::Other(reply)) = outcome.reply() else { panic!("{outcome:?}") };
        let inner = (1..molecule_core::proto::json::MAX_DEPTH).fold(reply, |value, _| &value[0]);
        assert_eq!(inner.as_str(), Some(format!("{}7{}", "[".repeat(101), "]".repeat(101)).as_str()));
    }
}

/// A body that a strict parser refuses is still searched for the bearer.
#[test]
fn a_relayed_reply_that_is_no_utf_8_still_shows_no_credential() {
    let body =
        [b"{\"jsonrpc\":\"2.0\",\"result\":{\"seen\":\"\xff Bearer ", secret("first").as_bytes(), b"\"}}"].concat();
    let answer = Answer::bytes(body.into());
    let relayed = call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |_| answer.clone().into());
    let expected = json!({"seen": "\u{fffd} Bearer [redacted]"});
    assert_eq!(relayed.end.unwrap(), CallOutcome::Replied(PeerReply::Other(expected)));
}

/// Answers with a minted token in which every other field is odd.
fn odd_mints(token: &str) -> Vec<Vec<u8>> {
    [
        r#"{TOKEN,"platform_inbound_secret":{"x":[1]}}"#,
        r#"{TOKEN,"status":"registered","delivery_mode":1}"#,
        r#"{TOKEN,"status":1,"delivery_mode":null,"platform_inbound_secret":7,"x":1e400,"message":[]}"#,
        r#"{TOKEN,"workspace_id":"\ud83d","platform_url":[],"registry_endpoint":7,"heartbeat_endpoint":{},"x":{}}"#,
        r#"{TOKEN}"#,
        "\u{feff}{TOKEN}",
    ]
    .map(|body| body.replace("TOKEN", &format!(r#""auth_token":"{token}""#)).into_bytes())
    .into()
}

#[test]
fn no_odd_field_loses_a_minted_token() {
    for body in odd_mints(&secret("minted")) {
        let mut agent = Agent::new();
        let registration = run(&mut agent, Register::new(), |seen| match seen {
            seen if seen.is(VIEW) => Answer::json(200, json!({"id": ID, "status": "online"})).into(),
            _ => Answer::bytes(body.clone().into()).into(),
        });
        assert_eq!(registration.unwrap().token, TokenUse::Minted, "{}", String::from_utf8_lossy(&body));
        assert_eq!(agent.store.token, Some(secret("minted")));
    }
}

#[test]
fn no_odd_field_loses_a_rotated_token() {
    for body in odd_mints(&secret("minted")) {
        let body = match body.strip_prefix("\u{feff}".as_bytes()) {
            Some(body) => [b"\xef\xbb\xbf{\"connection\":", body, b"}"].concat(),
            None => [b"{\"connection\":", &*body, b",\"x\":1e400}"].concat(),
        };
        let mut agent = Agent::stored(&secret("first"));
        let recovered = run(&mut agent, Recover::new(Recovery::Own), |seen| match seen {
            seen if seen.is(VIEW) => {
                Answer::json(200, json!({"id": ID, "status": "online", "kind": "workspace"})).into()
            }
            seen => {
                assert!(seen.is(ROTATE), "{seen}");
                Answer::bytes(body.clone().into()).into()
            }
        });
        assert_eq!(recovered.unwrap(), Recovered::Rotated, "{}", String::from_utf8_lossy(&body));
        assert_eq!(agent.store.token, Some(secret("minted")));
    }
}

#[test]
fn no_odd_field_loses_one_more_token() {
    for body in odd_mints(&secret("minted")) {
        let mut agent = Agent::stored(&secret("first"));
        let recovered = run(&mut agent, Recover::new(Recovery::Own), |seen| match seen {
            seen if seen.is(VIEW) => Answer::json(200, json!({"id": ID, "status": "online"})).into(),
            seen if seen.is(ROTATE) => Answer::text(404, "404 page not found").into(),
            seen if seen.is(MINT) => Answer::bytes(body.clone().into()).into(),
            _ => Answer::error(500, "no list").into(),
        });
        assert!(matches!(recovered.unwrap(), Recovered::Minted { .. }), "{}", String::from_utf8_lossy(&body));
        assert_eq!(agent.store.token, Some(secret("minted")));
    }
}

#[test]
fn an_answer_without_a_token_or_a_status_is_no_register() {
    for body in
        ["{}", r#"{"delivery_mode":"poll"}"#, r#"{"auth_token":7}"#, r#"{"status":"registered","auth_token":{}}"#]
    {
        let error = run(&mut Agent::new(), Register::new(), |seen| match seen {
            seen if seen.is(VIEW) => Answer::json(200, json!({"id": ID, "status": "online"})).into(),
            _ => Answer::text(200, body).into(),
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol, "{body}");
    }
}

fn once(answer: Answer) -> Error {
    run(&mut caller(), Call::once(Secrets), |_| answer.clone().into()).unwrap_err()
}

#[test]
fn what_an_answer_is_wrapped_in_is_named() {
    let gzip = || Answer::bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec().into()).header("content-encoding", "gzip");
    let told = once(gzip()).to_string();
    assert!(
        told.contains("the answer is encoded as gzip, which nobody asked for, and not an object of texts"),
        "{told}"
    );
    assert!(told.contains("; have what stands before the platform pass its answers on as they are"), "{told}");
    let told = once(gzip().header("content-encoding", "BR, identity")).to_string();
    assert!(told.contains("encoded as BR, which"), "{told}");
    let told = once(Answer::bytes(b"\xff\xfe{\0}\0".to_vec().into())).to_string();
    assert!(told.contains("the answer is UTF-16, as its byte order mark says, and not an object of texts"), "{told}");
    let told = once(Answer::bytes(b"\xef\xbb\xbfoops".to_vec().into())).to_string();
    assert!(told.contains("begins with a byte order mark, and not an object of texts"), "{told}");
    // The status counts, and the error names what hides the body.
    for status in [404, 500] {
        let Outcome::Response(mut answer) = gzip().outcome() else { panic!("no answer") };
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
        let error = run(&mut caller(), Call::once(Secrets), |_| Outcome::Response(answer.clone()).into()).unwrap_err();
        assert!(error.to_string().contains("(its body is encoded as gzip, which nobody asked for)"), "{error}");
    }
    // A body that is labelled as encoded but is plain JSON is read.
    let plain = Answer::text(200, r#"{"K":"v"}"#).header("content-encoding", "gzip");
    assert_eq!(run(&mut caller(), Call::once(Secrets), |_| plain.clone().into()).unwrap().len(), 1);
    let marked = Answer::text(200, "\u{feff}{\"K\":\"v\"}").header("content-encoding", "identity");
    assert_eq!(run(&mut caller(), Call::once(Secrets), |_| marked.clone().into()).unwrap().len(), 1);
    for outcome in [
        call_direct(&mut caller(), PeerCall::new("hello"), || gzip().into()).end.unwrap(),
        call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |_| gzip().into()).end.unwrap(),
    ] {
        assert!(outcome.to_string().contains("encoded as gzip, which nobody asked for"), "{outcome}");
    }
}

#[test]
fn more_values_than_are_read_are_an_error_of_their_own() {
    let many = format!(r#"{{"K":"v","x":[{}0]}}"#, r#"{"a":0},"#.repeat(60_000));
    let error = once(Answer::text(200, many));
    assert!(error.kind() == ErrorKind::TooLarge && error.to_string().contains("more values"), "{error}");
    let view = run(&mut caller(), Call::once(View), |_| Answer::text(200, "[]").into()).unwrap_err();
    assert_eq!(view.kind(), ErrorKind::Protocol);
}
