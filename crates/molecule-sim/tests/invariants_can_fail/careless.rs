//! Saboteurs that make mistakes with peers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Limits, Outcome, Sent};
use molecule_core::machine::{Cx, Step};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

fn is_message(request: &Request<Bytes>) -> bool {
    request.uri().path().ends_with("/a2a")
}

fn is_direct(request: &Request<Bytes>) -> bool {
    is_message(request) && request.uri().host() != Some("platform.example.com")
}

fn changed(request: Request<Bytes>, from: &str, to: &str) -> Request<Bytes> {
    request.map(|body| String::from_utf8_lossy(&body).replacen(from, to, 1).into())
}

/// Abandons a message in flight, and sends it again.
#[derive(Default)]
pub(crate) struct ChangesItsMind {
    next: Vec<AStep>,
}

impl Saboteur for ChangesItsMind {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.next.pop()
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(id, Effect::Http(request, limits)) = &step
            && is_message(request)
        {
            let again = Effect::Http(request.clone(), *limits);
            self.next = vec![Step::Start(EffectId((1 << 40) + id.0), again), Step::Cancel(*id)];
        }
        Verdict::Pass(step)
    }
}

/// Changes a text in every request but the first one that contains it.
pub(crate) struct Rewrites {
    from: &'static str,
    to: &'static str,
    first: bool,
}

impl Rewrites {
    pub(crate) fn the_message() -> Self {
        Self { from: "\"messageId\":\"", to: "\"messageId\":\"another-", first: true }
    }

    pub(crate) fn the_key() -> Self {
        Self { from: "\"idempotency_key\":\"", to: "\"idempotency_key\":\"another-", first: true }
    }
}

impl Saboteur for Rewrites {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(request, limits))
                if String::from_utf8_lossy(request.body()).contains(self.from)
                    && !std::mem::replace(&mut self.first, false) =>
            {
                Step::Start(id, Effect::Http(changed(request, self.from, self.to), limits))
            }
            step => step,
        })
    }
}

/// Names the sender in the message.
#[derive(Default)]
pub(crate) struct TellsItsName {
    name: Option<String>,
}

impl Saboteur for TellsItsName {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        let Step::Start(id, Effect::Http(request, limits)) = step else { return Verdict::Pass(step) };
        if let Some(name) = request.headers().get("x-workspace-id") {
            self.name = Some(name.to_str().unwrap().to_owned());
        }
        let request = match &self.name {
            Some(name) if is_direct(&request) => changed(request, "{", &format!("{{\"from\":\"{name}\",")),
            Some(_) | None => request,
        };
        Verdict::Pass(Step::Start(id, Effect::Http(request, limits)))
    }
}

/// Calls another URL of the peer.
pub(crate) struct KnocksElsewhere;

impl Saboteur for KnocksElsewhere {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(mut request, limits)) if is_direct(&request) => {
                *request.uri_mut() = format!("{}/admin", request.uri()).parse().unwrap();
                Step::Start(id, Effect::Http(request, limits))
            }
            step => step,
        })
    }
}

/// Caches every peer's URL for ever, across all calls.
#[derive(Default, Clone)]
pub(crate) struct RemembersForEver {
    /// Answers by the path of their request; no two worlds have the same path.
    said: Rc<RefCell<BTreeMap<String, Response<Bytes>>>>,
    asked: Option<(EffectId, String)>,
}

impl Saboteur for RemembersForEver {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(id, Effect::Http(request, _)) = &step
            && request.uri().path().starts_with("/registry/discover/")
        {
            let path = request.uri().path();
            if let Some(said) = self.said.borrow().get(path).cloned() {
                return Verdict::Answer(*id, Outcome::Response(said));
            }
            self.asked = Some((*id, path.to_owned()));
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        if let Outcome::Response(answer) = &outcome
            && let Some((_, path)) = self.asked.take_if(|(asked, _)| *asked == id)
            && answer.status().is_success()
        {
            self.said.borrow_mut().insert(path, answer.clone());
        }
        Some(outcome)
    }
}

/// Calls a peer directly although it has refused that, across all calls.
#[derive(Default, Clone)]
pub(crate) struct Insists {
    last: Rc<RefCell<Option<Uri>>>,
    direct: bool,
}

impl Saboteur for Insists {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        let Step::Start(id, Effect::Http(request, limits)) = step else { return Verdict::Pass(step) };
        let request = if is_direct(&request) {
            self.direct = true;
            *self.last.borrow_mut() = Some(request.uri().clone());
            request
        } else if let (false, true, Some(uri)) = (self.direct, is_message(&request), self.last.borrow().clone()) {
            let mut direct = Request::new(request.into_body());
            *direct.method_mut() = Method::POST;
            *direct.uri_mut() = uri;
            direct.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            direct
        } else {
            request
        };
        Verdict::Pass(Step::Start(id, Effect::Http(request, limits)))
    }
}

/// Replaces one outcome of a message by another.
pub(crate) struct Mishears {
    sent: Option<EffectId>,
    hears: fn() -> Outcome,
}

impl Mishears {
    /// Takes a lost answer for a refused connection.
    pub(crate) fn a_refusal() -> Self {
        Self { sent: None, hears: || Outcome::Failed(Fault::new(Sent::No, FaultKind::Connect)) }
    }

    /// Takes a lost answer for a platform that could not look up the peer.
    pub(crate) fn a_failed_lookup() -> Self {
        let hears = || {
            let mut answer = Response::new(Bytes::from_static(b"{\"error\":\"lookup failed\"}"));
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Outcome::Response(answer)
        };
        Self { sent: None, hears }
    }
}

impl Saboteur for Mishears {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(id, Effect::Http(request, Limits { .. })) = &step
            && is_message(request)
        {
            self.sent = Some(*id);
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        let lost = matches!(&outcome, Outcome::Failed(fault) if fault.sent == Sent::Maybe);
        Some(if lost && self.sent == Some(id) { (self.hears)() } else { outcome })
    }
}

/// Reads "failed" for a message that is still queued.
pub(crate) struct GivesTheQueueUp;

impl Saboteur for GivesTheQueueUp {
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        Some(match outcome {
            Outcome::Response(answer) => Outcome::Response(
                answer.map(|body| String::from_utf8_lossy(&body).replace("\"queued\"", "\"failed\"").into()),
            ),
            other => other,
        })
    }
}

/// Tells the platform the token that it has for a peer.
pub(crate) struct TellsThePlatform;

impl Saboteur for TellsThePlatform {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Start(id, Effect::Http(mut request, limits)) if request.headers().contains_key(AUTHORIZATION) => {
                let token = "Bearer peer-token-of-agent-000-for-agent-001------";
                request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(token));
                Verdict::Pass(Step::Start(id, Effect::Http(request, limits)))
            }
            step => Verdict::Pass(step),
        }
    }
}
