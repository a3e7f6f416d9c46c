//! The route of a call: directly, without a credential, if that is safe and the peer accepts it, else through the
//! platform. A message that may have been handled never takes both routes.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Effect, FaultKind, Limits, Outcome, Phase};
use molecule_core::machine::peer_cache::TTL;
use molecule_core::proto::Reply as PeerReply;
use molecule_core::{CallOutcome, ErrorKind, PeerCall, Route};
use serde_json::json;
use support::calls::{Called, DIRECT, URL, call, call_direct, caller, found};
use support::platform::{A2A, DISCOVER};
use support::*;

/// The outcome of a request.
type End = fn() -> Outcome;

const PAGE: &str = "the peer failed: a web page was answered, as by a website and no agent";
const DISCOVERY: &str = "GET /registry/discover/:peer (bearer)";
const RELAYED: &str = "POST /workspaces/:peer/a2a (bearer)";

fn auto() -> PeerCall {
    PeerCall::new("hello")
}

fn text(called: &Called) -> String {
    called.end.as_ref().unwrap().reply().unwrap().texts().join(" ")
}

#[test]
fn a_published_https_url_is_called_directly_and_without_any_credential() {
    let options = Agent::options().token(secret("first")).org_id("the-organisation");
    let mut agent = Agent::with(options, 7);
    let called = call_direct(&mut agent, auto(), || Answer::json(200, reply("hello yourself")).into());
    assert_eq!(text(&called), "hello yourself");
    assert_eq!(called.requests(), [DISCOVERY, DIRECT]);
    let names: Vec<_> = called.seen[1].headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["accept", "accept-encoding", "content-type", "user-agent"]);
    // Until the cache entry expires, the platform is not asked for the peer's URL.
    let called = call_direct(&mut agent, auto(), || Answer::json(200, reply("again")).into());
    assert_eq!(called.requests(), [DIRECT]);
}

#[test]
fn the_agents_own_name_in_the_user_agent_is_for_the_platform_alone() {
    let options = Agent::options().token(secret("first")).user_agent(format!("agent of {ID}"));
    let mut agent = Agent::with(options, 7);
    let called = call_direct(&mut agent, auto(), || Answer::empty(401).into());
    let names: Vec<_> = called.seen.iter().map(|seen| seen.headers["user-agent"].to_str().unwrap()).collect();
    let sdk = concat!("molecule-rust/", env!("CARGO_PKG_VERSION"));
    let own = format!("agent of {ID}");
    assert_eq!(names, [own.as_str(), sdk, own.as_str()]);
}

#[test]
fn the_reply_may_take_as_long_as_the_call() {
    let mut agent = caller();
    let late = || Reply::After(secs(299), Answer::json(200, reply("done")).outcome());
    assert_eq!(text(&call_direct(&mut agent, auto(), late)), "done");
    let called = call(&mut agent, auto().route(Route::Proxy), |_| late());
    assert_eq!(text(&called), "done");
}

#[test]
fn a_refusal_goes_on_through_the_platform_under_the_same_id_and_is_remembered() {
    let refusals: [End; 10] = [
        || Answer::error(401, "unauthorized").outcome(),
        || Answer::html(403).outcome(),
        || Answer::empty(404).outcome(),
        || Answer::empty(405).outcome(),
        || Answer::html(401).above_cap(),
        || unsent(FaultKind::Resolve),
        || unsent(FaultKind::Connect),
        || unsent(FaultKind::Tls),
        || unsent(FaultKind::Proxy),
        || unsent(FaultKind::Timeout(Phase::Connect)),
    ];
    for refusal in refusals {
        let mut agent = caller();
        let called = call_direct(&mut agent, auto(), || refusal().into());
        assert_eq!(text(&called), "by the platform", "{:?}", refusal());
        assert_eq!(called.requests(), [DISCOVERY, DIRECT, RELAYED]);
        let [direct, relayed] = called.messages()[..] else { panic!() };
        assert_eq!(direct.body, relayed.body, "another message, or another id");
        // Until the entry expires, the peer is neither called directly nor discovered again.
        agent.advance(TTL - secs(1));
        let called = call_direct(&mut agent, auto(), || panic!("called directly"));
        assert_eq!(called.requests(), [RELAYED]);
        agent.advance(secs(2));
        let called = call_direct(&mut agent, auto(), || Answer::json(200, reply("welcome")).into());
        assert_eq!((text(&called).as_str(), called.requests().len()), ("welcome", 2));
    }
}

#[test]
fn who_forgets_a_peer_forgets_its_refusal() {
    let mut agent = caller();
    call_direct(&mut agent, auto(), || Answer::empty(401).into()).end.unwrap().reply().unwrap();
    agent.session.invalidate_peer_url(support::platform::PEER).unwrap();
    let called = call_direct(&mut agent, auto(), || Answer::json(200, reply("welcome")).into());
    assert_eq!(called.requests(), [DISCOVERY, DIRECT]);
}

#[test]
fn what_the_peer_may_have_handled_is_never_sent_another_way() {
    use ErrorKind::*;
    let unclear: [(End, ErrorKind); 8] = [
        (|| fault(FaultKind::Timeout(Phase::Head)), Timeout),
        (|| fault(FaultKind::Timeout(Phase::Total)), Timeout),
        (|| fault(FaultKind::Interrupted), Interrupted),
        (|| fault(FaultKind::Connect), Interrupted),
        (|| fault(FaultKind::Protocol), Protocol),
        (|| fault(FaultKind::Tls), Tls),
        // Neither the status nor the media type shows a reply.
        (|| Answer::text(200, "").header("content-type", "application/octet-stream").above_cap(), TooLarge),
        (|| Answer::text(200, "").above_cap(), TooLarge),
    ];
    for (end, kind) in unclear {
        for route in [Route::Auto, Route::Direct] {
            let called = call_direct(&mut caller(), auto().route(route), || end().into());
            assert_eq!(called.messages().len(), 1, "{:?}", end());
            let error = called.end.as_ref().unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (kind, false));
            let id = called.messages()[0].body["params"]["message"]["messageId"].as_str();
            assert_eq!(error.message_id(), id);
            assert!(error.to_string().contains("the peer may have the message"), "{error}");
        }
    }
    let rows: [(End, &str); 17] = [
        (|| Answer::json(200, json!({})).above_cap(), "delivered, without a reply"),
        (|| Answer::empty(200).outcome(), "delivered, without a reply"),
        (|| Answer::empty(204).outcome(), "delivered, without a reply"),
        (|| Answer::html(200).outcome(), PAGE),
        (|| Answer::text(200, "<html>").outcome(), PAGE),
        (|| Answer::text(200, "<!doctype html>").header("content-type", "application/json").outcome(), PAGE),
        (|| Answer::html(200).above_cap(), PAGE),
        (|| Answer::text(200, "plain words").outcome(), "replied: plain words"),
        (|| Answer::text(200, "<b>").header("content-type", "text/plain").outcome(), "replied: <b>"),
        (|| Answer::html(500).above_cap(), "the peer failed: Internal Server Error (500 Internal Server Error)"),
        (|| Answer::html(503).header("retry-after", "9").above_cap(), "busy"),
        (|| Answer::error(400, "bad request").outcome(), "the peer failed: bad request (400 Bad Request)"),
        (|| Answer::empty(500).outcome(), "the peer failed: Internal Server Error (500 Internal Server Error)"),
        (|| Answer::error(429, "slow down").outcome(), "the peer failed: slow down (429 Too Many Requests)"),
        (|| Answer::error(503, "busy").header("retry-after", "9").outcome(), "busy"),
        (
            || Answer::empty(307).header("location", "https://elsewhere.example").outcome(),
            "the peer failed: the answer is a redirect, which is never followed (307 Temporary Redirect)",
        ),
        (
            || Answer::json(400, json!({"jsonrpc": "2.0", "error": {"code": -32602, "message": "what?"}})).outcome(),
            "the peer failed: what? (-32602)",
        ),
    ];
    for (end, expected) in rows {
        let called = call_direct(&mut caller(), auto(), || end().into());
        assert_eq!(called.messages().len(), 1, "{:?}", end());
        assert_eq!(called.end.unwrap().to_string(), expected, "{:?}", end());
    }
}

#[test]
fn what_is_no_agent_is_not_called_directly_again() {
    for answer in [Answer::html(200), Answer::empty(302).header("location", "/login")] {
        let mut agent = caller();
        let called = call_direct(&mut agent, auto(), || answer.clone().into());
        assert!(matches!(called.end, Ok(CallOutcome::PeerError { .. })));
        let called = call_direct(&mut agent, auto(), || panic!("called directly"));
        assert_eq!(called.requests(), [RELAYED]);
    }
}

#[test]
fn a_peers_own_words_are_no_notice_of_the_platform() {
    let queued = json!({"queued": true, "queue_id": "16fbce34-b9f3-4274-9310-2d6cf9256ac5"});
    let poll = json!({"status": "queued", "delivery_mode": "poll"});
    for body in [queued, poll, json!([1, 2]), json!(7)] {
        let called = call_direct(&mut caller(), auto(), || Answer::json(200, body.clone()).into());
        let Ok(CallOutcome::Replied(PeerReply::Other(other))) = called.end else { panic!("{:?}", called.end) };
        assert_eq!(other, body);
    }
    let message = json!({"kind": "message", "role": "agent", "parts": [{"kind": "text", "text": "bare"}]});
    let called = call_direct(&mut caller(), auto(), || Answer::json(200, message.clone()).into());
    assert_eq!(text(&called), "bare");
    let called = call_direct(&mut caller(), auto(), || Answer::error(200, "workspace budget limit exceeded").into());
    assert!(matches!(called.end, Ok(CallOutcome::PeerError { status: None, .. })));
}

#[test]
fn an_unsafe_url_is_not_called_directly() {
    for url in [
        "http://peer.example/a2a",
        "http://10.0.0.1/",
        "http://localhost:9/rpc",
        "https://127.0.0.1/rpc",
        "http://ws-414bc5a3-02a7-47dc-b86f-71e2e5767123:8000",
        "remote://no-inbound",
        "https://platform.example.com/workspaces/x/a2a",
        "https://user:pw@peer.example/",
    ] {
        for (route, expected) in [
            (Route::Auto, "replied: by the platform"),
            (Route::Direct, "not delivered: the peer has no URL that can be called"),
        ] {
            let called = call(&mut caller(), auto().route(route), |seen| match seen {
                seen if seen.is(DISCOVER) => found(url).into(),
                seen if seen.is(A2A) => Answer::json(200, reply("by the platform")).into(),
                other => panic!("{url}: {other}"),
            });
            assert_eq!(called.end.unwrap().to_string(), expected, "{url}");
        }
    }
}

#[test]
fn where_discovery_fails_the_platform_is_asked_to_deliver() {
    let failures: [End; 6] = [
        || Answer::error(500, "lookup failed").outcome(),
        || Answer::json(503, json!({"error": "workspace not available", "status": "offline"})).outcome(),
        || Answer::error(403, "not authorized to discover this workspace").outcome(),
        || Answer::html(502).outcome(),
        || fault(FaultKind::Interrupted),
        || unsent(FaultKind::Connect),
    ];
    for failure in failures {
        let called = call(&mut caller(), auto(), |seen| match seen {
            seen if seen.is(DISCOVER) => failure().into(),
            seen if seen.is(A2A) => Answer::json(200, reply("by the platform")).into(),
            other => panic!("{other}"),
        });
        assert_eq!(called.requests(), [DISCOVERY, RELAYED], "one look, and on: {:?}", failure());
        assert_eq!(text(&called), "by the platform");
    }
}

#[test]
fn the_route_of_the_call_wins_over_the_agents() {
    let agent = |route| Agent::with(Agent::options().token(secret("first")).route(route), 7);
    let asked = |route, options: PeerCall| {
        call_direct(&mut agent(route), options, || Answer::json(200, reply("directly")).into()).requests()
    };
    assert_eq!(asked(Route::Proxy, auto()), [RELAYED]);
    assert_eq!(asked(Route::Proxy, auto().route(Route::Auto)), [DISCOVERY, DIRECT]);
    assert_eq!(asked(Route::Direct, auto()), [DISCOVERY, DIRECT]);
    assert_eq!(asked(Route::Direct, auto().route(Route::Proxy)), [RELAYED]);
}

#[test]
fn a_direct_route_takes_no_other() {
    for (end, expected) in [
        (Answer::error(401, "no").outcome(), "the peer failed: the peer takes no direct call (401 Unauthorized)"),
        (unsent(FaultKind::Connect), "not delivered: the peer could not be reached"),
    ] {
        let mut end = Some(end);
        let options = || auto().route(Route::Direct);
        let mut agent = caller();
        let called = call_direct(&mut agent, options(), || end.take().unwrap().into());
        assert_eq!(called.requests(), [DISCOVERY, DIRECT]);
        assert_eq!(called.end.unwrap().to_string(), expected);
        // `Route::Direct` ignores an earlier refusal.
        let called = call_direct(&mut agent, options(), || Answer::json(200, reply("well, then")).into());
        assert_eq!(text(&called), "well, then");
    }
}

#[test]
fn discovery_a_refusal_and_the_relay_share_one_limit() {
    let mut agent = caller();
    let began = agent.now.mono;
    let slow = |answer: Answer| Reply::After(secs(9), answer.outcome());
    let called = call(&mut agent, auto().timeout(secs(20)), |seen| match seen {
        seen if seen.is(DISCOVER) => slow(found(URL)),
        seen if seen.is(DIRECT) => slow(Answer::empty(401)),
        seen if seen.is(A2A) => Reply::After(secs(2), fault(FaultKind::Timeout(Phase::Total))),
        other => panic!("{other}"),
    });
    assert_eq!(called.end.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(agent.since(began), secs(20));

    // A discovery that hangs ends at the call's deadline, and no message is sent then.
    for route in [Route::Auto, Route::Direct] {
        let mut agent = caller();
        let began = agent.now.mono;
        let called = call(&mut agent, auto().route(route).timeout(secs(5)), |_| Reply::Never);
        let error = called.end.unwrap_err();
        assert_eq!((error.kind(), called.seen.len()), (ErrorKind::Timeout, 1), "{error}");
        assert!(error.to_string().contains("before the message could be sent"), "{error}");
        assert_eq!((agent.since(began), error.is_retryable()), (secs(5), true));
    }
}

#[test]
fn a_cancelled_call_sends_nothing_more() {
    use molecule_core::machine::Machine;
    for stages in 0..3 {
        let mut agent = caller();
        let mut driven = Driven::new(molecule_core::machines::CallPeer::new(support::platform::PEER, "hello").unwrap());
        let mut answers = vec![Answer::empty(401).outcome(), found(URL).outcome()];
        driven.settle(&mut agent);
        for _ in 0..stages {
            let id = *driven.in_flight.keys().next().unwrap();
            driven.feed(&mut agent, id, answers.pop().unwrap());
            driven.settle(&mut agent);
        }
        driven.machine.cancel(&mut agent.cx());
        let end = driven.finish(&mut agent, &mut |_: &Seen| panic!("sent after it was cancelled"));
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(agent.lines("cancel").len(), 1);
    }
}

/// The limits of the only request in flight.
fn limits(driven: &Driven<molecule_core::machines::CallPeer>) -> Limits {
    match driven.in_flight.values().collect::<Vec<_>>()[..] {
        [Effect::Http(_, limits)] => *limits,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn no_request_of_a_call_may_take_longer_than_what_is_left_of_it() {
    for limit in [Duration::from_millis(300), secs(5)] {
        for route in [Route::Auto, Route::Direct, Route::Proxy] {
            let mut agent = caller();
            let options = auto().route(route).timeout(limit);
            let mut driven =
                Driven::new(molecule_core::machines::CallPeer::new(support::platform::PEER, options).unwrap());
            driven.settle(&mut agent);
            assert_eq!(limits(&driven).total, limit, "{route:?}");
            let id = *driven.in_flight.keys().next().unwrap();
            agent.advance(limit / 3);
            let next = if route == Route::Proxy { Answer::error(401, "invalid caller auth token") } else { found(URL) };
            agent.store.token = Some(secret("newer"));
            driven.feed(&mut agent, id, next.outcome());
            driven.settle(&mut agent);
            if let Some((id, Effect::Host(op))) = driven.in_flight.first_key_value() {
                let (id, outcome) = (*id, agent.store.perform(op));
                driven.feed(&mut agent, id, outcome);
                driven.settle(&mut agent);
            }
            assert_eq!(limits(&driven).total, limit - limit / 3, "{route:?}");
        }
    }
}

#[test]
fn a_busy_peer_asks_for_a_second_at_least_and_a_minute_at_most() {
    for (asked, seconds) in [("0", 1), ("9", 9), ("3600", 60), ("99999999999999999999", 60)] {
        for status in [429, 503] {
            let busy = || Answer::error(status, "busy").header("retry-after", asked).into();
            let outcome = call_direct(&mut caller(), auto(), busy).end.unwrap();
            assert!(matches!(outcome, CallOutcome::Busy { .. }), "{outcome:?}");
            assert_eq!(outcome.retry_after(), Some(secs(seconds)), "{status} {asked}");
        }
    }
}
