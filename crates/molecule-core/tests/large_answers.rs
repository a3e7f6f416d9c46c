//! A large answer is decoded by an effect of its own, so that it blocks neither the session nor a thread that other
//! work waits for. Its content is bounded.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{Method, Response};
use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Outcome, Sent};
use molecule_core::endpoint::{Auth, Draft, Endpoint, Mismatch, Repeat, json};
use molecule_core::machine::{Machine, Step};
use molecule_core::machines::{Call, CallPeer};
use molecule_core::proto::WorkspaceId;
use molecule_core::{CallOutcome, ErrorKind, PeerCall, Result, Route};
use support::calls::{DIRECT, call, call_direct, caller};
use support::platform::{A2A, PEER, VIEW};
use support::*;

/// The limit between small and large, in bytes.
const LARGE: usize = 256 * 1024;

/// An endpoint whose answer is a list; it counts how often the list was decoded.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicU32>);

impl Endpoint for Counted {
    type Answer = usize;
    const OPERATION: &'static str = "count";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list";
    const MAX_BODY: u64 = 16 * 1024 * 1024;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, "/count", Auth::Bearer))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<usize, Mismatch> {
        self.0.fetch_add(1, Ordering::Relaxed);
        json::<Vec<u8>>(answer).map(|list| list.len())
    }
}

/// A list of this many bytes.
fn list(bytes: usize) -> String {
    format!("[{}]", &"1,".repeat(bytes / 2)[1..bytes - 1].replacen(',', " ", 1))
}

/// A call whose request is in flight.
fn sent(agent: &mut Agent, counted: &Counted) -> (Call<Counted>, EffectId) {
    let mut call = Call::new(counted.clone());
    let Step::Start(id, Effect::Http(..)) = call.poll(&mut agent.cx()) else { panic!("no request") };
    (call, id)
}

fn reading(agent: &mut Agent, call: &mut Call<Counted>) -> (EffectId, Effect) {
    let Step::Start(id, effect @ Effect::Decode(_)) = call.poll(&mut agent.cx()) else {
        panic!("it is not read apart")
    };
    (id, effect)
}

fn performed(effect: Effect) -> Outcome {
    let Effect::Decode(decode) = effect else { panic!("{effect:?}") };
    decode.perform()
}

#[test]
fn a_large_answer_is_read_with_the_session_unlocked() {
    let (mut agent, counted) = (caller(), Counted::default());
    let (mut call, id) = sent(&mut agent, &counted);
    call.feed(&mut agent.cx(), id, Answer::text(200, list(LARGE + 2)).outcome()).unwrap();
    let (id, effect) = reading(&mut agent, &mut call);
    assert!(matches!(call.poll(&mut agent.cx()), Step::Idle(None)));
    assert_eq!(counted.0.load(Ordering::Relaxed), 0, "it was read by a poll or a feed");
    // The effect is performed without the session.
    let outcome = performed(effect);
    assert_eq!(counted.0.load(Ordering::Relaxed), 1);
    call.feed(&mut agent.cx(), id, outcome).unwrap();
    let Step::Done(Ok(length)) = call.poll(&mut agent.cx()) else { panic!("it is not done") };
    assert_eq!((length, counted.0.load(Ordering::Relaxed)), (LARGE / 2, 1));
}

#[test]
fn a_small_answer_costs_no_effect_of_its_own() {
    let (mut agent, counted) = (caller(), Counted::default());
    let (mut call, id) = sent(&mut agent, &counted);
    call.feed(&mut agent.cx(), id, Answer::text(200, list(LARGE)).outcome()).unwrap();
    assert!(matches!(call.poll(&mut agent.cx()), Step::Done(Ok(_))));
}

#[test]
fn a_refusal_is_what_it_is_however_long() {
    let page = format!("<html>{}", "x".repeat(LARGE));
    for (answer, kind, requests) in [
        (Answer::text(404, page.clone()), ErrorKind::Routing, 1),
        (Answer::text(502, page.clone()), ErrorKind::Unavailable, 4),
        (Answer::text(401, page.clone()), ErrorKind::Unauthorized, 1),
        (Answer::text(200, page), ErrorKind::Routing, 1),
        (Answer::error(429, &"x".repeat(LARGE)).header("retry-after", "7"), ErrorKind::RateLimited, 4),
    ] {
        let mut seen = 0;
        let error = run(&mut caller(), Call::new(Counted::default()), |request| {
            // After a 401 the call asks the view.
            seen += u32::from(!request.is(VIEW));
            answer.clone().into()
        });
        let error = error.unwrap_err();
        assert_eq!((error.kind(), seen), (kind, requests), "{error}");
        assert_eq!(error.retry_after(), (kind == ErrorKind::RateLimited).then_some(secs(7)));
    }
}

#[test]
fn a_call_that_is_cancelled_while_its_answer_is_read_ends_and_wants_it_no_more() {
    let (mut agent, counted) = (caller(), Counted::default());
    let (mut call, id) = sent(&mut agent, &counted);
    call.feed(&mut agent.cx(), id, Answer::text(200, list(LARGE + 2)).outcome()).unwrap();
    let (id, effect) = reading(&mut agent, &mut call);
    call.cancel(&mut agent.cx());
    let Step::Cancel(cancelled) = call.poll(&mut agent.cx()) else { panic!("it is not cancelled") };
    assert_eq!(cancelled, id);
    let Step::Done(Err(error)) = call.poll(&mut agent.cx()) else { panic!("it is not done") };
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(call.feed(&mut agent.cx(), id, performed(effect)).is_err(), "it was taken");
}

#[test]
fn an_answer_that_nobody_could_read_ends_the_call() {
    let (mut agent, counted) = (caller(), Counted::default());
    let (mut call, id) = sent(&mut agent, &counted);
    call.feed(&mut agent.cx(), id, Answer::text(200, list(LARGE + 2)).outcome()).unwrap();
    let (id, _) = reading(&mut agent, &mut call);
    // An outcome of another call is given back.
    let other = {
        let (mut other, id) = sent(&mut agent, &counted);
        other.feed(&mut agent.cx(), id, Answer::text(200, list(LARGE + 2)).outcome()).unwrap();
        reading(&mut agent, &mut other).1
    };
    let stray = EffectId(id.0 + 100);
    assert!(call.feed(&mut agent.cx(), stray, performed(other)).is_err());
    call.feed(&mut agent.cx(), id, Outcome::Failed(Fault::new(Sent::No, FaultKind::Interrupted))).unwrap();
    let Step::Done(Err(error)) = call.poll(&mut agent.cx()) else { panic!("it is sent again") };
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
}

/// A reply of this many parts without text.
fn parts(many: usize) -> Answer {
    let parts = format!("[{}]", [r#"{"text":""}"#].repeat(many).join(","));
    Answer::text(200, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"kind":"message","parts":{parts}}}}}"#))
}

/// Calls by both routes, with this answer of the peer.
fn both_ways(answer: &Answer) -> [Result<CallOutcome>; 2] {
    let direct = call_direct(&mut caller(), PeerCall::new("hello"), || answer.clone().into());
    assert!(direct.messages().len() == 1 && direct.messages()[0].is(DIRECT));
    let relayed = call(&mut caller(), PeerCall::new("hello").route(Route::Proxy), |_| answer.clone().into());
    assert!(relayed.messages().len() == 1 && relayed.messages()[0].is(A2A));
    [direct.end, relayed.end]
}

#[test]
fn a_reply_of_many_parts_is_read_and_one_of_too_many_is_a_reply_that_is_lost() {
    for end in both_ways(&parts(25_000)) {
        let outcome = end.unwrap();
        // More parts than a message may have: they are kept as one data part.
        let molecule_core::proto::Reply::Message(message) = outcome.reply().unwrap() else { panic!("{outcome:?}") };
        assert_eq!(message.parts.len(), 1);
    }
    for end in both_ways(&parts(100_000)) {
        let outcome = end.unwrap();
        assert!(outcome == CallOutcome::DeliveredReplyLost && outcome.is_taken(), "{outcome:?}");
    }
}

#[test]
fn a_direct_reply_is_read_apart_too() {
    let mut agent = caller();
    let mut call = CallPeer::new(PEER, PeerCall::new("hello")).unwrap();
    let Step::Start(id, _) = call.poll(&mut agent.cx()) else { panic!("no discovery") };
    call.feed(&mut agent.cx(), id, support::calls::found(support::calls::URL).outcome()).unwrap();
    let Step::Start(id, Effect::Http(..)) = call.poll(&mut agent.cx()) else { panic!("no message") };
    call.feed(&mut agent.cx(), id, parts(LARGE / 11).outcome()).unwrap();
    let Step::Start(id, effect) = call.poll(&mut agent.cx()) else { panic!("it is not read apart") };
    let outcome = performed(effect);
    call.feed(&mut agent.cx(), id, outcome).unwrap();
    assert!(matches!(call.poll(&mut agent.cx()), Step::Done(Ok(CallOutcome::Replied(_)))));
}
