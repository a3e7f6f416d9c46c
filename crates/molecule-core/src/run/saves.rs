//! A token that could not be stored is stored as soon as the store can take it.

use std::time::Duration;

use molecule_proto::Time;

use super::lane::LaneStep;
use super::{Ended, Run};
use crate::effect::{EffectId, Outcome};
use crate::error::Result;
use crate::life::save_token::SaveToken;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step, Wake};
use crate::session::StopLevel;
use crate::session::turn::Turn;

const OPERATION: &str = "run heartbeat loop";

/// How soon it is tried again at first, and how seldom at last.
const FIRST: Duration = Duration::from_secs(10);
const LAST: Duration = Duration::from_secs(300);

/// The tries of a loop to store its token.
#[derive(Debug, Default)]
pub(super) struct Saves {
    save: Option<Box<SaveToken>>,
    next: Option<Time>,
    failures: u32,
    /// A rotation that another call began meanwhile must not be overwritten.
    turn: Turn,
    /// Whether the loop tried a last time.
    is_over: bool,
}

impl Saves {
    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.save {
            Some(save) => save.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }

    fn settle(&mut self, now: Time, result: &Result<()>) {
        self.turn.give_back();
        match result {
            Ok(()) => (self.next, self.failures) = (None, 0),
            // Why was told when it was minted or given.
            Err(_) => {
                self.failures = self.failures.saturating_add(1);
                self.next = Some(now + FIRST.saturating_mul(1 << self.failures.min(10)).min(LAST));
            }
        }
    }
}

impl Run {
    /// Stores a token that could not be stored before, once in a while. A register under way does so itself.
    pub(super) fn save(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        if self.saves.save.is_some() {
            return self.go_on_saving(cx);
        }
        let unsaved = SaveToken::unsaved(OPERATION, cx.session).filter(|_| !self.registers.is_under_way());
        let Some(save) = unsaved else {
            self.saves.next = None;
            return LaneStep::Idle(None);
        };
        let at = *self.saves.next.get_or_insert(cx.now.mono + FIRST);
        if at > cx.now.mono {
            return LaneStep::Idle(Some(Wake { at, why: "store the token" }));
        }
        match self.saves.turn.take(cx.now.mono, cx.session) {
            Ok(()) => {
                self.saves.save = Some(Box::new(save));
                LaneStep::Again
            }
            Err(wake) => LaneStep::Idle(Some(wake)),
        }
    }

    fn go_on_saving(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        let Some(mut save) = self.saves.save.take() else { return LaneStep::Idle(None) };
        match save.poll(cx) {
            Step::Done(result) => {
                self.saves.settle(cx.now.mono, &result);
                LaneStep::Again
            }
            Step::Idle(wake) => {
                self.saves.save = Some(save);
                LaneStep::Idle(wake)
            }
            other => {
                self.saves.save = Some(save);
                LaneStep::Step(pass(other))
            }
        }
    }

    /// The process may be about to end, and a token that is nowhere else with it: one more try, unless it must end at once.
    pub(super) fn save_at_the_end(&mut self, cx: &mut Cx<'_>) -> Option<Step<Result<Ended>>> {
        if self.level(cx) == StopLevel::Now {
            self.saves.save = None;
        } else if self.saves.save.is_none() && !std::mem::replace(&mut self.saves.is_over, true) {
            let unsaved = SaveToken::unsaved(OPERATION, cx.session)
                .filter(|_| self.saves.turn.take(cx.now.mono, cx.session).is_ok());
            self.saves.save = unsaved.map(Box::new);
        }
        self.saves.save.as_ref()?;
        match self.go_on_saving(cx) {
            LaneStep::Step(step) => Some(step),
            LaneStep::Again => self.events.pop_front().map(Step::Event),
            LaneStep::Idle(wake) => Some(Step::Idle(wake)),
        }
    }
}
