//! The inbox as a lane of the loop, and the last heartbeat of a loop that receives messages.

use super::lane::{LaneStep, WindDown};
use super::{Ended, RegisterReason, Run, State};
use crate::effect::{EffectId, Outcome};
use crate::inbox::Inbox;
use crate::life::beat::Beat;
use crate::machine::{Cx, Machine, Step, pass};

/// The last heartbeat: it says that nothing runs any more.
#[derive(Debug, Default)]
pub(super) enum LastBeat {
    /// It is sent once the inbox is drained.
    Waiting,
    Sending(Box<Beat>),
    #[default]
    Over,
}

impl Run {
    /// Makes the loop that also receives messages and offers them to the application's handler.
    pub fn with_inbox() -> Self {
        Self { inbox: Some(Box::new(Inbox::new())), last_beat: LastBeat::Waiting, ..Self::new() }
    }

    pub(super) fn receive(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        // Before the first register the agent may have no token.
        if !self.opened || cx.session.lacks_token() {
            return LaneStep::Idle(None);
        }
        let Some(inbox) = &mut self.inbox else { return LaneStep::Idle(None) };
        inbox.hold(self.paused);
        inbox.leave_to_push(Self::push_mode(cx));
        let step = match inbox.poll(cx) {
            Step::Done(Ok(())) => LaneStep::Idle(None),
            Step::Done(Err(error)) => {
                self.inbox = None;
                self.end(Err(error));
                return LaneStep::Again;
            }
            Step::Idle(wake) => LaneStep::Idle(wake),
            other => LaneStep::Step(pass(other)),
        };
        // A request in flight may have been answered before what the stream told: another one follows it.
        let wishes = inbox.take_wishes(!self.beats.is_under_way(), !self.states.is_under_way());
        if wishes.beat {
            self.beats.hasten(cx.now.mono);
        }
        if wishes.state {
            self.states.hasten(cx.now.mono);
        }
        if wishes.register {
            self.want_register(cx.now.mono, RegisterReason::Refused);
        }
        // A lane that is polled before this one may have something to do now.
        if (wishes.beat || wishes.state || wishes.register) && matches!(step, LaneStep::Idle(_)) {
            return LaneStep::Again;
        }
        step
    }

    /// Drains the inbox; where the loop must end at once, it waits for a write that is under way, for a moment.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>, at_once: bool) -> WindDown {
        let Some(mut inbox) = self.inbox.take() else { return WindDown::Over };
        if at_once {
            inbox.cancel(cx)
        } else {
            inbox.drain(cx)
        }
        let winding = match inbox.poll(cx) {
            Step::Done(_) => return WindDown::Over,
            Step::Idle(_) if at_once => match inbox.last_write(cx.now.mono) {
                Some(wake) => WindDown::Waits(Some(wake)),
                None => {
                    inbox.close();
                    return WindDown::Over;
                }
            },
            Step::Idle(wake) => WindDown::Waits(wake),
            other => WindDown::Step(pass(other)),
        };
        self.inbox = Some(inbox);
        winding
    }

    /// Records what calls have ordered of the journal. Where there is an inbox, it does.
    pub(super) fn note(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        if self.inbox.is_some() { LaneStep::Idle(None) } else { self.notes.poll(cx) }
    }

    /// Records what was ordered before the end, once the inbox is over, unless the loop must end at once.
    pub(super) fn note_last(&mut self, cx: &mut Cx<'_>, at_once: bool) -> WindDown {
        match (at_once, &self.inbox) {
            (true, _) => self.notes.end(),
            (false, Some(_)) => {}
            (false, None) => return self.notes.wind_down(cx),
        }
        WindDown::Over
    }

    /// Goes on with the heartbeats while the inbox of a loop that was stopped drains. Returns `None` if they end.
    pub(super) fn beat_while_draining(&mut self, cx: &mut Cx<'_>, at_once: bool) -> Option<WindDown> {
        if !self.goes_on_beating(at_once) {
            return None;
        }
        loop {
            match self.beat(cx) {
                LaneStep::Step(step) => return Some(WindDown::Step(step)),
                LaneStep::Idle(wake) => return Some(WindDown::Waits(wake)),
                LaneStep::Again => {
                    if let Some(event) = self.events.pop_front() {
                        return Some(WindDown::Step(Step::Event(event)));
                    }
                }
            }
        }
    }

    /// Returns whether heartbeats go on beside the drain.
    pub(super) fn goes_on_beating(&self, at_once: bool) -> bool {
        !at_once && self.inbox.is_some() && self.may_beat_to_the_end()
    }

    /// Returns whether the ending loop may send heartbeats: one that was stopped while the agent was online.
    fn may_beat_to_the_end(&self) -> bool {
        let is_stopped = matches!(&self.state, State::Ending(_, ended) if matches!(**ended, Ok(Ended::Stopped)));
        is_stopped && self.beating && !self.paused
    }

    /// Sends the last heartbeat of a loop with an inbox that was stopped.
    pub(super) fn beat_last(&mut self, cx: &mut Cx<'_>, at_once: bool) -> WindDown {
        match std::mem::take(&mut self.last_beat) {
            // It would be refused until the time that the platform named, or the lane waits after failures.
            LastBeat::Waiting if self.beats.failures > 0 || cx.session.rate.hold_heartbeat(cx.now.mono).is_some() => {
                WindDown::Over
            }
            LastBeat::Waiting if !at_once && self.may_beat_to_the_end() => {
                self.last_beat = LastBeat::Sending(Box::new(Beat::once()));
                self.beat_last(cx, at_once)
            }
            LastBeat::Sending(mut beat) => {
                if at_once {
                    beat.cancel(cx);
                }
                let winding = match beat.poll(cx) {
                    Step::Done(_) => return WindDown::Over,
                    Step::Idle(_) if at_once => return WindDown::Over,
                    Step::Idle(wake) => WindDown::Waits(wake),
                    other => WindDown::Step(pass(other)),
                };
                self.last_beat = LastBeat::Sending(beat);
                winding
            }
            LastBeat::Waiting | LastBeat::Over => WindDown::Over,
        }
    }
}

impl Run {
    /// Feeds an outcome to the inbox or the last heartbeat.
    pub(super) fn feed_inbox(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let outcome = match &mut self.inbox {
            Some(inbox) => match inbox.feed(cx, id, outcome) {
                Ok(()) => return Ok(()),
                Err(outcome) => outcome,
            },
            None => outcome,
        };
        match &mut self.last_beat {
            LastBeat::Sending(beat) => beat.feed(cx, id, outcome),
            LastBeat::Waiting | LastBeat::Over => Err(outcome),
        }
    }
}
