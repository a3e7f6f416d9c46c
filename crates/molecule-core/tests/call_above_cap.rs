//! Answers above the cap: the body is lost, but the status counts as usual.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::endpoint::{Secrets, View};
use molecule_core::machines::{Beat, Call, ListPeers, QueuedItem, Wait};
use molecule_core::proto::Peer;
use molecule_core::{Dialect, Error, ErrorKind, PeerCall, QueueOutcome, Result, Route};
use serde_json::json;
use support::calls::{Called, call, caller, word};
use support::platform::A2A;
use support::*;

const ITEM: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";

/// Pulls secrets; gives the error and how many requests there were.
fn pull(agent: &mut Agent, mut answer: impl FnMut() -> Answer) -> (Error, usize) {
    let mut requests = 0;
    let end = run(agent, Call::new(Secrets), |_| {
        requests += 1;
        answer().above_cap().into()
    });
    (end.unwrap_err(), requests)
}

#[test]
fn its_status_is_kept_and_decides() {
    use ErrorKind::*;
    let to = "https://login.example/sso?ticket=s3cr3t";
    for (answer, kind, requests, retryable) in [
        (Answer::html(302).header("location", to), Redirected, 1, false),
        // The second request asks the open view whether the platform's database is down.
        (Answer::html(401), Unauthorized, 2, false),
        (Answer::html(403), Refused, 1, false),
        (Answer::html(404), Routing, 1, false),
        (Answer::html(429).header("retry-after", "2"), RateLimited, 4, true),
        (Answer::html(500), Unavailable, 1, true),
        (Answer::html(502), Unavailable, 4, true),
        (Answer::html(503).header("retry-after", "2"), Unavailable, 4, true),
        (Answer::html(522), Unavailable, 4, true),
        // A 2xx whose body cannot be read is a wrong answer or a web page.
        (Answer::json(200, json!({})), TooLarge, 1, false),
        (Answer::text(200, ""), TooLarge, 1, false),
        (Answer::html(200), Routing, 1, false),
    ] {
        let status = answer.clone().outcome();
        let (error, sent) = pull(&mut caller(), || answer.clone());
        let told = error.to_string();
        assert_eq!((error.kind(), sent, error.is_retryable()), (kind, requests, retryable), "{status:?}: {told}");
        assert!(error.status().is_some() && told.contains("; ") | (kind == Refused), "{status:?}: {told}");
        assert!(!told.contains(MARK), "{told}");
    }
    let (error, _) = pull(&mut caller(), || Answer::html(302).header("location", to));
    assert_eq!(error.location(), Some("https://login.example/sso"));
    let (error, _) = pull(&mut caller(), || Answer::html(503).header("retry-after", "7"));
    assert_eq!(error.retry_after(), Some(secs(7)));
}

/// The 401 is not in the platform's words, so a different token in the store does not become the bearer.
#[test]
fn a_401_leaves_the_bearer_alone() {
    let mut agent = caller();
    agent.store.token = Some(secret("newer"));
    let error = run(&mut agent, Call::new(Secrets), |seen| {
        assert_ne!(seen.bearer, Some(secret("newer")));
        Answer::html(401).above_cap().into()
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!agent.lines("start").iter().any(|line| line.contains("Load(Token)")), "{}", agent.take_trace());
}

#[test]
fn its_rate_limit_is_learnt() {
    let mut agent = caller();
    pull(&mut agent, || {
        let answer = Answer::html(404).header("x-ratelimit-limit", "600").header("x-ratelimit-remaining", "3");
        answer.header("x-ratelimit-reset", "25")
    });
    assert!(agent.session.health().rate.is_some());
}

#[test]
fn a_page_is_never_the_end_of_a_workspace() {
    for status in [404, 410] {
        let end = run(&mut caller(), Call::once(View), |_| Answer::html(status).above_cap().into());
        assert!(matches!(end.unwrap_err().kind(), ErrorKind::Routing | ErrorKind::Refused), "{status}");
    }
}

fn relayed(answer: &Answer) -> Called {
    call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |seen| {
        assert!(seen.is(A2A), "{seen}");
        answer.clone().above_cap().into()
    })
}

#[test]
fn only_json_at_a_success_is_a_delivered_reply() {
    for status in [200, 201] {
        let called = relayed(&Answer::json(status, json!({})));
        assert_eq!((word(&called.end.unwrap()).as_str(), called.seen.len()), ("delivered, reply lost", 1));
    }
    for (answer, kind, may_have_it) in [
        (Answer::html(200), ErrorKind::Routing, false),
        (Answer::text(200, ""), ErrorKind::TooLarge, true),
        (Answer::text(200, "").header("content-type", "text/plain"), ErrorKind::TooLarge, true),
        (Answer::html(302).header("location", "https://login.example/"), ErrorKind::Redirected, false),
        (Answer::html(401), ErrorKind::Unauthorized, false),
        (Answer::html(404), ErrorKind::Routing, false),
        (Answer::html(429).header("retry-after", "1"), ErrorKind::RateLimited, false),
        (Answer::html(502), ErrorKind::Unavailable, true),
        (Answer::html(503).header("retry-after", "1"), ErrorKind::Unavailable, true),
        (Answer::json(500, json!({})), ErrorKind::Unavailable, true),
    ] {
        let called = relayed(&answer);
        assert_eq!(called.seen.len(), 1, "sent again after {answer:?}");
        let error = called.end.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert_eq!(error.to_string().contains("the peer may have the message"), may_have_it, "{answer:?}: {error}");
        assert!(error.message_id().is_some());
    }
}

#[test]
fn a_queued_message_with_such_a_reply_is_delivered() {
    let mut agent = caller();
    let mut answers =
        vec![Answer::json(200, json!({})).above_cap(), Answer::html(502).above_cap(), Answer::html(503).outcome()];
    let end = run(&mut agent, Wait::for_queue_item(ITEM).unwrap(), |_| answers.pop().unwrap().into());
    assert_eq!(end.unwrap(), QueueOutcome::DeliveredReplyLost);
    let look = QueuedItem::new(ITEM).unwrap();
    let error = run(&mut agent, look, |_| Answer::json(200, json!({})).above_cap().into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("the message is delivered"), "{error}");
    // An HTML page says nothing about the queued message.
    let end = run(&mut agent, Wait::for_queue_item(ITEM).unwrap(), |_| Answer::html(404).above_cap().into());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Routing);
}

/// A platform with more peers than fit into one answer, and one by the name of Alpha.
fn list(agent: &mut Agent, question: ListPeers) -> (Result<Vec<Peer>>, Vec<String>) {
    let mut asked = Vec::new();
    let list = run(agent, question, |seen| {
        asked.push(seen.to_string());
        if seen.to_string().contains("q=alpha") {
            let row = json!({"id": "00000000-0000-4000-8000-000000000001", "name": "Alpha", "status": "online"});
            return Answer::json(200, json!([row])).into();
        }
        Answer::json(200, json!([])).above_cap().into()
    });
    (list, asked)
}

#[test]
fn a_list_of_too_many_peers_says_to_ask_for_some_of_them() {
    let error = list(&mut caller(), ListPeers::all()).0.unwrap_err();
    assert_eq!((error.kind(), error.operation(), error.is_retryable()), (ErrorKind::TooLarge, "list peers", false));
    let told = error.to_string();
    assert!(told.contains("4194304 bytes") && told.contains("ask for some of them by name or role"), "{told}");
    // A web page does not come from the platform.
    let end = run(&mut caller(), ListPeers::all(), |_| Answer::html(200).above_cap().into());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Routing);
}

#[test]
fn some_of_too_many_peers_are_found_whichever_server_it_is() {
    for platform in [None, Some(Platform::april()), Some(Platform::current())] {
        let mut agent = caller();
        let is_current = platform.as_ref().is_some_and(|platform| platform.dialect == Dialect::Current);
        if let Some(mut platform) = platform {
            run(&mut agent, Beat::new(), |seen| platform.serve(seen)).unwrap();
        }
        for again in [false, true] {
            let (found, asked) = list(&mut agent, ListPeers::matching("alpha"));
            assert_eq!(found.unwrap()[0].name, "Alpha");
            // Once the session knows this, no call asks for all peers first.
            assert_eq!(asked.len(), if again || is_current { 1 } else { 2 }, "{asked:?}");
        }
    }
}
