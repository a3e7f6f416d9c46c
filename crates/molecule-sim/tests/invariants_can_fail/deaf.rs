//! Saboteurs that ignore the server, the clock or the limits.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::RETRY_AFTER;
use molecule_core::Event;
use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Cx, Step, Wake};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// Changes an outcome that is an answer.
fn answered(outcome: Outcome, change: impl FnOnce(&mut Response<Bytes>)) -> Option<Outcome> {
    Some(match outcome {
        Outcome::Response(mut answer) => {
            change(&mut answer);
            Outcome::Response(answer)
        }
        other => other,
    })
}

/// Ignores `Retry-After`.
pub(crate) struct ToRetryAfter;

impl Saboteur for ToRetryAfter {
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        answered(outcome, |answer| {
            answer.headers_mut().remove(RETRY_AFTER);
        })
    }
}

/// Ignores the requests left in the rate limit window.
pub(crate) struct ToTheBudget;

impl Saboteur for ToTheBudget {
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        answered(outcome, |answer| {
            answer.headers_mut().remove("x-ratelimit-remaining");
        })
    }
}

/// Ignores the timeouts of its requests.
pub(crate) struct ToLimits;

impl Saboteur for ToLimits {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(request, limits)) => {
                let day = Duration::from_secs(86_400);
                let limits = limits.connect(day).head(day).read(day).total(day);
                Step::Start(id, Effect::Http(request, limits))
            }
            step => step,
        })
    }
}

/// Ignores how long a connection has been idle.
pub(crate) struct ToSilence;

impl Saboteur for ToSilence {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(request, limits)) => {
                Step::Start(id, Effect::Http(request, limits.max_idle(Duration::from_secs(86_400))))
            }
            step => step,
        })
    }
}

/// Ignores its own wake: heartbeats come 5 s late.
pub(crate) struct Dawdles;

impl Saboteur for Dawdles {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Idle(Some(wake)) if wake.why == "heartbeat" => {
                Step::Idle(Some(Wake { at: wake.at + Duration::from_secs(5), ..wake }))
            }
            step => step,
        })
    }
}

/// Never wakes after its first heartbeat.
#[derive(Default)]
pub(crate) struct Sleeps {
    beats: bool,
}

impl Saboteur for Sleeps {
    fn step(&mut self, cx: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Event(Event::Online) => {
                self.beats = true;
                step
            }
            Step::Idle(Some(wake)) if self.beats => {
                Step::Idle(Some(Wake { at: cx.now.mono + Duration::from_secs(86_400), ..wake }))
            }
            step => step,
        })
    }
}

/// Never repeats a failed heartbeat.
#[derive(Default)]
pub(crate) struct GivesUp {
    failed: bool,
}

impl Saboteur for GivesUp {
    fn step(&mut self, cx: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Event(Event::Degraded { lane: molecule_core::Lane::Heartbeat, .. }) => {
                self.failed = true;
                step
            }
            Step::Idle(Some(wake)) if self.failed => {
                Step::Idle(Some(Wake { at: cx.now.mono + Duration::from_secs(86_400), ..wake }))
            }
            step => step,
        })
    }
}
