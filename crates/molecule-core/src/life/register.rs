//! Registering: look first, register only what may be, and store a minted token before anything else.

use std::collections::VecDeque;

use molecule_proto::{
    DeliveryMode, InboundSecret, RegisterAnswer, RegisterRequest, Token, WorkspaceStatus, WorkspaceView,
};
use serde::Serialize;

use crate::call::Call;
use crate::effect::{Effect, EffectId, HostOp, HostResult, Outcome, Slot};
use crate::endpoint::refusal::is_the_platforms_401;
use crate::endpoint::{Existence, RegisterOnce, View};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::life::beat::SaveInbound;
use crate::life::save_token::{SaveToken, given_not_saved};
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step};
use crate::session::credential::read_token;
use crate::session::credential::{Credential, InboundState, Kept};
use crate::session::turn::Turn;
use crate::session::{Dialect, Session};
use crate::text::remedy::give_token;

/// The URL that a poll agent registers where the server wants one (April). It has a path, since a bare local URL could
/// never be replaced later (contract section 4.6).
const PLACEHOLDER: &str = "http://localhost:9/no-inbound";

const OPERATION: &str = "register";

/// Registers the agent, unless its workspace is paused or gone.
///
/// In order: the token is loaded, the store is prepared (a full disk must not eat a minted token), another call of the session
/// that may get a token is waited for, the open view is looked
/// at (a register for a removed id is answered 200 with a dead token, and April's server un-pauses a paused one), then
/// the register is sent, and a token that it mints is stored before anything else.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Register {
    state: State,
    retries: bool,
    cancelled: bool,
    /// Whether the store can be written.
    is_prepared: bool,
    /// Whether it has tried to store an earlier token.
    tried: bool,
    turn: Turn,
    events: VecDeque<Event>,
}

/// What came of a register that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Registration {
    /// Whether the workspace is paused: nothing was sent then, so that nothing un-pauses it.
    pub paused: bool,
    /// Whether a token was minted.
    pub token: TokenUse,
    /// How messages reach the agent; `None` on April's server, and when paused.
    pub delivery_mode: Option<DeliveryMode>,
    /// Which server this is.
    pub dialect: Dialect,
}

/// Which token the agent registered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenUse {
    /// The one that it held.
    Held,
    /// A new one, which is stored.
    Minted,
}

#[derive(Debug)]
enum State {
    Start,
    LoadingToken(EffectId),
    LoadInbound,
    LoadingInbound(EffectId),
    Prepare,
    Preparing(EffectId),
    /// What the store holds before the token that the owner gave is accepted.
    LoadBefore,
    LoadingBefore(EffectId),
    AwaitTurn,
    SaveEarlier,
    SavingEarlier(Box<SaveToken>),
    Look,
    Looking(Box<Call<View>>),
    Send {
        placeholder: bool,
    },
    Sending(Box<Call<RegisterOnce>>, Attempt),
    SavingToken(Box<SaveToken>, Box<(RegisterAnswer, Attempt)>),
    SavingInbound(Box<SaveInbound>, Box<Registration>),
    Cancelling(EffectId),
    Finished(Box<Result<Registration>>),
    Done,
}

/// How a register was sent.
#[derive(Debug, Clone)]
struct Attempt {
    /// The reported URL of the configuration at that time.
    reported_url: Option<String>,
    placeholder: bool,
}

impl Register {
    /// A register with the retries of every call.
    pub fn new() -> Self {
        Self {
            state: State::Start,
            retries: true,
            cancelled: false,
            is_prepared: false,
            tried: false,
            turn: Turn::default(),
            events: VecDeque::new(),
        }
    }

    /// A register whose requests are sent once, for the loop, whose own pace stands in for retries.
    pub(crate) fn once() -> Self {
        Self { retries: false, ..Self::new() }
    }

    /// Whether the server may be acting on a register right now, or a token is being stored.
    pub(crate) fn must_be_finished(&self) -> bool {
        match &self.state {
            State::Sending(call, _) => call.is_sent(),
            State::SavingEarlier(_) | State::SavingToken(..) | State::SavingInbound(..) => true,
            _ => false,
        }
    }

    fn finish(&mut self, result: Result<Registration>) {
        self.state = State::Finished(Box::new(result));
    }

    fn fail(&mut self, error: Error) {
        self.finish(Err(error.during(OPERATION)));
    }

    fn start_host(&mut self, cx: &mut Cx<'_>, state: fn(EffectId) -> State, op: HostOp) -> Step<Result<Registration>> {
        let id = cx.session.next_effect();
        self.state = state(id);
        Step::Start(id, Effect::Host(op))
    }

    /// A token that an earlier register could not store is stored first.
    fn save_earlier(&mut self, session: &Session) {
        self.state = match SaveToken::unsaved(OPERATION, session) {
            Some(save) => {
                self.tried = true;
                State::SavingEarlier(Box::new(save))
            }
            None => State::Look,
        };
    }

    fn looked(&mut self, cx: &mut Cx<'_>, existence: Existence) {
        match existence {
            Existence::Removed => self.fail(removed()),
            Existence::NotFound if cx.session.held().is_some() => self.fail(removed()),
            Existence::NotFound => self.fail(
                Error::new(
                    ErrorKind::NotCreated,
                    OPERATION,
                    format!("there is no workspace {}", cx.session.workspace_id()),
                )
                .remedy(
                    "create it on the platform first, as an external workspace, and check its id: the builder's, or \
                     MOLECULE_WORKSPACE_ID with from_env()",
                ),
            ),
            Existence::Present(view) => self.present(cx, &view),
        }
    }

    fn present(&mut self, cx: &mut Cx<'_>, view: &WorkspaceView) {
        let dialect = cx.session.learn_dialect(view.kind.is_some());
        if cx.session.vitals.shows(&view.status) {
            self.events.push_back(Event::StatusChanged(view.status.clone()));
        }
        if view.status == WorkspaceStatus::Paused {
            return self.finish(Ok(Registration { paused: true, token: TokenUse::Held, delivery_mode: None, dialect }));
        }
        self.state = State::Send { placeholder: cx.session.poll_refused };
    }

    fn send(&mut self, cx: &mut Cx<'_>, placeholder: bool) {
        if self.cancelled {
            return self.fail(Error::cancelled(OPERATION));
        }
        let config = cx.session.config();
        let reported_url = config.reported_url.clone();
        let (mode, url) = match &reported_url {
            Some(url) => (DeliveryMode::Push, url.as_str()),
            None if placeholder => (DeliveryMode::Poll, PLACEHOLDER),
            None => (DeliveryMode::Poll, ""),
        };
        let agent_card = match serde_json::to_value(&config.card) {
            Ok(card) => card,
            Err(_) => return self.fail(Error::config("the card is not JSON", "use text keys and finite numbers")),
        };
        let request = RegisterRequest::new(cx.session.workspace_id().clone(), agent_card).url(url).delivery_mode(mode);
        let attempt = Attempt { reported_url, placeholder };
        let call = if self.retries { Call::new(RegisterOnce(request)) } else { Call::once(RegisterOnce(request)) };
        // The view was looked at just now.
        self.state = State::Sending(Box::new(call.asking_the_view(false)), attempt);
    }

    fn answered(&mut self, cx: &mut Cx<'_>, answer: RegisterAnswer, attempt: Attempt, bearer: Option<&Token>) {
        cx.session.learn_dialect(is_current(&answer));
        // Another lane may meanwhile have gone back to a token that memory alone holds.
        let save = match answer.auth_token.clone() {
            Some(token) => Some(SaveToken::minted(OPERATION, token)),
            None if self.tried => None,
            None => SaveToken::unsaved(OPERATION, cx.session).or_else(|| accepted(cx.session, bearer)),
        };
        match save {
            Some(save) => self.state = State::SavingToken(Box::new(save), Box::new((answer, attempt))),
            None => self.registered(cx, answer, &attempt, TokenUse::Held),
        }
    }

    fn registered(&mut self, cx: &mut Cx<'_>, answer: RegisterAnswer, attempt: &Attempt, token: TokenUse) {
        cx.session.vitals.registered(cx.now, attempt.reported_url.clone());
        let delivery_mode = answer.delivery_mode.clone();
        let minted = token == TokenUse::Minted;
        self.events.push_back(Event::Registered { delivery_mode: delivery_mode.clone(), minted });
        if attempt.placeholder {
            self.events.push_back(Event::PollUnsupported { placeholder: PLACEHOLDER.to_owned() });
        }
        let dialect = cx.session.learn_dialect(is_current(&answer));
        let registration = Registration { paused: false, token, delivery_mode, dialect };
        let save = SaveInbound::new(cx.session, answer.platform_inbound_secret);
        self.state = State::SavingInbound(Box::new(save), Box::new(registration));
    }

    fn refused(&mut self, cx: &mut Cx<'_>, error: Error, attempt: &Attempt) {
        let unnamed = error.status() == Some(http::StatusCode::BAD_REQUEST)
            && error.server_message() == Some("invalid request body");
        if unnamed && attempt.reported_url.is_none() && !attempt.placeholder {
            // April's server says this to every register without a URL; it knows no poll mode (contract section 20).
            cx.session.poll_refused = true;
            self.state = State::Send { placeholder: true };
            return;
        }
        self.fail(explain(error, cx.session.held().is_some(), unnamed));
    }
}

/// The platform accepted this bearer. If it is the one that the owner gave, it is stored. Another lane may meanwhile have gone back
/// to one that was refused.
fn accepted(session: &Session, bearer: Option<&Token>) -> Option<SaveToken> {
    let given = session.given_to_store().filter(|given| bearer == Some(given))?;
    Some(SaveToken::given(OPERATION, given))
}

/// What a refused register means, and what to do about it.
fn explain(error: Error, held: bool, unnamed: bool) -> Error {
    let again = |kind, cause: &str, remedy: String| {
        let message = error.server_message().map(str::to_owned);
        let told = Error::new(kind, OPERATION, cause).remedy(remedy).with_body(error.code(), message.as_deref());
        let told = told.with_attempts(error.attempts());
        match error.status() {
            Some(status) => told.with_status(status),
            None => told,
        }
    };
    // A 401 of something before the platform says nothing about the token.
    let is_refused = is_the_platforms_401(&error);
    match error.kind() {
        ErrorKind::Unauthorized if is_refused && held => again(
            ErrorKind::Revoked,
            "the token that is held was revoked, or belongs to another workspace",
            format!("take a live token: {}; or recover with an admin credential", give_token()),
        ),
        ErrorKind::Unauthorized if is_refused => again(
            ErrorKind::TokenNotHeld,
            "the platform already issued a token for this workspace and none is stored here",
            format!(
                "take the token shown when the workspace was created: {}; or ask an admin to rotate it (recover with an admin \
                 credential)",
                give_token()
            ),
        ),
        _ if error.may_have_acted() => error.remedy(
            "register again; should the platform then ask for a token that is not held here, the lost answer carried it: \
             recover with an admin credential",
        ),
        ErrorKind::Refused if unnamed => again(
            ErrorKind::Refused,
            "the platform refused the reported URL without saying why",
            "check reported_url(…), or MOLECULE_REPORTED_URL: it must be reachable from the platform, and for this machine \
             older servers take localhost alone, not 127.0.0.1"
                .to_owned(),
        ),
        _ => error,
    }
}

fn removed() -> Error {
    Error::new(ErrorKind::Removed, OPERATION, "the workspace was deleted")
        .remedy("create a new one on the platform and use its id")
}

/// Only the current server says how messages reach the agent, or which secret they carry.
fn is_current(answer: &RegisterAnswer) -> bool {
    answer.delivery_mode.is_some() || answer.platform_inbound_secret.is_some()
}

impl Default for Register {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for Register {
    type Output = Result<Registration>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Start => match cx.session.credential() {
                    Credential::Unread => return self.start_host(cx, State::LoadingToken, HostOp::Load(Slot::Token)),
                    Credential::Missing | Credential::Held(_) => self.state = State::LoadInbound,
                },
                State::LoadInbound if cx.session.inbound_secret == InboundState::Unread => {
                    return self.start_host(cx, State::LoadingInbound, HostOp::Load(Slot::InboundSecret));
                }
                State::LoadInbound => self.state = State::Prepare,
                State::Prepare => return self.start_host(cx, State::Preparing, HostOp::Prepare),
                State::LoadBefore if cx.session.given_to_store().is_some() => {
                    return self.start_host(cx, State::LoadingBefore, HostOp::Load(Slot::Token));
                }
                State::LoadBefore => self.state = State::AwaitTurn,
                State::AwaitTurn => match self.turn.take(cx.now.mono, cx.session) {
                    Ok(()) => self.state = State::SaveEarlier,
                    Err(wake) => {
                        self.state = State::AwaitTurn;
                        return Step::Idle(Some(wake));
                    }
                },
                State::SaveEarlier => self.save_earlier(cx.session),
                State::SavingEarlier(mut save) => match save.poll(cx) {
                    Step::Done(Ok(())) => {
                        // A newer one from the store may be held now, and the earlier one again at the end.
                        self.tried = false;
                        self.state = State::Look;
                    }
                    Step::Done(Err(error)) => {
                        // It is still held, and registering needs no disk while it is.
                        self.events.push_back(Event::Warning(error.to_string()));
                        self.state = State::Look;
                    }
                    other => {
                        self.state = State::SavingEarlier(save);
                        return pass(other);
                    }
                },
                State::Look if self.cancelled => self.fail(Error::cancelled(OPERATION)),
                State::Look => {
                    let call = if self.retries { Call::new(View) } else { Call::once(View) };
                    self.state = State::Looking(Box::new(call));
                }
                State::Looking(mut call) => match call.poll(cx) {
                    Step::Done(Ok(existence)) => self.looked(cx, existence),
                    Step::Done(Err(error)) => self.fail(error),
                    other => {
                        self.state = State::Looking(call);
                        return pass(other);
                    }
                },
                State::Send { placeholder } => self.send(cx, placeholder),
                State::Sending(mut call, attempt) => match call.poll(cx) {
                    Step::Done(Ok(answer)) => self.answered(cx, answer, attempt, call.accepted_with()),
                    Step::Done(Err(error)) => self.refused(cx, error, &attempt),
                    other => {
                        self.state = State::Sending(call, attempt);
                        return pass(other);
                    }
                },
                State::SavingToken(mut save, answered) => match save.poll(cx) {
                    Step::Done(Ok(())) => {
                        let (answer, attempt) = *answered;
                        let token = if answer.auth_token.is_some() { TokenUse::Minted } else { TokenUse::Held };
                        self.registered(cx, answer, &attempt, token);
                    }
                    Step::Done(Err(error)) if answered.0.auth_token.is_none() => {
                        // That a store cannot be written at all was told before.
                        let warning = self.is_prepared.then(|| Event::Warning(error.to_string()));
                        self.events.extend(warning);
                        let (answer, attempt) = *answered;
                        self.registered(cx, answer, &attempt, TokenUse::Held);
                    }
                    Step::Done(Err(error)) => {
                        // The platform took the agent in; only the store did not.
                        cx.session.vitals.registered(cx.now, answered.1.reported_url.clone());
                        self.fail(error);
                    }
                    other => {
                        self.state = State::SavingToken(save, answered);
                        return pass(other);
                    }
                },
                State::SavingInbound(mut save, registration) => match save.poll(cx) {
                    Step::Done(()) => self.finish(Ok(*registration)),
                    other => {
                        self.state = State::SavingInbound(save, registration);
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
                state @ (State::Preparing(_)
                | State::LoadingToken(_)
                | State::LoadingBefore(_)
                | State::LoadingInbound(_)
                | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.state {
            State::SavingEarlier(save) => return save.feed(cx, id, outcome),
            State::Looking(call) => return call.feed(cx, id, outcome),
            State::Sending(call, _) => return call.feed(cx, id, outcome),
            State::SavingToken(save, _) => return save.feed(cx, id, outcome),
            State::SavingInbound(save, _) => return save.feed(cx, id, outcome),
            _ => {}
        }
        match (std::mem::replace(&mut self.state, State::Done), outcome) {
            (State::LoadingToken(expected), Outcome::Host(HostResult::Loaded(stored))) if expected == id => {
                self.state = State::LoadInbound;
                match stored.map(|stored| read_token(OPERATION, &stored)).transpose() {
                    Ok(Some(token)) if cx.session.held().is_none() => {
                        cx.session.hold(token, Kept::Stored);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => cx.session.hold_none(),
                    Err(error) => self.fail(error),
                }
            }
            (State::LoadingToken(expected), Outcome::Failed(fault)) if expected == id => {
                self.fail(Error::from_fault(OPERATION, fault));
            }
            (State::LoadingBefore(expected), Outcome::Host(HostResult::Loaded(stored))) if expected == id => {
                let before = stored.map(|stored| read_token(OPERATION, &stored)).transpose();
                cx.session.store_before = before.ok();
                self.state = State::AwaitTurn;
            }
            (State::LoadingBefore(expected), Outcome::Failed(_)) if expected == id => {
                cx.session.store_before = None;
                self.state = State::AwaitTurn;
            }
            (State::LoadingInbound(expected), Outcome::Host(HostResult::Loaded(stored))) if expected == id => {
                let text = stored.as_ref().and_then(|stored| std::str::from_utf8(&stored.bytes).ok());
                if cx.session.inbound_secret == InboundState::Unread {
                    cx.session.inbound_secret = match text.and_then(InboundSecret::new) {
                        Some(secret) => InboundState::Held { secret, saved: true },
                        None => InboundState::Missing,
                    };
                }
                self.state = State::Prepare;
            }
            (State::LoadingInbound(expected), Outcome::Failed(fault)) if expected == id => {
                // The platform announces it again with every register.
                self.events.push_back(Event::Warning(Error::from_fault("load the inbound secret", fault).to_string()));
                self.state = State::Prepare;
            }
            (State::Preparing(expected), Outcome::Host(HostResult::SetRight(said))) if expected == id => {
                self.events.extend(said.into_iter().map(Event::Warning));
                self.is_prepared = true;
                self.state = State::LoadBefore;
            }
            (State::Preparing(expected), Outcome::Host(HostResult::Prepared)) if expected == id => {
                self.is_prepared = true;
                self.state = State::LoadBefore;
            }
            (State::Preparing(expected), Outcome::Failed(fault)) if expected == id => {
                let (is_given, is_held) = (cx.session.given_to_store().is_some(), cx.session.held().is_some());
                let error =
                    if is_given { given_not_saved(OPERATION, fault) } else { Error::from_fault(OPERATION, fault) };
                if is_held {
                    // With a token in hand hardly anything is minted, and a full disk must not take an agent offline.
                    self.events.push_back(Event::Warning(error.to_string()));
                    self.state = State::LoadBefore;
                } else {
                    self.fail(error);
                }
            }
            (state, outcome) => {
                self.state = state;
                return Err(outcome);
            }
        }
        Ok(())
    }

    /// A register that is under way may mint a token: its answer is waited for and the token stored.
    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cancelled = true;
        match &mut self.state {
            State::Preparing(id) | State::LoadingToken(id) | State::LoadingBefore(id) | State::LoadingInbound(id) => {
                self.state = State::Cancelling(*id);
            }
            State::Looking(call) => call.cancel(cx),
            State::Sending(call, _) if call.is_sent() => call.no_more_requests(),
            State::Sending(call, _) => call.cancel(cx),
            State::Start
            | State::LoadInbound
            | State::Prepare
            | State::LoadBefore
            | State::AwaitTurn
            | State::SaveEarlier
            | State::Look
            | State::Send { .. } => {
                self.fail(Error::cancelled(OPERATION));
            }
            State::SavingEarlier(_)
            | State::SavingToken(..)
            | State::SavingInbound(..)
            | State::Cancelling(_)
            | State::Finished(_)
            | State::Done => {}
        }
    }
}
