//! Saboteurs that send requests which must not be sent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Request};
use molecule_core::effect::{Effect, EffectId, Limits, Outcome};
use molecule_core::machine::{Cx, Step, Wake};
use molecule_core::proto::Time;
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// The saboteur's own requests, with effect ids that no machine uses.
#[derive(Default)]
struct Own {
    named: u64,
    waiting: VecDeque<(EffectId, Effect)>,
}

impl Own {
    fn ask(&mut self, request: Request<Bytes>, limits: Limits) -> EffectId {
        self.start(Effect::Http(request, limits))
    }

    fn start(&mut self, effect: Effect) -> EffectId {
        self.named += 1;
        let id = EffectId((1 << 40) + self.named);
        self.waiting.push_back((id, effect));
        id
    }

    fn step(&mut self) -> Option<AStep> {
        self.waiting.pop_front().map(|(id, effect)| Step::Start(id, effect))
    }
}

/// Sends every request twice.
#[derive(Default)]
pub(crate) struct AsksTwice {
    own: Own,
}

impl Saboteur for AsksTwice {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.own.step()
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(_, Effect::Http(request, limits)) = &step {
            self.own.ask(request.clone(), *limits);
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        (id.0 < 1 << 40).then_some(outcome)
    }
}

/// Repeats every failed request at once, and gives only successful answers to the machine.
#[derive(Default)]
pub(crate) struct Impatient {
    own: Own,
    /// A part of the URLs of the requests that it repeats.
    part: &'static str,
    sent: BTreeMap<EffectId, (Request<Bytes>, Limits, bool)>,
}

impl Impatient {
    /// Repeats only requests whose URLs have this part.
    pub(crate) fn on(part: &'static str) -> Self {
        Self { part, ..Self::default() }
    }
}

impl Saboteur for Impatient {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.own.step()
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(id, effect @ (Effect::Http(request, limits) | Effect::Watch(request, limits))) = &step
            && request.uri().to_string().contains(self.part)
        {
            let is_stream = matches!(effect, Effect::Watch(..));
            self.sent.insert(*id, (request.clone(), *limits, is_stream));
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        let Some((request, limits, is_stream)) = self.sent.remove(&id) else { return Some(outcome) };
        let good = match &outcome {
            Outcome::Response(answer) => answer.status().as_u16() < 429 && !is_stream,
            Outcome::Part(_) => true,
            _ => false,
        };
        if good {
            return Some(outcome);
        }
        let own = (request.clone(), limits);
        let again = self.own.start(if is_stream { Effect::Watch(own.0, own.1) } else { Effect::Http(own.0, own.1) });
        self.sent.insert(again, (request, limits, is_stream));
        None
    }
}

/// Reads the feed once more at the end of each rate limit.
#[derive(Default)]
pub(crate) struct RunsAhead {
    own: Own,
    read: Option<(Request<Bytes>, Limits)>,
    at: Option<Time>,
}

impl Saboteur for RunsAhead {
    fn instead(&mut self, cx: &mut Cx<'_>) -> Option<AStep> {
        if self.at.take_if(|at| *at <= cx.now.mono).is_some()
            && let Some((request, limits)) = self.read.clone()
        {
            self.own.ask(request, limits);
        }
        self.own.step()
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(request, limits)) => {
                if request.uri().path().ends_with("/activity") {
                    self.read = Some((request.clone(), limits));
                }
                Step::Start(id, Effect::Http(request, limits))
            }
            Step::Idle(wake) => {
                Step::Idle(Wake::earliest(wake, self.at.map(|at| Wake { at, why: "the end of the limit" })))
            }
            step => step,
        })
    }

    fn outcome(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        if let Outcome::Response(answer) = &outcome
            && answer.status().as_u16() == 429
        {
            let asked = answer.headers().get(RETRY_AFTER).and_then(|asked| asked.to_str().ok()?.parse().ok());
            self.at = asked.map(|seconds: u64| cx.now.mono + Duration::from_secs(seconds.clamp(1, 60)));
        }
        (id.0 < 1 << 40).then_some(outcome)
    }
}

/// Sends the first credential that it saw with every later request.
#[derive(Default)]
pub(crate) struct KeepsItsCredential {
    first: Option<HeaderValue>,
}

impl Saboteur for KeepsItsCredential {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(mut request, limits)) => {
                let own = request.headers().get(AUTHORIZATION).cloned();
                if let Some(first) = self.first.clone().or(own) {
                    request.headers_mut().insert(AUTHORIZATION, first.clone());
                    self.first = Some(first);
                }
                Step::Start(id, Effect::Http(request, limits))
            }
            step => step,
        })
    }
}

/// Follows a redirect with all its headers.
#[derive(Default)]
pub(crate) struct FollowsRedirects {
    own: Own,
    sent: BTreeMap<EffectId, (Request<Bytes>, Limits)>,
}

impl Saboteur for FollowsRedirects {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.own.step()
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(id, Effect::Http(request, limits)) = &step {
            self.sent.insert(*id, (request.clone(), *limits));
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        let Some((mut request, limits)) = self.sent.remove(&id) else { return Some(outcome) };
        if let Outcome::Response(answer) = &outcome
            && let Some(location) = answer.headers().get(LOCATION)
        {
            *request.uri_mut() = location.to_str().unwrap().parse().unwrap();
            self.own.ask(request, limits);
            return None;
        }
        Some(outcome)
    }
}
