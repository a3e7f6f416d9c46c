//! The reader of the activity feed: it finds the new rows, once each, and the cursor that may be saved.

mod pace;
mod position;
mod reader;
mod window;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use http::StatusCode;
use molecule_proto::{ActivityId, ActivityRow, Time, UnixTime, Wake};

use crate::call::Call;
use crate::config::inbox::InboxOptions;
use crate::effect::{EffectId, Outcome};
use crate::endpoint::refusal::of_another;
use crate::endpoint::{AckActivity, ActivityFeed, ActivityPage, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::{Cx, Machine, Step, pass};
use crate::session::{Dialect, Feature};
use pace::Pace;
pub(crate) use position::Position;
use reader::Reader;

/// The time between two acknowledgements: the server needs them only to delete rows of a week ago.
const ACK_EVERY: Duration = Duration::from_secs(60);

/// The reader of the feed, a part of the inbox. It hands out each new row once, in the order in which they become
/// visible, and it has at most one request in flight, beside an acknowledgement.
///
/// Its owner saves [`cursor`](Self::cursor) as soon as there is one, before it begins with the first rows, and later
/// whenever it has changed. It says [`finished`](Self::finished) of every row that it was given.
#[derive(Debug)]
pub(crate) struct Feed {
    reader: Reader,
    pace: Pace,
    call: Option<Box<Call<ActivityFeed>>>,
    ack: Ack,
    is_paused: bool,
    is_stopped: bool,
    /// Whether the pass has found something new.
    has_found: bool,
    /// When the pass began, and when the last one began that came to its end.
    pass_began: Time,
    read_at: Option<Time>,
    /// A time that the server's clock had passed, and when.
    clock: Option<(UnixTime, Time)>,
    failures: u32,
    steps: VecDeque<FeedStep>,
}

/// The next step of the feed.
#[derive(Debug)]
#[must_use = "a step that is dropped is an effect that never happens or a message that nobody gets"]
pub(crate) enum FeedStep {
    /// Do what the step says, and poll again at once. It is never `Idle` or `Done`.
    Step(Step<Infallible>),
    /// New rows, the oldest first.
    Rows(Vec<ActivityRow>),
    /// The feed could not be read, so many times in a row. It is read again after a wait.
    Failed { failures: u32, error: Error },
    /// The feed could be read again, after so many failures.
    Recovered { failures: u32 },
    /// Nothing to do until an outcome, a change of the session, a call of a method, or the wake.
    Idle(Option<Wake>),
}

/// The acknowledgement of rows.
#[derive(Debug, Default)]
struct Ack {
    call: Option<(i64, Box<Call<AckActivity>>)>,
    /// The mark of the saved cursor.
    saved: Option<i64>,
    sent: Option<i64>,
    next: Time,
    /// Since when the next one could be sent, if the rate budget holds it back.
    due: Option<Time>,
}

impl Feed {
    /// Makes a reader that goes on at a position, or starts for the first time.
    pub(crate) fn new(position: Option<Position>, options: &InboxOptions) -> Self {
        Self::with_pages(position, options, reader::PAGE)
    }

    fn with_pages(position: Option<Position>, options: &InboxOptions, rows: u32) -> Self {
        Self {
            reader: Reader::new(position, options.backlog, options.trail, rows),
            pace: Pace::new(options.poll, options.idle_poll, options.trail),
            call: None,
            ack: Ack::default(),
            is_paused: false,
            is_stopped: false,
            has_found: false,
            pass_began: Time::ZERO,
            read_at: None,
            clock: None,
            failures: 0,
            steps: VecDeque::new(),
        }
    }

    /// Reads the feed at once: something has happened.
    pub(crate) fn wake(&mut self, now: Time) {
        self.pace.wake(now);
    }

    /// Reads the feed at once, unless it is being read.
    pub(crate) fn wake_at_rest(&mut self, now: Time) {
        if !self.reader.is_reading() {
            self.pace.wake(now);
        }
    }

    /// Returns when the last read of the feed began that came to its end.
    pub(crate) fn read_at(&self) -> Option<Time> {
        self.read_at
    }

    /// Returns how old a row is at least, by the server's clock, of which the header `Date` tells the second.
    pub(crate) fn age(&self, now: Time, created_at: UnixTime) -> Duration {
        self.clock.map_or(Duration::ZERO, |(unix, at)| (unix + now.since(at)).since(created_at))
    }

    /// Notes what a page tells of the server's clock: it has passed the answer's date, and the times of all rows.
    fn note_clock(&mut self, now: Time, page: &ActivityPage) {
        let known = self.clock.map(|(unix, at)| unix + now.since(at));
        let told = page.rows.iter().map(|row| row.created_at).chain(page.date).chain(known).max();
        self.clock = told.map(|unix| (unix, now));
    }

    /// Says whether an event stream is open, which wakes the reader. It then reads seldom on its own account, and less
    /// seldom while a row may come that the stream does not tell of.
    pub(crate) fn set_live(&mut self, cx: &mut Cx<'_>, is_live: bool, is_silent: bool) {
        self.pace.set_live(cx, is_live, is_silent);
    }

    /// Stops reading while enough rows wait to be handled, and goes on later. A page that is in flight is still handed
    /// out.
    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Ends the reading for good, and cancels what is in flight.
    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>) {
        self.is_stopped = true;
        if let Some(call) = &mut self.call {
            call.cancel(cx);
        }
        if let Some((_, call)) = &mut self.ack.call {
            call.cancel(cx);
        }
    }

    /// Returns whether nothing is in flight.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        self.call.is_none() && self.ack.call.is_none()
    }

    /// Says that a row needs nothing any more.
    pub(crate) fn finished(&mut self, row: &ActivityId) {
        self.reader.finish(row);
    }

    /// Returns the position that may be saved now. No row before it needs anything, and none becomes visible there any
    /// more. `None` until the first start is settled, before which no row is handed out.
    pub(crate) fn cursor(&self) -> Option<Position> {
        self.reader.cursor()
    }

    /// Says that this position is saved durably. Its row is then acknowledged, where the server offers that: after a
    /// while, and at most once a minute.
    pub(crate) fn saved(&mut self, position: &Position) {
        if let Position::Row { seq: Some(seq), .. } = position {
            self.ack.saved = self.ack.saved.max(Some(*seq));
        }
    }

    /// Returns the next step. `is_done` says of a row whether it needed nothing any more before the agent started: such
    /// a row is not handed out.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>, is_done: &dyn Fn(&ActivityId) -> bool) -> FeedStep {
        loop {
            if let Some(sentence) = self.reader.warning() {
                return FeedStep::Step(Step::Event(Event::Warning(sentence)));
            }
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            let wake = match &mut self.call {
                Some(call) => match call.poll(cx) {
                    Step::Idle(wake) => wake,
                    Step::Done(page) => {
                        self.call = None;
                        self.answered(cx, page, is_done);
                        continue;
                    }
                    other => return FeedStep::Step(pass(other)),
                },
                None if self.is_stopped || self.is_paused => None,
                None => match self.next_request(cx) {
                    Some(wake) => Some(wake),
                    None => continue,
                },
            };
            match self.acknowledge(cx) {
                Some(Step::Idle(own)) => return FeedStep::Idle(Wake::earliest(wake, own)),
                Some(step) => return FeedStep::Step(step),
                None => return FeedStep::Idle(wake),
            }
        }
    }

    /// Takes the outcome of an effect.
    ///
    /// # Errors
    /// Gives back an outcome that is not the feed's.
    pub(crate) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let outcome = match &mut self.call {
            Some(call) => match call.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(outcome) => outcome,
            },
            None => outcome,
        };
        match &mut self.ack.call {
            Some((_, call)) => call.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }

    /// Makes the next request, if it is time for one. Returns when it is, otherwise.
    fn next_request(&mut self, cx: &mut Cx<'_>) -> Option<Wake> {
        if let Some(wake) = self.pace.wait(cx, self.reader.is_reading()) {
            return Some(wake);
        }
        if !self.reader.is_reading() {
            let is_deep = self.pace.begin(cx.now.mono);
            self.has_found = false;
            self.pass_began = cx.now.mono;
            self.reader.begin(cx.session.dialect, is_deep);
        }
        self.pace.ask(cx.now.mono);
        self.call = Some(Box::new(Call::once(self.reader.request())));
        None
    }

    fn answered(&mut self, cx: &mut Cx<'_>, page: Result<ActivityPage>, is_done: &dyn Fn(&ActivityId) -> bool) {
        if self.is_stopped {
            return;
        }
        let own = cx.session.workspace_id();
        let page = page.and_then(|page| match page.rows.iter().all(|row| row.workspace_id == *own) {
            true => Ok(page),
            false => Err(of_another(ActivityFeed::OPERATION, StatusCode::OK)),
        });
        match page {
            Ok(page) => {
                self.note_clock(cx.now.mono, &page);
                let rows = self.reader.answered(page, is_done);
                self.has_found |= !rows.is_empty();
                if self.failures > 0 {
                    let failures = std::mem::take(&mut self.failures);
                    self.steps.push_back(FeedStep::Recovered { failures });
                }
                if !rows.is_empty() {
                    self.steps.push_back(FeedStep::Rows(rows));
                }
                if !self.reader.is_reading() {
                    self.read_at = Some(self.pass_began);
                    let pages = if self.reader.has_long_tail() { self.reader.pages() } else { 0 };
                    self.pace.ended(cx, self.has_found, pages);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.reader.gone() => {}
            Err(error) if error.kind() == ErrorKind::TooLarge && self.reader.too_large() => {}
            Err(error) => {
                self.reader.rest();
                self.failures = self.failures.saturating_add(1);
                self.pace.failed(cx, self.failures, &error);
                self.steps.push_back(FeedStep::Failed { failures: self.failures, error });
            }
        }
    }

    /// Acknowledges the saved cursor. `None` if there is nothing to do and nothing in flight.
    fn acknowledge(&mut self, cx: &mut Cx<'_>) -> Option<Step<Infallible>> {
        loop {
            if let Some((seq, call)) = &mut self.ack.call {
                let answer = match call.poll(cx) {
                    Step::Done(answer) => answer,
                    other => return Some(pass(other)),
                };
                match answer {
                    Ok(_) => self.ack.sent = Some(*seq),
                    Err(error) if is_unsupported(&error, cx.session.dialect) => {
                        cx.session.learn_lack(Feature::ActivityAck);
                    }
                    // The server keeps the rows longer, and the next acknowledgement covers these.
                    Err(_) => {}
                }
                self.ack.call = None;
                self.ack.next = cx.now.mono + ACK_EVERY;
            }
            let is_lacking = cx.session.dialect == Some(Dialect::April) || cx.session.lacks(Feature::ActivityAck);
            let seq = self.ack.saved.filter(|_| self.ack.saved > self.ack.sent)?;
            if is_lacking || self.is_stopped {
                return None;
            }
            let now = cx.now.mono;
            if self.ack.next > now {
                return Some(Step::Idle(Some(Wake { at: self.ack.next, why: "acknowledge the feed" })));
            }
            let due = *self.ack.due.get_or_insert(now);
            if let Some(at) = cx.session.rate.hold_others(now, due + ACK_EVERY) {
                return Some(Step::Idle(Some(Wake { at, why: "acknowledge the feed within the rate limit" })));
            }
            self.ack.due = None;
            self.ack.call = Some((seq, Box::new(Call::once(AckActivity(seq)))));
        }
    }
}

/// Returns whether a refusal means that the server does not have the route.
fn is_unsupported(error: &Error, dialect: Option<Dialect>) -> bool {
    let is_missing = error.status() == Some(StatusCode::NOT_FOUND) && dialect != Some(Dialect::Current);
    is_missing || error.kind() == ErrorKind::Unsupported
}
