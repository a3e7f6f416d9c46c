//! What waited in the feed while an agent with a server was stopped, and what no push has brought, is handled too: once, and
//! without getting before the pushes.

use molecule_core::proto::UnixTime;
use molecule_core::{Event, Plan};
use serde_json::json;

use crate::both::Both;
use crate::support::agent::start_unix;
use crate::support::inbound::text;
use crate::support::platform::{FEED, SELF_A2A};
use crate::support::{Answer, Duration, Platform, Received, Seen, secs};

const PLANS: [Plan; 2] = [Plan::Push, Plan::Auto];

/// A platform that reaches the agent's server, or does not.
fn platform(is_reached: bool) -> Platform {
    with_path(Platform::current(), is_reached)
}

fn with_path(mut platform: Platform, is_reached: bool) -> Platform {
    platform.weather = Box::new(move |seen| {
        let nonce = seen.body["params"]["message"]["metadata"]["molecule.reachability"].clone();
        let message =
            json!({"kind": "message", "role": "agent", "parts": [], "metadata": {"molecule.reachability": nonce}});
        let echo = json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": message});
        let refusal = || Answer::error(502, "failed to reach workspace agent");
        seen.is(SELF_A2A).then(|| if is_reached { Answer::json(200, echo) } else { refusal() }.into())
    });
    platform
}

fn received(is_reached: bool) -> Received {
    Received::with(Default::default(), platform(is_reached))
}

impl Both {
    /// Adds the row of a message that was written at this time.
    fn wrote(&mut self, at: UnixTime, id: &str, status: &str) {
        self.received.platform.feed.message(at, json!(null), id, id);
        self.received.platform.feed.set("status", json!(status));
    }

    fn now(&self) -> UnixTime {
        self.received.agent.now.unix
    }

    /// The platform pushes a message, whose handler answers at once. Returns the text that its caller gets.
    fn pushes(&mut self, id: &str) -> Option<String> {
        self.serve(|server| {
            let ticket = server.push(&text(id, id)).later();
            if let Some((handler, _)) = server.handlers.pop_front() {
                server.reply(handler, "in the exchange");
            }
            let answer = server.answer_to(ticket).json();
            answer["result"]["parts"][0]["text"].as_str().map(str::to_owned)
        })
    }

    fn reads(&self) -> usize {
        let is_read = |seen: &&Seen| format!("{} {}", seen.method, seen.path).starts_with(FEED);
        self.received.platform.seen.iter().filter(is_read).count()
    }
}

#[test]
fn what_waited_in_the_feed_while_the_agent_was_stopped_is_handled_at_the_start() {
    for plan in PLANS {
        let mut both = Both::pushed(plan, received(true));
        // Written while the agent polled, and a push that failed.
        both.wrote(start_unix() - secs(3600), "waited", "ok");
        both.wrote(start_unix() - secs(3000), "failed", "error");
        both.on(secs(5));
        assert_eq!(both.received.texts(), ["waited", "failed"], "{plan:?}");
        both.on(secs(3600));
        assert_eq!(both.received.texts(), [""; 0], "{plan:?}");
    }
}

#[test]
fn on_aprils_server_a_message_whose_push_failed_while_the_agent_was_down_is_handled_at_the_start() {
    for plan in PLANS {
        let april = Received::with(Default::default(), with_path(Platform::april(), true));
        let mut both = Both::pushed(plan, april);
        // It writes a row for each push that it has tried (contract of April, 6.1), so that these are over.
        both.wrote(start_unix() - secs(60), "failed", "error");
        both.wrote(start_unix() - secs(30), "failed", "error");
        both.on(secs(10));
        assert_eq!(both.received.texts(), ["failed"], "{plan:?}");
        // One that is cut comes again by the platform's queue, whose answer a delegation gets.
        let now = both.now();
        both.wrote(now, "cut", "error");
        both.on(secs(30));
        assert_eq!(both.pushes("cut").as_deref(), Some("in the exchange"), "{plan:?}");
        both.on(secs(900));
        assert_eq!(both.received.texts(), [""; 0], "{plan:?}");
    }
}

#[test]
fn a_row_that_is_read_before_its_push_comes_is_left_to_the_push() {
    for (plan, after) in PLANS.into_iter().flat_map(|plan| [0, 1, 10, 34, 60, 115].map(|after| (plan, secs(after)))) {
        let mut both = Both::pushed(plan, received(true));
        both.on(secs(2));
        for id in ["a", "b"] {
            let now = both.now();
            both.wrote(now, id, "ok");
        }
        both.on(after);
        assert_eq!(both.received.texts(), [""; 0], "{plan:?} after {after:?}");
        for id in ["a", "b"] {
            assert_eq!(both.pushes(id).as_deref(), Some("in the exchange"), "{plan:?} after {after:?}");
        }
        both.on(secs(900));
        assert_eq!(both.received.texts(), [""; 0], "{plan:?} after {after:?}: it was handled twice");
    }
}

#[test]
fn a_message_of_the_moment_in_which_the_server_starts_may_still_be_pushed() {
    // An earlier process was killed, and its URL is the same.
    for age in [secs(0), secs(1)] {
        let mut both = Both::pushed(Plan::Push, received(true));
        both.wrote(start_unix() - age, "m", "ok");
        both.on(secs(3));
        assert_eq!(both.pushes("m").as_deref(), Some("in the exchange"));
        both.on(secs(900));
        assert_eq!(both.received.texts(), [""; 0]);
    }
}

#[test]
fn a_row_whose_push_never_comes_is_handled_after_the_time_in_which_it_could() {
    for (plan, status) in PLANS.into_iter().flat_map(|plan| ["ok", "error"].map(|status| (plan, status))) {
        let mut both = Both::pushed(plan, received(true));
        both.on(secs(2));
        let now = both.now();
        both.wrote(now, "m", status);
        both.on(secs(115));
        assert_eq!(both.received.texts(), [""; 0], "{plan:?}, {status}");
        both.on(secs(10));
        assert_eq!(both.received.texts(), ["m"], "{plan:?}, {status}");
        // A push that comes later nevertheless is answered, and its handler does not run.
        assert_eq!(both.pushes("m"), None);
        both.on(secs(900));
        assert_eq!(both.received.texts(), [""; 0]);
    }
}

#[test]
fn what_a_push_did_not_bring_while_the_agent_runs_is_found_within_minutes() {
    let mut both = Both::pushed(Plan::Push, received(true));
    both.on(secs(100));
    let now = both.now();
    both.wrote(now, "failed", "error");
    both.on(secs(450));
    assert_eq!(both.received.texts(), ["failed"]);
    // Seldom: a request in five minutes, while a poll agent sends one in five seconds.
    let reads = both.reads();
    both.on(secs(3600));
    assert!((11..=13).contains(&(both.reads() - reads)), "{} reads in an hour", both.reads() - reads);
}

#[test]
fn what_was_left_to_the_pushes_is_handled_at_once_when_the_platform_does_not_reach_the_server() {
    let mut both = Both::pushed(Plan::Auto, received(true));
    both.on(secs(2));
    let now = both.now();
    both.wrote(now, "m", "ok");
    both.on(secs(10));
    assert_eq!(both.received.texts(), [""; 0]);
    both.received.platform.weather = platform(false).weather;
    let mut waited = Duration::ZERO;
    let is_unreachable = |event: &Event| matches!(event, Event::PushUnreachable { .. });
    // It is checked every two minutes, so that the row may be the inbox's before.
    while !both.received.events().iter().any(is_unreachable) && waited < secs(300) {
        let now = both.now();
        both.wrote(now, &format!("m{}", waited.as_secs()), "ok");
        both.on(secs(10));
        waited += secs(10);
    }
    both.on(secs(10));
    let mut texts = both.received.texts();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len() as u64, 1 + waited.as_secs() / 10, "{texts:?} after {waited:?}");
    // From now on rows are the inbox's as soon as they are read.
    let now = both.now();
    both.wrote(now, "polled", "ok");
    both.on(secs(7));
    assert_eq!(both.received.texts(), ["polled"]);
}

#[test]
fn an_agent_that_was_pushed_to_and_starts_again_handles_only_what_came_meanwhile() {
    let mut both = Both::pushed(Plan::Push, received(true));
    both.on(secs(2));
    // The row of a message that came out of the platform's queue shows no answer (contract section 11).
    let now = both.now();
    both.wrote(now, "pushed", "ok");
    assert!(both.pushes("pushed").is_some());
    both.on(secs(1000));
    both.received.agent.session.raise_stop(false);
    both.received.end().unwrap();
    let now = both.now();
    both.wrote(now, "meanwhile", "ok");
    // The kept answers may be gone by then: the cursor has passed what was pushed.
    let mut next = both.received.restarted();
    next.agent.store.answers = None;
    next.agent.advance(secs(60));
    let mut both = Both::pushed(Plan::Push, next);
    both.on(secs(200));
    assert_eq!(both.received.texts(), ["meanwhile"]);
}
