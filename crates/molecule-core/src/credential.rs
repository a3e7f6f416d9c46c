//! The token's slot: how it reads, and how a new token gets into it.

use std::collections::VecDeque;
use std::convert::Infallible;

use molecule_proto::Token;
use zeroize::Zeroizing;

use crate::effect::{Effect, EffectId, HostOp, HostResult, Outcome, Slot, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::{Cx, Machine, Step};
use crate::session::Kept;

/// Reads the token's slot: its raw text, as the Python SDK keeps it.
pub(crate) fn read_token(operation: &'static str, stored: &Stored) -> Result<Token> {
    let refuse = |why: &str| {
        Error::new(ErrorKind::Storage, operation, format!("what {} holds is no token: {why}", stored.place))
            .remedy("remove it and register again, or set MOLECULE_WORKSPACE_TOKEN")
    };
    let text = std::str::from_utf8(&stored.bytes).map_err(|_| refuse("it is not text"))?;
    Token::new(text).map_err(|error| refuse(&error.to_string()))
}

/// Stores a token that was minted or rotated, durably, before anything else happens.
///
/// The session holds it either way: a token that could not be stored works until the process ends, and the error says so.
/// It cannot be cancelled: a token that is lost between the server and the disk locks the workspace.
#[derive(Debug)]
pub(crate) struct SaveToken {
    operation: &'static str,
    state: State,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Ready(Token),
    Saving(EffectId, Token),
    Finished(Result<()>),
    Done,
}

impl SaveToken {
    pub(crate) fn new(operation: &'static str, token: Token) -> Self {
        Self { operation, state: State::Ready(token), events: VecDeque::new() }
    }

    fn hold(&mut self, cx: &mut Cx<'_>, token: Token, kept: Kept) {
        if cx.session.hold_minted(token, kept) {
            self.events.push_back(Event::TokenChanged);
        }
    }
}

impl Machine for SaveToken {
    type Command = Infallible;
    type Event = Event;
    type Output = Result<()>;

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Event, Result<()>> {
        if let Some(event) = self.events.pop_front() {
            return Step::Event(event);
        }
        match std::mem::replace(&mut self.state, State::Done) {
            State::Ready(token) => {
                let id = cx.session.next_effect();
                let bytes = Zeroizing::new(token.expose().as_bytes().to_vec());
                self.state = State::Saving(id, token);
                Step::Start(id, Effect::Host(HostOp::Replace(Slot::Token, bytes)))
            }
            State::Finished(result) => Step::Done(result),
            state @ (State::Saving(..) | State::Done) => {
                self.state = state;
                Step::Idle(None)
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Saving(expected, token) if expected == id => {
                match outcome {
                    Outcome::Host(HostResult::Replaced) => {
                        self.hold(cx, token, Kept::Stored);
                        self.state = State::Finished(Ok(()));
                    }
                    Outcome::Failed(fault) => {
                        self.hold(cx, token, Kept::Nowhere);
                        self.state = State::Finished(Err(not_saved(self.operation, Error::from_fault("save", fault))));
                    }
                    other => {
                        self.state = State::Saving(expected, token);
                        return Err(other);
                    }
                }
                Ok(())
            }
            state => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    fn command(&mut self, _: &mut Cx<'_>, command: Infallible) {
        match command {}
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {}
}

fn not_saved(operation: &'static str, cause: Error) -> Error {
    let text = cause.to_string();
    let why = text.strip_prefix("save failed: ").unwrap_or(&text);
    Error::new(
        ErrorKind::TokenNotSaved,
        operation,
        format!("the platform issued a new token that could not be stored: {why}"),
    )
    .remedy("keep this process running, mend the store and register again, or recover with an admin credential later")
}
