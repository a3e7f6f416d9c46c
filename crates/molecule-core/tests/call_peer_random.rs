//! Calls under random answers and faults of the platform and the peer: no message is sent twice if it may have been
//! handled, all requests carry the same id, and the peer learns nothing about the agent.
//!
//! The driver of these tests checks at every step that only a message without any credential goes to another origin.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use molecule_core::effect::{Fault, FaultKind, Outcome, Phase, Sent};
use molecule_core::machine::Machine;
use molecule_core::machines::{Beat, CallPeer};
use molecule_core::{PeerCall, Route};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::calls::{DIRECT, URL, caller, found, word};
use support::platform::{A2A, DISCOVER, PEER};
use support::*;

/// The outcome of a request.
#[derive(Debug, Clone)]
enum End {
    Good {
        millis: u64,
    },
    Answer {
        status: u16,
        body: usize,
        wait: bool,
        millis: u64,
    },
    /// A body above the cap.
    Long {
        status: u16,
        kind: Option<&'static str>,
        wait: bool,
        millis: u64,
    },
    Fault {
        kind: usize,
        maybe: bool,
        millis: u64,
    },
    Never,
}

fn ends() -> impl Strategy<Value = End> {
    let millis = prop_oneof![Just(0u64), 0u64..20_000, Just(400_000)];
    let status = prop_oneof![
        8 => prop::sample::select(vec![200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 405, 413, 429, 500, 502, 503, 504]),
        1 => 100u16..600,
    ];
    prop_oneof![
        3 => millis.clone().prop_map(|millis| End::Good { millis }),
        2 => (status.clone(), prop::sample::select(TYPES.to_vec()), any::<bool>(), millis.clone())
            .prop_map(|(status, kind, wait, millis)| End::Long { status, kind, wait, millis }),
        6 => (status, 0..bodies().len(), any::<bool>(), millis.clone())
            .prop_map(|(status, body, wait, millis)| End::Answer { status, body, wait, millis }),
        3 => (0..FAULTS.len(), any::<bool>(), millis).prop_map(|(kind, maybe, millis)| End::Fault { kind, maybe, millis }),
        1 => Just(End::Never),
    ]
}

const TYPES: [Option<&str>; 3] = [None, Some("application/json; charset=utf-8"), Some("text/html")];

const FAULTS: [FaultKind; 9] = [
    FaultKind::Resolve,
    FaultKind::Connect,
    FaultKind::Tls,
    FaultKind::Proxy,
    FaultKind::Timeout(Phase::Connect),
    FaultKind::Timeout(Phase::Head),
    FaultKind::Interrupted,
    FaultKind::Protocol,
    FaultKind::TooLarge,
];

fn bodies() -> Vec<String> {
    [
        json!({"jsonrpc": "2.0", "error": {"code": -1, "message": "boom"}}),
        json!({"queued": true, "queue_id": "16fbce34-b9f3-4274-9310-2d6cf9256ac5", "queue_depth": 1}),
        json!({"status": "queued", "delivery_mode": "poll"}),
        json!({"status": "queued", "delivery_mode": "push-async"}),
        json!({"error": "rate limit exceeded", "retry_after": 3}),
        json!({"error": "invalid caller auth token"}),
        json!({"error": "access denied: workspaces cannot communicate per hierarchy rules"}),
        json!({"error": "busy", "busy": true, "retry_after": 30}),
        json!({"error": "asleep", "waking": true, "retry_after": 15}),
        json!({"error": "workspace not yet enrolled in inbound auth (RFC #2312)"}),
        json!({"error": "workspace budget limit exceeded"}),
        json!({"error": "workspace not found"}),
        json!({"error": "workspace has no URL", "status": "paused"}),
        json!({"error": "failed to reach workspace agent"}),
        json!({"error": "workspace URL is not publicly routable"}),
        json!({"error": "lost", "delivery_confirmed": true}),
        json!({"error": "down", "code": "platform_unavailable"}),
        json!({"error": "anything else"}),
        json!([1, 2]),
    ]
    .into_iter()
    .map(|body| body.to_string())
    .chain(["<html>".to_owned(), String::new(), " ".to_owned()])
    .collect()
}

impl End {
    fn reply(&self, seen: &Seen) -> Reply {
        match *self {
            Self::Good { millis } if seen.is(DISCOVER) => {
                Reply::After(Duration::from_millis(millis), found(URL).outcome())
            }
            Self::Good { millis } => {
                Reply::After(Duration::from_millis(millis), Answer::json(200, reply("hello")).outcome())
            }
            Self::Answer { status, body, wait, millis } => {
                let answer = Answer::text(status, bodies()[body].clone());
                let answer = if wait { answer.header("retry-after", "5") } else { answer };
                Reply::After(Duration::from_millis(millis), answer.outcome())
            }
            Self::Long { status, kind, wait, millis } => {
                let answer = Answer::empty(status);
                let answer = if let Some(kind) = kind { answer.header("content-type", kind) } else { answer };
                let answer = if wait { answer.header("retry-after", "5") } else { answer };
                Reply::After(Duration::from_millis(millis), answer.above_cap())
            }
            Self::Fault { kind, maybe, millis } => {
                let sent = if maybe { Sent::Maybe } else { Sent::No };
                let fault = Outcome::Failed(Fault::new(sent, FAULTS[kind]));
                Reply::After(Duration::from_millis(millis), fault)
            }
            Self::Never => Reply::Never,
        }
    }

    /// Returns whether a message may have been handled after its request ended like this. It was not if it was never
    /// sent, if a direct call was refused by the peer, or if the platform itself asked to retry or refused the bearer.
    fn may_be_handled(&self, is_direct: bool) -> bool {
        match *self {
            Self::Good { .. } | Self::Never => true,
            Self::Fault { maybe, .. } => maybe,
            Self::Answer { status, .. } | Self::Long { status, .. } if is_direct => {
                !matches!(status, 401 | 403 | 404 | 405)
            }
            Self::Answer { status, body, .. } => {
                let body: Value = serde_json::from_str(&bodies()[body]).unwrap_or_default();
                let is_own = match status {
                    401 => body["error"] == "invalid caller auth token",
                    429 => body["error"] == "rate limit exceeded",
                    503 => body["code"] == "platform_unavailable",
                    _ => false,
                };
                !is_own
            }
            Self::Long { .. } => true,
        }
    }
}

#[derive(Debug, Clone)]
struct Call {
    route: Option<Route>,
    timeout: u64,
    ends: Vec<End>,
    cancel_after: Option<usize>,
    april: bool,
}

fn call() -> impl Strategy<Value = Call> {
    let route = prop::option::of(prop::sample::select(vec![Route::Auto, Route::Proxy, Route::Direct]));
    let cancel = prop::option::weighted(0.1, 0usize..6);
    (route, 1u64..600, vec(ends(), 0..8), cancel, any::<bool>())
        .prop_map(|(route, timeout, ends, cancel_after, april)| Call { route, timeout, ends, cancel_after, april })
}

/// Drives a call. Returns its result, and its messages with the outcome of each.
fn drive(agent: &mut Agent, case: &Call) -> (String, Vec<(Seen, End)>) {
    let mut options = PeerCall::new("hello").timeout(secs(case.timeout));
    if let Some(route) = case.route {
        options = options.route(route);
    }
    let mut driven = Driven::new(CallPeer::new(PEER, options).unwrap());
    let mut ends = case.ends.iter().cloned();
    let mut sent = Vec::new();
    let began = agent.now.mono;
    let until = began + secs(4000);
    for step in 0.. {
        if case.cancel_after == Some(step) {
            driven.machine.cancel(&mut agent.cx());
        }
        let next = driven.next(agent, until, &mut |seen: &Seen| {
            let end = ends.next().unwrap_or(End::Good { millis: 0 });
            if seen.is(A2A) || seen.is(DIRECT) {
                sent.push((seen.clone(), end.clone()));
            }
            end.reply(seen)
        });
        match next {
            Next::Outcome(id, outcome) => {
                driven.feed(agent, id, outcome);
            }
            Next::Wake => {}
            Next::Done => break,
            // A driver ends a request that takes longer than its limits.
            Next::Later => {
                let id = *driven.in_flight.keys().next().expect("idle for ever");
                driven.feed(agent, id, fault(FaultKind::Timeout(Phase::Total)));
            }
        }
    }
    let end = match driven.done.take().unwrap() {
        Ok(outcome) => word(&outcome).split(':').next().unwrap().split(" in ").next().unwrap().to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    (end, sent)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: persisted(), ..ProptestConfig::default() })]

    #[test]
    fn no_message_goes_out_again_that_may_have_been_handled(cases in vec(call(), 1..4)) {
        let mut agent = caller();
        agent.store.token = Some(secret("newer"));
        let mut ids = BTreeSet::new();
        for case in cases {
            if case.april {
                let mut platform = Platform::april();
                let _ = run(&mut agent, Beat::new(), |seen| platform.serve(seen));
            }
            let (_, sent) = drive(&mut agent, &case);
            for (number, (seen, end)) in sent.iter().enumerate() {
                prop_assert_eq!(&seen.body, &sent[0].0.body, "another message within one call");
                let is_last = number + 1 == sent.len();
                prop_assert!(is_last || !end.may_be_handled(seen.is(DIRECT)), "sent again after {:?}", end);
                match case.route {
                    Some(Route::Proxy) => prop_assert!(seen.is(A2A)),
                    Some(Route::Direct) => prop_assert!(seen.is(DIRECT)),
                    _ => prop_assert!(number == 0 || seen.is(A2A), "directly a second time"),
                }
            }
            if let Some((seen, _)) = sent.first() {
                let id = seen.body["params"]["message"]["messageId"].to_string();
                prop_assert!(ids.insert(id), "an id for two messages");
            }
        }
    }
}

#[test]
fn each_outcome_is_reached() {
    let mut reached = BTreeSet::new();
    for status in [200, 402, 403, 404, 429, 502, 503] {
        for body in 0..bodies().len() {
            let ends = vec![End::Answer { status, body, wait: false, millis: 0 }; 4];
            let case = Call { route: Some(Route::Proxy), timeout: 60, ends, cancel_after: None, april: false };
            reached.insert(drive(&mut caller(), &case).0);
        }
    }
    let good = Call { route: None, timeout: 60, ends: Vec::new(), cancel_after: None, april: false };
    reached.insert(drive(&mut caller(), &good).0);
    for outcome in [
        "message",
        "other",
        "queued",
        "accepted for poll",
        "answer later",
        "delivered, reply lost",
        "busy",
        "waking",
        "not enrolled",
        "over budget",
        "denied",
        "not found",
        "no URL",
        "unreachable",
        "unsafe URL",
        "peer error",
        "RateLimited",
        "Unavailable",
    ] {
        assert!(reached.contains(outcome), "{outcome} is not among {reached:?}");
    }
}
