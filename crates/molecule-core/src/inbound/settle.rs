//! How a message ends: its answer is kept, saved and given, or whoever waits is told that the agent is busy.

use std::time::Duration;

use http::StatusCode;
use molecule_proto::{RpcError, Wake};
use serde_json::json;

use super::admit::Who;
use super::answer::{Answer, Settled, busy_answer, busy_error};
use super::reply;
use super::run::{Facts, Phase, Run};
use super::turn::Turn;
use super::work::Work;
use crate::event::Event;
use crate::machine::Cx;
use crate::session::key::Key;

/// The interval of the looks whether the inbox has handled what is pushed as well.
const LOOK: Duration = Duration::from_millis(250);

impl Work {
    /// Gives the answer to all who wait for a message, which is under way no longer.
    pub(super) fn release(&mut self, key: Key, settled: &Settled) {
        let Some(run) = self.remove(key) else { return };
        for (ticket, id) in run.into_waiters() {
            self.tickets.remove(&ticket);
            self.turns.push_back(Turn::Answer(ticket, Answer::Ready(settled.answer(&id))));
        }
    }

    fn remove(&mut self, key: Key) -> Option<Box<Run>> {
        let run = self.runs.remove(&key)?;
        self.bytes -= run.bytes;
        Some(run)
    }

    /// Tells all who wait for a message that it is not handled now.
    pub(super) fn release_busy(&mut self, cx: &mut Cx<'_>, key: Key) {
        let Some(run) = self.remove(key) else { return };
        if let Some(task) = &run.task {
            self.tasks.left(cx.now, task, key);
        }
        cx.session.claims.push_left(key);
        let who = run.who.clone();
        let is_told_by_id = !run.facts.is_legacy && !matches!(who, Who::Peer(_));
        let was_cut = is_told_by_id && self.answers.cut(key);
        for (ticket, id) in run.into_waiters() {
            self.tickets.remove(&ticket);
            let answer = match who {
                Who::Peer(_) => Answer::Ready(Settled::error(&busy_error()).answer(&id)),
                _ if is_told_by_id && !was_cut => Answer::Cut,
                _ => Answer::Ready(busy_answer()),
            };
            self.turns.push_back(Turn::Answer(ticket, answer));
        }
    }

    /// Keeps what came of a message, and gives it to those who wait once it is saved. A message without an id is never sent
    /// again, so that nothing of it is kept.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>, key: Key, settled: Settled) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        run.phase = Phase::Settled;
        if !run.is_kept {
            cx.session.claims.push_left(key);
            return self.release(key, &settled);
        }
        if !matches!(run.who, Who::Peer(_)) {
            cx.session.claims.push_handled(key);
        }
        self.answers.keep(key, &settled);
        if !cx.session.config().inbox.durable {
            return self.release(key, &settled);
        }
        run.settled = Some(settled);
        self.after_save.push_back((self.saves.next_batch(), key));
    }

    /// Gives the answers whose batches are saved; all of them, if the disk refuses: a caller must not wait for a full disk.
    pub(super) fn follow_saves(&mut self, is_refused: bool) {
        while self.after_save.front().is_some_and(|(batch, _)| is_refused || self.saves.is_saved(*batch)) {
            let Some((_, key)) = self.after_save.pop_front() else { return };
            let settled = self.runs.get_mut(&key).and_then(|run| run.settled.take());
            if let Some(settled) = settled {
                self.release(key, &settled);
            }
        }
    }

    /// What is answered for a handler that failed. A delegation fails by the status alone: the platform takes an error of
    /// JSON-RPC for its result (contract section 10.3).
    pub(super) fn failure(run: &Run, error: &RpcError) -> Settled {
        let is_direct = matches!(run.who, Who::Peer(_));
        match (run.facts.is_delegation && !is_direct) || run.facts.is_legacy {
            true => Settled::whole(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.message})),
            false => Settled::error(error),
        }
    }

    /// Tells the application that the reply to a message is not sent.
    pub(super) fn dropped(&mut self, key: Key, why: &str) {
        let Some(message) = self.runs.get(&key).and_then(|run| run.facts.row.clone()) else { return };
        self.turns.push_back(Turn::Event(Event::ReplyDropped { message, why: why.to_owned() }));
    }

    /// What is answered for a reply that is there.
    pub(super) fn result(facts: &Facts, message: &str) -> Settled {
        match facts.is_legacy {
            true => Settled::whole(StatusCode::OK, &reply::legacy(message)),
            false => Settled::result(message),
        }
    }
}

/// The stop.
impl Work {
    /// Starts no further handler, and waits for those that run.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>) {
        if self.drain_until.is_some() {
            return;
        }
        self.drain_until = Some(cx.now.mono + self.options.drain);
        let held = std::mem::take(&mut self.held);
        let waiting = self.queue.drain(..).chain(self.looks.end()).chain(held).collect::<Vec<_>>();
        waiting.into_iter().for_each(|key| self.release_busy(cx, key));
    }

    /// Waits no longer for handlers, once their time is over.
    pub(super) fn end_drain(&mut self, cx: &mut Cx<'_>) {
        if self.drain_until.is_none_or(|until| until > cx.now.mono) {
            return;
        }
        for (id, running) in std::mem::take(&mut self.running) {
            running.flag.set();
            self.turns.push_back(Turn::Cancel(id));
            self.release_busy(cx, running.key);
        }
        let reading: Vec<Key> = std::mem::take(&mut self.reading).into_values().collect();
        reading.into_iter().for_each(|key| self.release_busy(cx, key));
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drain_until.is_some()
            && self.running.is_empty()
            && self.runs.is_empty()
            && self.turns.is_empty()
            && self.saves.is_idle()
    }

    pub(super) fn wake(&self, cx: &Cx<'_>) -> Option<Wake> {
        let until = self.drain_until.filter(|until| *until > cx.now.mono && !self.runs.is_empty());
        let drained = until.map(|at| Wake { at, why: "handlers are awaited no longer" });
        let held = (!self.held.is_empty())
            .then(|| Wake { at: cx.now.mono + LOOK, why: "the inbox may have handled a message" });
        Wake::earliest(Wake::earliest(self.saves.wake(), drained), held)
    }
}
