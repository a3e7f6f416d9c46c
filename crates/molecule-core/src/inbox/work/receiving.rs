//! Messages on their way in, and the end of reading.

use std::time::Duration;

use molecule_proto::{ActivityRow, Time, Wake};

use super::left_to_push::READ_BESIDE_PUSHES;
use super::{AfterSave, MAX_WAITING, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::inbox::failures::Repeated;
use crate::inbox::feed::FeedStep;
use crate::inbox::form::{self, Form};
use crate::inbox::journal::Record;
use crate::inbox::message::InboundMessage;
use crate::inbox::watch::{WatchStep, Woke};
use crate::machine::{Cx, Step, pass};
use crate::session::claims::Pushed;
use crate::session::delivery::PushMode;

/// How often the cursor is saved at most.
const CURSOR_EVERY: Duration = Duration::from_secs(5);

/// The bytes of waiting messages at which the feed is read no further. A message has at most a few MB.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The result of a look for messages.
pub(super) enum Received {
    Step(Step<Result<()>>),
    /// Something has changed: look again.
    Again,
    Idle(Option<Wake>),
}

impl Work {
    pub(super) fn receive(&mut self, cx: &mut Cx<'_>) -> Received {
        let mut wake = None;
        match self.watch.poll(cx) {
            WatchStep::Step(step) => return Received::Step(pass(step)),
            WatchStep::Woke(woke) => {
                self.woke(cx, woke);
                return Received::Again;
            }
            WatchStep::Idle(own) => wake = Wake::earliest(wake, own),
        }
        self.feed.set_live(cx, self.watch.is_live(), self.watch.is_silent(cx.now.mono));
        let is_left = self.is_left_to_push(cx);
        self.feed.pause(self.is_held || is_left || self.is_enough_waiting() || self.journal.is_full());
        match self.feed.poll(cx, &|row| self.journal.is_done(row)) {
            FeedStep::Step(step) => return Received::Step(pass(step)),
            FeedStep::Rows(rows) => {
                self.save_cursor(cx, true);
                rows.into_iter().for_each(|row| self.take_row(cx, row));
                return Received::Again;
            }
            FeedStep::Failed { failures, error } => {
                self.feed_failed(cx, failures, &error);
                return Received::Again;
            }
            FeedStep::Recovered { failures } => {
                self.events.push_back(self.failures.recovered(cx, Repeated::Read, failures));
                return Received::Again;
            }
            FeedStep::Idle(own) => wake = Wake::earliest(wake, own),
        }
        while let Some(message) = self.uploads.take_alone(cx.now.mono) {
            self.wait_for_turn(message);
        }
        let is_begun = self.begin_attempts(cx);
        self.save_cursor(cx, false);
        if is_begun {
            return Received::Again;
        }
        let waits = [
            (self.uploads.wake(), "a file without a message"),
            (self.ready_at(cx), "offer a message"),
            (self.read_due(), "read the feed beside the pushes"),
        ];
        for (at, why) in waits {
            let at = at.filter(|at| *at > cx.now.mono);
            wake = Wake::earliest(wake, at.map(|at| Wake { at, why }));
        }
        Received::Idle(wake)
    }

    pub(in crate::inbox) fn leave_to_push(&mut self, mode: Option<PushMode>) {
        for row in self.left_to_push.set(mode) {
            self.schedule.put_off(&row, Time::ZERO);
        }
    }

    /// Leaves a message to its push. Returns when the inbox may have it if none has brought it; `None` if that is now. What
    /// has no id is never pushed.
    fn ready_for_inbox(&mut self, cx: &Cx<'_>, message: &InboundMessage) -> Option<Time> {
        message.delivery_key()?;
        let now = cx.now.mono;
        self.left_to_push.leave(now, self.feed.age(now, message.received_at()), message.id())
    }

    /// Returns whether the feed need not be read now, since messages are pushed.
    fn is_left_to_push(&mut self, cx: &Cx<'_>) -> bool {
        let Some(due) = self.read_due() else { return false };
        if due <= cx.now.mono {
            self.feed.wake_at_rest(cx.now.mono);
            return false;
        }
        self.left_to_push.shown_by(self.options.trail).is_some_and(|shown| self.feed.read_at() >= Some(shown))
    }

    /// Returns when the feed is to be read, while messages are pushed: once all rows from before the register are visible, which
    /// the platform shows late, and then at intervals.
    fn read_due(&self) -> Option<Time> {
        let shown = self.left_to_push.shown_by(self.options.trail)?;
        Some(self.feed.read_at().filter(|at| *at >= shown).map_or(shown, |at| at + READ_BESIDE_PUSHES))
    }

    fn take_row(&mut self, cx: &mut Cx<'_>, row: ActivityRow) {
        let id = row.id.clone();
        if self.journal.is_done(&id) {
            return self.feed.finished(&id);
        }
        if self.schedule.contains(&id) {
            return;
        }
        if self.outbox.echo(cx, &row) {
            return self.feed.finished(&id);
        }
        let own = cx.session.workspace_id();
        match form::read(row, own, &|file| self.journal.is_own_file(file)) {
            Form::Message(mut message) => {
                let is_known = message.duplicate_key().is_some_and(|key| self.journal.is_known_message(key));
                if is_known {
                    return self.feed.finished(&id);
                }
                if message.delivery_key().and_then(|key| cx.session.claims.pushed(key)) == Some(Pushed::Handled) {
                    // It may never show an answer, and the answer is not kept for ever.
                    return self.done(id);
                }
                let files = self.uploads.join(&mut message);
                if !files.is_empty() {
                    self.joined.insert(id.clone(), files);
                }
                let ready_at = self.ready_for_inbox(cx, &message);
                self.wait_for_turn(message);
                if let Some(at) = ready_at {
                    self.schedule.put_off(&id, at);
                }
            }
            Form::Upload(attachment, alone) => {
                if let Some(row) = self.uploads.add(cx.now.mono, attachment, alone) {
                    self.done(row);
                }
            }
            Form::Notice | Form::Skipped(_) => self.feed.finished(&id),
        }
    }

    /// Has a message wait for its turn with the handler.
    fn wait_for_turn(&mut self, message: InboundMessage) {
        let is_suspect = !self.options.hand_over && self.journal.attempts(message.id()).is_open();
        self.schedule.push(message, is_suspect);
    }

    /// Does and records what calls of the agent have ordered.
    pub(super) fn take_orders(&mut self, cx: &mut Cx<'_>) {
        self.keep_own_files(cx);
        self.take_retried(cx);
        for (row, end) in std::mem::take(&mut cx.session.orders.replied) {
            if self.journal.later(&row).is_some() {
                self.journal.record(Record::ReplyEnded { row, n: 0, end });
            } else if self.schedule.contains(&row) {
                self.answered.insert(row);
            }
        }
    }

    /// Offers the dead letters again that the application asks for.
    fn take_retried(&mut self, cx: &mut Cx<'_>) {
        for row in std::mem::take(&mut cx.session.orders.retried) {
            let own = cx.session.workspace_id();
            let letter = self.journal.dead_letter(&row).filter(|_| !self.schedule.contains(&row));
            let message = letter.and_then(|letter| InboundMessage::read(letter.activity()?, own));
            if let Some(message) = message {
                self.journal.record(Record::Retried { row });
                self.wait_for_turn(message);
            }
        }
    }

    /// Saves the cursor, if it has moved. `is_first` says that rows of a first read came, before which the cursor must be
    /// known.
    fn save_cursor(&mut self, cx: &Cx<'_>, is_first: bool) {
        let saved = self.journal.cursor();
        // While the disk refuses everything, newer cursors only make the journal longer.
        let is_due =
            if is_first { saved.is_none() } else { self.cursor_at <= cx.now.mono && self.saves.failures() == 0 };
        if !is_due {
            return;
        }
        let Some(position) = self.feed.cursor().filter(|cursor| Some(cursor) != saved) else { return };
        self.cursor_at = cx.now.mono + CURSOR_EVERY;
        self.record(Record::Cursor { position: position.clone() }, AfterSave::Cursor(position));
    }

    fn is_enough_waiting(&self) -> bool {
        self.schedule.len() + self.uploads.len() >= MAX_WAITING
            || self.schedule.bytes() + self.uploads.bytes() >= MAX_WAITING_BYTES
    }

    fn feed_failed(&mut self, cx: &mut Cx<'_>, failures: u32, error: &Error) {
        self.wishes.register |= error.kind() == ErrorKind::Unauthorized;
        self.events.push_back(self.failures.failed(cx, Repeated::Read, failures, error));
    }

    fn woke(&mut self, cx: &mut Cx<'_>, woke: Woke) {
        if woke.feed {
            self.feed.wake(cx.now.mono);
        }
        self.wishes.state |= woke.state;
        self.wishes.beat |= woke.request;
    }
}

/// The end of reading.
impl Work {
    /// Returns the steps by which the reads and the stream are given up.
    pub(super) fn end_reading(&mut self, cx: &mut Cx<'_>) -> Option<Step<Result<()>>> {
        if let WatchStep::Step(step) = self.watch.poll(cx) {
            return Some(pass(step));
        }
        loop {
            match self.feed.poll(cx, &|row| self.journal.is_done(row)) {
                FeedStep::Step(step) => return Some(pass(step)),
                FeedStep::Rows(_) | FeedStep::Failed { .. } | FeedStep::Recovered { .. } => {}
                FeedStep::Idle(_) => return None,
            }
        }
    }

    /// Awaits handlers and replies no longer. Returns whether there is something to do for it.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>) -> bool {
        let is_first = !std::mem::replace(&mut self.has_given_up, true);
        if is_first {
            self.outbox.cancel(cx);
        }
        let is_left = !self.running.is_empty();
        self.leave_attempts();
        is_first || is_left
    }

    /// Saves what is left to save: the cursor, and once more what the disk has refused.
    pub(super) fn save_last(&mut self, cx: &Cx<'_>) {
        self.saves.try_again(cx.now.mono);
        self.cursor_at = cx.now.mono;
        self.save_cursor(cx, false);
    }
}
