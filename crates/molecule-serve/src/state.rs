//! What a server's lock guards: the core's state, and who waits for which answer.

use std::collections::BTreeMap;

use molecule_core::machine::{Cx, Wake};
use molecule_core::machines::{Answer, Caller, Inbound, InboundCall, Ticket, Turn};
use molecule_core::proto::Time;
use tokio::sync::oneshot;

/// The state of one server.
pub(crate) struct State {
    pub(crate) inbound: Inbound,
    waiting: BTreeMap<Ticket, Waiting>,
    pub(crate) wake: Option<Wake>,
    /// When whoever keeps the time wakes up; `None` if nothing is set.
    pub(crate) timer: Option<Time>,
    was_open: bool,
    /// An empty list with room for turns.
    spare: Vec<Turn>,
}

/// A caller that waits for its answer.
enum Waiting {
    /// It performs turns itself, and looks for its answer afterwards.
    AtWork,
    Asleep(oneshot::Sender<Answer>),
    /// The answer came while the caller was at work.
    Answered(Answer),
}

/// The turns of one poll.
pub(crate) struct Batch {
    pub(crate) turns: Vec<Turn>,
    /// Answers, and who waits for them.
    pub(crate) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// After these turns there is nothing to do.
    pub(crate) is_last: bool,
    /// Somebody waits for the state that is reached now, or has to wake up earlier.
    pub(crate) is_awaited: bool,
}

/// The most turns that are taken before they are performed.
const MOST_TURNS: usize = 64;

impl State {
    pub(crate) fn new(inbound: Inbound) -> Self {
        let (waiting, spare) = (BTreeMap::new(), Vec::new());
        Self { inbound, waiting, wake: None, timer: None, was_open: false, spare }
    }

    /// Takes a call. Whoever gets a ticket for it is at work.
    pub(crate) fn handle(&mut self, cx: &mut Cx<'_>, caller: Caller, call: InboundCall) -> Answer {
        let answer = self.inbound.handle(cx, caller, call);
        if let Answer::Later(ticket) = answer {
            self.waiting.insert(ticket, Waiting::AtWork);
        }
        answer
    }

    /// Returns the answer for a caller that is at work no longer, or else what it sleeps on.
    pub(crate) fn answer(&mut self, ticket: Ticket) -> Result<Answer, oneshot::Receiver<Answer>> {
        if let Some(Waiting::Answered(answer)) = self.waiting.remove(&ticket) {
            return Ok(answer);
        }
        let (sender, later) = oneshot::channel();
        self.waiting.insert(ticket, Waiting::Asleep(sender));
        Err(later)
    }

    /// Notes that a caller is gone. Returns whether it was still waiting.
    pub(crate) fn hang_up(&mut self, ticket: Ticket) -> bool {
        let is_gone = self.waiting.remove(&ticket).is_some();
        if is_gone {
            self.inbound.hang_up(ticket);
        }
        is_gone
    }

    /// Takes turns until there are no more, under one lock.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> Batch {
        let turns = std::mem::take(&mut self.spare);
        let mut batch = Batch { turns, answers: Vec::new(), is_last: false, is_awaited: false };
        for _ in 0..MOST_TURNS {
            match self.inbound.poll(cx) {
                Turn::Idle(wake) => {
                    (batch.is_last, batch.is_awaited) = (true, self.is_awaited(wake.as_ref()));
                    self.wake = wake;
                    break;
                }
                Turn::Answer(ticket, answer) => match self.waiting.remove(&ticket) {
                    Some(Waiting::AtWork) => drop(self.waiting.insert(ticket, Waiting::Answered(answer))),
                    Some(Waiting::Asleep(sender)) => batch.answers.push((sender, answer)),
                    // It has hung up.
                    Some(Waiting::Answered(_)) | None => {}
                },
                turn => batch.turns.push(turn),
            }
        }
        batch
    }

    /// Takes the room of a batch back whose turns are performed.
    pub(crate) fn recycle(&mut self, batch: &mut Batch) {
        self.spare = std::mem::take(&mut batch.turns);
    }

    fn is_awaited(&mut self, wake: Option<&Wake>) -> bool {
        let is_earlier = wake.is_some_and(|wake| self.timer.is_none_or(|timer| wake.at < timer));
        let was_open = std::mem::replace(&mut self.was_open, self.inbound.is_open());
        is_earlier || was_open != self.was_open || self.inbound.is_drained()
    }
}
