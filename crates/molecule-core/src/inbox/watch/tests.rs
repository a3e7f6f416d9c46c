//! The watch against scripted streams.

use proptest::prelude::*;

use super::*;
use crate::config::options::Options;
use crate::effect::Sent;
use crate::machine::Now;
use crate::session::Session;
use crate::session::credential::Persistence;
use molecule_proto::{Token, UnixTime};

const PING: &str = ": ping\n\n";

struct World {
    session: Session,
    now: Time,
    watch: Watch,
    /// The stream that is open or being opened.
    stream: Option<EffectId>,
    opened: u32,
    cancelled: u32,
    woke: Woke,
    warnings: u32,
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    fn new() -> Self {
        let mut session = Session::new(
            Options::new("http://127.0.0.1:8080", "7fda77bf-a467-441c-9fab-f71f5a2b9a41").build().unwrap(),
            7,
        );
        session.hold(Token::new("secret").unwrap(), Persistence::Stored);
        Self {
            session,
            now: Time::ZERO + secs(1000),
            watch: Watch::new(true),
            stream: None,
            opened: 0,
            cancelled: 0,
            woke: Woke::default(),
            warnings: 0,
        }
    }

    /// Polls until the watch is idle. Returns its wake.
    fn settle(&mut self) -> Option<Time> {
        for _ in 0..crate::machine::MAX_STEPS {
            let now = Now { mono: self.now, unix: UnixTime::from_secs(1_795_383_587) };
            match self.watch.poll(&mut Cx { now, session: &mut self.session }) {
                WatchStep::Step(Step::Start(id, Effect::Watch(request, limits))) => {
                    assert_eq!(request.uri().path(), "/workspaces/7fda77bf-a467-441c-9fab-f71f5a2b9a41/events/stream");
                    assert_eq!(request.headers()[ACCEPT], "text/event-stream");
                    assert_eq!(request.headers()["authorization"], "Bearer secret");
                    assert!(limits.read >= secs(3600) && limits.head <= secs(30));
                    assert!(self.stream.replace(id).is_none(), "two streams at once");
                    self.opened += 1;
                }
                WatchStep::Step(Step::Cancel(id)) => {
                    assert_eq!(self.stream.take(), Some(id), "cancelled what is not in flight");
                    self.cancelled += 1;
                    let late = Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled));
                    let now = Now { mono: self.now, unix: UnixTime::default() };
                    self.watch.feed(&mut Cx { now, session: &mut self.session }, id, late).unwrap_err();
                }
                WatchStep::Step(Step::Event(_)) => self.warnings += 1,
                WatchStep::Step(step) => panic!("{step:?}"),
                WatchStep::Woke(woke) => {
                    self.woke.feed |= woke.feed;
                    self.woke.state |= woke.state;
                    self.woke.request |= woke.request;
                }
                WatchStep::Idle(wake) => {
                    assert!(wake.is_none_or(|wake| wake.at > self.now), "a wake in the past");
                    return wake.map(|wake| wake.at);
                }
            }
        }
        panic!("more steps than the contract allows");
    }

    fn feed(&mut self, outcome: Outcome) {
        let id = self.stream.expect("no stream");
        if !matches!(outcome, Outcome::Part(_)) {
            self.stream = None;
        }
        let now = Now { mono: self.now, unix: UnixTime::from_secs(1_795_383_587) };
        self.watch.feed(&mut Cx { now, session: &mut self.session }, id, outcome).unwrap();
        self.settle();
    }

    fn part(&mut self, text: &str) {
        self.feed(Outcome::Part(Bytes::from(text.to_owned())));
    }

    fn event(&mut self, name: &str) {
        self.part(&format!("data: {{\"type\":\"{name}\",\"timestamp\":1,\"data\":{{}}}}\n\n"));
    }

    fn end(&mut self) {
        self.feed(Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Interrupted)));
    }

    fn refuse(&mut self, status: u16) {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        self.feed(Outcome::Response(answer));
    }

    fn take_woke(&mut self) -> Woke {
        std::mem::take(&mut self.woke)
    }

    /// Lets time pass until the stream is asked for again. Returns how long that was.
    fn reopened(&mut self) -> Duration {
        let began = self.now;
        assert!(self.stream.is_none());
        while self.stream.is_none() {
            self.now = self.settle().expect("never opened again");
            self.settle();
        }
        self.now.since(began)
    }
}

const FEED: Woke = Woke { feed: true, state: false, request: false };
const STATE: Woke = Woke { feed: false, state: true, request: false };
const REQUEST: Woke = Woke { feed: true, state: false, request: true };
const NOTHING: Woke = Woke { feed: false, state: false, request: false };

#[test]
fn an_open_stream_wakes_what_its_events_concern() {
    let mut world = World::new();
    world.settle();
    assert!(!world.watch.is_live(), "nothing has come yet");
    world.part(PING);
    assert!(world.watch.is_live());
    assert_eq!(world.take_woke(), FEED, "what came before the stream was open has no event");
    for (event, woke) in [
        ("ACTIVITY_LOGGED", FEED),
        ("USER_MESSAGE", FEED),
        ("BROADCAST_MESSAGE", FEED),
        ("DELEGATION_COMPLETE", FEED),
        ("DELEGATION_FAILED", FEED),
        ("REQUEST_CREATED", REQUEST),
        ("REQUEST_MESSAGE", REQUEST),
        ("REQUEST_RESPONDED", REQUEST),
        ("WORKSPACE_PAUSED", STATE),
        ("WORKSPACE_REMOVED", STATE),
        ("EXTERNAL_CREDENTIALS_ROTATED", STATE),
        ("WORKSPACE_SOMETHING_NEW", STATE),
        ("WORKSPACE_HEARTBEAT", NOTHING),
        ("WORKSPACE_ONLINE", NOTHING),
        ("TASK_UPDATED", NOTHING),
        ("AGENT_MESSAGE", NOTHING),
        ("SOMETHING_NEW", NOTHING),
    ] {
        world.event(event);
        assert_eq!(world.take_woke(), woke, "{event}");
    }
}

/// The late result of a delegation whose task was queued has no event.
#[test]
fn a_row_without_an_event_is_expected_while_a_delegation_is_open() {
    let mut world = World::new();
    world.settle();
    world.part(PING);
    assert!(!world.watch.is_silent(world.now));
    for (event, is_silent) in [
        ("DELEGATION_SENT", true),
        ("DELEGATION_STATUS", true),
        ("DELEGATION_SENT", true),
        ("DELEGATION_COMPLETE", true),
        ("DELEGATION_FAILED", false),
        ("DELEGATION_COMPLETE", false),
        ("DELEGATION_SENT", true),
    ] {
        world.event(event);
        assert_eq!(world.watch.is_silent(world.now), is_silent, "{event}");
    }
    assert!(!world.watch.is_silent(world.now + secs(600)), "it was given up");
}

#[test]
fn an_event_that_is_cut_or_cannot_be_read_wakes_the_feed() {
    let mut world = World::new();
    world.settle();
    world.part(PING);
    world.take_woke();
    world.part("data: no json\n\n");
    assert_eq!(world.take_woke(), FEED);
    // The type of a long message is read from its beginning, when its end has come.
    world.part("data: {\"type\":\"USER_MESSAGE\",\"data\":\"");
    (0..100).for_each(|_| world.part(&"x".repeat(16 * 1024)));
    assert_eq!(world.take_woke(), NOTHING);
    world.part("\"}\n\n");
    assert_eq!(world.take_woke(), FEED);
    // One that never ends tells of itself when the stream breaks off.
    world.part("data: {\"type\":\"WORKSPACE_PAUSED\",\"da");
    world.end();
    assert_eq!(world.take_woke(), Woke { feed: true, state: true, request: false });
}

#[test]
fn a_stream_that_ends_is_opened_again_with_backoff_and_the_feed_is_read() {
    let mut world = World::new();
    world.settle();
    let mut waits = Vec::new();
    for _ in 0..12 {
        world.part(PING);
        world.take_woke();
        world.end();
        assert!(!world.watch.is_live());
        assert_eq!(world.take_woke(), FEED);
        waits.push(world.reopened());
    }
    for (n, wait) in waits.iter().enumerate() {
        let ceiling = secs(1 << n.min(10)).min(MAX_BACKOFF);
        assert!(*wait >= ceiling / 2 && *wait <= ceiling, "{waits:?}");
    }
    // A heartbeat's event shows that the stream lived.
    world.part(PING);
    world.event("WORKSPACE_HEARTBEAT");
    world.end();
    assert!(world.reopened() <= secs(1));
}

#[test]
fn a_heartbeat_without_its_event_means_a_dead_stream() {
    let mut world = World::new();
    world.settle();
    world.part(PING);
    // The event may come before the answer.
    let sent = world.now;
    world.now = world.now + secs(1);
    world.event("WORKSPACE_HEARTBEAT");
    world.watch.beaten(world.now, sent);
    assert_eq!(world.settle(), None);
    // Or after it.
    let sent = world.now + secs(30);
    world.now = sent + secs(1);
    world.watch.beaten(world.now, sent);
    let due = world.settle().unwrap();
    assert_eq!(due, world.now + ECHO);
    world.now = world.now + secs(4);
    world.event("WORKSPACE_HEARTBEAT");
    assert_eq!(world.settle(), None);
    // Other events do not stand for it: the server drops events of a slow reader without a word.
    let sent = world.now + secs(30);
    world.now = sent;
    world.watch.beaten(world.now, sent);
    world.event("TASK_UPDATED");
    world.take_woke();
    world.now = world.settle().unwrap();
    world.settle();
    assert_eq!((world.cancelled, world.watch.is_live()), (1, false));
    assert_eq!(world.take_woke(), FEED);
    world.reopened();
    assert_eq!(world.opened, 2);
}

#[test]
fn a_heartbeat_from_before_the_stream_was_open_needs_no_event() {
    let mut world = World::new();
    world.settle();
    let sent = world.now;
    world.now = world.now + secs(1);
    world.part(PING);
    world.watch.beaten(world.now + secs(1), sent);
    assert_eq!(world.settle(), None);
}

#[test]
fn a_server_without_a_stream_is_left_alone_for_a_while() {
    for status in [404, 405, 501] {
        let mut world = World::new();
        world.settle();
        world.refuse(status);
        assert!(!world.watch.is_live());
        let wait = world.reopened();
        assert!(wait >= LATER && wait <= LATER * 5 / 4, "{status}: {wait:?}");
    }
    // So is one behind something that compresses, or answers with a page.
    for part in ["\u{1f}\u{8b}", "<html>", "{\"error\":\"x\"}"] {
        let mut world = World::new();
        world.settle();
        world.part(part);
        assert_eq!((world.cancelled, world.warnings, world.watch.is_live()), (1, 1, false));
        assert!(world.reopened() >= LATER);
        world.part(part);
        assert_eq!(world.warnings, 1, "one warning is enough");
    }
    let mut world = World::new();
    world.settle();
    world.feed(Outcome::Failed(Fault::with_source(Sent::Maybe, FaultKind::Protocol, "it is compressed")));
    assert_eq!(world.warnings, 1);
    assert!(world.reopened() >= LATER);
}

#[test]
fn a_refused_bearer_wakes_the_state_and_a_rate_limit_is_kept() {
    let mut world = World::new();
    world.settle();
    world.refuse(401);
    assert_eq!(world.take_woke(), Woke { feed: true, state: true, request: false });
    assert!(world.reopened() <= secs(1));
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    head.headers_mut().insert("retry-after", HeaderValue::from_static("40"));
    let is_long = Outcome::Failed(Fault::too_large(head.clone()));
    for outcome in [Outcome::Response(head.map(|()| Bytes::new())), is_long] {
        world.feed(outcome);
        assert!(world.reopened() >= secs(40));
        assert!(world.session.rate.hold_heartbeat(world.now - secs(20)).is_some(), "the budget has learnt it");
    }
}

#[test]
fn a_stream_that_never_begins_is_given_up() {
    let mut world = World::new();
    let until = world.settle().unwrap();
    world.now = until;
    world.settle();
    assert_eq!(world.cancelled, 1);
    assert!(world.reopened() <= secs(1));
}

#[test]
fn without_a_bearer_or_when_it_is_off_no_stream_is_opened() {
    let mut world = World::new();
    world.session =
        Session::new(Options::new("http://127.0.0.1:8080", "7fda77bf-a467-441c-9fab-f71f5a2b9a41").build().unwrap(), 7);
    assert_eq!((world.settle(), world.opened), (None, 0));
    world.session.hold(Token::new("secret").unwrap(), Persistence::Stored);
    world.settle();
    assert_eq!(world.opened, 1);
    let mut world = World::new();
    world.watch = Watch::new(false);
    assert_eq!((world.settle(), world.opened), (None, 0));
}

#[test]
fn a_stop_cancels_the_stream_and_opens_no_other() {
    for is_open in [false, true] {
        let mut world = World::new();
        world.settle();
        if is_open {
            world.part(PING);
        }
        world.watch.stop();
        assert_eq!((world.settle(), world.cancelled), (None, 1));
        world.now = world.now + secs(10_000);
        assert_eq!((world.settle(), world.opened), (None, 1));
    }
}

proptest! {
    #[test]
    fn any_stream_is_watched_without_end_and_within_bounds(
        acts in prop::collection::vec((0..10_u8, 0..100_u64, "[ -~\\n]{0,20}"), 1..200),
    ) {
        let mut world = World::new();
        for (act, time, text) in acts {
            world.now = world.now + secs(time);
            world.settle();
            if world.stream.is_none() {
                world.reopened();
            }
            match act {
                0 => world.end(),
                1 if !world.watch.is_live() => world.refuse(503),
                2 => world.event("ACTIVITY_LOGGED"),
                3 => world.event("WORKSPACE_HEARTBEAT"),
                4 => world.watch.beaten(world.now, world.now),
                5 => world.part(PING),
                _ => world.part(&text),
            }
            world.settle();
            // Whatever happened: a stream that is not open leaves nothing unread.
            prop_assert!(world.watch.is_live() || world.stream.is_some() || world.woke.feed);
        }
    }
}
