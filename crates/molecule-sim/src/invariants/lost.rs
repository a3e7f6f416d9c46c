//! Invariant: the application hears of a token whose answer was lost.

use std::collections::BTreeMap;

use molecule_core::effect::EffectId;
use molecule_core::machine::StopLevel;
use molecule_core::{Ended, Event};
use molecule_proto::Token;

use super::repeats::may_have_arrived;
use super::tokens::says_how;
use super::{Invariant, KnownSecrets, is_dead};
use crate::job::{Ending, JobKind};
use crate::trace::{OutcomeRecord, Sight, TraceEvent, Who};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct LostTokensAreToldOf {
    /// By process and effect: the state of each request that may mint.
    asked: BTreeMap<(usize, EffectId), Minting>,
    machines: BTreeMap<Who, Notices>,
}

#[derive(Debug)]
enum Minting {
    /// The server minted this token, and the answer is on its way.
    Minted(String),
    /// The machine got an outcome without a token.
    Fruitless,
}

/// The messages that a machine gave to the application.
#[derive(Debug, Default)]
struct Notices {
    /// Tokens that the server minted for it in answers that were lost.
    lost: Vec<String>,
    /// Whether it said how to recover, since an answer was lost that may have contained a token.
    said: bool,
    /// Nobody waits for its result.
    alone: bool,
    /// The machine is done.
    ended: bool,
}

impl Invariant for LostTokensAreToldOf {
    fn name(&self) -> &'static str {
        "lost tokens are told of"
    }

    fn sentence(&self) -> &'static str {
        "where the server minted a token and its answer was lost, whoever called is told how to recover, unless the agent has \
         another token that works"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let who = sight.who;
        match &sight.seen {
            TraceEvent::Answered(ask, _, Some(token)) => {
                let key = (who.process, ask.id);
                if let Some(Minting::Fruitless) = self.asked.remove(&key) {
                    return self.lost(sight, known, token);
                }
                self.asked.insert(key, Minting::Minted((*token).to_owned()));
            }
            TraceEvent::Landed(landing, _) => self.landed(who, landing),
            TraceEvent::Told(Event::Degraded { error, .. } | Event::Warning(error)) if says_how(error).is_ok() => {
                self.machine(who).said = true;
            }
            TraceEvent::GivenUp | TraceEvent::Dropped | TraceEvent::Stopping(StopLevel::Now) => {
                self.machine(who).alone = true
            }
            TraceEvent::Ended(ending) => return self.ended(sight, known, ending),
            seen if is_dead(seen) => {
                self.asked.retain(|(process, _), _| *process != who.process);
                self.machines.retain(|other, _| other.process != who.process);
            }
            _ => {}
        }
        Ok(())
    }
}

impl LostTokensAreToldOf {
    fn machine(&mut self, who: Who) -> &mut Notices {
        self.machines.entry(who).or_default()
    }

    fn landed(&mut self, who: Who, landing: &OutcomeRecord) {
        let may_mint = landing.ask.as_ref().and_then(|ask| ask.route).is_some_and(crate::read::mints);
        if !may_mint || landing.token.is_some() || !may_have_arrived(landing) {
            self.asked.remove(&(who.process, landing.id));
            return;
        }
        match self.asked.insert((who.process, landing.id), Minting::Fruitless) {
            Some(Minting::Minted(token)) => {
                self.asked.remove(&(who.process, landing.id));
                let machine = self.machine(who);
                machine.said = false;
                machine.lost.push(token);
            }
            // The server may still mint a token.
            Some(Minting::Fruitless) | None => self.machine(who).said = false,
        }
    }

    /// Handles a token that the server mints after the machine stopped waiting for the answer.
    fn lost(&mut self, sight: &Sight<'_>, known: &KnownSecrets, token: &str) -> Result<(), String> {
        let machine = self.machine(sight.who);
        machine.lost.push(token.to_owned());
        if machine.ended { machine.judge(sight, known) } else { Ok(()) }
    }

    fn ended(&mut self, sight: &Sight<'_>, known: &KnownSecrets, ending: &Ending) -> Result<(), String> {
        let machine = self.machine(sight.who);
        machine.ended = true;
        machine.said |= ending.error().is_some_and(|error| says_how(&error.to_string()).is_ok());
        // A loop that ends before it could try again reports the loss when it is started again.
        machine.alone |= matches!(ending, Ending::Run(Ok(Ended::Stopped | Ended::Paused | Ended::Deleted)));
        machine.judge(sight, known)
    }
}

impl Notices {
    fn judge(&self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let agent = &sight.facts.agents[sight.who.agent];
        let lives = |token: &String| {
            Token::new(token).is_ok_and(|token| sight.facts.platform.is_live(&agent.workspace, &token))
        };
        let locked = self.lost.iter().any(lives) && !known.has_live_token(&sight.facts, agent, sight.who.process);
        if !locked || self.said || self.alone {
            return Ok(());
        }
        let what = if sight.who.kind == JobKind::Run { "the loop" } else { "the call" };
        Err(format!("{what} lost the answer that brought the only live token, and nothing said how to recover"))
    }
}
