//! The invariants that must hold in every world, one in each file, each with a name and a sentence.

mod accepted;
mod admitted;
mod alive;
mod answered;
mod attempts;
mod both_ways;
mod budget;
mod calls;
mod credentials;
mod cursor;
mod cut_once;
mod dead_letters;
mod doubles;
mod effects;
mod ends;
mod exchange;
mod files;
mod first;
mod inbox_backoff;
mod lanes;
mod lost;
mod messages;
mod notices;
mod once;
mod online;
mod order;
mod origin;
mod pace;
mod paused;
mod peer_replies;
mod pushed;
mod pushed_text;
mod reachable;
mod reached;
mod repeats;
mod replies;
mod reply_ids;
mod same_answer;
mod secrets;
mod senders;
mod silent_turns;
mod steps;
mod tasks;
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

/// A condition that must hold in every world. It sees every trace event and stores what it needs of it.
pub trait Invariant {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The condition in one sentence.
    fn sentence(&self) -> &'static str;

    /// Checks one event.
    ///
    /// # Errors
    /// If the event breaks the invariant: the reason in one sentence.
    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String>;
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenInvariant {
    /// The invariant's name.
    pub name: &'static str,
    /// Its condition.
    pub sentence: &'static str,
    /// What happened instead.
    pub why: String,
    /// The index of the agent.
    pub agent: usize,
    /// The world's time.
    pub at: Time,
}

impl fmt::Display for BrokenInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.since(BEGINNING).as_secs_f64();
        write!(f, "{} is broken at {at:.3} s for agent {}: {}\n  {}", self.name, self.agent, self.why, self.sentence)
    }
}

/// The secrets of a world.
#[derive(Debug, Default)]
pub struct KnownSecrets {
    /// Every token that the platform ever minted.
    pub tokens: BTreeSet<String>,
    /// By process: the tokens in the answers that it got.
    pub brought: BTreeMap<usize, BTreeSet<String>>,
    /// Secrets of 43 characters, which nothing may print.
    pub secrets: BTreeSet<String>,
    /// Other texts that nothing may print.
    pub marks: Vec<String>,
}

impl KnownSecrets {
    /// Returns whether a process has a token that authenticates its agent: in an option, in its store, or in an answer
    /// that it got.
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

/// The invariants of one world, with the secrets that they share.
pub(crate) struct InvariantSet {
    known: KnownSecrets,
    invariants: Vec<Box<dyn Invariant>>,
}

impl InvariantSet {
    pub(crate) fn new() -> Self {
        let mut known = KnownSecrets::default();
        known.keep(ADMIN);
        known.keep(SECRET_MARK);
        Self { known, invariants: all() }
    }

    /// Records a token that the platform minted.
    pub(crate) fn knows(&mut self, token: &str) {
        self.known.tokens.insert(token.to_owned());
        self.known.keep(token);
    }

    /// Records another secret that nothing may print.
    pub(crate) fn keeps_secret(&mut self, secret: &str) {
        self.known.keep(secret);
    }

    pub(crate) fn see(&mut self, sight: &Sight<'_>) -> Option<BrokenInvariant> {
        self.known.note(sight);
        for invariant in &mut self.invariants {
            if let Err(why) = invariant.see(sight, &self.known) {
                let (name, sentence) = (invariant.name(), invariant.sentence());
                return Some(BrokenInvariant { name, sentence, why, agent: sight.who.agent, at: sight.at });
            }
        }
        None
    }
}

/// All invariants, in their initial state.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(tokens::NoTokenIsLost::default()),
        Box::new(lost::LostTokensAreToldOf::default()),
        Box::new(lanes::OneRequestPerLane::default()),
        Box::new(pace::HeartbeatsKeepTheirPace::default()),
        Box::new(first::TheHeartbeatComesFirst::default()),
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
        Box::new(order::NothingOvertakes::default()),
        Box::new(answered::AnsweredIsWhatMayBe::default()),
        Box::new(reply_ids::OneIdForAReply::default()),
        Box::new(exchange::ExchangesEnd::default()),
        Box::new(attempts::AttemptsAreBounded::default()),
        Box::new(notices::NoticesComeOnce::default()),
        Box::new(cursor::TheCursorPassesNothing::default()),
        Box::new(reached::EveryMessageReachesTheHandler::default()),
        Box::new(replies::NoReplyIsLost::default()),
        Box::new(once::HandledOnce::default()),
        Box::new(same_answer::OneAnswerToAMessage::default()),
        Box::new(admitted::NobodyIsServedWithoutTheCredential::default()),
        Box::new(silent_turns::PlatformTurnsGetNoText),
        Box::new(cut_once::CutOnce::default()),
        Box::new(accepted::AcceptedIsHandled::default()),
        Box::new(peer_replies::RepliesReachTheirPeers::default()),
        Box::new(dead_letters::DeadLettersWaitForARetry::default()),
        Box::new(pushed_text::PushedCallersGetTheText::default()),
        Box::new(reachable::PollsOnlyWhileUnreachable::default()),
        Box::new(senders::SendersAreProven::default()),
        Box::new(tasks::TasksAreToldTruly::default()),
        Box::new(files::FilesAreStoredWhole),
        Box::new(both_ways::NothingIsLostBetween::default()),
    ]
}

/// The range of one agent's machines, for a map with the key [`Who`].
fn of(agent: usize) -> std::ops::RangeInclusive<Who> {
    let least = Who { agent, process: 0, job: 0, kind: JobKind::Run };
    let most = Who { agent, process: usize::MAX, job: u32::MAX, kind: JobKind::Serve };
    least..=most
}

/// Returns whether the event ends a process, so that everything stored about it can be dropped.
fn is_dead(seen: &TraceEvent<'_>) -> bool {
    matches!(seen, TraceEvent::Died { .. })
}
