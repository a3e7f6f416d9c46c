//! An agent that reads the feed of the model, over crashes, and what must hold of it at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_proto::{ActivityId, ActivityRow, Now, Time, Token};

use super::model::{Model, OWN, secs};
use crate::config::inbox::{Backlog, InboxOptions};
use crate::config::options::Options;
use crate::effect::{Effect, EffectId, Fault, FaultKind, Outcome, Sent};
use crate::error::ErrorKind;
use crate::inbox::feed::{Feed, FeedStep, Position};
use crate::machine::{Cx, Step};
use crate::session::Session;
use crate::session::credential::Persistence;

/// An agent that reads the feed of a server, over crashes.
pub(super) struct World {
    pub(super) model: Model,
    pub(super) session: Session,
    pub(super) options: InboxOptions,
    pub(super) page: u32,
    pub(super) feed: Feed,
    pub(super) mono: Time,
    pub(super) in_flight: BTreeMap<EffectId, Effect>,
    /// The rows that were handed out in this life and before, and those that are finished.
    pub(super) handed: BTreeSet<ActivityId>,
    pub(super) ever: BTreeSet<ActivityId>,
    pub(super) finished: BTreeSet<ActivityId>,
    pub(super) saved: Option<Position>,
    /// The rows that need not be handed out: they are older than the backlog.
    pub(super) optional: BTreeSet<ActivityId>,
    pub(super) warnings: Vec<String>,
    pub(super) failures: Vec<ErrorKind>,
    pub(super) order: Vec<ActivityId>,
}

pub(super) fn session(april: bool) -> Session {
    let mut session = Session::new(Options::new("http://127.0.0.1:8080", OWN).build().unwrap(), 7);
    session.hold(Token::new("secret").unwrap(), Persistence::Stored);
    session.learn_dialect(!april);
    session
}

impl World {
    pub(super) fn new(model: Model, options: InboxOptions, page: u32) -> Self {
        let feed = Feed::with_pages(None, &options, page);
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
    pub(super) fn now(&self) -> Now {
        Now { mono: self.mono, unix: self.model.now + secs(7 * 3600) }
    }

    pub(super) fn feed(&mut self, id: EffectId, outcome: Outcome) {
        let mut cx = Cx { now: self.now(), session: &mut self.session };
        self.feed.feed(&mut cx, id, outcome).unwrap();
    }

    /// Polls until the feed is idle. Returns when it wants to be polled again.
    pub(super) fn settle(&mut self) -> Option<Time> {
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

    pub(super) fn take(&mut self, rows: Vec<ActivityRow>) {
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
    pub(super) fn check(&mut self) {
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
    pub(super) fn answer(&mut self) -> bool {
        let Some((id, effect)) = self.in_flight.pop_first() else { return false };
        let Effect::Http(request, _) = effect else { panic!("{effect:?}") };
        let outcome = self.model.answer(&request);
        self.feed(id, outcome);
        self.settle();
        true
    }

    /// Answers all requests, those that follow from them as well.
    pub(super) fn run(&mut self) {
        self.settle();
        for _ in 0..5000 {
            if !self.answer() {
                return;
            }
        }
        panic!("no end of requests: {:?}", &self.model.requests[self.model.requests.len() - 20..]);
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.mono = self.mono + time;
        self.model.now = self.model.now + time;
    }

    /// Lets time pass, and answers every request at once.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.mono + time;
        loop {
            self.run();
            let Some(at) = self.settle().filter(|at| *at < end) else { break };
            self.advance(at.since(self.mono));
        }
        self.advance(end.since(self.mono));
        self.run();
    }

    pub(super) fn save(&mut self) {
        if let Some(cursor) = self.feed.cursor() {
            self.feed.saved(&cursor);
            self.saved = Some(cursor);
        }
    }

    pub(super) fn finish(&mut self, row: &ActivityId) {
        self.finished.insert(row.clone());
        self.feed.finished(row);
    }

    pub(super) fn finish_all(&mut self) {
        for row in self.handed.clone() {
            self.finish(&row);
        }
    }

    /// The process ends, and another one goes on with what was saved.
    pub(super) fn crash(&mut self) {
        self.in_flight.clear();
        self.handed.clear();
        self.session = session(self.model.april);
        self.feed = Feed::with_pages(self.saved.clone(), &self.options, self.page);
    }

    /// Everything that must be handed out was, once all rows are visible.
    pub(super) fn assert_all_handed(&self) {
        for stored in &self.model.rows {
            let id = &stored.row.id;
            assert!(self.ever.contains(id) || self.optional.contains(id), "lost: {:?}", stored.row);
        }
    }
}

pub(super) fn is_read(effect: &Effect) -> bool {
    matches!(effect, Effect::Http(request, _) if request.method() == http::Method::GET)
}

pub(super) fn options() -> InboxOptions {
    InboxOptions::new().backlog(Backlog::All)
}

/// A world whose first start is over.
pub(super) fn begun(april: bool, options: InboxOptions) -> World {
    let mut world = World::new(Model::new(april), options, 500);
    world.run();
    world.model.count();
    world
}

pub(super) fn ids(rows: &[ActivityId]) -> BTreeSet<ActivityId> {
    rows.iter().cloned().collect()
}
