//! Saboteurs that tell the application too little or too much.

use http::header::AUTHORIZATION;
use molecule_core::effect::Effect;
use molecule_core::machine::{Cx, Step};
use molecule_core::{Error, Event};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// Hides warnings.
pub(crate) struct HidesWarnings;

impl Saboteur for HidesWarnings {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Event(Event::Warning(_)) => Verdict::Swallow,
            step => Verdict::Pass(step),
        }
    }
}

/// Reports the error without the remedy.
pub(crate) struct HidesRemedies;

impl Saboteur for HidesRemedies {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        let cause = |text: String| text.split("; ").next().unwrap_or_default().to_owned();
        Verdict::Pass(match step {
            Step::Event(Event::Warning(text)) => Step::Event(Event::Warning(cause(text))),
            Step::Event(mut event) => {
                if let Event::Degraded { error, .. } = &mut event {
                    *error = cause(std::mem::take(error));
                }
                Step::Event(event)
            }
            Step::Done(Ending::Run(Err(_))) => Step::Done(Ending::Run(Err(silent()))),
            Step::Done(Ending::Register(Err(_))) => Step::Done(Ending::Register(Err(silent()))),
            Step::Done(Ending::Recover(Err(_))) => Step::Done(Ending::Recover(Err(silent()))),
            step => step,
        })
    }
}

fn silent() -> Error {
    Error::config("it went wrong", "do something")
}

/// Prints the bearer that it used.
#[derive(Default)]
pub(crate) struct QuotesTheBearer {
    bearer: Option<String>,
}

impl Saboteur for QuotesTheBearer {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        self.bearer.take().map(|bearer| Step::Event(Event::Warning(format!("sent with {bearer}"))))
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(_, Effect::Http(request, _)) = &step
            && let Some(bearer) = request.headers().get(AUTHORIZATION)
        {
            self.bearer = Some(bearer.to_str().unwrap().to_owned());
        }
        Verdict::Pass(step)
    }
}
