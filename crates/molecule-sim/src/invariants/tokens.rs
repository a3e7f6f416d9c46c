//! Invariant: every token is stored, or the application is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::effect::{EffectId, HostOp, Slot};
use molecule_core::{ErrorKind, Event};
use molecule_proto::Time;

use super::{Invariant, KnownSecrets, is_dead};
use crate::scenario::{Mood, ScenarioAction};
use crate::trace::{OutcomeRecord, Sight, Taken, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NoTokenIsLost {
    /// Tokens that a machine got and must store before anything else.
    to_store: BTreeMap<Who, String>,
    storing: BTreeMap<(usize, EffectId), (Who, String)>,
    /// Tokens that could not be stored, while the application has not been told.
    untold: BTreeMap<Who, String>,
    /// By process: the token that it has only in memory.
    unsaved: BTreeMap<usize, String>,
    /// Processes that warned that the owner's token cannot be stored.
    warned: BTreeSet<usize>,
    /// By process: the owner's token, after a successful register with it.
    accepted: BTreeMap<usize, String>,
    /// Processes that found another token in the store since the last answer to a register: it may be newer, and is tried
    /// before it is replaced.
    found: BTreeSet<usize>,
    /// Processes that registered with the owner's token and then tried another one, which they had found in the store.
    tries: BTreeSet<usize>,
    /// By process: since when the owner's token is used again while the store holds the other one.
    is_back: BTreeMap<usize, Time>,
    /// Processes that stored a token, or in whose store the owner put one: what the store holds now may be newer than theirs.
    kept: BTreeSet<usize>,
    /// Processes that were stopped at once, and need not finish anything.
    hurried: BTreeSet<usize>,
    /// By agent: the time since which the disk has its present condition.
    disk_since: BTreeMap<usize, Time>,
    /// The time at which each machine last requested the view; it prepares the store only before that.
    looked: BTreeMap<Who, Time>,
}

/// The longest that the host operations before a register take.
const MOMENT: Duration = Duration::from_secs(1);

/// The longest time until a loop tries again to store its token: 300 s, and some for a slow network.
const SAVES_AGAIN: Duration = Duration::from_secs(400);

impl Invariant for NoTokenIsLost {
    fn name(&self) -> &'static str {
        "no token is lost"
    }

    fn sentence(&self) -> &'static str {
        "a token that an answer brings is stored, durably and before anything else, or an error says that it could not be and \
         how to recover; one that the owner gave is stored once a register with it was accepted; whoever lacks one is told how to \
         get it; and the store never holds anything else than a token"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let who = sight.who;
        match &sight.seen {
            TraceEvent::Asked(ask) => {
                if ask.route == Some(Route::View) {
                    self.looked.insert(who, sight.at);
                }
                self.stores_first(who, &ask.printed)
            }
            TraceEvent::HostAsked(id, HostOp::Replace(Slot::Token, content)) => self.stores(sight, known, *id, content),
            TraceEvent::HostAsked(_, op) => self.stores_first(who, &format!("{op:?}")),
            TraceEvent::Landed(landing, taken) => self.landed(sight, landing, *taken),
            TraceEvent::Told(Event::Warning(text)) if text.contains("cannot be stored") => {
                self.warned.insert(who.process);
                self.untold.remove(&who);
                says_how(text)
            }
            TraceEvent::Told(Event::Warning(text)) if text.contains("could not be stored") => {
                self.untold.remove(&who);
                says_how(text)
            }
            TraceEvent::Told(Event::TokenChanged) => {
                self.found.insert(who.process);
                Ok(())
            }
            TraceEvent::Told(Event::Registered { minted: false, .. }) => self.registered(sight),
            TraceEvent::Ended(ending) => {
                if self.to_store.remove(&who).is_some() {
                    return Err("it ends and has not stored the token that it was given".to_owned());
                }
                if let Some(error) = ending.error() {
                    if error.kind() == ErrorKind::TokenNotSaved {
                        self.untold.remove(&who);
                    }
                    if is_about_tokens(error.kind()) {
                        says_how(&error.to_string())?;
                    }
                }
                match self.untold.remove(&who) {
                    Some(_) if !self.hurried.contains(&who.process) => {
                        Err("a token could not be stored, and nobody was told".to_owned())
                    }
                    Some(_) | None => Ok(()),
                }
            }
            TraceEvent::Stopping(molecule_core::machine::StopLevel::Now) => {
                self.hurried.insert(who.process);
                Ok(())
            }
            TraceEvent::Dropped => {
                self.hurried.insert(who.process);
                self.to_store.remove(&who);
                self.untold.remove(&who);
                self.storing.retain(|_, (of, _)| *of != who);
                Ok(())
            }
            TraceEvent::Acted(ScenarioAction::Disk(_)) | TraceEvent::Finale => {
                self.disk_since.insert(who.agent, sight.at);
                Ok(())
            }
            TraceEvent::Handed(_) => {
                self.kept.insert(who.process);
                Ok(())
            }
            TraceEvent::Tick => store_holds_a_token(sight, known),
            seen if is_dead(seen) => {
                self.forget(who.process);
                store_holds_a_token(sight, known)
            }
            _ => Ok(()),
        }
    }
}

impl NoTokenIsLost {
    fn stores_first(&self, who: Who, instead: &str) -> Result<(), String> {
        match self.to_store.get(&who) {
            Some(_) => Err(format!("it was given a token, and before it stores it comes {instead}")),
            None => Ok(()),
        }
    }

    fn stores(&mut self, sight: &Sight<'_>, known: &KnownSecrets, id: EffectId, content: &[u8]) -> Result<(), String> {
        let who = sight.who;
        let token = String::from_utf8_lossy(content).into_owned();
        let due = self.to_store.remove(&who);
        let is_fresh = due.is_some();
        if due.is_some_and(|due| due != token) {
            return Err("it stores something else than the token that it was given".to_owned());
        }
        let brought = known.brought.get(&who.process).is_some_and(|brought| brought.contains(&token));
        let accepted = self.accepted.get(&who.process) == Some(&token);
        if !(brought || accepted) || !known.tokens.contains(&token) {
            return Err("it stores what no answer brought".to_owned());
        }
        // A token that was just minted is stored before anybody can know better.
        let agent = &sight.facts.agents[who.agent];
        let lives = |token: &str| {
            molecule_proto::Token::new(token).is_ok_and(|token| sight.facts.platform.is_live(&agent.workspace, &token))
        };
        if !is_fresh && !lives(&token) && agent.disk.content(Slot::Token, false).is_some_and(|stored| lives(&stored)) {
            return Err("it stores a dead token over one that lives".to_owned());
        }
        self.storing.insert((who.process, id), (who, token));
        Ok(())
    }

    fn landed(&mut self, sight: &Sight<'_>, landing: &OutcomeRecord, taken: Taken) -> Result<(), String> {
        let process = sight.who.process;
        match (&landing.token, taken) {
            (Some(token), Taken::Yes) => {
                self.to_store.insert(sight.who, token.clone());
            }
            (Some(_), Taken::GivenBack | Taken::TooLate) if !self.hurried.contains(&process) => {
                return Err("an answer brought a token, and nobody waited for it".to_owned());
            }
            (Some(_) | None, _) => {}
        }
        self.answered(sight, landing);
        self.comes_back(sight, landing)?;
        let Some((who, token)) = self.storing.remove(&(process, landing.id)) else { return Ok(()) };
        if landing.fault.is_none() {
            self.unsaved.remove(&process);
            self.kept.insert(process);
            let kept = sight.facts.agents[who.agent].disk.content(Slot::Token, true);
            return if kept == Some(token) { Ok(()) } else { Err("a token was stored and is not there".to_owned()) };
        }
        let is_news = self.unsaved.insert(process, token.clone()).as_ref() != Some(&token);
        if taken == Taken::Yes {
            let is_known = self.warned.contains(&process) && self.accepted.get(&process) == Some(&token);
            if is_news && !is_known {
                self.untold.insert(who, token);
            }
        } else if !self.hurried.contains(&process) {
            return Err("nobody waited for a token to be stored, and it was not".to_owned());
        }
        Ok(())
    }

    /// Records whether a register succeeded with the owner's token.
    fn answered(&mut self, sight: &Sight<'_>, landing: &OutcomeRecord) {
        let Some(ask) = landing.ask.as_ref().filter(|ask| ask.route == Some(Route::Register)) else { return };
        self.found.remove(&sight.who.process);
        if !landing.is_good() {
            return;
        }
        let given = sight.facts.agents[sight.who.agent].given.as_ref().map(molecule_proto::Token::expose);
        match &ask.bearer {
            Some(bearer) if Some(bearer.as_str()) == given => self.accepted.insert(sight.who.process, bearer.clone()),
            Some(_) | None => self.accepted.remove(&sight.who.process),
        };
    }

    /// Checks that the owner's token is stored some time after the one that was found in the store was refused.
    fn comes_back(&mut self, sight: &Sight<'_>, landing: &OutcomeRecord) -> Result<(), String> {
        let process = sight.who.process;
        let agent = &sight.facts.agents[sight.who.agent];
        let Some(bearer) = landing.ask.as_ref().and_then(|ask| ask.bearer.as_ref()).filter(|_| landing.is_good())
        else {
            return Ok(());
        };
        let is_accepted = self.accepted.get(&process) == Some(bearer);
        let is_stored = agent.disk.content(Slot::Token, true).as_ref() == Some(bearer);
        let is_due = self.tries.contains(&process) && !self.kept.contains(&process) && !self.warned.contains(&process);
        if !is_due || !is_accepted || is_stored || agent.disk.mood() != Mood::Fine {
            self.is_back.remove(&process);
            return Ok(());
        }
        let since = *self.is_back.entry(process).or_insert(sight.at);
        let disk_since = self.disk_since.get(&sight.who.agent).copied().unwrap_or_default();
        if sight.at.since(since.max(disk_since)) > SAVES_AGAIN {
            return Err(
                "the owner's token is accepted and used, the disk works, and the token is not stored".to_owned()
            );
        }
        Ok(())
    }

    /// Checks that a register stored an unsaved token or the owner's token, if the disk works.
    fn registered(&mut self, sight: &Sight<'_>) -> Result<(), String> {
        let process = sight.who.process;
        let Some(token) = self.unsaved.get(&process).or_else(|| self.accepted.get(&process)) else { return Ok(()) };
        if self.found.contains(&process) {
            self.tries.insert(process);
            return Ok(());
        }
        let agent = &sight.facts.agents[sight.who.agent];
        let looked = self.looked.get(&sight.who).copied().unwrap_or_default();
        let mended = self.disk_since.get(&sight.who.agent).is_none_or(|since| looked.since(*since) > MOMENT);
        let worked = agent.disk.mood() == Mood::Fine && mended;
        let live =
            molecule_proto::Token::new(token).is_ok_and(|token| sight.facts.platform.is_live(&agent.workspace, &token));
        let stored = agent.disk.content(Slot::Token, true).as_deref() == Some(token);
        if worked && live && !stored {
            return Err("it registered, the disk works, and the token is not stored".to_owned());
        }
        Ok(())
    }

    fn forget(&mut self, process: usize) {
        self.to_store.retain(|who, _| who.process != process);
        self.storing.retain(|(of, _), _| *of != process);
        self.untold.retain(|who, _| who.process != process);
        self.looked.retain(|who, _| who.process != process);
        self.unsaved.remove(&process);
        self.accepted.remove(&process);
        self.warned.remove(&process);
        self.found.remove(&process);
        self.is_back.remove(&process);
        self.kept.remove(&process);
        self.tries.remove(&process);
        self.hurried.remove(&process);
    }
}

fn is_about_tokens(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TokenNotHeld | ErrorKind::TokenNotSaved | ErrorKind::Revoked)
}

pub(super) fn says_how(text: &str) -> Result<(), String> {
    let says = text.contains("recover") || text.contains("MOLECULE_WORKSPACE_TOKEN");
    if says { Ok(()) } else { Err(format!("nothing says how to recover: {text}")) }
}

fn store_holds_a_token(sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
    match sight.facts.agents[sight.who.agent].disk.content(Slot::Token, false) {
        Some(content) if !known.tokens.contains(&content) => {
            Err(format!("the store holds {} bytes that are no token", content.len()))
        }
        Some(_) | None => Ok(()),
    }
}
