//! One message under way.

use std::collections::VecDeque;

use molecule_proto::{ActivityId, Part, TraceParent};
use serde_json::{Map, Value};

use super::admit::Who;
use super::answer::Settled;
use super::call::SendCall;
use super::ticket::Ticket;
use crate::inbox::attachment::OutgoingFile;
use crate::inbox::message::{CancelFlag, InboundMessage};
use crate::inbox::{PlatformKind, Sender};
use crate::session::key::Key;

/// A message under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) who: Who,
    /// The task that it belongs to.
    pub(super) task: Option<String>,
    /// How many messages of the task's history the answer has.
    pub(super) history_length: Option<usize>,
    pub(super) facts: Facts,
    pub(super) phase: Phase,
    /// What came of it, until it is saved.
    pub(super) settled: Option<Settled>,
    /// Whether its answer is kept: somebody may send it again.
    pub(super) is_kept: bool,
    /// The bytes of its request.
    pub(super) bytes: usize,
    /// Who waits, with the ids of their requests.
    waiters: Vec<(Ticket, Value)>,
}

/// Where a message is on its way.
#[derive(Debug)]
pub(super) enum Phase {
    /// It is not known yet who sent it.
    Received(Box<SendCall>),
    /// It waits for a handler.
    Waiting(InboundMessage),
    /// Its handler runs.
    Running(CancelFlag),
    /// The files of its reply are read.
    Reading(Reading),
    /// Its end is known, or follows at once.
    Settled,
}

/// A reply whose files are read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) parts: Vec<Part>,
    pub(super) metadata: Map<String, Value>,
    pub(super) completes_task: bool,
    /// The file in flight.
    pub(super) file: OutgoingFile,
    pub(super) left: VecDeque<OutgoingFile>,
    /// The bytes that the files may still have.
    pub(super) room: u64,
}

/// What must be known of a message to answer it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The id of its row; `None` before it is known who sent it.
    pub(super) row: Option<ActivityId>,
    pub(super) context_id: Option<String>,
    /// Its position in a trace, which the answer has as well.
    pub(super) trace_parent: Option<TraceParent>,
    pub(super) is_delegation: bool,
    pub(super) is_legacy: bool,
    pub(super) rule: Rule,
}

/// What becomes of the handler's reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is the answer.
    #[default]
    Given,
    /// Nobody reads it, and a text would stand in the user's chat: the answer has no parts (contract section 12.5).
    Dropped,
}

/// A handler that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) key: Key,
    pub(super) flag: CancelFlag,
}

impl Run {
    pub(super) fn new(who: Who, task: Option<String>, call: Box<SendCall>) -> Self {
        let facts = Facts {
            context_id: call.context_id().map(str::to_owned),
            is_delegation: call.is_delegation(),
            is_legacy: call.is_legacy,
            ..Facts::default()
        };
        let (history_length, bytes, is_kept) = (call.history_length, call.bytes, call.key.is_some());
        let phase = Phase::Received(call);
        Self { who, task, history_length, facts, phase, settled: None, is_kept, bytes, waiters: Vec::new() }
    }

    /// Has one more caller wait.
    pub(super) fn wait(&mut self, ticket: Ticket, id: Value) {
        self.waiters.push((ticket, id));
        if let Phase::Running(flag) = &self.phase {
            flag.unset();
        }
    }

    /// Notes that a caller is gone. A handler for which nobody waits is told.
    pub(super) fn hang_up(&mut self, ticket: Ticket) {
        self.waiters.retain(|(other, _)| *other != ticket);
        if let (Phase::Running(flag), true) = (&self.phase, self.waiters.is_empty()) {
            flag.set();
        }
    }

    pub(super) fn into_waiters(self) -> Vec<(Ticket, Value)> {
        self.waiters
    }
}

impl Facts {
    pub(super) fn of(message: &InboundMessage, is_legacy: bool) -> Self {
        let rule = match message.sender() {
            // The answer to the first greeting is the greeting that the user sees.
            Sender::Platform(PlatformKind::FirstBootGreeting) | Sender::Unknown => Rule::Given,
            sender if sender.may_be_answered() => Rule::Given,
            _ => Rule::Dropped,
        };
        Self {
            row: Some(message.id().clone()),
            context_id: message.context_id().map(str::to_owned),
            trace_parent: message.trace_parent(),
            is_delegation: message.message_metadata().contains_key("delegation_id"),
            is_legacy,
            rule,
        }
    }
}
