//! Saboteurs that misread answers or break the machine's protocol.

use std::time::Duration;

use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Cx, Step, Wake};
use molecule_core::{Ended, Event};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// Ends the loop at any 404.
#[derive(Default)]
pub(crate) struct TakesA404ForADeletion {
    seen: bool,
}

impl Saboteur for TakesA404ForADeletion {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.seen.then_some(Step::Done(Ending::Run(Ok(Ended::Deleted))))
    }

    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        self.seen |= matches!(&outcome, Outcome::Response(answer) if answer.status() == 404);
        Some(outcome)
    }
}

/// Ends the loop the first time the platform says that the workspace is gone.
#[derive(Default)]
pub(crate) struct BelievesAtOnce {
    runs: bool,
    told: bool,
}

impl Saboteur for BelievesAtOnce {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.told.then_some(Step::Done(Ending::Run(Ok(Ended::Deleted))))
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        self.runs |= matches!(step, Step::Event(Event::Registered { .. } | Event::Online));
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        let is_gone = |body: &[u8]| String::from_utf8_lossy(body).contains("workspace removed");
        self.told |= self.runs && matches!(&outcome, Outcome::Response(answer) if is_gone(answer.body()));
        Some(outcome)
    }
}

/// Ends the loop at the third 401, on any route and without an interval.
#[derive(Default)]
pub(crate) struct CountsEvery401 {
    seen: u32,
}

impl Saboteur for CountsEvery401 {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        (self.seen >= 3).then_some(Step::Done(Ending::Run(Ok(Ended::Unauthorized))))
    }

    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        self.seen += u32::from(matches!(&outcome, Outcome::Response(answer) if answer.status() == 401));
        Some(outcome)
    }
}

/// Ends the loop as soon as it is online, for no reason.
pub(crate) struct EndsAtOnce {
    ended: Ended,
    online: bool,
}

impl EndsAtOnce {
    pub(crate) fn as_paused() -> Self {
        Self { ended: Ended::Paused, online: false }
    }

    pub(crate) fn as_stopped() -> Self {
        Self { ended: Ended::Stopped, online: false }
    }

    pub(crate) fn as_unauthorized() -> Self {
        Self { ended: Ended::Unauthorized, online: false }
    }
}

impl Saboteur for EndsAtOnce {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.online.then_some(Step::Done(Ending::Run(Ok(self.ended))))
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        self.online |= matches!(step, Step::Event(Event::Online));
        Verdict::Pass(step)
    }
}

/// Goes on after the end.
#[derive(Default)]
pub(crate) struct NeverEnds {
    over: bool,
}

impl Saboteur for NeverEnds {
    fn instead(&mut self, cx: &mut Cx<'_>) -> Option<AStep> {
        let wake = Wake { at: cx.now.mono + Duration::from_secs(1), why: "nothing" };
        self.over.then_some(Step::Idle(Some(wake)))
    }

    fn step(&mut self, cx: &mut Cx<'_>, step: AStep) -> Verdict {
        self.over |= matches!(step, Step::Done(_));
        self.instead(cx).map_or(Verdict::Pass(step), Verdict::Pass)
    }
}

/// Reads `online` where the view says `paused`.
pub(crate) struct OverlooksAPause;

impl Saboteur for OverlooksAPause {
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        Some(match outcome {
            Outcome::Response(answer) => Outcome::Response(answer.map(|body| {
                let text = String::from_utf8_lossy(&body).replace("\"paused\"", "\"online\"");
                text.replace("\"paused\":true", "\"paused\":false").into()
            })),
            other => other,
        })
    }
}

/// Takes a 401 for a busy server.
pub(crate) struct OverlooksA401;

impl Saboteur for OverlooksA401 {
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        Some(match outcome {
            Outcome::Response(mut answer) if answer.status() == 401 => {
                *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
                Outcome::Response(answer)
            }
            other => other,
        })
    }
}

/// Sends heartbeats without the reported task.
pub(crate) struct ReportsNothing;

impl Saboteur for ReportsNothing {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(request, limits)) if request.uri().path().ends_with("heartbeat") => {
                let request = request.map(|body| String::from_utf8_lossy(&body).replace("task ", "chore ").into());
                Step::Start(id, Effect::Http(request, limits))
            }
            step => step,
        })
    }
}

/// Emits events without end.
pub(crate) struct NeverRests;

impl Saboteur for NeverRests {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        Some(Step::Event(Event::Online))
    }
}

/// Becomes idle without a wake.
pub(crate) struct ForgetsItsWake;

impl Saboteur for ForgetsItsWake {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Idle(Some(_)) => Step::Idle(None),
            step => step,
        })
    }
}

/// Asks for a wake that is already due.
pub(crate) struct WakesAtOnce;

impl Saboteur for WakesAtOnce {
    fn step(&mut self, cx: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Idle(Some(wake)) => Step::Idle(Some(Wake { at: cx.now.mono, ..wake })),
            step => step,
        })
    }
}
