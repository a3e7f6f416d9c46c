//! Later saves of a token that could not be stored.

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

/// The base of the wait before another try, and the longest wait.
const FIRST: Duration = Duration::from_secs(10);
const LAST: Duration = Duration::from_secs(300);

/// The loop's tries to store its token.
#[derive(Debug, Default)]
pub(super) struct TokenSaves {
    save: Option<Box<SaveToken>>,
    next: Option<Time>,
    failures: u32,
    /// The turn to get a token, so that the save does not overwrite the token of a concurrent rotation.
    turn: Turn,
    /// Whether the last try at the loop's end was made.
    is_over: bool,
}

impl TokenSaves {
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
            // The cause was reported when the token was minted or given.
            Err(_) => {
                self.failures = self.failures.saturating_add(1);
                self.next = Some(now + FIRST.saturating_mul(1 << self.failures.min(10)).min(LAST));
            }
        }
    }
}

impl Run {
    /// Tries at times to store a token that could not be stored. A register in flight does so itself.
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

    /// Tries once more at the loop's end, unless it must end at once: if the process ends, a token that is only in
    /// memory is lost.
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
