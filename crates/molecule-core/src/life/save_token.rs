//! The machine that stores the bearer in the token's slot.

use std::collections::VecDeque;

use molecule_proto::Token;
use zeroize::Zeroizing;

use crate::effect::{Effect, EffectId, Fault, HostOp, HostResult, Outcome, Slot, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::{Cx, Machine, Step};
use crate::session::Session;
use crate::session::credential::Persistence;
use crate::session::credential::read_token;

/// Stores the bearer durably: a minted or rotated one before anything else happens, or one that the owner gave and the
/// platform accepted.
///
/// The session holds the token even if it cannot be stored: it then works until the process ends, and the error says
/// so. The save cannot be cancelled, since a token that is lost between the server and the disk locks the agent out of
/// its workspace.
#[derive(Debug)]
pub(crate) struct SaveToken {
    operation: &'static str,
    origin: Origin,
    /// Whether an earlier save of this token failed.
    is_late: bool,
    state: State,
    events: VecDeque<Event>,
}

/// The origin of a bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The platform minted it.
    Minted,
    /// The owner gave it by an option.
    Given,
}

#[derive(Debug)]
enum State {
    /// Load what the store holds, to compare it with this token. Another token there is rare.
    Compare(Token),
    Comparing(EffectId, Token),
    /// Move the stored text replaced: it is not a token, but may be the only copy of one.
    SetAside(Token),
    SettingAside(EffectId, Token),
    Replace(Token),
    Replacing(EffectId, Token),
    /// The save failed: load what the store holds, so that a later save does not overwrite a newer token.
    Reload(Error),
    Reloading(EffectId, Error),
    Finished(Result<()>),
    Done,
}

impl SaveToken {
    /// Saves a token that the platform minted.
    pub(crate) fn minted(operation: &'static str, token: Token) -> Self {
        Self::new(operation, Origin::Minted, State::Replace(token))
    }

    /// Saves a token that the owner gave. It is written only if the store holds no token, or still holds the one from
    /// before the platform accepted this one.
    pub(crate) fn given(operation: &'static str, token: Token) -> Self {
        Self::new(operation, Origin::Given, State::Compare(token))
    }

    fn new(operation: &'static str, origin: Origin, state: State) -> Self {
        Self { operation, origin, is_late: false, state, events: VecDeque::new() }
    }

    /// Saves the current bearer, if an earlier save of it failed. A token that was put into the store since then is
    /// newer and stays there. A bearer that the agent went back to is saved once the platform has accepted it again: the
    /// store's token may live.
    pub(crate) fn unsaved(operation: &'static str, session: &Session) -> Option<Self> {
        let held = session.held().filter(|_| !session.is_bearer_doubted())?;
        let origin = match held.persistence {
            Persistence::MemoryOnly => Origin::Minted,
            Persistence::Accepted => Origin::Given,
            Persistence::Given | Persistence::Stored => return None,
        };
        Some(Self { is_late: true, ..Self::new(operation, origin, State::Compare(held.token.clone())) })
    }

    fn start(&mut self, cx: &mut Cx<'_>, state: impl FnOnce(EffectId) -> State, op: HostOp) -> Step<Result<()>> {
        let id = cx.session.next_effect();
        self.state = state(id);
        Step::Start(id, Effect::Host(op))
    }

    fn compared(&mut self, cx: &mut Cx<'_>, token: Token, stored: Option<&Stored>) -> State {
        let stored = match stored.map(|stored| read_token(self.operation, stored)).transpose() {
            Ok(stored) => stored,
            Err(_) => return State::SetAside(token),
        };
        match stored {
            Some(stored) if stored == token => self.saved(cx, &token),
            // Another process has stored this token meanwhile, so it is newer. If it is refused, the session holds the
            // current one again, and a later save replaces the stored one.
            Some(stored) if cx.session.store_before.as_ref() != Some(&Some(stored.clone())) => {
                cx.session.store_before = Some(Some(stored.clone()));
                if self.origin == Origin::Given {
                    cx.session.set_persistence(&token, Persistence::Accepted);
                }
                if cx.session.bearer() == Some(&token) && cx.session.replace_refused(Some(stored)) {
                    self.events.push_back(Event::TokenChanged);
                }
                State::Finished(Ok(()))
            }
            Some(_) | None => State::Replace(token),
        }
    }

    fn set_aside(&mut self, token: Token, place: &str) -> State {
        let said =
            format!("what the store held was no token; it is kept at {place}, and the agent's own token is stored");
        self.events.push_back(Event::Warning(said));
        State::Replace(token)
    }

    fn replaced(&mut self, cx: &mut Cx<'_>, token: Token) -> State {
        let is_new = self.origin == Origin::Minted && !self.is_late;
        if is_new && cx.session.hold_minted(token.clone(), Persistence::Stored) {
            self.events.push_back(Event::TokenChanged);
        }
        self.saved(cx, &token)
    }

    fn saved(&mut self, cx: &mut Cx<'_>, token: &Token) -> State {
        cx.session.set_persistence(token, Persistence::Stored);
        if self.is_late {
            self.events.push_back(Event::TokenStored);
        }
        State::Finished(Ok(()))
    }

    fn failed(&mut self, cx: &mut Cx<'_>, token: Token, fault: Fault) -> State {
        let error = not_saved(self.operation, self.origin, &Error::from_fault("save", fault));
        if self.is_late {
            return State::Finished(Err(error));
        }
        match self.origin {
            Origin::Given => cx.session.set_persistence(&token, Persistence::Accepted),
            Origin::Minted if cx.session.hold_minted(token, Persistence::MemoryOnly) => {
                self.events.push_back(Event::TokenChanged);
            }
            Origin::Minted => {}
        }
        State::Reload(error)
    }
}

impl Machine for SaveToken {
    type Output = Result<()>;

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Result<()>> {
        if let Some(event) = self.events.pop_front() {
            return Step::Event(event);
        }
        match std::mem::replace(&mut self.state, State::Done) {
            State::Compare(token) => self.start(cx, |id| State::Comparing(id, token), HostOp::Load(Slot::Token)),
            State::SetAside(token) => {
                self.start(cx, |id| State::SettingAside(id, token), HostOp::SetAside(Slot::Token))
            }
            State::Replace(token) => {
                let bytes = Zeroizing::new(token.expose().as_bytes().to_vec());
                self.start(cx, |id| State::Replacing(id, token), HostOp::Replace(Slot::Token, bytes))
            }
            State::Reload(error) => self.start(cx, |id| State::Reloading(id, error), HostOp::Load(Slot::Token)),
            State::Finished(result) => Step::Done(result),
            state @ (State::Comparing(..)
            | State::SettingAside(..)
            | State::Replacing(..)
            | State::Reloading(..)
            | State::Done) => {
                self.state = state;
                Step::Idle(None)
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        self.state = match (std::mem::replace(&mut self.state, State::Done), outcome) {
            (State::Comparing(expected, token), Outcome::Host(HostResult::Loaded(stored))) if expected == id => {
                self.compared(cx, token, stored.as_ref())
            }
            (State::SettingAside(expected, token), Outcome::Host(HostResult::SetAside(place))) if expected == id => {
                self.set_aside(token, &place)
            }
            (State::Replacing(expected, token), Outcome::Host(HostResult::Replaced)) if expected == id => {
                self.replaced(cx, token)
            }
            // A slot that cannot be read is not replaced: its token may be newer.
            (
                State::Comparing(expected, token)
                | State::SettingAside(expected, token)
                | State::Replacing(expected, token),
                Outcome::Failed(fault),
            ) if expected == id => self.failed(cx, token, fault),
            (State::Reloading(expected, error), Outcome::Host(HostResult::Loaded(stored))) if expected == id => {
                let stored = stored.map(|stored| read_token(self.operation, &stored)).transpose();
                cx.session.store_before = stored.ok();
                State::Finished(Err(error))
            }
            (State::Reloading(expected, error), Outcome::Failed(_)) if expected == id => {
                cx.session.store_before = None;
                State::Finished(Err(error))
            }
            (state, outcome) => {
                self.state = state;
                return Err(outcome);
            }
        };
        Ok(())
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {}
}

/// Makes the error of a token that the owner gave and that the store cannot take.
pub(crate) fn given_not_saved(operation: &'static str, fault: Fault) -> Error {
    not_saved(operation, Origin::Given, &Error::from_fault("save", fault))
}

fn not_saved(operation: &'static str, origin: Origin, cause: &Error) -> Error {
    let text = cause.to_string();
    let why = text.strip_prefix("save failed: ").unwrap_or(&text);
    let (what, remedy) = match origin {
        Origin::Minted => (
            "the platform issued a new token that could not be stored",
            "keep this process running, mend the store and register again, or recover with an admin credential later",
        ),
        Origin::Given => (
            "the token that was given cannot be stored",
            "give it at every start (token(…), or MOLECULE_WORKSPACE_TOKEN and from_env()), or mend the store; \
             store_given_token(false) says that it is not to be stored",
        ),
    };
    Error::new(ErrorKind::TokenNotSaved, operation, format!("{what}: {why}")).remedy(remedy)
}
