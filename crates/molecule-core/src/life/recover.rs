//! A new token: with an administrator's credential, or by rotating one's own.

use std::collections::VecDeque;

use molecule_proto::{Token, TokenId, TokenList};
use serde::Serialize;

use crate::call::Call;
use crate::effect::{Effect, EffectId, HostOp, HostResult, Outcome, Slot};
use crate::endpoint::{Existence, ListTokens, MintToken, RevokeToken, Rotate, View};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::life::save_token::SaveToken;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step};
use crate::session::credential::read_token;
use crate::session::credential::{Credential, Kept};
use crate::session::turn::Turn;
use crate::session::{Auth, Dialect, Session};

const OPERATION: &str = "recover";

/// What to do where a rotation may have revoked every token and its answer brought none.
const AFTER_LOSS: &str = "the old tokens may be revoked by now: recover once more, with an admin credential";

/// What to do where a token may have been minted and its answer is lost: the old one lives on.
const LOST_MINT: &str = "recover once more: a token may have been made, and its answer is lost";

/// With which credential a new token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// An administrator's: the platform's `ADMIN_TOKEN` or an organisation token. Used for this call alone, never stored.
    Admin(Token),
    /// The agent's own token, which is replaced.
    Own,
}

impl Recovery {
    /// With an administrator's credential.
    ///
    /// # Errors
    /// `Config` if the text cannot be a credential.
    pub fn admin(credential: &str) -> Result<Self> {
        let token = Token::new(credential).map_err(|error| {
            Error::config(format!("the admin credential: {error}"), "give the platform's admin token").during(OPERATION)
        })?;
        Ok(Self::Admin(token))
    }
}

/// What a recovery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovered {
    /// Every earlier token was revoked and one minted (the current server).
    Rotated,
    /// One more token was minted (April's server, which has no rotation).
    Minted {
        /// Whether the token that was held before is revoked.
        old_revoked: bool,
    },
}

/// Gets the agent a new token and stores it before anything else.
///
/// On the current server by rotation: it revokes **all** tokens, so its request is sent again only if it was never sent or the
/// platform itself turned it away, and the view is asked
/// first (a removed workspace would be answered with a dead token). On April's: one more token, then the old one is revoked
/// by its visible prefix.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Recover {
    recovery: Recovery,
    state: State,
    /// The token before, of which the prefix is needed to revoke it.
    old: Option<Token>,
    cancelled: bool,
    turn: Turn,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Start,
    Loading(EffectId),
    Prepare,
    Preparing(EffectId),
    AwaitTurn,
    Look,
    Looking(Box<Call<View>>),
    Rotating(Box<Call<Rotate>>),
    Minting(Box<Call<MintToken>>),
    Saving(Box<SaveToken>, Next),
    Listing(Box<Call<ListTokens>>),
    Revoking(Box<Call<RevokeToken>>),
    Cancelling(EffectId),
    Finished(Box<Result<Recovered>>),
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Done,
    RevokeOld,
}

impl Recover {
    /// A recovery with this credential.
    pub fn new(recovery: Recovery) -> Self {
        Self {
            recovery,
            state: State::Start,
            old: None,
            cancelled: false,
            turn: Turn::default(),
            events: VecDeque::new(),
        }
    }

    fn auth(&self) -> Auth {
        match &self.recovery {
            Recovery::Admin(token) => Auth::Admin(token.clone()),
            Recovery::Own => Auth::Bearer,
        }
    }

    fn finish(&mut self, result: Result<Recovered>) {
        self.state = State::Finished(Box::new(result));
    }

    fn fail(&mut self, error: Error) {
        self.finish(Err(error.during(OPERATION)));
    }

    fn looked(&mut self, cx: &mut Cx<'_>, existence: &Existence) {
        let id = cx.session.workspace_id();
        match existence {
            Existence::Removed => self.fail(
                Error::new(ErrorKind::Removed, OPERATION, "the workspace was deleted")
                    .remedy("create a new one on the platform and use its id"),
            ),
            Existence::NotFound => self.fail(
                Error::new(ErrorKind::NotCreated, OPERATION, format!("there is no workspace {id}"))
                    .remedy("check the workspace's id: the builder's, or MOLECULE_WORKSPACE_ID with from_env()"),
            ),
            Existence::Present(view) => {
                self.old = cx.session.held().map(|held| held.token.clone());
                if self.recovery == Recovery::Own && self.old.is_none() {
                    return self.fail(Session::no_token(OPERATION));
                }
                self.state = match cx.session.learn_dialect(view.kind.is_some()) {
                    Dialect::Current => State::Rotating(Box::new(Call::new(Rotate(self.auth())))),
                    Dialect::April => State::Minting(Box::new(Call::new(MintToken(self.auth())))),
                };
            }
        }
    }

    fn save(&mut self, token: Option<Token>, next: Next) {
        match token {
            Some(token) => self.state = State::Saving(Box::new(SaveToken::minted(OPERATION, token)), next),
            None => {
                self.fail(Error::new(ErrorKind::Protocol, OPERATION, "the answer carried no token").remedy(AFTER_LOSS));
            }
        }
    }

    /// A lost answer of a rotation carried the only live token.
    fn rotation_failed(&mut self, error: Error) {
        // A web page says nothing about what stands behind it, and here much is at stake.
        let lost = error.may_have_acted() || error.kind() == ErrorKind::Routing;
        self.fail(if lost { error.remedy(AFTER_LOSS) } else { refused_admin(error, &self.recovery) });
    }

    /// The old token's row, if exactly one has its prefix: rows show no more of a token than its first eight characters.
    fn old_row(&self, cx: &Cx<'_>, list: &TokenList) -> Option<TokenId> {
        let prefix = |token: &Token| token.expose().chars().take(8).collect::<String>();
        let old = prefix(self.old.as_ref()?);
        if cx.session.held().is_some_and(|held| prefix(&held.token) == old) {
            return None;
        }
        let mut rows = list.tokens.iter().filter(|row| row.prefix == old);
        let row = rows.next()?;
        rows.next().is_none().then(|| row.id.clone())
    }

    fn listed(&mut self, cx: &Cx<'_>, list: &TokenList) {
        match self.old_row(cx, list) {
            _ if self.cancelled => self.finish(Ok(Recovered::Minted { old_revoked: false })),
            Some(row) => self.state = State::Revoking(Box::new(Call::new(RevokeToken(row, Auth::Bearer)))),
            None => self.finish(Ok(Recovered::Minted { old_revoked: false })),
        }
    }

    /// The new token works; an old one that lives on is worth a warning and no more.
    fn old_lives_on(&mut self, error: &Error) {
        self.events.push_back(Event::Warning(format!("the old token could not be revoked: {error}")));
        self.finish(Ok(Recovered::Minted { old_revoked: false }));
    }
}

fn refused_admin(error: Error, recovery: &Recovery) -> Error {
    match (error.kind(), recovery) {
        (ErrorKind::Unauthorized, Recovery::Admin(_)) => {
            error.remedy("check the admin credential: the platform's admin token, or an organisation token")
        }
        (ErrorKind::Unauthorized, Recovery::Own) => error.remedy("recover with an admin credential"),
        (_, Recovery::Admin(_) | Recovery::Own) => error,
    }
}

impl Machine for Recover {
    type Output = Result<Recovered>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Start if matches!(cx.session.credential(), Credential::Unread) => {
                    let id = cx.session.next_effect();
                    self.state = State::Loading(id);
                    return Step::Start(id, Effect::Host(HostOp::Load(Slot::Token)));
                }
                State::Start => self.state = State::Prepare,
                State::Prepare => {
                    let id = cx.session.next_effect();
                    self.state = State::Preparing(id);
                    return Step::Start(id, Effect::Host(HostOp::Prepare));
                }
                State::AwaitTurn => match self.turn.take(cx.now.mono, cx.session) {
                    Ok(()) => self.state = State::Look,
                    Err(wake) => {
                        self.state = State::AwaitTurn;
                        return Step::Idle(Some(wake));
                    }
                },
                State::Look => self.state = State::Looking(Box::new(Call::new(View))),
                State::Looking(mut call) => match call.poll(cx) {
                    Step::Done(Ok(_)) if self.cancelled => self.fail(Error::cancelled(OPERATION)),
                    Step::Done(Ok(existence)) => self.looked(cx, &existence),
                    Step::Done(Err(error)) => self.fail(error),
                    other => {
                        self.state = State::Looking(call);
                        return pass(other);
                    }
                },
                State::Rotating(mut call) => match call.poll(cx) {
                    Step::Done(Ok(answer)) => self.save(answer.connection.auth_token, Next::Done),
                    Step::Done(Err(error)) => self.rotation_failed(error),
                    other => {
                        self.state = State::Rotating(call);
                        return pass(other);
                    }
                },
                State::Minting(mut call) => match call.poll(cx) {
                    Step::Done(Ok(answer)) => self.save(Some(answer.auth_token), Next::RevokeOld),
                    Step::Done(Err(error)) if error.may_have_acted() => self.fail(error.remedy(LOST_MINT)),
                    Step::Done(Err(error)) => self.fail(refused_admin(error, &self.recovery)),
                    other => {
                        self.state = State::Minting(call);
                        return pass(other);
                    }
                },
                State::Saving(mut save, next) => match (save.poll(cx), next) {
                    (Step::Done(Ok(())), Next::Done) => self.finish(Ok(Recovered::Rotated)),
                    (Step::Done(Ok(())), Next::RevokeOld) if self.old.is_some() && !self.cancelled => {
                        self.state = State::Listing(Box::new(Call::new(ListTokens(Auth::Bearer))));
                    }
                    (Step::Done(Ok(())), Next::RevokeOld) => self.finish(Ok(Recovered::Minted { old_revoked: false })),
                    (Step::Done(Err(error)), Next::Done | Next::RevokeOld) => self.fail(error),
                    (other, next) => {
                        self.state = State::Saving(save, next);
                        return pass(other);
                    }
                },
                State::Listing(mut call) => match call.poll(cx) {
                    Step::Done(Ok(list)) => self.listed(cx, &list),
                    Step::Done(Err(error)) => self.old_lives_on(&error),
                    other => {
                        self.state = State::Listing(call);
                        return pass(other);
                    }
                },
                State::Revoking(mut call) => match call.poll(cx) {
                    Step::Done(Ok(_)) => self.finish(Ok(Recovered::Minted { old_revoked: true })),
                    Step::Done(Err(error)) => self.old_lives_on(&error),
                    other => {
                        self.state = State::Revoking(call);
                        return pass(other);
                    }
                },
                State::Cancelling(id) => {
                    self.fail(Error::cancelled(OPERATION));
                    return Step::Cancel(id);
                }
                State::Finished(result) => {
                    self.turn.give_back();
                    return Step::Done(*result);
                }
                state @ (State::Loading(_) | State::Preparing(_) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.state {
            State::Looking(call) => return call.feed(cx, id, outcome),
            State::Rotating(call) => return call.feed(cx, id, outcome),
            State::Minting(call) => return call.feed(cx, id, outcome),
            State::Saving(save, _) => return save.feed(cx, id, outcome),
            State::Listing(call) => return call.feed(cx, id, outcome),
            State::Revoking(call) => return call.feed(cx, id, outcome),
            _ => {}
        }
        match (std::mem::replace(&mut self.state, State::Done), outcome) {
            (State::Loading(expected), Outcome::Host(HostResult::Loaded(stored))) if expected == id => {
                match stored.map(|stored| read_token(OPERATION, &stored)).transpose() {
                    Ok(Some(token)) if cx.session.held().is_none() => {
                        cx.session.hold(token, Kept::Stored);
                    }
                    Ok(Some(_)) => {}
                    // A damaged token is what a recovery with an admin credential is for.
                    Ok(None) => cx.session.hold_none(),
                    Err(_) if matches!(self.recovery, Recovery::Admin(_)) => cx.session.hold_none(),
                    Err(error) => {
                        self.fail(error);
                        return Ok(());
                    }
                }
                self.state = State::Prepare;
            }
            (State::Preparing(expected), Outcome::Host(HostResult::SetRight(said))) if expected == id => {
                self.events.extend(said.into_iter().map(Event::Warning));
                self.state = State::AwaitTurn;
            }
            (State::Preparing(expected), Outcome::Host(HostResult::Prepared)) if expected == id => {
                self.state = State::AwaitTurn;
            }
            (State::Loading(expected) | State::Preparing(expected), Outcome::Failed(fault)) if expected == id => {
                self.fail(Error::from_fault(OPERATION, fault));
            }
            (state, outcome) => {
                self.state = state;
                return Err(outcome);
            }
        }
        Ok(())
    }

    /// A rotation or a mint that is under way is waited for and its token stored.
    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cancelled = true;
        match &mut self.state {
            State::Loading(id) | State::Preparing(id) => self.state = State::Cancelling(*id),
            State::Looking(call) => call.cancel(cx),
            State::Rotating(call) if call.is_sent() => call.no_more_requests(),
            State::Rotating(call) => call.cancel(cx),
            State::Minting(call) if call.is_sent() => call.no_more_requests(),
            State::Minting(call) => call.cancel(cx),
            State::Listing(call) => call.cancel(cx),
            State::Revoking(call) => call.cancel(cx),
            State::Start | State::Prepare | State::AwaitTurn | State::Look => self.fail(Error::cancelled(OPERATION)),
            State::Saving(..) | State::Cancelling(_) | State::Finished(_) | State::Done => {}
        }
    }
}
