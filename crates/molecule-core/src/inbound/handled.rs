//! What the handler made of a message, and the files of its reply.

use std::collections::VecDeque;

use molecule_proto::{Part, TraceParent, refuse_nul_in_json};
use serde_json::{Map, Value};

use super::answer::{Settled, failed_error};
use super::reply;
use super::run::{Phase, Reading, Rule};
use super::tasks::State;
use super::turn::Turn;
use super::work::Work;
use crate::effect::{Effect, EffectId, Fault, FaultKind, Handled, HostOp, HostResult, Outcome, Sent};
use crate::error::Error;
use crate::event::Event;
use crate::inbox::Reply;
use crate::inbox::attachment::{OutgoingFile, Place};
use crate::machine::Cx;
use crate::session::key::Key;

const HANDLE: &str = "handle a message";

impl Work {
    /// Takes the outcome of a handler.
    pub(super) fn ended(&mut self, cx: &mut Cx<'_>, key: Key, outcome: Result<Handled, Fault>) {
        if !self.runs.get(&key).is_some_and(|run| matches!(run.phase, Phase::Running(_))) {
            // Its task was cancelled.
            return;
        }
        match outcome {
            Ok(Handled::Later) => self.put_off(cx, key),
            Ok(Handled::Reply(Some(reply))) if !reply.is_none() => self.replied(cx, key, reply),
            Ok(Handled::Reply(reply)) => {
                let completes_task = reply.is_some_and(|reply| reply.is_completing_task());
                self.answer(cx, key, Vec::new(), Map::new(), completes_task);
            }
            Err(fault)
                if fault.sent == Sent::No || matches!(fault.kind, FaultKind::Cancelled | FaultKind::TryAgain) =>
            {
                // The handler was not called, was dropped half-way, or has put the message off: nothing came of it.
                let error = Error::from_fault(HANDLE, fault);
                self.turns.push_back(Turn::Event(Event::Warning(error.to_string())));
                self.release_busy(cx, key);
            }
            Err(fault) => {
                let error = Error::from_fault(HANDLE, fault).to_string();
                if let Some(message) = self.runs.get(&key).and_then(|run| run.facts.row.clone()) {
                    self.turns.push_back(Turn::Event(Event::HandlerFailed { message, attempt: 1, error }));
                }
                self.fail(cx, key);
            }
        }
    }

    /// Answers that the handler failed.
    fn fail(&mut self, cx: &mut Cx<'_>, key: Key) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        run.phase = Phase::Settled;
        let settled = Self::failure(run, &failed_error());
        if let Some(task) = run.task.clone() {
            self.tasks.answered(cx.now, &task, key, State::Failed, None);
        }
        self.settle(cx, key, settled);
    }

    /// Answers that the reply follows: a message without parts, or the task that is worked on.
    fn put_off(&mut self, cx: &mut Cx<'_>, key: Key) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        run.phase = Phase::Settled;
        let history_length = run.history_length;
        let Some(task) = run.task.clone() else { return self.answer(cx, key, Vec::new(), Map::new(), false) };
        self.tasks.answered(cx.now, &task, key, State::Working, None);
        let task = self.tasks.view(&task, history_length).unwrap_or_default();
        self.settle(cx, key, Settled::result(&task.to_string()));
    }

    fn replied(&mut self, cx: &mut Cx<'_>, key: Key, reply: Reply) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        let completes_task = reply.is_completing_task();
        if run.facts.rule == Rule::Dropped {
            self.dropped(key, "nobody reads an answer to this message");
            return self.answer(cx, key, Vec::new(), Map::new(), completes_task);
        }
        // The text is checked once it is written.
        if let Err(error) = reply.files().iter().try_for_each(OutgoingFile::check) {
            return self.cannot_send(cx, key, &error);
        }
        let (mut parts, files, metadata, _) = reply.take();
        let mut left: VecDeque<OutgoingFile> = VecDeque::new();
        for file in files {
            match reply::file_part(&file) {
                Some(part) => parts.push(part),
                None => left.push_back(file),
            }
        }
        // In base64 a file is a third longer.
        let room = self.options.limits.answer_bytes as u64 / 4 * 3;
        match left.pop_front() {
            None => self.answer(cx, key, parts, metadata, completes_task),
            Some(file) => self.read(cx, key, Reading { parts, metadata, completes_task, file, left, room }),
        }
    }

    /// Reads the next file of a reply.
    fn read(&mut self, cx: &mut Cx<'_>, key: Key, reading: Reading) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        let Place::Path(path) = reading.file.place.clone() else { return };
        let id = cx.session.next_effect();
        self.reading.insert(id, key);
        self.turns.push_back(Turn::Start(id, Effect::Host(HostOp::ReadFile(path, reading.room))));
        run.phase = Phase::Reading(reading);
    }

    /// Takes a file that was read.
    pub(super) fn has_read(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let Some(key) = self.reading.get(&id).copied() else { return Err(outcome) };
        let content = match outcome {
            Outcome::Host(HostResult::FileRead(content)) => Ok(content),
            Outcome::Failed(fault) => Err(fault),
            other => return Err(other),
        };
        self.reading.remove(&id);
        let Some(run) = self.runs.get_mut(&key) else { return Ok(()) };
        let Phase::Reading(mut reading) = std::mem::replace(&mut run.phase, Phase::Settled) else { return Ok(()) };
        match content {
            Ok(content) => {
                reading.room = reading.room.saturating_sub(content.len() as u64);
                reading.parts.push(reply::inline_part(&reading.file, &content));
                match reading.left.pop_front() {
                    Some(file) => self.read(cx, key, Reading { file, ..reading }),
                    None => self.answer(cx, key, reading.parts, reading.metadata, reading.completes_task),
                }
            }
            Err(fault) => self.cannot_send(cx, key, &Error::from_fault("read a file of the reply", fault)),
        }
        Ok(())
    }

    /// Answers that the handler's reply cannot be sent.
    fn cannot_send(&mut self, cx: &mut Cx<'_>, key: Key, error: &Error) {
        self.dropped(key, &error.to_string());
        self.fail(cx, key);
    }

    /// Answers with these parts.
    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        key: Key,
        parts: Vec<Part>,
        mut metadata: Map<String, Value>,
        completes_task: bool,
    ) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        run.phase = Phase::Settled;
        if let Some(parent) = run.facts.trace_parent {
            metadata.entry(TraceParent::KEY).or_insert_with(|| parent.to_string().into());
        }
        let (is_dropped, has_parts) = (run.facts.rule == Rule::Dropped, !parts.is_empty());
        let said = reply::message(&cx.session.uuid(), run.facts.context_id.as_deref(), parts, &metadata);
        if let Err(error) = refuse_nul_in_json("the reply", &said) {
            return self.cannot_send(cx, key, &error.into());
        }
        let settled = match run.task.clone() {
            Some(task) => {
                let state = if completes_task { State::Completed } else { State::InputRequired };
                let history_length = run.history_length;
                let message = has_parts.then(|| serde_json::from_str(&said).unwrap_or_default());
                self.tasks.answered(cx.now, &task, key, state, message);
                match self.tasks.view(&task, history_length) {
                    Some(task) if !is_dropped => Settled::result(&task.to_string()),
                    _ => Settled::result(&said),
                }
            }
            None => Self::result(&run.facts, &said),
        };
        if settled.body.len() > self.options.limits.answer_bytes {
            let limit = self.options.limits.answer_bytes;
            let error = Error::config(
                format!("the answer has {} bytes, and at most {limit} are sent", settled.body.len()),
                "answer with less, or with the URI of a file",
            );
            return self.cannot_send(cx, key, &error);
        }
        self.settle(cx, key, settled);
    }
}
