//! The feed against a model of both servers, whose rows become visible late and in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_proto::{ActivityId, ActivityRow, ActivityType, Now, Time, Token, UnixTime};
use proptest::prelude::*;

use super::{Feed, FeedStep, Position};
use crate::config::inbox::{Backlog, InboxOptions};
use crate::config::options::Options;
use crate::effect::{Effect, EffectId, Fault, FaultKind, Outcome, Sent};
use crate::error::ErrorKind;
use crate::machine::{Cx, Step};
use crate::session::Session;
use crate::session::credential::Persistence;

const OWN: &str = "7fda77bf-a467-441c-9fab-f71f5a2b9a41";

/// The server's time at the start of a test.
const START: i64 = 1_795_383_587;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server with one feed.
struct Model {
    april: bool,
    now: UnixTime,
    rows: Vec<Stored>,
    /// How many of the next requests with `since_id` get a 410.
    gone: u32,
    /// How many of the next requests get a 500.
    failing: u32,
    /// The most rows of an answer that is not too large.
    fits: usize,
    acked: Option<i64>,
    requests: Vec<String>,
}

#[derive(Clone)]
struct Stored {
    row: ActivityRow,
    visible_at: UnixTime,
}

fn id(n: usize) -> ActivityId {
    // Ids do not follow the order of the rows.
    let scrambled = (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    ActivityId::from_random(scrambled.to_be_bytes())
}

impl Model {
    fn new(april: bool) -> Self {
        let now = UnixTime::from_secs(START);
        Self { april, now, rows: Vec::new(), gone: 0, failing: 0, fits: usize::MAX, acked: None, requests: Vec::new() }
    }

    /// Inserts a row that was created at a time and becomes visible at another.
    fn insert(&mut self, created_at: UnixTime, visible_at: UnixTime) -> ActivityId {
        let n = self.rows.len();
        let mut row = ActivityRow::new(id(n), OWN.parse().unwrap(), ActivityType::A2aReceive, created_at);
        row.seq = (!self.april).then(|| i64::try_from(n).unwrap() + 1);
        self.rows.push(Stored { row, visible_at });
        id(n)
    }

    /// Inserts a row now, which becomes visible after a while.
    fn write(&mut self, late: Duration) -> ActivityId {
        self.insert(self.now, self.now + late)
    }

    fn visible(&self) -> Vec<ActivityRow> {
        let visible = self.rows.iter().filter(|stored| stored.visible_at <= self.now);
        let mut rows: Vec<_> = visible.map(|stored| stored.row.clone()).collect();
        // April leaves the order of rows of one instant open.
        rows.sort_by(|one, other| (one.created_at, one.seq, &one.id).cmp(&(other.created_at, other.seq, &other.id)));
        rows
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Outcome {
        let url = request.uri().to_string();
        self.requests.push(url.split_once("/workspaces/").unwrap().1.replace(OWN, ":id"));
        if std::mem::take(&mut self.failing) > 0 {
            return answered(500, r#"{"error":"query failed"}"#);
        }
        if request.method() == http::Method::POST {
            if self.april {
                return answered(404, "404 page not found");
            }
            let ack: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
            self.acked = self.acked.max(ack["acked_seq"].as_i64());
            return answered(200, &format!(r#"{{"last_acked_seq":{}}}"#, self.acked.unwrap()));
        }
        let query: BTreeMap<_, _> =
            request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')).collect();
        let limit = query.get("limit").map_or(100, |limit| limit.parse::<usize>().unwrap()).min(500);
        let mut rows = self.visible();
        if let Some(wanted) = query.get("type") {
            rows.retain(|row| row.activity_type.as_str() == *wanted);
        }
        let mut is_ascending = false;
        if !self.april {
            if let Some(secs) = query.get("since_secs") {
                let age = Duration::from_secs(secs.parse().unwrap());
                rows.retain(|row| self.now.since(row.created_at) <= age);
            }
            if let Some(before) = query.get("before_ts") {
                let before: UnixTime = before.parse().unwrap();
                rows.retain(|row| row.created_at < before);
            }
            if let Some(since) = query.get("since_id") {
                let place = rows.iter().find(|row| row.id.as_str() == *since).map(|row| (row.created_at, row.seq));
                let lost = self.gone > 0;
                self.gone = self.gone.saturating_sub(1);
                let Some(place) = place.filter(|_| !lost) else {
                    return answered(410, r#"{"error":"since_id cursor not found (it may have been pruned)"}"#);
                };
                rows.retain(|row| (row.created_at, row.seq) > place);
                is_ascending = true;
            }
        }
        if !is_ascending {
            rows.reverse();
        }
        rows.truncate(limit);
        if rows.len() > self.fits {
            let head = Response::builder().status(200).body(()).unwrap();
            return Outcome::Failed(Fault::too_large(head));
        }
        answered(200, &serde_json::to_string(&rows).unwrap())
    }
}

fn answered(status: u16, body: &str) -> Outcome {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    Outcome::Response(answer)
}

/// An agent that reads the feed of a server, over crashes.
struct World {
    model: Model,
    session: Session,
    options: InboxOptions,
    page: u32,
    feed: Feed,
    mono: Time,
    in_flight: BTreeMap<EffectId, Effect>,
    /// The rows that were handed out in this life and before, and those that are finished.
    handed: BTreeSet<ActivityId>,
    ever: BTreeSet<ActivityId>,
    finished: BTreeSet<ActivityId>,
    saved: Option<Position>,
    /// The rows that need not be handed out: they are older than the backlog.
    optional: BTreeSet<ActivityId>,
    warnings: Vec<String>,
    failures: Vec<ErrorKind>,
    order: Vec<ActivityId>,
}

fn session(april: bool) -> Session {
    let mut session = Session::new(Options::new("http://127.0.0.1:8080", OWN).build().unwrap(), 7);
    session.hold(Token::new("secret").unwrap(), Persistence::Stored);
    session.learn_dialect(!april);
    session
}

impl World {
    fn new(model: Model, options: InboxOptions, page: u32) -> Self {
        let feed = Feed::with_pages(None, options.backlog, &options, page);
        Self {
            session: session(model.april),
            model,
            options,
            page,
            feed,
            mono: Time::ZERO + secs(1000),
            in_flight: BTreeMap::new(),
            handed: BTreeSet::new(),
            ever: BTreeSet::new(),
            finished: BTreeSet::new(),
            saved: None,
            optional: BTreeSet::new(),
            warnings: Vec::new(),
            failures: Vec::new(),
            order: Vec::new(),
        }
    }

    /// The agent's calendar is wrong by hours: only the server's counts.
    fn now(&self) -> Now {
        Now { mono: self.mono, unix: self.model.now + secs(7 * 3600) }
    }

    fn feed(&mut self, id: EffectId, outcome: Outcome) {
        let mut cx = Cx { now: self.now(), session: &mut self.session };
        self.feed.feed(&mut cx, id, outcome).unwrap();
    }

    /// Polls until the feed is idle. Returns when it wants to be polled again.
    fn settle(&mut self) -> Option<Time> {
        for _ in 0..crate::machine::MAX_STEPS {
            let finished = self.finished.clone();
            let mut cx = Cx { now: self.now(), session: &mut self.session };
            match self.feed.poll(&mut cx, &|id| finished.contains(id)) {
                FeedStep::Step(Step::Start(id, effect)) => {
                    self.in_flight.insert(id, effect);
                    let reads = self.in_flight.values().filter(|effect| is_read(effect)).count();
                    assert!(reads <= 1, "two reads of the feed at once");
                }
                FeedStep::Step(Step::Cancel(id)) => {
                    self.in_flight.remove(&id).expect("cancelled what is not in flight");
                    let cancelled = Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled));
                    let mut cx = Cx { now: self.now(), session: &mut self.session };
                    let _ = self.feed.feed(&mut cx, id, cancelled);
                }
                FeedStep::Step(Step::Event(event)) => self.warnings.push(event.to_string()),
                FeedStep::Step(step) => panic!("{step:?}"),
                FeedStep::Rows(rows) => self.take(rows),
                FeedStep::Failed { error, .. } => self.failures.push(error.kind()),
                FeedStep::Recovered { .. } => {}
                FeedStep::Idle(wake) => {
                    self.check();
                    self.saved = self.saved.take().or(self.feed.cursor());
                    assert!(wake.is_none_or(|wake| wake.at > self.mono), "a wake in the past");
                    return wake.map(|wake| wake.at);
                }
            }
        }
        panic!("more steps than the contract allows");
    }

    fn take(&mut self, rows: Vec<ActivityRow>) {
        self.saved = self.feed.cursor();
        assert!(self.saved.is_some(), "rows before there is a cursor");
        for row in rows {
            assert!(self.handed.insert(row.id.clone()), "a row twice in one life");
            assert!(!self.finished.contains(&row.id), "a row that is finished");
            self.ever.insert(row.id.clone());
            self.order.push(row.id);
        }
    }

    /// The cursor passes nothing that is unfinished, visible or not.
    fn check(&mut self) {
        let Some(Position::Row { id, created_at, seq }) = self.feed.cursor() else { return };
        for stored in &self.model.rows {
            let row = &stored.row;
            let is_passed = match self.model.april {
                true => (row.created_at, &row.id) <= (created_at, &id),
                false => (row.created_at, row.seq) <= (created_at, seq),
            };
            let is_done = self.finished.contains(&row.id) || self.optional.contains(&row.id);
            assert!(!is_passed || is_done, "the cursor passes a row that is not finished");
        }
    }

    /// Answers the oldest request. Returns whether there was one.
    fn answer(&mut self) -> bool {
        let Some((id, effect)) = self.in_flight.pop_first() else { return false };
        let Effect::Http(request, _) = effect else { panic!("{effect:?}") };
        let outcome = self.model.answer(&request);
        self.feed(id, outcome);
        self.settle();
        true
    }

    /// Answers all requests, those that follow from them as well.
    fn run(&mut self) {
        self.settle();
        for _ in 0..5000 {
            if !self.answer() {
                return;
            }
        }
        panic!("no end of requests: {:?}", &self.model.requests[self.model.requests.len() - 20..]);
    }

    fn advance(&mut self, time: Duration) {
        self.mono = self.mono + time;
        self.model.now = self.model.now + time;
    }

    /// Lets time pass, and answers every request at once.
    fn pass(&mut self, time: Duration) {
        let end = self.mono + time;
        loop {
            self.run();
            let Some(at) = self.settle().filter(|at| *at < end) else { break };
            self.advance(at.since(self.mono));
        }
        self.advance(end.since(self.mono));
        self.run();
    }

    fn save(&mut self) {
        if let Some(cursor) = self.feed.cursor() {
            self.feed.saved(&cursor);
            self.saved = Some(cursor);
        }
    }

    fn finish(&mut self, row: &ActivityId) {
        self.finished.insert(row.clone());
        self.feed.finished(row);
    }

    fn finish_all(&mut self) {
        for row in self.handed.clone() {
            self.finish(&row);
        }
    }

    /// The process ends, and another one goes on with what was saved.
    fn crash(&mut self) {
        self.in_flight.clear();
        self.handed.clear();
        self.session = session(self.model.april);
        self.feed = Feed::with_pages(self.saved.clone(), self.options.backlog, &self.options, self.page);
    }

    /// Everything that must be handed out was, once all rows are visible.
    fn assert_all_handed(&self) {
        for stored in &self.model.rows {
            let id = &stored.row.id;
            assert!(self.ever.contains(id) || self.optional.contains(id), "lost: {:?}", stored.row);
        }
    }
}

fn is_read(effect: &Effect) -> bool {
    matches!(effect, Effect::Http(request, _) if request.method() == http::Method::GET)
}

fn options() -> InboxOptions {
    InboxOptions::new().backlog(Backlog::All)
}

/// What happens next in a random world.
#[derive(Debug, Clone)]
enum Act {
    /// A row is written that becomes visible so many ms later; `at_once` in the same instant as the one before.
    Write {
        late: u64,
        at_once: bool,
    },
    Many(usize),
    Advance(u64),
    Answer,
    Run,
    Wake,
    Finish(usize),
    FinishAll,
    Save,
    Crash,
    /// The server deletes the finished rows that are older than this.
    Prune(u64),
    Gone(u32),
    Fail,
    Fits(usize),
    Pause(bool),
    Live(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let late = prop_oneof![3 => Just(0), 2 => 0..300_u64, 2 => 0..30_000_u64];
    prop_oneof![
        8 => (late, any::<bool>()).prop_map(|(late, at_once)| Act::Write { late, at_once }),
        1 => (1..12_usize).prop_map(Act::Many),
        6 => prop_oneof![0..50_u64, 0..5_000_u64, 0..60_000_u64].prop_map(Act::Advance),
        4 => Just(Act::Answer),
        6 => Just(Act::Run),
        3 => Just(Act::Wake),
        4 => (0..20_usize).prop_map(Act::Finish),
        2 => Just(Act::FinishAll),
        2 => Just(Act::Save),
        2 => Just(Act::Crash),
        1 => (0..100_000_u64).prop_map(Act::Prune),
        1 => (1..4_u32).prop_map(Act::Gone),
        1 => Just(Act::Fail),
        1 => prop_oneof![Just(usize::MAX), 1..4_usize].prop_map(Act::Fits),
        1 => any::<bool>().prop_map(Act::Pause),
        1 => any::<bool>().prop_map(Act::Live),
    ]
}

fn play(april: bool, backlog: Backlog, page: u32, before: usize, acts: Vec<Act>) -> World {
    let mut model = Model::new(april);
    // An old row is always there: only with a page of at least as many rows as one instant has can the very first rows
    // be found without it.
    let old = model.insert(model.now - secs(20 * 24 * 3600), model.now - secs(20 * 24 * 3600));
    let mut optional = BTreeSet::from([old]);
    for n in 0..before {
        let at = model.now - secs(40 + u64::try_from(n).unwrap() / 3);
        let row = model.insert(at, at);
        match backlog {
            Backlog::FromNow => optional.insert(row),
            Backlog::Since(_) | Backlog::All => false,
        };
    }
    // April's server shows no more than a page.
    let page = if april { 500 } else { page };
    let mut world = World::new(model, InboxOptions::new().backlog(backlog), page);
    world.optional = optional;
    world.run();
    let mut anchor = world.model.now;
    for act in acts {
        match act {
            Act::Write { late, at_once } => {
                anchor = if at_once { anchor } else { world.model.now };
                // Nothing is written in an instant that is long past.
                let created = if world.model.now.since(anchor) > ms(500) { world.model.now } else { anchor };
                let visible = (created + ms(late)).max(world.model.now);
                world.model.insert(created, visible);
            }
            Act::Many(rows) => (0..rows).for_each(|_| drop(world.model.write(Duration::ZERO))),
            Act::Advance(time) => world.advance(ms(time)),
            Act::Answer => {
                world.settle();
                world.answer();
            }
            Act::Run => world.run(),
            Act::Wake => {
                let now = world.mono;
                world.feed.wake(now);
            }
            Act::Finish(nth) => {
                let row = world.handed.difference(&world.finished).nth(nth).cloned();
                if let Some(row) = row {
                    world.finish(&row);
                }
            }
            Act::FinishAll => world.finish_all(),
            Act::Save => world.save(),
            Act::Crash => world.crash(),
            Act::Prune(age) => {
                let (now, finished) = (world.model.now, &world.finished);
                world.model.rows.iter_mut().skip(1).for_each(|stored| {
                    if finished.contains(&stored.row.id) && now.since(stored.row.created_at) > ms(age) {
                        // The row stays in the list, so that ids and counters go on.
                        stored.visible_at = UnixTime::from_secs(i64::MAX);
                    }
                });
            }
            Act::Gone(times) => world.model.gone = times,
            Act::Fail => world.model.failing = 1,
            // What does not fit into April's one page is lost.
            Act::Fits(rows) => world.model.fits = if april { usize::MAX } else { rows },
            Act::Pause(is_paused) => world.feed.pause(is_paused),
            Act::Live(is_live) => {
                let mut cx = Cx { now: world.now(), session: &mut world.session };
                world.feed.set_live(&mut cx, is_live);
            }
        }
        world.check();
    }
    world.feed.pause(false);
    (world.model.gone, world.model.failing, world.model.fits) = (0, 0, usize::MAX);
    for _ in 0..4 {
        world.pass(secs(40));
        world.finish_all();
    }
    world.assert_all_handed();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_handed_out_and_none_again_once_it_is_finished(
        april in any::<bool>(),
        backlog in prop_oneof![Just(Backlog::All), Just(Backlog::Since(Duration::from_secs(3600))), Just(Backlog::FromNow)],
        page in prop_oneof![1..8_u32, Just(500)],
        before in prop_oneof![Just(0), 0..30_usize],
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut world = play(april, backlog, page, before, acts);
        // A last row moves the cursor behind all others, and memory holds no more than its neighbourhood.
        world.advance(secs(100));
        let last = world.model.write(Duration::ZERO);
        world.pass(secs(61));
        world.finish_all();
        world.model.write(Duration::ZERO);
        // Twice, since a pass of several pages learns in the last one how old the rows of the first are.
        world.pass(secs(61));
        world.finish_all();
        world.pass(secs(61));
        prop_assert!(world.feed.reader.size() <= 2, "{} rows in memory", world.feed.reader.size());
        let cursor = world.feed.cursor().unwrap();
        prop_assert_eq!(cursor.place().map(|place| place.id), Some(last));
    }
}
