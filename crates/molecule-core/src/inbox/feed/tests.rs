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
use crate::session::credential::Persistence;
use crate::session::{Feature, Session};

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
    /// The server's own limit of a page.
    cap: usize,
    /// Rows that are no valid rows.
    broken: BTreeSet<ActivityId>,
    headers: Vec<(&'static str, String)>,
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
        Self {
            april,
            now,
            rows: Vec::new(),
            gone: 0,
            failing: 0,
            fits: usize::MAX,
            cap: 500,
            broken: BTreeSet::new(),
            headers: Vec::new(),
            acked: None,
            requests: Vec::new(),
        }
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
        if self.failing > 0 {
            self.failing -= 1;
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
        let limit = query.get("limit").map_or(100, |limit| limit.parse::<usize>().unwrap()).min(self.cap);
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
        let rows = rows.into_iter().map(|row| {
            let is_broken = self.broken.contains(&row.id);
            let mut row = serde_json::to_value(row).unwrap();
            if is_broken {
                row["source_id"] = "nobody".into();
            }
            row
        });
        let Outcome::Response(mut answer) = answered(200, &serde_json::Value::from_iter(rows).to_string()) else {
            unreachable!()
        };
        for (name, value) in &self.headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        Outcome::Response(answer)
    }

    /// The number of requests that were made since this was last asked.
    fn count(&mut self) -> usize {
        std::mem::take(&mut self.requests).len()
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

/// A world whose first start is over.
fn begun(april: bool, options: InboxOptions) -> World {
    let mut world = World::new(Model::new(april), options, 500);
    world.run();
    world.model.count();
    world
}

fn ids(rows: &[ActivityId]) -> BTreeSet<ActivityId> {
    rows.iter().cloned().collect()
}

#[test]
fn a_thousand_waiting_messages_are_read_without_a_pause_and_in_order() {
    for (cap, requests) in [(500, 11), (100, 45)] {
        let mut model = Model::new(false);
        model.cap = cap;
        let rows: Vec<_> = (0..1000).map(|n| model.insert(model.now - secs(2000 - n), model.now)).collect();
        let mut world = World::new(model, InboxOptions::new(), 500);
        world.run();
        assert_eq!(world.order, rows, "all at once, the oldest first");
        assert!(world.model.requests.len() <= requests, "{cap} rows a page: {:#?}", world.model.requests);
        world.model.count();
        // The cursor has moved on with them, so that nothing is read again.
        world.finish_all();
        let Some(Position::Row { id, .. }) = world.feed.cursor() else { panic!("no cursor") };
        assert!(rows[960..].contains(&id), "{id:?}");
        world.pass(secs(5));
        assert_eq!(world.model.count(), 1);
        // The same after hours without a connection, when the feed has a base to read on from.
        let rows: Vec<_> =
            (0..1000).map(|n| world.model.insert(world.model.now + secs(n * 10), world.model.now)).collect();
        world.advance(secs(10_000));
        world.order.clear();
        world.feed.wake(world.mono);
        world.run();
        assert_eq!(world.order, rows);
        world.finish_all();
        let Some(Position::Row { id, .. }) = world.feed.cursor() else { panic!("no cursor") };
        assert!(rows[990..].contains(&id), "the first pass shows that they are old");
    }
}

#[test]
fn the_first_start_reads_the_backlog_that_was_asked_for() {
    let day = secs(24 * 3600);
    for april in [false, true] {
        for (backlog, first) in
            [(Backlog::All, 0), (Backlog::Since(day), 2), (Backlog::Since(secs(60)), 4), (Backlog::FromNow, 5)]
        {
            let mut model = Model::new(april);
            let date = molecule_proto::UnixTime::from_secs(START);
            let date = httpdate::fmt_http_date(std::time::SystemTime::from(date));
            model.headers.push(("date", date));
            let ages = [secs(29 * 24 * 3600), day + secs(60), day - secs(60), secs(90), secs(30)];
            let mut rows: Vec<_> = ages.iter().map(|age| model.insert(model.now - *age, model.now)).collect();
            let mut world = World::new(model, InboxOptions::new().backlog(backlog), 500);
            world.optional = ids(&rows[..first]);
            world.run();
            assert_eq!(world.order, rows[first..], "{backlog:?}");
            assert!(world.saved.is_some(), "the start is settled");
            // What comes later is always read, also by another process that has nothing to hand out yet.
            world.crash();
            rows.push(world.model.write(Duration::ZERO));
            world.advance(secs(1));
            world.order.clear();
            world.run();
            assert_eq!(world.order, rows[first..], "{backlog:?}: nothing was finished");
        }
    }
}

#[test]
fn rows_of_one_time_at_the_edge_of_a_page_are_all_found() {
    for newer in 495..505 {
        let mut model = Model::new(false);
        let mut rows: Vec<_> = (0..3).map(|_| model.insert(model.now - secs(5000), model.now)).collect();
        rows.extend((0..newer).map(|n| model.insert(model.now - secs(4000 - n), model.now)));
        let mut world = World::new(model, options(), 500);
        world.run();
        assert_eq!(world.order, rows, "{newer} newer ones");
    }
}

#[test]
fn a_row_that_becomes_visible_while_the_first_start_looks_for_its_place_is_not_lost() {
    for answers in 0..6 {
        let mut model = Model::new(false);
        let old = model.insert(model.now - secs(7200), model.now - secs(7200));
        let late = model.insert(model.now - secs(20), model.now + secs(5));
        let row = model.insert(model.now - secs(10), model.now);
        let mut world = World::new(model, InboxOptions::new().backlog(Backlog::Since(secs(3600))), 500);
        world.optional.insert(old);
        world.settle();
        (0..answers).for_each(|_| drop(world.answer()));
        world.advance(secs(6));
        world.run();
        world.pass(secs(6));
        assert_eq!(ids(&world.order), ids(&[late, row]), "after {answers} answers");
    }
}

#[test]
fn a_feed_without_any_row_is_at_its_beginning() {
    for april in [false, true] {
        for backlog in [Backlog::All, Backlog::Since(secs(60)), Backlog::FromNow] {
            let mut world = begun(april, InboxOptions::new().backlog(backlog));
            assert_eq!(world.saved, Some(Position::Beginning));
            world.crash();
            let late = world.model.write(secs(20));
            let row = world.model.write(Duration::ZERO);
            world.pass(secs(30));
            assert_eq!(world.order, [row, late], "{backlog:?}");
        }
    }
}

#[test]
fn a_row_that_becomes_visible_late_is_handed_out_then() {
    for april in [false, true] {
        let mut world = begun(april, options());
        let late = world.model.write(secs(30));
        let rows: Vec<_> = (0..40)
            .map(|_| {
                world.pass(secs(1));
                world.model.write(Duration::ZERO)
            })
            .collect();
        world.pass(secs(6));
        world.assert_all_handed();
        let at = world.order.iter().position(|row| *row == late).unwrap();
        assert!(at >= 28 && world.order.len() == rows.len() + 1, "the others did not wait for it");
    }
}

#[test]
fn a_row_that_the_server_no_longer_has_is_no_reason_to_replay() {
    for keeps_older in [true, false] {
        let mut model = Model::new(false);
        // Three rows have the same time, as the files of one upload do.
        let rows: Vec<_> = (0..100).map(|n| model.insert(model.now - secs(400 - n / 3 * 3), model.now)).collect();
        let mut world = World::new(model, options(), 500);
        world.run();
        world.finish_all();
        world.pass(secs(6));
        world.save();
        let Some(Position::Row { id, .. }) = world.saved.clone() else { panic!("no cursor") };
        let at = rows.iter().position(|row| *row == id).unwrap();
        assert!(at > 50);
        // The row of the cursor is gone, and perhaps all before it.
        let hidden = UnixTime::from_secs(i64::MAX);
        let gone = if keeps_older { at..at + 1 } else { 0..at + 1 };
        world.model.rows[gone].iter_mut().for_each(|stored| stored.visible_at = hidden);
        // Nobody remembers what was finished: time alone says that it was.
        let finished = std::mem::take(&mut world.finished);
        world.order.clear();
        world.crash();
        let new = world.model.write(Duration::ZERO);
        let (kept, forgotten) = finished.into_iter().partition(|row| rows[at + 1..].contains(row));
        (world.finished, world.optional) = (kept, forgotten);
        world.run();
        assert_eq!(world.order, [new], "older rows kept: {keeps_older}");
        assert_eq!(world.feed.cursor(), world.saved, "the cursor does not go back");
    }
}

#[test]
fn a_server_that_has_lost_every_row_that_is_named_is_asked_again_with_backoff() {
    let mut world = begun(false, options());
    world.model.write(Duration::ZERO);
    world.pass(secs(50));
    world.finish_all();
    world.model.write(Duration::ZERO);
    world.pass(secs(50));
    world.finish_all();
    world.model.count();
    world.model.gone = u32::MAX;
    world.pass(secs(300));
    assert!(world.failures.len() > 5, "{:?} {:#?}", world.failures, world.model.requests);
    assert!(world.failures.iter().all(|kind| *kind == ErrorKind::NotFound));
    assert!(world.model.count() < 60, "at most one in 5 s on the average");
    world.model.gone = 0;
    let row = world.model.write(Duration::ZERO);
    world.pass(secs(31));
    assert_eq!(world.order.last(), Some(&row));
}

#[test]
fn without_a_stream_the_feed_is_read_every_5_s_and_with_one_every_minute() {
    let mut world = begun(false, options());
    world.pass(secs(100));
    let reads = world.model.count();
    assert!((20..=23).contains(&reads), "{reads} reads in 100 s");
    let mut cx = Cx { now: world.now(), session: &mut world.session };
    world.feed.set_live(&mut cx, true);
    world.pass(secs(6));
    world.model.count();
    world.pass(secs(600));
    let reads = world.model.count();
    assert!((10..=12).contains(&reads), "{reads} reads in 600 s");
    // A wake is read at once, and once more 5 s later if it has brought nothing.
    world.feed.wake(world.mono);
    world.run();
    assert_eq!(world.model.count(), 1);
    world.pass(secs(5));
    assert_eq!(world.model.count(), 1);
    let row = world.model.write(Duration::ZERO);
    world.feed.wake(world.mono);
    world.run();
    assert_eq!((world.model.count(), world.order.last()), (1, Some(&row)));
    world.pass(secs(50));
    assert_eq!(world.model.count(), 0);
    // When the stream is lost, no minute is waited for.
    let mut cx = Cx { now: world.now(), session: &mut world.session };
    world.feed.set_live(&mut cx, false);
    world.pass(secs(5));
    assert!(world.model.count() >= 1);
}

#[test]
fn a_wake_during_a_read_is_a_read_of_its_own() {
    let mut world = begun(false, options());
    world.feed.wake(world.mono);
    world.settle();
    world.feed.wake(world.mono);
    assert!(world.answer());
    assert!(world.answer(), "the wake came while the first was in flight");
    assert!(!world.answer());
}

#[test]
fn a_scarce_budget_stretches_the_reads() {
    let mut world = begun(false, options());
    world.model.headers = vec![
        ("x-ratelimit-limit", "600".to_owned()),
        ("x-ratelimit-remaining", "50".to_owned()),
        ("x-ratelimit-reset", "59".to_owned()),
    ];
    world.pass(secs(10));
    world.model.count();
    world.pass(secs(600));
    let reads = world.model.count();
    assert!((9..=14).contains(&reads), "{reads} reads in 600 s");
    // What has happened is read within an interval.
    world.feed.wake(world.mono);
    world.pass(secs(5));
    assert!(world.model.count() >= 1);
}

#[test]
fn a_feed_that_cannot_be_read_is_read_again_with_backoff_whatever_wakes_it() {
    let mut world = begun(false, options());
    world.model.failing = 8;
    let mut times = Vec::new();
    while times.len() < 9 {
        world.feed.wake(world.mono);
        world.pass(ms(10));
        times.extend((world.model.count() > 0).then_some(world.mono));
    }
    for (n, pair) in times.windows(2).enumerate() {
        let (waited, ceiling) = (pair[1].since(pair[0]), secs(1 << n).min(secs(30)));
        assert!(waited + ms(20) >= ceiling / 2 && waited <= ceiling + ms(20), "{n}: {waited:?}");
    }
    assert_eq!(world.failures.len(), 8);
}

#[test]
fn nothing_is_read_while_enough_waits() {
    let mut world = begun(false, options());
    world.feed.pause(true);
    world.model.write(Duration::ZERO);
    world.feed.wake(world.mono);
    world.pass(secs(1000));
    assert_eq!(world.model.count(), 0);
    world.feed.pause(false);
    world.run();
    assert_eq!(world.order.len(), 1);
    // A page that was asked for is still handed out.
    world.model.write(Duration::ZERO);
    world.feed.wake(world.mono);
    world.settle();
    world.feed.pause(true);
    world.run();
    assert_eq!(world.order.len(), 2);
}

#[test]
fn only_what_is_saved_and_certain_is_acknowledged() {
    let mut world = begun(false, options());
    let old = world.model.write(Duration::ZERO);
    world.pass(secs(6));
    world.finish_all();
    world.save();
    world.pass(secs(100));
    assert_eq!(world.model.acked, None, "another row may still appear before it");
    world.model.write(Duration::ZERO);
    world.pass(secs(6));
    assert_eq!(world.feed.cursor().unwrap().place().unwrap().id, old);
    world.pass(secs(100));
    assert_eq!(world.model.acked, None, "it is not saved");
    world.save();
    world.run();
    assert_eq!(world.model.acked, Some(1));
    // At most once a minute, and the same mark once alone.
    world.model.count();
    world.save();
    world.pass(secs(200));
    assert!(world.model.requests.iter().all(|request| !request.ends_with("/ack")));
}

#[test]
fn a_server_that_takes_no_acknowledgement_is_not_asked_again() {
    let mut world = begun(false, options());
    world.session.dialect = None;
    for _ in 0..3 {
        world.model.write(Duration::ZERO);
        world.pass(secs(100));
        world.finish_all();
        world.save();
        // A server that is asked although its dialect is not known.
        world.settle();
        while let Some((id, effect)) = world.in_flight.pop_first() {
            let Effect::Http(request, _) = effect else { panic!("{effect:?}") };
            world.model.requests.push(request.uri().to_string());
            let is_ack = request.uri().path().ends_with("/ack");
            let outcome = if is_ack { answered(404, "404 page not found") } else { world.model.answer(&request) };
            world.feed(id, outcome);
            world.settle();
        }
    }
    let acks = world.model.requests.iter().filter(|request| request.ends_with("/ack")).count();
    assert_eq!(acks, 1);
    assert!(world.session.lacks(Feature::ActivityAck));
    // April's is not asked at all.
    let mut world = begun(true, options());
    world.feed.saved(&Position::Row { id: id(1), created_at: world.model.now, seq: Some(7) });
    world.pass(secs(100));
    assert!(world.model.requests.iter().all(|request| !request.ends_with("/ack")));
}

#[test]
fn april_is_asked_for_its_whole_page_and_a_gap_is_told() {
    let mut world = begun(true, options());
    let rows: Vec<_> = (0..300).map(|_| world.model.write(Duration::ZERO)).collect();
    world.pass(secs(6));
    assert_eq!(ids(&world.order), ids(&rows));
    assert!(world.warnings.is_empty());
    let request = world.model.requests.last().unwrap();
    assert_eq!(request, ":id/activity?type=a2a_receive&limit=500&include=peer_info");
    // 600 rows between two reads are 100 more than the server shows.
    world.advance(secs(1));
    let rows: Vec<_> = (0..600).map(|n| world.model.insert(world.model.now + ms(n), world.model.now)).collect();
    world.order.clear();
    world.pass(secs(6));
    assert_eq!(ids(&world.order), ids(&rows[100..]));
    assert_eq!(world.warnings.len(), 1);
    assert!(world.warnings[0].contains("are lost"), "{}", world.warnings[0]);
    world.pass(secs(60));
    assert_eq!(world.warnings.len(), 1, "told once");
}

#[test]
fn a_server_of_unknown_dialect_is_known_by_its_rows() {
    let mut model = Model::new(true);
    let rows: Vec<_> = (0..5).map(|n| model.insert(model.now - secs(50 - n), model.now)).collect();
    let mut world = World::new(model, InboxOptions::new().backlog(Backlog::All), 500);
    world.session.dialect = None;
    world.run();
    assert_eq!(world.order, rows);
    let new = world.model.write(Duration::ZERO);
    world.pass(secs(6));
    assert_eq!(world.order.last(), Some(&new));
    // Later it is replaced by a newer one, which has its rows.
    world.model.april = false;
    world.session.learn_dialect(true);
    for (n, stored) in world.model.rows.iter_mut().enumerate() {
        stored.row.seq = Some(i64::try_from(n).unwrap() + 1);
    }
    let newer = world.model.write(Duration::ZERO);
    world.pass(secs(6));
    assert_eq!(world.order.len(), 7);
    assert_eq!(world.order.last(), Some(&newer));
}

#[test]
fn a_tail_of_more_than_a_page_is_read_whole_now_and_then_and_misses_nothing() {
    let mut world = World::new(Model::new(false), options(), 20);
    world.run();
    world.model.write(Duration::ZERO);
    world.pass(secs(50));
    world.model.count();
    let mut requests = Vec::new();
    // 20 rows a second for a minute, each tenth of them late by up to 30 s; a wake for each.
    for n in 0..1200_u64 {
        world.advance(ms(50));
        world.model.write(if n % 10 == 0 { ms(n * 7919 % 30_000) } else { Duration::ZERO });
        world.feed.wake(world.mono);
        world.run();
        requests.push(world.model.count());
        world.finish_all();
    }
    let total: usize = requests.iter().sum();
    assert!(total < 3 * requests.len(), "{total} requests for {} rows", requests.len());
    world.pass(secs(90));
    world.assert_all_handed();
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let mut model = Model::new(false);
    let rows: Vec<_> = (0..1200).map(|n| model.insert(model.now - secs(2000 - n), model.now)).collect();
    model.fits = 40;
    let mut world = World::new(model, options(), 500);
    world.run();
    assert_eq!(world.order, rows);
    world.model.count();
    // Larger ones are tried again.
    world.model.fits = usize::MAX;
    world.finish_all();
    world.crash();
    world.finished.clear();
    world.saved = Some(Position::Beginning);
    world.crash();
    world.run();
    assert!(world.model.count() < 10);
    // A row that does not fit alone is a failure, and none without end.
    world.model.fits = 0;
    world.model.write(Duration::ZERO);
    world.pass(secs(60));
    assert!(world.failures.contains(&ErrorKind::TooLarge));
    assert!(world.model.count() < 100);
}

#[test]
fn a_row_that_cannot_be_read_is_passed_and_told_once() {
    let mut world = begun(false, options());
    let [before, broken, after] = [(); 3].map(|()| world.model.write(Duration::ZERO));
    world.model.broken.insert(broken.clone());
    world.pass(secs(30));
    assert_eq!(world.order, [before, after]);
    assert_eq!(world.warnings.len(), 1);
    assert!(world.warnings[0].contains(broken.as_str()), "{}", world.warnings[0]);
    world.finish_all();
    world.advance(secs(60));
    world.optional.insert(broken);
    let last = world.model.write(Duration::ZERO);
    world.pass(secs(60));
    world.finish_all();
    world.model.write(Duration::ZERO);
    world.pass(secs(60));
    assert_eq!(world.feed.cursor().unwrap().place().unwrap().id, last);
    assert_eq!(world.warnings.len(), 1);
}

#[test]
fn a_page_of_another_workspace_is_none_of_ours() {
    let mut world = begun(false, options());
    world.model.write(Duration::ZERO);
    world.model.rows[0].row.workspace_id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    world.pass(secs(10));
    assert!(world.order.is_empty());
    assert!(!world.failures.is_empty() && world.failures.iter().all(|kind| *kind == ErrorKind::Routing));
    world.optional.insert(id(0));
}

#[test]
fn a_stop_cancels_what_is_in_flight_and_reads_no_more() {
    let mut world = begun(false, options());
    world.feed.wake(world.mono);
    world.settle();
    assert!(!world.feed.is_quiet());
    let mut cx = Cx { now: world.now(), session: &mut world.session };
    world.feed.stop(&mut cx);
    assert_eq!(world.settle(), None);
    assert!(world.feed.is_quiet() && world.in_flight.is_empty());
    world.feed.wake(world.mono);
    world.advance(secs(1000));
    assert_eq!(world.settle(), None);
    assert_eq!(world.model.count(), 0);
}
