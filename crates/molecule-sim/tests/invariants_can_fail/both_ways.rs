//! Mistakes of agents that are pushed to and read their feeds as well.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Response;
use molecule_core::Event;
use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Cx, Step};
use molecule_core::machines::Answer;
use molecule_sim::{Ending, Saboteur, Verdict};
use serde_json::{Value, json};

/// Says nothing in any answer.
pub(super) struct SaysNothing;

impl Saboteur for SaysNothing {
    fn replies(&mut self, answer: Answer) -> Answer {
        let Answer::Ready(answer) = answer else { return answer };
        let (head, body) = answer.into_parts();
        let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !value["result"]["parts"].is_array() {
            return Answer::Ready(Response::from_parts(head, body));
        }
        value["result"]["parts"] = json!([]);
        Answer::Ready(Response::from_parts(head, Bytes::from(value.to_string())))
    }
}

/// Takes the checks that succeed for failed ones.
#[derive(Default)]
pub(super) struct MishearsChecks(BTreeSet<EffectId>);

impl Saboteur for MishearsChecks {
    fn step(&mut self, _: &mut Cx<'_>, step: Step<Ending>) -> Verdict {
        if let Step::Start(id, Effect::Http(request, _)) = &step
            && String::from_utf8_lossy(request.body()).contains("molecule.reachability")
        {
            self.0.insert(*id);
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        let is_check = self.0.remove(&id);
        let refused = br#"{"error":"failed to reach workspace agent"}"#;
        Some(if is_check {
            let mut answer = Response::new(Bytes::from_static(refused));
            *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
            answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            Outcome::Response(answer)
        } else {
            outcome
        })
    }
}

/// Says once that the server is reachable, without having looked.
#[derive(Default)]
pub(super) struct CriesAllClear(u32);

impl Saboteur for CriesAllClear {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<Step<Ending>> {
        self.0 += 1;
        (self.0 == 2).then_some(Step::Event(Event::PushReachable))
    }
}

/// Registers to poll, whatever the loop wants.
pub(super) struct NeverComesBack;

impl Saboteur for NeverComesBack {
    fn step(&mut self, _: &mut Cx<'_>, step: Step<Ending>) -> Verdict {
        match step {
            Step::Start(id, Effect::Http(request, limits)) if request.uri().path() == "/registry/register" => {
                let request = request.map(|body| {
                    let body = String::from_utf8_lossy(&body);
                    Bytes::from(body.replace(r#""delivery_mode":"push""#, r#""delivery_mode":"poll""#))
                });
                Verdict::Pass(Step::Start(id, Effect::Http(request, limits)))
            }
            step => Verdict::Pass(step),
        }
    }
}
