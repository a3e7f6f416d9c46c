//! The messages under way: who waits for which, and what runs.
//!
//! A message is told by its key. Whoever sends it while it is under way waits for the same answer, and whoever sends it
//! afterwards gets the kept one: its handler runs once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use molecule_proto::{ActivityRow, RpcError, Time};
use serde_json::{Map, Value};

use super::admit::{Caller, Who};
use super::answer::{Answer, Settled, busy_answer, busy_error};
use super::answers::Answers;
use super::call::{InboundCall, Kind, SendCall};
use super::card::MODES;
use super::looks::Looks;
use super::reply;
use super::run::{Facts, Phase, Run, Running};
use super::tasks::Tasks;
use super::ticket::Ticket;
use super::turn::Turn;
use crate::config::server::ServerOptions;
use crate::effect::{Effect, EffectId, Handle, Slot};
use crate::inbox::form::{self, Origin};
use crate::inbox::saves::{Batch, Saves};
use crate::machine::Cx;
use crate::peer::REACHABILITY;
use crate::session::Dialect;
use crate::session::handling::HandlingCount;
use crate::session::key::Key;

/// The messages under way, and the answers that are kept.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) options: ServerOptions,
    pub(super) answers: Answers,
    pub(super) saves: Saves,
    pub(super) runs: BTreeMap<Key, Box<Run>>,
    /// The bytes of their requests.
    pub(super) bytes: usize,
    /// The messages that callers wait for.
    pub(super) tickets: BTreeMap<Ticket, Key>,
    made: u64,
    /// The messages that wait for a handler.
    pub(super) queue: VecDeque<Key>,
    /// The messages that wait until the inbox has handled them.
    pub(super) held: BTreeSet<Key>,
    pub(super) running: BTreeMap<EffectId, Running>,
    /// The files of replies that are being read.
    pub(super) reading: BTreeMap<EffectId, Key>,
    pub(super) looks: Looks,
    pub(super) tasks: Tasks,
    /// The messages whose answers are given once their batch is saved.
    pub(super) after_save: VecDeque<(Batch, Key)>,
    pub(super) turns: VecDeque<Turn>,
    /// Whether no new handler starts, and until when those that run are awaited.
    pub(super) drain_until: Option<Time>,
    handling: HandlingCount,
}

impl Work {
    pub(super) fn new(cx: &mut Cx<'_>, options: ServerOptions, answers: Answers) -> Self {
        answers.keys().for_each(|key| cx.session.claims.push_handled(key));
        cx.session.delivery.opened(cx.now.mono);
        Self {
            saves: Saves::new(Slot::Answers, cx.session.config().inbox.durable),
            runs: BTreeMap::new(),
            bytes: 0,
            tickets: BTreeMap::new(),
            made: 0,
            queue: VecDeque::new(),
            held: BTreeSet::new(),
            running: BTreeMap::new(),
            reading: BTreeMap::new(),
            looks: Looks::default(),
            tasks: Tasks::new(&options.limits),
            after_save: VecDeque::new(),
            turns: VecDeque::new(),
            drain_until: None,
            handling: HandlingCount::default(),
            options,
            answers,
        }
    }

    /// Takes a call.
    pub(super) fn handle(&mut self, cx: &mut Cx<'_>, Caller(who): Caller, call: InboundCall) -> Answer {
        let id = call.id;
        let told = match call.kind {
            Kind::Send(send) => return self.send(cx, who, id, send),
            Kind::Fault(fault) => Err(fault),
            Kind::GetTask { id, history_length } => self.tasks.get(cx.now, &who, &id, history_length),
            Kind::CancelTask { id } => self.cancel_task(cx, &who, &id),
        };
        Answer::Ready(
            told.map_or_else(|error| Settled::error(&error), |task| Settled::result(&task.to_string())).answer(&id),
        )
    }

    fn send(&mut self, cx: &mut Cx<'_>, who: Who, id: Value, mut call: Box<SendCall>) -> Answer {
        let refused = |error: &RpcError| Answer::Ready(Settled::error(error).answer(&id));
        // April's platform sends no credential, and passes on what callers write. In task mode, which is for other clients, it has
        // no privilege: they are told what is missing.
        let is_april = cx.session.dialect == Some(Dialect::April) && !self.options.task_mode;
        let is_platform = who == Who::Platform || (who == Who::Anyone && is_april);
        if let Some(fault) = call.fault_of_strangers.take().filter(|_| !is_platform) {
            return refused(&fault);
        }
        if !self.speaks(cx, &call.accepted) {
            let text = "none of the accepted output modes is offered";
            return refused(&RpcError::new(RpcError::CONTENT_TYPE_NOT_SUPPORTED, text));
        }
        if let Some(nonce) = call.nonce() {
            let metadata = Map::from_iter([(REACHABILITY.to_owned(), nonce.into())]);
            let answer = reply::message(&cx.session.uuid(), call.context_id(), Vec::new(), &metadata);
            return Answer::Ready(Settled::result(&answer).answer(&id));
        }
        let known = call.key;
        let key = match (known, &who) {
            (None, _) => Key::of_text(&cx.session.uuid()),
            (Some(key), Who::Peer(peer)) => Key::of_text(&format!("peer/{peer}/{key}")),
            (Some(key), Who::Platform | Who::Anyone) => key,
        };
        // An answer that is kept but not saved yet is no answer: after a crash nobody would know it.
        if self.runs.contains_key(&key) {
            return Answer::Later(self.wait_for(key, id));
        }
        if let Some(settled) = self.answers.get(key) {
            return Answer::Ready(settled.answer(&id));
        }
        if self.is_busy(call.bytes) {
            let is_told_by_id = known.is_some() && !call.is_legacy;
            return self.busy(&who, is_told_by_id.then_some(key), &id);
        }
        self.begin(cx, who, key, id, call)
    }

    /// Begins the run of a message that is seen for the first time.
    fn begin(&mut self, cx: &mut Cx<'_>, who: Who, key: Key, id: Value, mut call: Box<SendCall>) -> Answer {
        let is_later = call.is_blocking == Some(false);
        let mut task = None;
        if self.options.task_mode && !call.is_legacy {
            let message = call.values().pointer_mut("/params/message").and_then(Value::as_object_mut);
            let Some(message) = message else { return Answer::Cut };
            let session = &mut *cx.session;
            match self.tasks.receive(cx.now, &who, message, key, || session.uuid()) {
                Ok(id) => task = Some(id),
                Err(error) => return Answer::Ready(Settled::error(&error).answer(&id)),
            }
        }
        let is_looked_up =
            self.options.look_up_senders && who == Who::Platform && cx.session.dialect != Some(Dialect::April);
        let working = task.as_deref().filter(|_| is_later).and_then(|task| self.tasks.view(task, call.history_length));
        self.bytes += call.bytes;
        self.runs.insert(key, Box::new(Run::new(who.clone(), task, call)));
        let answer = match working {
            Some(task) => Answer::Ready(Settled::result(&task.to_string()).answer(&id)),
            None => Answer::Later(self.wait_for(key, id)),
        };
        if is_looked_up {
            // Its row is in the feed already, and whoever waits here is to get the handler's answer.
            let is_inbox_running = cx.session.handling.get().is_some();
            cx.session.claims.push(key, is_inbox_running);
        }
        match who {
            _ if is_looked_up => self.looks.add(key),
            Who::Peer(peer) => self.received(cx, key, Origin::Peer(peer)),
            Who::Platform | Who::Anyone => self.received(cx, key, Origin::Nowhere),
        }
        answer
    }

    fn wait_for(&mut self, key: Key, id: Value) -> Ticket {
        self.made += 1;
        let ticket = Ticket(self.made);
        self.tickets.insert(ticket, key);
        if let Some(run) = self.runs.get_mut(&key) {
            run.wait(ticket, id);
        }
        ticket
    }

    /// Takes the senders that a look has found.
    pub(super) fn looked_up(&mut self, cx: &mut Cx<'_>, found: Vec<(Key, Option<Box<ActivityRow>>)>) {
        for (key, row) in found {
            self.received(cx, key, row.map_or(Origin::Nowhere, Origin::Row));
        }
    }

    /// Has a message wait for a handler, now that it is known where it comes from.
    fn received(&mut self, cx: &mut Cx<'_>, key: Key, origin: Origin) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        let Phase::Received(call) = std::mem::replace(&mut run.phase, Phase::Settled) else { return };
        let own = cx.session.workspace_id();
        let Some(message) = form::pushed(call.request, origin, own, key.id(), cx.now.unix) else {
            return self.answer_empty(cx, key);
        };
        let facts = Facts::of(&message, call.is_legacy);
        if !matches!(run.who, Who::Peer(_)) {
            let claims = &cx.session.claims;
            let was_handled =
                claims.knows_handled() && message.read_duplicate_key().is_some_and(|key| claims.is_handled(&key));
            if was_handled {
                return self.answer_empty(cx, key);
            }
        }
        run.facts = facts;
        run.phase = Phase::Waiting(message);
        self.take_from_inbox(cx, key);
    }

    /// Has a message wait for a handler, unless the inbox has it or has handled it. Its caller waits for the inbox: the
    /// platform writes the answer to the message's row, and an inbox that begins anew takes no answered row, so that an
    /// answer before the end would lose the message with the process.
    fn take_from_inbox(&mut self, cx: &mut Cx<'_>, key: Key) {
        let Some(run) = self.runs.get(&key) else { return };
        let is_inbox_running = cx.session.handling.get().is_some();
        let is_direct = matches!(run.who, Who::Peer(_));
        if !is_direct && is_inbox_running && cx.session.claims.is_held(key) {
            self.held.insert(key);
        } else if is_direct || cx.session.claims.push(key, is_inbox_running) {
            self.queue.push_back(key);
        } else {
            self.answer_empty(cx, key);
        }
    }

    /// Goes on with the messages that the inbox has handled or left.
    pub(super) fn follow_inbox(&mut self, cx: &mut Cx<'_>) {
        for key in std::mem::take(&mut self.held) {
            self.take_from_inbox(cx, key);
        }
    }

    /// Answers a message that is not handled here with a message without parts: the agent's own, or one that the inbox has.
    fn answer_empty(&mut self, cx: &mut Cx<'_>, key: Key) {
        let Some(run) = self.runs.get(&key) else { return };
        let answer = reply::message(&cx.session.uuid(), run.facts.context_id.as_deref(), Vec::new(), &Map::new());
        cx.session.claims.push_left(key);
        if let Some(task) = run.task.clone() {
            self.tasks.left(cx.now, &task, key);
        }
        self.release(key, &Settled::result(&answer));
    }

    /// Answers a message for which there is no room. The platform queues a message whose connection was cut, and loses one
    /// that was cut twice; a peer is told when to come back (contract section 10.3).
    fn busy(&mut self, who: &Who, key: Option<Key>, id: &Value) -> Answer {
        match (who, key) {
            (Who::Peer(_), _) => Answer::Ready(Settled::error(&busy_error()).answer(id)),
            (Who::Platform | Who::Anyone, Some(key)) if !self.answers.cut(key) => Answer::Cut,
            (Who::Platform | Who::Anyone, _) => Answer::Ready(busy_answer()),
        }
    }

    /// Returns whether there is no room for another message of so many bytes. One alone has always room.
    fn is_busy(&self, bytes: usize) -> bool {
        let limits = &self.options.limits;
        self.drain_until.is_some()
            || self.runs.len() >= limits.handlers + limits.queue
            || (!self.runs.is_empty() && self.bytes + bytes > limits.body_budget)
    }

    /// Returns whether an answer can have one of these modes.
    fn speaks(&self, cx: &Cx<'_>, accepted: &[String]) -> bool {
        if accepted.is_empty() {
            return true;
        }
        let own = cx.session.config().card.extra.get("defaultOutputModes").and_then(Value::as_array);
        let own: Vec<&str> = match own {
            Some(own) => own.iter().filter_map(Value::as_str).collect(),
            None => MODES.to_vec(),
        };
        accepted.iter().any(|mode| {
            let mode = mode.trim().to_ascii_lowercase();
            let is_of = |own: &str| match mode.strip_suffix("/*") {
                Some("*") => true,
                Some(family) => own.split('/').next() == Some(family),
                None => own == mode || own.split('/').next() == Some(mode.as_str()),
            };
            mode == "*" || own.iter().any(|own| is_of(&own.to_ascii_lowercase()))
        })
    }

    /// Cancels a task. Who waits for its messages is answered at once, and a handler that runs is told.
    fn cancel_task(&mut self, cx: &mut Cx<'_>, who: &Who, id: &str) -> Result<Value, RpcError> {
        let runs = self.tasks.cancel(cx.now, who, id)?;
        let task = self.tasks.view(id, None).unwrap_or_default();
        for key in runs {
            if let Some(running) = self.running.values().find(|running| running.key == key) {
                running.flag.set();
            }
            self.queue.retain(|waiting| *waiting != key);
            self.settle(cx, key, Settled::result(&task.to_string()));
        }
        Ok(task)
    }

    /// Notes that a caller is gone. The handler goes on, and its answer is kept for whoever sends the message again. A
    /// platform that waits no longer queues the message, as after a cut, so that the next cut would lose it.
    pub(super) fn hang_up(&mut self, ticket: Ticket) {
        let Some(key) = self.tickets.remove(&ticket) else { return };
        let Some(run) = self.runs.get_mut(&key) else { return };
        run.hang_up(ticket);
        let is_told_by_id = run.is_kept && !run.facts.is_legacy && !matches!(run.who, Who::Peer(_));
        if is_told_by_id && !self.answers.has(key) {
            self.answers.cut(key);
        }
    }
}

/// Handlers.
impl Work {
    /// Starts the next handler, if there is room for one.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) -> Option<Turn> {
        if self.running.len() >= self.options.limits.handlers {
            return None;
        }
        // Messages of one task are handled one after another.
        let is_free = |key: &Key| {
            let task = self.runs.get(key).and_then(|run| run.task.as_deref());
            task.is_none_or(|task| self.tasks.first(task).is_none_or(|first| first == *key))
        };
        let at = self.queue.iter().position(is_free)?;
        let key = self.queue.remove(at)?;
        let run = self.runs.get_mut(&key)?;
        let Phase::Waiting(message) = std::mem::replace(&mut run.phase, Phase::Settled) else { return None };
        let (message, flag) = message.for_attempt(1);
        run.phase = Phase::Running(flag.clone());
        let id = cx.session.next_effect();
        self.running.insert(id, Running { key, flag });
        Some(Turn::Start(id, Effect::Handle(Handle { message })))
    }

    /// Counts the handlers that run, for the heartbeat.
    pub(super) fn count(&self, cx: &mut Cx<'_>) {
        cx.session.handling_pushed.set(&self.handling, u32::try_from(self.running.len()).unwrap_or(u32::MAX));
    }
}
