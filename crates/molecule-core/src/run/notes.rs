//! The records of the inbox's journal that calls of the agent order while a loop without an inbox has the lock.

use std::sync::Arc;
use std::time::Duration;

use molecule_proto::Time;

use super::Run;
use super::lane::{LaneStep, WindDown};
use crate::effect::{EffectId, Outcome};
use crate::event::Event;
use crate::inbox::RecordOrders;
use crate::machine::{Cx, Machine, Step, Wake, pass};
use crate::session::orders::Recorder;

/// The wait after orders that could not be recorded.
const AGAIN: Duration = Duration::from_secs(60);

/// The records that the loop makes for calls.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Says to the calls that this loop records what they order; `None` without the agent's lock.
    recorder: Option<Arc<Recorder>>,
    recording: Option<Box<RecordOrders>>,
    next: Time,
    /// Whether the last try at the loop's end has begun.
    is_over: bool,
}

impl Notes {
    /// Begins with the loop, which has the agent's lock.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) {
        self.recorder = Some(cx.session.orders.recorder());
    }

    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.recording {
            Some(recording) => recording.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }
}

impl Run {
    /// Records what calls have ordered. In a loop with an inbox, the inbox does.
    pub(super) fn note(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        if self.inbox.is_some() || self.notes.recorder.is_none() {
            return LaneStep::Idle(None);
        }
        if self.notes.recording.is_none() {
            if cx.session.orders.is_empty() {
                return LaneStep::Idle(None);
            }
            if self.notes.next > cx.now.mono {
                return LaneStep::Idle(Some(Wake { at: self.notes.next, why: "record what calls have ordered" }));
            }
        }
        let mut recording = self.notes.recording.take().unwrap_or_else(|| Box::new(RecordOrders::new()));
        match recording.poll(cx) {
            Step::Done(result) => {
                let is_left = result.is_err() || !cx.session.orders.is_empty();
                self.notes.next = if is_left { cx.now.mono + AGAIN } else { cx.now.mono };
                self.events.extend(result.err().map(|error| Event::Warning(error.to_string())));
                LaneStep::Again
            }
            Step::Idle(wake) => {
                self.notes.recording = Some(recording);
                LaneStep::Idle(wake)
            }
            other => {
                self.notes.recording = Some(recording);
                LaneStep::Step(pass(other))
            }
        }
    }

    /// Records what was ordered before the end, unless the loop must end at once. From then on calls record by themselves.
    pub(super) fn note_last(&mut self, cx: &mut Cx<'_>, at_once: bool) -> WindDown {
        if !at_once && self.inbox.is_none() {
            // What could not be recorded is tried once more.
            if !std::mem::replace(&mut self.notes.is_over, true) {
                self.notes.next = cx.now.mono;
            }
            loop {
                match self.note(cx) {
                    LaneStep::Step(step) => return WindDown::Step(step),
                    LaneStep::Idle(wake) if self.notes.recording.is_some() => return WindDown::Waits(wake),
                    LaneStep::Idle(_) => break,
                    LaneStep::Again => {
                        if let Some(event) = self.events.pop_front() {
                            return WindDown::Step(Step::Event(event));
                        }
                    }
                }
            }
        }
        if at_once || self.inbox.is_none() {
            self.notes = Notes::default();
        }
        WindDown::Over
    }
}
