//! What must hold in every world, each in a place of its own, with a name and a sentence.

mod alive;
mod budget;
mod calls;
mod doubles;
mod effects;
mod ends;
mod lanes;
mod lost;
mod online;
mod origin;
mod pace;
mod paused;
mod repeats;
mod secrets;
mod steps;
mod tokens;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use molecule_core::effect::Slot;
use molecule_proto::{Time, Token};

use crate::agent::Agent;
use crate::clock::BEGINNING;
use crate::job::JobKind;
use crate::scenario::Mood;
use crate::trace::{Facts, Sight, Taken, TraceEvent, Who};
use crate::world::{ADMIN, SECRET_MARK};

/// Something that must hold. It is shown everything that happens and keeps what it needs of it.
pub trait Invariant {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What must hold, in a sentence.
    fn sentence(&self) -> &'static str;

    /// Looks at one thing that happens.
    ///
    /// # Errors
    /// What broke it, in a sentence.
    fn see(&mut self, sight: &Sight<'_>, known: &Known) -> Result<(), String>;
}

/// What an invariant found broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The invariant's name.
    pub name: &'static str,
    /// What must hold.
    pub sentence: &'static str,
    /// What happened instead.
    pub why: String,
    /// Which agent it happened to.
    pub agent: usize,
    /// When, on the world's clock.
    pub at: Time,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.since(BEGINNING).as_secs_f64();
        write!(f, "{} is broken at {at:.3} s for agent {}: {}\n  {}", self.name, self.agent, self.why, self.sentence)
    }
}

/// What is known of a world's secrets.
#[derive(Debug, Default)]
pub struct Known {
    /// Every token that the platform ever made.
    pub tokens: BTreeSet<String>,
    /// By process: the tokens that answers brought to it.
    pub brought: BTreeMap<usize, BTreeSet<String>>,
    /// What nothing may print: words of 43 characters.
    pub secrets: BTreeSet<String>,
    /// What nothing may print either.
    pub marks: Vec<String>,
}

impl Known {
    /// Whether a process has a token that authenticates its agent: one that it was given, one in its store, or one that an
    /// answer brought.
    fn has_live_token(&self, facts: &Facts<'_>, agent: &Agent, process: usize) -> bool {
        let lives = |token: &str| Token::new(token).is_ok_and(|token| facts.platform.is_live(&agent.workspace, &token));
        let stored = if agent.disk.mood() == Mood::Broken { None } else { agent.disk.content(Slot::Token, false) };
        let brought = self.brought.get(&process).into_iter().flatten();
        let given = agent.given.iter().map(Token::expose);
        given.chain(brought.map(String::as_str)).any(lives) || stored.is_some_and(|token| lives(&token))
    }

    fn note(&mut self, sight: &Sight<'_>) {
        match &sight.seen {
            TraceEvent::Landed(landing, Taken::Yes) => {
                if let Some(token) = &landing.token {
                    self.brought.entry(sight.who.process).or_default().insert(token.clone());
                }
            }
            seen if is_dead(seen) => {
                self.brought.remove(&sight.who.process);
            }
            _ => {}
        }
    }

    fn keep(&mut self, secret: &str) {
        if secret.len() == 43 {
            self.secrets.insert(secret.to_owned());
        } else if !self.marks.iter().any(|mark| mark == secret) {
            self.marks.push(secret.to_owned());
        }
    }
}

/// All invariants of one world.
pub(crate) struct Watch {
    known: Known,
    invariants: Vec<Box<dyn Invariant>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let mut known = Known::default();
        known.keep(ADMIN);
        known.keep(SECRET_MARK);
        Self { known, invariants: all() }
    }

    /// The platform made a token.
    pub(crate) fn knows(&mut self, token: &str) {
        self.known.tokens.insert(token.to_owned());
        self.known.keep(token);
    }

    /// Something else that nothing may print.
    pub(crate) fn keeps_secret(&mut self, secret: &str) {
        self.known.keep(secret);
    }

    pub(crate) fn see(&mut self, sight: &Sight<'_>) -> Option<Broken> {
        self.known.note(sight);
        for invariant in &mut self.invariants {
            if let Err(why) = invariant.see(sight, &self.known) {
                let (name, sentence) = (invariant.name(), invariant.sentence());
                return Some(Broken { name, sentence, why, agent: sight.who.agent, at: sight.at });
            }
        }
        None
    }
}

/// Every invariant, as it is at the beginning of a world.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(tokens::NoTokenIsLost::default()),
        Box::new(lost::LostTokensAreToldOf::default()),
        Box::new(lanes::OneRequestPerLane::default()),
        Box::new(pace::HeartbeatsKeepTheirPace::default()),
        Box::new(budget::WithinBudgetAndBackoff::default()),
        Box::new(ends::EndsForAReason::default()),
        Box::new(paused::NeverRegistersWhilePaused::default()),
        Box::new(repeats::NothingIsDoneTwice::default()),
        Box::new(origin::BearerStaysAtHome),
        Box::new(alive::SentOnceSentAlive),
        Box::new(doubles::NoDoubles::default()),
        Box::new(whereabouts::PeersAreWhereTheyWereSaidToBe::default()),
        Box::new(calls::CallsEndInTimeAndTruthfully::default()),
        Box::new(secrets::NoSecretIsPrinted::default()),
        Box::new(effects::EveryStartEndsOnce::default()),
        Box::new(steps::StepsAreBounded),
        Box::new(online::OnlineAgainSoon::default()),
    ]
}

/// Everything of one agent, in a map by machine.
fn of(agent: usize) -> std::ops::RangeInclusive<Who> {
    let least = Who { agent, process: 0, job: 0, kind: JobKind::Run };
    let most = Who { agent, process: usize::MAX, job: u32::MAX, kind: JobKind::Card };
    least..=most
}

/// Whether a machine of a dead process is meant: whatever is kept of it can go.
fn is_dead(seen: &TraceEvent<'_>) -> bool {
    matches!(seen, TraceEvent::Died { .. })
}
