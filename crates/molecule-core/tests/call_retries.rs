//! Retries of a call: when they are sent, how long the call waits, and the error at the end.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Effect, Fault, FaultKind, Outcome, Phase, Sent};
use molecule_core::endpoint::Endpoint;
use molecule_core::machines::Call;
use molecule_core::{Error, ErrorKind, Timeouts};
use serde_json::json;
use support::probe::{Costly, Harmless};
use support::*;

/// An agent that holds a token.
fn agent(seed: u64) -> Agent {
    Agent::with(Agent::options().token(secret("first")), seed)
}

/// The error of a call whose requests all get the same outcome, and the times of the requests.
fn fail<E>(agent: &mut Agent, endpoint: E, reply: impl Fn() -> Outcome) -> (Error, Vec<Duration>)
where
    E: Endpoint + std::fmt::Debug,
    E::Answer: std::fmt::Debug,
{
    let begin = agent.now.mono;
    let mut sent = Vec::new();
    let error = run(agent, Call::new(endpoint), |seen| {
        sent.push(seen.at.since(begin));
        reply().into()
    });
    (error.unwrap_err(), sent)
}

fn waiting(status: u16, seconds: &str) -> Outcome {
    let words = if status == 429 { "rate limit exceeded" } else { "later" };
    Answer::error(status, words).header("retry-after", seconds).outcome()
}

#[test]
fn what_is_sent_again_depends_on_the_answer_and_on_the_endpoint() {
    use ErrorKind::*;
    type Row = (fn() -> Outcome, usize, usize, ErrorKind);
    let rows: [Row; 26] = [
        (|| waiting(429, "1"), 4, 4, RateLimited),
        (|| Answer::error(429, "rate limit exceeded").outcome(), 4, 4, RateLimited),
        (|| waiting(503, "1"), 1, 4, Unavailable),
        (|| Answer::html(503).header("retry-after", "1").outcome(), 1, 4, Unavailable),
        (|| Answer::html(429).header("retry-after", "1").outcome(), 1, 4, RateLimited),
        (|| Answer::json(503, json!({"error": "down", "code": "platform_unavailable"})).outcome(), 4, 4, Unavailable),
        (|| Answer::error(503, "down").outcome(), 1, 4, Unavailable),
        (|| Answer::error(502, "bad gateway").outcome(), 1, 4, Unavailable),
        (|| Answer::html(504).outcome(), 1, 4, Unavailable),
        (|| Answer::html(520).outcome(), 1, 4, Unavailable),
        (|| Answer::html(527).outcome(), 1, 4, Unavailable),
        (|| Answer::html(530).outcome(), 1, 4, Unavailable),
        (|| waiting(500, "1"), 1, 1, Unavailable),
        (|| waiting(400, "1"), 1, 1, Refused),
        (|| Answer::empty(302).header("location", "/login").outcome(), 1, 1, Redirected),
        (|| unsent(FaultKind::Resolve), 4, 4, Unreachable),
        (|| unsent(FaultKind::Connect), 4, 4, Unreachable),
        (|| unsent(FaultKind::Proxy), 4, 4, Unreachable),
        (|| unsent(FaultKind::ProxyAuth), 1, 1, Unreachable),
        (|| unsent(FaultKind::Timeout(Phase::Connect)), 4, 4, Timeout),
        (|| fault(FaultKind::Timeout(Phase::Head)), 1, 4, Timeout),
        (|| fault(FaultKind::Interrupted), 1, 4, Interrupted),
        (|| fault(FaultKind::Protocol), 1, 4, Protocol),
        (|| unsent(FaultKind::Tls), 1, 1, Tls),
        (|| fault(FaultKind::TooLarge), 1, 1, TooLarge),
        (|| fault(FaultKind::Cancelled), 1, 1, Cancelled),
    ];
    for (reply, costly, harmless, kind) in rows {
        let name = format!("{:?}", reply());
        let (error, sent) = fail(&mut agent(1), Costly, reply);
        assert_eq!((error.kind(), sent.len(), error.attempts() as usize), (kind, costly, costly), "{name}");
        let (error, sent) = fail(&mut agent(1), Harmless, reply);
        assert_eq!((error.kind(), sent.len(), error.attempts() as usize), (kind, harmless, harmless), "{name}");
        assert_eq!(error.is_retryable(), harmless > 1 || kind == Unavailable, "{name}");
        let told = error.to_string();
        assert_eq!(told.contains("after 4 requests"), harmless == 4, "{told}");
    }
}

#[test]
fn waits_have_full_jitter_below_one_two_and_four_seconds() {
    let mut waits = [const { Vec::new() }; 3];
    for seed in 0..300 {
        let (_, sent) = fail(&mut agent(seed), Harmless, || unsent(FaultKind::Connect));
        for (n, pair) in sent.windows(2).enumerate() {
            waits[n].push((pair[1] - pair[0]).as_secs_f64());
        }
    }
    for (ceiling, waits) in [1.0, 2.0, 4.0].into_iter().zip(waits) {
        assert!(waits.iter().all(|wait| (0.0..=ceiling).contains(wait)), "below {ceiling} s");
        assert!(waits.iter().any(|wait| *wait < 0.1 * ceiling) && waits.iter().any(|wait| *wait > 0.9 * ceiling));
    }
}

/// Returns whether a wait is what the server asked for plus at most 5 s, by which agents that got the same answer are
/// spread.
fn obeys(waited: f64, asked: f64) -> bool {
    (asked..asked + 5.0).contains(&waited)
}

#[test]
fn a_good_answer_ends_the_retries() {
    let mut agent = agent(1);
    let mut replies =
        [waiting(429, "2"), unsent(FaultKind::Connect), Answer::json(200, json!(1)).outcome()].into_iter();
    let answer = run(&mut agent, Call::new(Costly), |_| replies.next().unwrap().into());
    assert_eq!(answer.unwrap(), json!(1));
    assert_eq!(
        agent.take_trace(),
        "start 1 POST /probe (bearer)\n\
         feed 1 Response(429 Too Many Requests, 31 bytes)\n\
         event Retrying { operation: \"probe\", attempt: 1, wait: 2.657039511s, error: \"probe failed: the rate limit is spent (rate limit exceeded); \
         call less often: all agents of an organisation share its limit\" }\n\
         idle until +2.7 s: send again\n\
         start 2 POST /probe (bearer)\n\
         feed 2 Failed(Connect, sent: No)\n\
         event Retrying { operation: \"probe\", attempt: 2, wait: 1.069231975s, error: \"probe failed: no connection to the \
         platform; check that the platform runs and can be reached from here\" }\n\
         idle until +1.1 s: send again\n\
         start 3 POST /probe (bearer)\n\
         feed 3 Response(200 OK, 1 bytes)\n\
         done Number(1)"
    );
}

#[test]
fn a_call_of_one_request_sends_no_second() {
    let mut agent = agent(1);
    let mut requests = 0;
    let error = run(&mut agent, Call::once(Harmless), |_| {
        requests += 1;
        waiting(429, "1").into()
    });
    assert_eq!((requests, error.unwrap_err().retry_after()), (1, Some(secs(1))));
}

#[test]
fn retry_after_is_obeyed_within_one_to_sixty_seconds() {
    for (header, wait) in [
        ("7", 7.0),
        ("0", 1.0),
        ("0.2", 1.0),
        ("59.1", 60.0),
        ("86400", 60.0),
        ("999999999999999999999999", 60.0),
        ("Sun, 22 Nov 2026 21:40:17 GMT", 30.0),
        ("Sun, 22 Nov 2026 00:00:00 GMT", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60.0),
    ] {
        let (error, sent) = fail(&mut agent(1), Costly, || waiting(429, header));
        assert!(obeys((sent[1] - sent[0]).as_secs_f64(), wait), "{header}: {sent:?}");
        // The time until a date gets shorter while the call waits for it.
        assert!(error.retry_after().is_some_and(|last| last.as_secs_f64() <= wait), "{header}");
    }
    for junk in ["-5", "inf", "nan", "soon", "", "1e3"] {
        let (error, sent) = fail(&mut agent(1), Costly, || waiting(429, junk));
        assert!(sent.len() == 4 && sent[1] - sent[0] <= secs(1), "{junk:?}");
        assert_eq!(error.retry_after(), None, "{junk:?}");
    }
}

#[test]
fn the_body_says_how_long_where_the_header_does_not() {
    let limited = || Answer::json(429, json!({"error": "rate limit exceeded", "retry_after": 9})).outcome();
    let (error, sent) = fail(&mut agent(1), Costly, limited);
    assert!(obeys((sent[1] - sent[0]).as_secs_f64(), 9.0), "{sent:?}");
    assert_eq!(error.retry_after(), Some(secs(9)));
}

#[test]
fn a_wait_beyond_the_deadline_gives_the_error_back_at_once() {
    let timeouts = Timeouts::default().call(secs(5));
    let mut agent = Agent::with(Agent::options().token(secret("first")).timeouts(timeouts), 1);
    let (error, sent) = fail(&mut agent, Harmless, || waiting(429, "10"));
    assert_eq!((sent.len(), error.attempts(), error.retry_after()), (1, 1, Some(secs(10))));
    assert!(error.is_retryable());
    assert!(agent.lines("idle").is_empty(), "it waited all the same");

    // The call's 90 s have room for one wait of 40 s, not for three.
    let (error, sent) = fail(&mut self::agent(1), Harmless, || waiting(503, "40"));
    assert_eq!((sent.len(), error.attempts()), (3, 3));
    assert!(sent.windows(2).all(|pair| obeys((pair[1] - pair[0]).as_secs_f64(), 40.0)), "{sent:?}");
}

#[test]
fn what_is_left_of_the_calls_time_limits_each_request() {
    let timeouts = Timeouts::default().call(secs(40));
    let mut agent = Agent::with(Agent::options().token(secret("first")).timeouts(timeouts), 1);
    let mut driven = Driven::new(Call::new(Harmless));
    let mut totals = Vec::new();
    let until = agent.now.mono + secs(200);
    loop {
        driven.settle(&mut agent);
        totals.extend(driven.in_flight.values().filter_map(|effect| match effect {
            Effect::Http(_, limits) => Some(limits.total.as_secs()),
            Effect::Host(_)
            | Effect::Fetch(..)
            | Effect::Upload(..)
            | Effect::Watch(..)
            | Effect::Handle(_)
            | Effect::Decode(_) => None,
        }));
        let timeout = || Fault::new(Sent::Maybe, FaultKind::Timeout(Phase::Total));
        match driven.next(&mut agent, until, &mut |_| Reply::After(secs(30), Outcome::Failed(timeout()))) {
            Next::Outcome(id, outcome) => {
                driven.feed(&mut agent, id, outcome);
            }
            Next::Wake => {}
            _ => break,
        }
    }
    assert!(totals[0] == 30 && totals[1] < 10, "{totals:?}");
    assert_eq!(driven.done.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn every_endpoint_says_how_much_may_come_back() {
    let mut agent = agent(1);
    let mut driven = Driven::new(Call::new(Harmless));
    driven.settle(&mut agent);
    let Some(Effect::Http(_, limits)) = driven.in_flight.values().next() else { panic!("no request") };
    assert_eq!(limits.max_body, 64 * 1024);
    let told = Timeouts::default();
    assert_eq!((limits.connect, limits.head, limits.read), (told.connect, told.answer, told.read));
}

/// After a 429 the agents of one client retry one after the other, and none of them too early.
#[test]
fn agents_that_were_told_the_same_wait_do_not_come_back_at_once() {
    for refusal in [
        Answer::error(429, "rate limit exceeded").header("retry-after", "7"),
        Answer::error(503, "busy").header("retry-after", "7"),
    ] {
        let mut waits = Vec::new();
        for seed in 0..200 {
            let mut agent = Agent::with(Agent::options().token(secret("first")), seed);
            let from = agent.now.mono;
            let mut told = false;
            run(&mut agent, Call::new(Harmless), |seen| {
                if std::mem::replace(&mut told, true) {
                    waits.push(seen.at.since(from));
                    return Answer::json(200, json!({})).into();
                }
                refusal.clone().into()
            })
            .unwrap();
        }
        assert!(waits.iter().all(|wait| (secs(7)..secs(12)).contains(wait)), "{waits:?}");
        let within =
            |least: Duration| waits.iter().filter(|wait| (least..least + secs_f64(0.5)).contains(*wait)).count();
        let most = (14..24).map(|half| within(secs_f64(f64::from(half) / 2.0))).max().unwrap();
        assert!(most < 60, "{most} of 200 within half a second");
    }
}
