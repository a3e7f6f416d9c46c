//! The records of the inbox's journal that calls of the agent order while a loop without an inbox has the lock.

use std::sync::Arc;
use std::time::Duration;

use molecule_proto::Time;

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
    next: Next,
    /// Whether the last try at the loop's end has begun.
    is_over: bool,
}

/// When orders are recorded next.
#[derive(Debug, Clone, Copy)]
enum Next {
    At(Time),
    /// The last try at the loop's end has failed, or the clock is at its end.
    Never,
}

impl Default for Next {
    fn default() -> Self {
        Self::At(Time::ZERO)
    }
}

impl Notes {
    /// Begins with the loop, which has the agent's lock.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) {
        self.recorder = Some(cx.session.orders.recorder());
    }

    /// Ends at once: calls record by themselves from now on.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Records what calls have ordered.
    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> LaneStep {
        if self.recorder.is_none() {
            return LaneStep::Idle(None);
        }
        if self.recording.is_none() {
            if cx.session.orders.is_empty() {
                return LaneStep::Idle(None);
            }
            match self.next {
                Next::At(at) if at > cx.now.mono => {
                    return LaneStep::Idle(Some(Wake { at, why: "record what calls have ordered" }));
                }
                Next::At(_) => {}
                Next::Never => return LaneStep::Idle(None),
            }
        }
        let mut recording = self.recording.take().unwrap_or_else(|| Box::new(RecordOrders::new()));
        match recording.poll(cx) {
            Step::Done(result) => {
                let is_left = result.is_err() || !cx.session.orders.is_empty();
                self.next = match cx.now.mono + AGAIN {
                    _ if !is_left => Next::At(cx.now.mono),
                    again if again > cx.now.mono && !self.is_over => Next::At(again),
                    _ => Next::Never,
                };
                match result {
                    Ok(()) => LaneStep::Again,
                    Err(error) => LaneStep::Step(Step::Event(Event::Warning(error.to_string()))),
                }
            }
            Step::Idle(wake) => {
                self.recording = Some(recording);
                LaneStep::Idle(wake)
            }
            other => {
                self.recording = Some(recording);
                LaneStep::Step(pass(other))
            }
        }
    }

    /// Records what was ordered before the loop's end, also what could not be recorded before.
    pub(super) fn wind_down(&mut self, cx: &mut Cx<'_>) -> WindDown {
        if !std::mem::replace(&mut self.is_over, true) {
            self.next = Next::At(cx.now.mono);
        }
        loop {
            match self.poll(cx) {
                LaneStep::Step(step) => return WindDown::Step(step),
                LaneStep::Idle(wake) if self.recording.is_some() => return WindDown::Waits(wake),
                LaneStep::Idle(_) => {
                    self.end();
                    return WindDown::Over;
                }
                LaneStep::Again => {}
            }
        }
    }

    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.recording {
            Some(recording) => recording.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }
}
