//! The order of the requests by which the feed is read.
//!
//! A *pass* reads the rows behind the base, page by page, until a page that is not full. What else is asked for serves
//! to find a base: the newest row, the last row before a time, and the oldest row by paging backwards.

use std::time::Duration;

use molecule_proto::{ActivityId, ActivityRow, ActivityType, Dialect, UnixTime};

use super::position::Position;
use super::window::Window;
use crate::config::inbox::Backlog;
use crate::endpoint::{ActivityFeed, ActivityPage, Mismatch, RowPlace};

/// The rows of a page, and its cap in bytes. A page that is longer is asked for again with fewer rows.
pub(super) const PAGE: u32 = 500;
pub(super) const PAGE_BYTES: u64 = 16 * 1024 * 1024;

/// A page with at least this many rows is never taken for the last one, since a server may have a lower limit than 500.
const NEVER_LAST: usize = 100;

/// How often in a row the server may say that it does not have a row before it counts as a fault.
const MAX_GONE: u32 = 4;

/// How often in a row a smaller page of April's server that leaves rows out is given up for a larger one. After that the
/// rows do not fit into any page, unless a page came whole of a size that was too large before: then the network is at
/// fault.
const MAX_GAPS: u32 = 20;

/// The server's times have microseconds.
const TICK: Duration = Duration::from_micros(1);

/// Returns whether a row needed nothing any more before the agent started.
pub(super) type IsDone<'a> = &'a dyn Fn(&ActivityId) -> bool;

#[derive(Debug)]
pub(super) struct Reader {
    trail: Duration,
    window: Window,
    /// Which rows from before the first start are read, until that is settled.
    backlog: Option<Backlog>,
    stage: Stage,
    /// Whether the server answers as April's does.
    is_april: bool,
    /// The most rows of a page, and how many are asked for now.
    most: u32,
    limit: u32,
    gone: u32,
    /// How often in a row a page of April's server left rows out.
    gaps: u32,
    /// The smallest page that was too large, in rows, since a larger one came.
    refused_limit: Option<u32>,
    /// The pages of the last pass from the base.
    pages: u32,
    has_warned_of_tail: bool,
    has_warned_of_unplaced: bool,
    /// Why the last row that could not be read could not.
    why_unreadable: Option<Mismatch>,
    warnings: Vec<String>,
}

/// What the request that is due or in flight is for.
#[derive(Debug)]
enum Stage {
    Rest,
    /// The newest row is the base, unless there is a backlog of this age.
    Newest(Option<Duration>),
    /// The oldest row within this age is looked for, since the base is a row before it. If there is none, the base is
    /// the row that was the newest one before.
    Window(Duration, Option<RowPlace>, Walk),
    /// The last row before this time is the base.
    Before(UnixTime),
    /// The feed has no row that could be the base: its rows are read from the oldest on.
    Oldest(Walk),
    Pass(Pass),
    /// The newest row, by which a pass knows whether rows are old enough to be complete.
    Peek(Pass),
    /// All that April's server shows.
    Whole,
}

/// Pages backwards from the newest row.
#[derive(Debug, Default)]
struct Walk {
    before: Option<UnixTime>,
    /// The page before, as long as the next one might be empty.
    last: Vec<Entry>,
    pages: u32,
}

#[derive(Debug, Clone)]
struct Pass {
    since: RowPlace,
    /// Whether all rows before `since` are complete.
    is_contiguous: bool,
    is_from_base: bool,
    has_peeked: bool,
    pages: u32,
}

/// A row of a page; without its content if that cannot be read.
#[derive(Debug)]
struct Entry {
    place: RowPlace,
    row: Option<ActivityRow>,
}

/// The end of a walk's page.
enum Walked {
    /// An older page is to be read.
    On(Walk),
    /// These are the oldest rows.
    Bottom(Vec<Entry>, u32),
}

impl Reader {
    pub(super) fn new(position: Option<Position>, backlog: Backlog, trail: Duration, most: u32) -> Self {
        let backlog = position.is_none().then_some(backlog);
        Self {
            window: Window::new(trail, position.and_then(Position::place)),
            trail,
            backlog,
            stage: Stage::Rest,
            is_april: false,
            most,
            limit: most,
            gone: 0,
            gaps: 0,
            refused_limit: None,
            pages: 0,
            has_warned_of_tail: false,
            has_warned_of_unplaced: false,
            why_unreadable: None,
            warnings: Vec::new(),
        }
    }

    /// Begins a pass; from the base if `is_deep` is set or the tail is shorter than a page.
    pub(super) fn begin(&mut self, dialect: Option<Dialect>, is_deep: bool) {
        self.is_april = match dialect {
            Some(dialect) => dialect == Dialect::April,
            None => self.is_april,
        };
        let near = self.window.near(self.page_rows()).filter(|_| !is_deep && !self.is_april).cloned();
        self.stage = match near {
            Some(since) => {
                let (is_contiguous, is_from_base, has_peeked) = (false, false, true);
                Stage::Pass(Pass { since, is_contiguous, is_from_base, has_peeked, pages: 0 })
            }
            None => self.first_stage(),
        };
    }

    fn first_stage(&self) -> Stage {
        match (self.is_april, self.backlog) {
            (true, _) => Stage::Whole,
            (false, Some(Backlog::FromNow)) => Stage::Newest(None),
            (false, Some(Backlog::Since(age))) => Stage::Newest(Some(age)),
            (false, Some(Backlog::All) | None) => self.at_base(false),
        }
    }

    fn at_base(&self, has_peeked: bool) -> Stage {
        match self.window.base().cloned() {
            Some(since) => {
                let (is_contiguous, is_from_base) = (true, true);
                Stage::Pass(Pass { since, is_contiguous, is_from_base, has_peeked, pages: 0 })
            }
            None => Stage::Oldest(Walk::default()),
        }
    }

    /// Gives up the pass. The next one begins where this one began.
    pub(super) fn rest(&mut self) {
        self.stage = Stage::Rest;
    }

    /// Whether a request is due or in flight.
    pub(super) fn is_reading(&self) -> bool {
        !matches!(self.stage, Stage::Rest)
    }

    /// Whether the tail fills a page, so that a pass from the base costs more than one request.
    pub(super) fn has_long_tail(&self) -> bool {
        self.window.near(self.page_rows()).is_some()
    }

    /// The pages of the last pass from the base.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// The request that is due.
    pub(super) fn request(&self) -> ActivityFeed {
        let feed = ActivityFeed::new();
        let one = || feed.clone().limit(1);
        let page = || {
            let page = feed.clone().limit(self.limit).peer_info();
            // What does not fit into April's one page is lost.
            let is_whole = self.limit == 1 || matches!(self.stage, Stage::Whole);
            if is_whole { page } else { page.max_body(PAGE_BYTES) }
        };
        let walk = |walk: &Walk| match walk.before {
            Some(before) => page().before(before),
            None => page(),
        };
        match &self.stage {
            Stage::Rest | Stage::Newest(_) | Stage::Peek(_) => one(),
            Stage::Before(time) => one().before(*time),
            Stage::Window(age, _, back) => walk(back).since(*age),
            Stage::Oldest(back) => walk(back),
            Stage::Pass(pass) => page().since_id(pass.since.id.clone()),
            Stage::Whole => page().activity_type(ActivityType::A2aReceive),
        }
    }

    /// Takes the answer. Returns the new rows in the order of the feed, without those that are done.
    pub(super) fn answered(&mut self, page: ActivityPage, is_done: IsDone<'_>) -> Vec<ActivityRow> {
        let is_short = page.rows.len() + page.unreadable.len() + page.unplaced < self.asked() && !page.is_cut;
        let is_last = is_short && page.rows.len() + page.unreadable.len() < self.page_rows().min(NEVER_LAST);
        let date = page.date;
        self.why_unreadable = page.why_unreadable.or(self.why_unreadable);
        if page.unplaced > 0 && !std::mem::replace(&mut self.has_warned_of_unplaced, true) {
            self.warnings
                .push(format!("{} rows of the feed have no id or no time, and are passed over", page.unplaced));
        }
        let mut entries = sorted(page);
        let is_april = !entries.is_empty() && entries.iter().all(|entry| entry.place.seq.is_none());
        let stage = std::mem::replace(&mut self.stage, Stage::Rest);
        let is_ignored = match &stage {
            Stage::Pass(pass) => entries.first().is_some_and(|first| first.place <= pass.since),
            _ => false,
        };
        if !matches!(stage, Stage::Whole) && (is_april || is_ignored) {
            // The server did not do what was asked for.
            self.is_april = true;
            self.stage = Stage::Whole;
            return Vec::new();
        }
        match stage {
            Stage::Rest => Vec::new(),
            Stage::Newest(Some(age)) => {
                let newest = entries.pop().map(|newest| newest.place);
                self.stage = Stage::Window(age, newest, Walk::default());
                Vec::new()
            }
            Stage::Newest(None) | Stage::Before(_) => {
                self.start_at(entries.pop().map(|newest| newest.place));
                Vec::new()
            }
            Stage::Peek(pass) => {
                self.peeked(pass, entries.last());
                Vec::new()
            }
            Stage::Window(age, newest, walk) => {
                match walk.walked(entries, is_last) {
                    Walked::On(walk) => self.stage = Stage::Window(age, newest, walk),
                    Walked::Bottom(rows, _) => match rows.first() {
                        // A row right before the oldest one may have become visible since, and be within the age.
                        Some(oldest) => self.stage = Stage::Before(oldest.place.created_at - self.trail),
                        None => self.start_at(newest),
                    },
                }
                Vec::new()
            }
            Stage::Oldest(walk) => {
                entries.iter().for_each(|entry| self.window.see(&entry.place));
                match walk.walked(entries, is_last) {
                    Walked::On(walk) => {
                        self.stage = Stage::Oldest(walk);
                        Vec::new()
                    }
                    Walked::Bottom(rows, pages) => {
                        self.backlog = None;
                        let next = rows.last().filter(|_| pages > 1).map(|last| last.place.clone());
                        let (rows, is_contiguous) = self.take(rows, true, is_done);
                        self.pages = pages;
                        if let Some(since) = next {
                            let (is_from_base, has_peeked) = (true, true);
                            self.stage = Stage::Pass(Pass { since, is_contiguous, is_from_base, has_peeked, pages });
                        }
                        rows
                    }
                }
            }
            Stage::Pass(pass) => self.passed(pass, entries, is_last, is_done),
            Stage::Whole => self.whole(entries, is_short, date, is_done),
        }
    }

    fn passed(&mut self, mut pass: Pass, entries: Vec<Entry>, is_last: bool, is_done: IsDone<'_>) -> Vec<ActivityRow> {
        self.gone = 0;
        self.grow();
        let horizon = self.window.horizon();
        let last = entries.last().map(|last| last.place.clone());
        let (rows, is_contiguous) = self.take(entries, pass.is_contiguous, is_done);
        pass.is_contiguous = is_contiguous;
        pass.pages += 1;
        if pass.is_from_base {
            self.pages = pass.pages;
        }
        let Some(last) = last.filter(|_| !is_last) else { return rows };
        let is_unknown = Some(last.created_at) > horizon;
        pass.since = last;
        self.stage = if is_unknown && !pass.has_peeked && !pass.is_contiguous {
            pass.has_peeked = true;
            Stage::Peek(pass)
        } else {
            Stage::Pass(pass)
        };
        rows
    }

    /// Goes on after a look at the newest row: from the base again, if the rows that were read turn out to be old.
    fn peeked(&mut self, pass: Pass, newest: Option<&Entry>) {
        if let Some(newest) = newest {
            self.window.see(&newest.place);
        }
        self.stage = if self.window.is_old(&pass.since) { self.at_base(true) } else { Stage::Pass(pass) };
    }

    /// Settles the first start, or goes back to an earlier row.
    fn start_at(&mut self, base: Option<RowPlace>) {
        self.backlog = None;
        self.window.set_base(base);
        self.stage = self.at_base(false);
    }

    /// Takes all that April's server shows: its newest rows.
    fn whole(
        &mut self,
        entries: Vec<Entry>,
        is_short: bool,
        date: Option<UnixTime>,
        is_done: IsDone<'_>,
    ) -> Vec<ActivityRow> {
        let is_small = self.limit < self.most;
        if self.refused_limit.is_some_and(|limit| limit <= self.limit) {
            (self.refused_limit, self.gaps) = (None, 0);
        }
        self.grow();
        let oldest = entries.first().map(|oldest| oldest.place.clone());
        let is_gap = !is_short && oldest.as_ref() > self.window.last();
        if is_gap && is_small && self.gaps < MAX_GAPS {
            // Larger pages were too large, which may have been a fault of the network: nothing is passed over yet.
            self.gaps += 1;
            return Vec::new();
        }
        self.gaps = 0;
        if let Some(backlog) = self.backlog.take() {
            let newest = entries.last().map(|newest| &newest.place);
            let clock = date.or(newest.map(|newest| newest.created_at)).unwrap_or_default();
            let base = match backlog {
                Backlog::FromNow => newest,
                Backlog::Since(age) => {
                    entries.iter().map(|entry| &entry.place).rfind(|place| clock.since(place.created_at) > age)
                }
                Backlog::All => None,
            };
            self.window.set_base(base.cloned());
        }
        if is_gap && oldest.as_ref() > self.window.last() {
            let rows = entries.len();
            self.warnings.push(format!(
                "the server shows only the newest {rows} rows of the feed: older messages that were not read are lost"
            ));
        }
        self.take(entries, true, is_done).0
    }

    /// Asks for more rows again after pages that were too large.
    fn grow(&mut self) {
        self.limit = self.limit.saturating_mul(2).min(self.most);
    }

    /// Takes rows. Returns the new ones, and whether all rows up to the last of them are complete.
    fn take(&mut self, entries: Vec<Entry>, is_contiguous: bool, is_done: IsDone<'_>) -> (Vec<ActivityRow>, bool) {
        let places: Vec<_> = entries.iter().map(|entry| entry.place.clone()).collect();
        let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
        for Entry { place, row } in entries {
            if !self.window.admit(&place) || is_done(&place.id) {
                continue;
            }
            match row {
                Some(row) => {
                    self.window.begin(&place);
                    rows.push(row);
                }
                None => unreadable.push(place.id),
            }
        }
        if let Some(first) = unreadable.first() {
            let why = self.why_unreadable.unwrap_or_default();
            self.warnings.push(passed_over(first, unreadable.len(), why));
        }
        let is_complete = is_contiguous && self.window.complete(&places);
        if self.window.shorten() && !std::mem::replace(&mut self.has_warned_of_tail, true) {
            self.warnings.push(
                "the feed gets more rows than can be read twice: one that the server shows late may be missed"
                    .to_owned(),
            );
        }
        (rows, is_complete)
    }

    /// Takes a 410: the server does not have the row that was named. Returns whether reading goes on.
    pub(super) fn gone(&mut self) -> bool {
        self.gone = self.gone.saturating_add(1);
        let stage = std::mem::replace(&mut self.stage, Stage::Rest);
        let Stage::Pass(pass) = stage else { return false };
        if self.gone > MAX_GONE {
            return false;
        }
        self.stage = match self.window.base() {
            Some(base) if *base == pass.since => {
                let time = base.created_at;
                self.window.hold_floor();
                Stage::Before(time)
            }
            _ => self.at_base(false),
        };
        true
    }

    /// Takes the fault that an answer is too large. Returns whether reading goes on, with a smaller page.
    pub(super) fn too_large(&mut self) -> bool {
        self.refused_limit = Some(self.refused_limit.map_or(self.limit, |limit| limit.min(self.limit)));
        match std::mem::replace(&mut self.stage, Stage::Rest) {
            Stage::Peek(pass) => self.stage = Stage::Pass(pass),
            stage @ (Stage::Window(..) | Stage::Oldest(_) | Stage::Pass(_) | Stage::Whole) if self.limit > 1 => {
                self.limit = (self.limit / 4).max(1);
                self.stage = stage;
            }
            Stage::Rest
            | Stage::Newest(_)
            | Stage::Before(_)
            | Stage::Window(..)
            | Stage::Oldest(_)
            | Stage::Pass(_)
            | Stage::Whole => return false,
        }
        true
    }

    pub(super) fn finish(&mut self, id: &ActivityId) {
        self.window.finish(id);
    }

    /// The position that may be saved now; `None` while the first start is not settled.
    pub(super) fn cursor(&self) -> Option<Position> {
        self.backlog.is_none().then(|| Position::at(self.window.cursor()))
    }

    /// The next sentence for the application.
    pub(super) fn warning(&mut self) -> Option<String> {
        (!self.warnings.is_empty()).then(|| self.warnings.remove(0))
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.window.size()
    }

    /// The number of rows that the request in flight asks for.
    fn asked(&self) -> usize {
        match self.stage {
            Stage::Rest | Stage::Newest(_) | Stage::Before(_) | Stage::Peek(_) => 1,
            Stage::Window(..) | Stage::Oldest(_) | Stage::Pass(_) | Stage::Whole => self.page_rows(),
        }
    }

    fn page_rows(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

impl Walk {
    /// Takes a page. The next one begins right behind its oldest row, and has that row once more, since others may have
    /// the same time; if a page has no other time, behind that time.
    fn walked(self, entries: Vec<Entry>, is_last: bool) -> Walked {
        let pages = self.pages + 1;
        let Some(oldest) = entries.first().map(|oldest| oldest.place.created_at) else {
            return Walked::Bottom(self.last, pages);
        };
        if is_last {
            return Walked::Bottom(entries, pages);
        }
        let next = oldest + TICK;
        let before = if self.before.is_none_or(|before| next < before) { next } else { oldest };
        Walked::On(Self { before: Some(before), last: entries, pages })
    }
}

/// The warning of rows of one page that cannot be read.
fn passed_over(first: &ActivityId, rows: usize, why: Mismatch) -> String {
    let why = match (why.is_too_large, why.at) {
        (true, _) => "it needs more than 40 MiB of memory".to_owned(),
        (false, Some((line, column))) => format!("it is no row of the feed, from line {line}, column {column} on"),
        (false, None) => "it is no row of the feed".to_owned(),
    };
    match rows {
        1 => format!("the row {first} of the feed cannot be read, and is passed over: {why}"),
        _ => format!("{rows} rows of the feed cannot be read, and are passed over; the first one is {first}: {why}"),
    }
}

fn sorted(page: ActivityPage) -> Vec<Entry> {
    let read = page.rows.into_iter().map(|row| Entry { place: RowPlace::of(&row), row: Some(row) });
    let unreadable = page.unreadable.into_iter().map(|place| Entry { place, row: None });
    let mut entries: Vec<_> = read.chain(unreadable).collect();
    entries.sort_by(|one, other| one.place.cmp(&other.place));
    entries.dedup_by(|one, other| one.place.id == other.place.id);
    entries
}
